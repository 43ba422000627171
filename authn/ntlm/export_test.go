package ntlm

// SetChallenge fixes the challenges that m sends.
func SetChallenge(m *Mechanism, c [8]byte) {
	m.testOnlyChallenge = func() [8]byte { return c }
}

// SetRandom fixes what i draws.
func SetRandom(i *Initiator, f func([]byte)) { i.testOnlyRandom = f }
