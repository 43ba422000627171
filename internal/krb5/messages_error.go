package krb5

import (
	"encoding/binary"
	"time"
)

// ErrorMessage is KRB-ERROR (RFC 4120 5.9.1). Fields that are zero are absent,
// except STime, Code, Realm and SName. It is not protected: anybody on the way
// can have made it.
type ErrorMessage struct {
	CTime  time.Time
	CUSec  int
	STime  time.Time
	SUSec  int
	Code   ErrorCode
	CRealm string
	CName  PrincipalName
	Realm  string
	SName  PrincipalName
	Text   string
	Data   []byte
}

// ParseErrorMessage parses a KRB-ERROR.
func ParseErrorMessage(b []byte) (*ErrorMessage, error) {
	r := newReader(b)
	s := r.app(uint8(MsgError))
	s.field(0).is(ProtocolVersion)
	s.field(1).is(int64(MsgError))
	m := &ErrorMessage{}
	if f, ok := s.optional(2); ok {
		m.CTime = f.time()
	}
	if f, ok := s.optional(3); ok {
		m.CUSec = f.microseconds()
	}
	m.STime = s.field(4).time()
	m.SUSec = s.field(5).microseconds()
	m.Code = ErrorCode(s.field(6).int32())
	if f, ok := s.optional(7); ok {
		m.CRealm = f.string()
	}
	if f, ok := s.optional(8); ok {
		m.CName = f.principalOrNone()
	}
	m.Realm = s.field(9).string()
	m.SName = s.field(10).principalOrNone()
	if f, ok := s.optional(11); ok {
		m.Text = f.text()
	}
	if f, ok := s.optional(12); ok {
		m.Data = f.octets()
	}
	s.end()
	return finish(r, "KRB-ERROR", m)
}

// text reads a string for people, which some KDCs end with a zero byte.
func (r reader) text() string {
	c := r.only(tagGeneralString).s
	for i, b := range c {
		if b == 0 {
			return string(c[:i])
		}
	}
	return string(c)
}

// Marshal returns the DER form.
func (m *ErrorMessage) Marshal() ([]byte, error) {
	return marshal("KRB-ERROR", uint8(MsgError), func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addInt(w, 1, int64(MsgError))
		if !m.CTime.IsZero() {
			addTime(w, 2, m.CTime)
			addInt(w, 3, int64(m.CUSec))
		}
		addTime(w, 4, m.STime)
		addInt(w, 5, int64(m.SUSec))
		addInt(w, 6, int64(m.Code))
		if m.CRealm != "" {
			addString(w, 7, m.CRealm)
		}
		if !m.CName.IsZero() {
			addPrincipal(w, 8, m.CName)
		}
		addString(w, 9, m.Realm)
		addPrincipal(w, 10, m.SName)
		if m.Text != "" {
			addString(w, 11, m.Text)
		}
		if m.Data != nil {
			addOctets(w, 12, m.Data)
		}
	})
}

// KerbErrorData is KERB-ERROR-DATA, what Windows puts into the e-data of errors
// (MS-KILE 2.2.1).
type KerbErrorData struct {
	Type  int32
	Value []byte
}

// Types of KerbErrorData (MS-KILE 2.2.1).
const (
	KerbErrorSkewRecovery = 2
	KerbErrorExtended     = 3 // Value is a KERB_EXT_ERROR (MS-KILE 2.2.2)
)

// ParseKerbErrorData parses KERB-ERROR-DATA.
func ParseKerbErrorData(b []byte) (*KerbErrorData, error) {
	r := newReader(b)
	s := r.seq()
	m := &KerbErrorData{Type: s.field(1).int32()}
	if f, ok := s.optional(2); ok {
		m.Value = f.octets()
	}
	s.end()
	return finish(r, "KERB-ERROR-DATA", m)
}

// Status returns the NTSTATUS of a KerbErrorExtended: the Windows error behind
// the Kerberos one.
func (m *KerbErrorData) Status() (status uint32, ok bool) {
	if m.Type != KerbErrorExtended || len(m.Value) != 12 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(m.Value), true
}
