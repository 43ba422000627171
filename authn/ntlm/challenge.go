package ntlm

// Challenge is the server's message (MS-NLMP 2.2.1.2).
type Challenge struct {
	Flags           Flags
	TargetName      string // domain or server the client is to log in to
	ServerChallenge [8]byte
	TargetInfo      AVPairs // present if FlagTargetInfo is set
	Version         Version
}

// The header has grown twice: servers before Windows 2000 end it after the
// challenge, those without a version after the target info.
const (
	challengeShort   = 32
	challengeInfo    = 48
	challengeVersion = 56
)

// ParseChallenge parses a CHALLENGE_MESSAGE. The values of the AV pairs are
// parts of b.
func ParseChallenge(b []byte) (*Challenge, error) {
	m := new(Challenge)
	if err := m.parse(b, nil); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Challenge) parse(b []byte, cut *CutError) error {
	if err := checkHeader(b, typeChallenge, "CHALLENGE", challengeShort); err != nil {
		return err
	}
	m.Flags, m.ServerChallenge = Flags(le.Uint32(b[20:])), [8]byte(b[24:])
	p := newPayload(b, challengeShort, cut)
	name, err := p.field(12, fieldTargetName)
	if err != nil {
		return err
	}
	if m.Flags.Has(FlagTargetInfo) {
		if len(b) < challengeInfo {
			return syntaxError("CHALLENGE of %d bytes announces target info", len(b))
		}
		p.header = challengeInfo
		info, err := p.field(40, fieldTargetInfo)
		if err != nil {
			return err
		}
		if p.start < challengeInfo {
			return syntaxError("CHALLENGE with a name inside its header")
		}
		if m.TargetInfo, _, err = parseAVPairs(nil, info); err != nil && !cut.has(fieldTargetInfo) {
			return err
		}
	}
	m.Version = p.version(m.Flags, challengeInfo)
	if cut.has(fieldTargetName) {
		return nil
	}
	m.TargetName, err = decodeName(m.Flags, name)
	return err
}

// Append appends the message to b.
func (m *Challenge) Append(b []byte) []byte {
	begin := len(b)
	b = appendHeader(b, typeChallenge, challengeVersion)
	name := len(b)
	b = appendName(b, m.Flags, m.TargetName)
	info := len(b)
	if m.Flags.Has(FlagTargetInfo) {
		b = m.TargetInfo.Append(b)
	}
	h := b[begin:]
	putField(h, 12, info-name, name-begin)
	le.PutUint32(h[20:], uint32(m.Flags))
	copy(h[24:], m.ServerChallenge[:])
	putField(h, 40, len(b)-info, info-begin)
	if m.Flags.Has(FlagVersion) {
		m.Version.put(h[challengeInfo:])
	}
	return b
}
