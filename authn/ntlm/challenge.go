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
	if err := checkHeader(b, typeChallenge, "CHALLENGE", challengeShort); err != nil {
		return nil, err
	}
	m := &Challenge{Flags: Flags(le.Uint32(b[20:])), ServerChallenge: [8]byte(b[24:])}
	p := newPayload(b, challengeShort)
	name, err := p.field(12)
	if err != nil {
		return nil, err
	}
	if m.Flags.Has(FlagTargetInfo) {
		if len(b) < challengeInfo {
			return nil, syntaxError("CHALLENGE of %d bytes announces target info", len(b))
		}
		p.header = challengeInfo
		info, err := p.field(40)
		if err != nil {
			return nil, err
		}
		if p.start < challengeInfo {
			return nil, syntaxError("CHALLENGE with a name inside its header")
		}
		if m.TargetInfo, err = ParseAVPairs(info); err != nil {
			return nil, err
		}
	}
	m.Version = p.version(m.Flags, challengeInfo)
	if m.TargetName, err = decodeName(m.Flags, name); err != nil {
		return nil, err
	}
	return m, nil
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
