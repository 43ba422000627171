package ntlm

import "fmt"

// Authenticate is the client's second message (MS-NLMP 2.2.1.3).
type Authenticate struct {
	Flags       Flags
	Domain      string // as the client claims
	User        string // as the client claims
	Workstation string // as the client claims
	LMResponse  []byte
	NTResponse  []byte
	SessionKey  []byte // EncryptedRandomSessionKey
	Version     Version

	// MIC is the message integrity code: 16 bytes, or nil if the message has
	// no room for one. Whether it means anything is said by AVFlags.
	MIC []byte
}

// The header of clients without a version, with one, and with a MIC.
const (
	authenticateShort   = 64
	authenticateVersion = 72
	authenticateMIC     = 88
)

// ParseAuthenticate parses an AUTHENTICATE_MESSAGE. All byte slices are parts
// of b.
func ParseAuthenticate(b []byte) (*Authenticate, error) {
	m := new(Authenticate)
	if err := m.parse(b, nil); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Authenticate) parse(b []byte, cut *CutError) error {
	if err := checkHeader(b, typeAuthenticate, "AUTHENTICATE", authenticateShort); err != nil {
		return err
	}
	m.Flags = Flags(le.Uint32(b[60:]))
	p := newPayload(b, authenticateShort, cut)
	var domain, user, workstation []byte
	for _, f := range [...]struct {
		at   int
		name string
		to   *[]byte
	}{
		{12, fieldLM, &m.LMResponse}, {20, fieldNT, &m.NTResponse}, {28, fieldDomain, &domain},
		{36, fieldUser, &user}, {44, fieldWorkstation, &workstation}, {52, fieldSessionKey, &m.SessionKey},
	} {
		v, err := p.field(f.at, f.name)
		if err != nil {
			return err
		}
		*f.to = v
	}
	m.Version = p.version(m.Flags, authenticateShort)
	if p.start >= authenticateMIC {
		m.MIC = b[authenticateVersion:authenticateMIC:authenticateMIC]
	}
	for _, f := range [...]struct {
		name string
		v    []byte
		to   *string
	}{{fieldDomain, domain, &m.Domain}, {fieldUser, user, &m.User}, {fieldWorkstation, workstation, &m.Workstation}} {
		if cut.has(f.name) {
			continue
		}
		var err error
		if *f.to, err = decodeName(m.Flags, f.v); err != nil {
			return fmt.Errorf("%w (%s)", err, f.name)
		}
	}
	return nil
}

// Append appends the message to b.
func (m *Authenticate) Append(b []byte) []byte {
	size := authenticateShort
	switch {
	case m.MIC != nil:
		size = authenticateMIC
	case m.Flags.Has(FlagVersion):
		size = authenticateVersion
	}
	begin := len(b)
	b = appendHeader(b, typeAuthenticate, size)
	le.PutUint32(b[begin+60:], uint32(m.Flags))
	if m.Flags.Has(FlagVersion) {
		m.Version.put(b[begin+authenticateShort:])
	}
	if m.MIC != nil {
		copy(b[begin+authenticateVersion:begin+authenticateMIC], m.MIC)
	}
	// The order of MS-NLMP 4.2.4.3, which Windows uses as well.
	field := func(at, from int) {
		putField(b[begin:], at, len(b)-from, from-begin)
	}
	for _, f := range [...]struct {
		at int
		s  string
	}{{28, m.Domain}, {36, m.User}, {44, m.Workstation}} {
		from := len(b)
		b = appendName(b, m.Flags, f.s)
		field(f.at, from)
	}
	for _, f := range [...]struct {
		at int
		v  []byte
	}{{12, m.LMResponse}, {20, m.NTResponse}, {52, m.SessionKey}} {
		from := len(b)
		b = append(b, f.v...)
		field(f.at, from)
	}
	return b
}
