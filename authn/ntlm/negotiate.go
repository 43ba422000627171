package ntlm

// Negotiate is the client's first message (MS-NLMP 2.2.1.1).
type Negotiate struct {
	Flags       Flags
	Domain      string // in the client's code page, as sent
	Workstation string // in the client's code page, as sent
	Version     Version
}

// The header ends after the flags in messages of Windows 95, after the fields
// in those without a version.
const (
	negotiateShort   = 16
	negotiateFields  = 32
	negotiateVersion = 40
)

// ParseNegotiate parses a NEGOTIATE_MESSAGE.
func ParseNegotiate(b []byte) (*Negotiate, error) {
	m := new(Negotiate)
	if err := m.parse(b, nil); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Negotiate) parse(b []byte, cut *CutError) error {
	if err := checkHeader(b, typeNegotiate, "NEGOTIATE", negotiateShort); err != nil {
		return err
	}
	m.Flags = Flags(le.Uint32(b[12:]))
	p := newPayload(b, negotiateFields, cut)
	for _, f := range []struct {
		flag Flags
		at   int
		name string
		to   *string
	}{{FlagDomainSupplied, 16, fieldDomain, &m.Domain}, {FlagWorkstationSupplied, 24, fieldWorkstation, &m.Workstation}} {
		if !m.Flags.Has(f.flag) { // then the field is to be ignored
			continue
		}
		if len(b) < negotiateFields {
			return syntaxError("NEGOTIATE of %d bytes announces a name", len(b))
		}
		v, err := p.field(f.at, f.name)
		if err != nil {
			return err
		}
		if !cut.has(f.name) {
			*f.to = string(v)
		}
	}
	m.Version = p.version(m.Flags, negotiateFields)
	return nil
}

// Append appends the message to b. Names are sent only with their flags.
func (m *Negotiate) Append(b []byte) []byte {
	size := negotiateFields
	if m.Flags.Has(FlagVersion) {
		size = negotiateVersion
	}
	begin := len(b)
	b = appendHeader(b, typeNegotiate, size)
	le.PutUint32(b[begin+12:], uint32(m.Flags))
	if m.Flags.Has(FlagDomainSupplied) {
		putField(b[begin:], 16, len(m.Domain), len(b)-begin)
		b = append(b, m.Domain...)
	}
	if m.Flags.Has(FlagWorkstationSupplied) {
		putField(b[begin:], 24, len(m.Workstation), len(b)-begin)
		b = append(b, m.Workstation...)
	}
	if m.Flags.Has(FlagVersion) {
		m.Version.put(b[begin+negotiateFields:])
	}
	return b
}
