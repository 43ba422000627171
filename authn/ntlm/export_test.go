package ntlm

// SetChallenge fixes the challenges that m sends.
func SetChallenge(m *Mechanism, c [8]byte) {
	m.testOnlyChallenge = func() [8]byte { return c }
}
