package krb5

import (
	"encoding/binary"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// PAType is the type of a pre-authentication element (RFC 4120 7.5.2).
type PAType int32

// Pre-authentication types.
const (
	PATGSReq         PAType = 1
	PAEncTimestamp   PAType = 2
	PAPWSalt         PAType = 3
	PAETypeInfo      PAType = 11
	PAETypeInfo2     PAType = 19
	PAPACRequest     PAType = 128 // MS-KILE 2.2.3
	PAForUser        PAType = 129 // MS-SFU 2.2.1
	PAS4UX509User    PAType = 130 // MS-SFU 2.2.2
	PAFXCookie       PAType = 133 // RFC 6113 5.2
	PAFXFast         PAType = 136 // RFC 6113 5.4
	PAReqEncPARep    PAType = 149 // RFC 6806 11
	PASupportedETys  PAType = 165 // MS-KILE 2.2.8
	PAPACOptionsType PAType = 167 // MS-KILE 2.2.10
)

// PAData is one pre-authentication element (RFC 4120 5.2.7).
type PAData struct {
	Type  PAType
	Value []byte
}

// FindPAData returns the value of the first element of type t.
func FindPAData(l []PAData, t PAType) ([]byte, bool) {
	for _, p := range l {
		if p.Type == t {
			return p.Value, true
		}
	}
	return nil, false
}

func (r reader) paData() []PAData {
	var l []PAData
	for s := r.seq(); s.more(); {
		e := s.next(asn1.SEQUENCE)
		p := PAData{Type: PAType(e.field(1).int32())}
		p.Value = e.field(2).octets()
		e.end()
		l = append(l, p)
	}
	return l
}

func writePAData(w *writer, l []PAData) {
	for _, p := range l {
		w.AddASN1(asn1.SEQUENCE, func(w *writer) {
			addInt(w, 1, int64(p.Type))
			addOctets(w, 2, p.Value)
		})
	}
}

func addPAData(w *writer, n uint8, l []PAData) {
	addSeq(w, n, func(w *writer) { writePAData(w, l) })
}

// ParseMethodData parses METHOD-DATA, the e-data of
// KDC_ERR_PREAUTH_REQUIRED (RFC 4120 5.9.1).
func ParseMethodData(b []byte) ([]PAData, error) {
	r := newReader(b)
	l := r.paData()
	if _, err := finish(r, "METHOD-DATA", &l); err != nil {
		return nil, err
	}
	return l, nil
}

// MarshalMethodData returns the DER form of METHOD-DATA.
func MarshalMethodData(l []PAData) ([]byte, error) {
	return marshalSeq("METHOD-DATA", func(w *writer) { writePAData(w, l) })
}

// ETypeInfo2Entry says how to make a key of one type from the password (RFC
// 4120 5.2.7.5).
type ETypeInfo2Entry struct {
	EType   EType
	Salt    string
	HasSalt bool   // false: the default salt
	Params  []byte // s2kparams, nil if absent
}

// ParseETypeInfo2 parses ETYPE-INFO2.
func ParseETypeInfo2(b []byte) ([]ETypeInfo2Entry, error) {
	r := newReader(b)
	var l []ETypeInfo2Entry
	for s := r.seq(); s.more(); {
		e := s.next(asn1.SEQUENCE)
		v := ETypeInfo2Entry{EType: EType(e.field(0).int32())}
		if f, ok := e.optional(1); ok {
			v.Salt, v.HasSalt = f.string(), true
		}
		if f, ok := e.optional(2); ok {
			v.Params = f.octets()
		}
		e.end()
		l = append(l, v)
	}
	if _, err := finish(r, "ETYPE-INFO2", &l); err != nil {
		return nil, err
	}
	return l, nil
}

// MarshalETypeInfo2 returns the DER form of ETYPE-INFO2.
func MarshalETypeInfo2(l []ETypeInfo2Entry) ([]byte, error) {
	return marshalSeq("ETYPE-INFO2", func(w *writer) {
		for _, e := range l {
			w.AddASN1(asn1.SEQUENCE, func(w *writer) {
				addInt(w, 0, int64(e.EType))
				if e.HasSalt {
					addString(w, 1, e.Salt)
				}
				if e.Params != nil {
					addOctets(w, 2, e.Params)
				}
			})
		}
	})
}

// EncTimestamp is PA-ENC-TS-ENC, the clock a client proves its key with (RFC
// 4120 5.2.7.2).
type EncTimestamp struct {
	Time time.Time
	USec int
}

// ParseEncTimestamp parses a decrypted PA-ENC-TIMESTAMP.
func ParseEncTimestamp(b []byte) (*EncTimestamp, error) {
	r := newReader(b)
	s := r.seq()
	m := &EncTimestamp{Time: s.field(0).time()}
	if f, ok := s.optional(1); ok {
		m.USec = f.microseconds()
	}
	s.end()
	return finish(r, "PA-ENC-TS-ENC", m)
}

// Marshal returns the DER form.
func (m *EncTimestamp) Marshal() ([]byte, error) {
	return marshalSeq("PA-ENC-TS-ENC", func(w *writer) {
		addTime(w, 0, m.Time)
		addInt(w, 1, int64(m.USec))
	})
}

// ForUser is PA-FOR-USER: in whose name a service wants a ticket to itself
// (MS-SFU 2.2.1).
type ForUser struct {
	Name        PrincipalName
	Realm       string
	Checksum    Checksum
	AuthPackage string // "Kerberos"
}

// ParseForUser parses PA-FOR-USER.
func ParseForUser(b []byte) (*ForUser, error) {
	r := newReader(b)
	s := r.seq()
	m := &ForUser{Name: s.field(0).principal()}
	m.Realm = s.field(1).string()
	m.Checksum = s.field(2).checksum()
	m.AuthPackage = s.field(3).string()
	s.end()
	return finish(r, "PA-FOR-USER", m)
}

// Marshal returns the DER form.
func (m *ForUser) Marshal() ([]byte, error) {
	return marshalSeq("PA-FOR-USER", func(w *writer) {
		addPrincipal(w, 0, m.Name)
		addString(w, 1, m.Realm)
		addChecksum(w, 2, m.Checksum)
		addString(w, 3, m.AuthPackage)
	})
}

// SignedBytes returns what the checksum is over: name type, name, realm and
// package, without separators (MS-SFU 2.2.1).
func (m *ForUser) SignedBytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(m.Name.Type))
	for _, c := range m.Name.Components {
		b = append(b, c...)
	}
	b = append(b, m.Realm...)
	return append(b, m.AuthPackage...)
}

// S4UUserID names a user in PA-S4U-X509-USER (MS-SFU 2.2.2).
type S4UUserID struct {
	Nonce       uint32
	CName       PrincipalName // zero if absent
	CRealm      string
	Certificate []byte
	Options     Flags
	HasOptions  bool
}

// Options of S4UUserID (MS-SFU 2.2.2).
const (
	S4UOptionLogonHours  Flags = 1 << (31 - 1) // check logon hours
	S4UOptionUseReplyKey Flags = 1 << (31 - 2) // sign the reply with the reply key
)

// S4UX509User is PA-S4U-X509-USER.
type S4UX509User struct {
	User     S4UUserID
	Checksum Checksum // over RawUser
	RawUser  []byte   // the S4UUserID as received; Marshal sends it if it is set
}

// ParseS4UX509User parses PA-S4U-X509-USER.
func ParseS4UX509User(b []byte) (*S4UX509User, error) {
	r := newReader(b)
	s := r.seq()
	id := s.field(0)
	m := &S4UX509User{RawUser: id.s}
	m.Checksum = s.field(1).checksum()
	s.end()
	u := id.seq()
	m.User.Nonce = u.field(0).uint32()
	if f, ok := u.optional(1); ok {
		m.User.CName = f.principal()
	}
	m.User.CRealm = u.field(2).string()
	if f, ok := u.optional(3); ok {
		m.User.Certificate = f.octets()
	}
	if f, ok := u.optional(4); ok {
		m.User.Options, m.User.HasOptions = f.flags(), true
	}
	u.end()
	return finish(r, "PA-S4U-X509-USER", m)
}

// Marshal returns the DER form, which the checksum is over.
func (m *S4UUserID) Marshal() ([]byte, error) {
	return marshalSeq("S4UUserID", func(w *writer) {
		addInt(w, 0, int64(m.Nonce))
		if !m.CName.IsZero() {
			addPrincipal(w, 1, m.CName)
		}
		addString(w, 2, m.CRealm)
		if m.Certificate != nil {
			addOctets(w, 3, m.Certificate)
		}
		if m.HasOptions {
			addFlags(w, 4, m.Options)
		}
	})
}

// Marshal returns the DER form.
func (m *S4UX509User) Marshal() ([]byte, error) {
	id := m.RawUser
	if id == nil {
		var err error
		if id, err = m.User.Marshal(); err != nil {
			return nil, err
		}
	}
	return marshalSeq("PA-S4U-X509-USER", func(w *writer) {
		addField(w, 0, func(w *writer) { w.AddBytes(id) })
		addChecksum(w, 1, m.Checksum)
	})
}

// PACOptionRBCD in PA-PAC-OPTIONS asks for resource-based constrained
// delegation (MS-KILE 2.2.10).
const PACOptionRBCD Flags = 1 << (31 - 3)

// MarshalPACOptions returns the value of PA-PAC-OPTIONS.
func MarshalPACOptions(f Flags) ([]byte, error) {
	return marshalSeq("PA-PAC-OPTIONS", func(w *writer) { addFlags(w, 0, f) })
}

// ParsePACOptions parses the value of PA-PAC-OPTIONS.
func ParsePACOptions(b []byte) (Flags, error) {
	r := newReader(b)
	s := r.seq()
	f := s.field(0).flags()
	s.end()
	_, err := finish(r, "PA-PAC-OPTIONS", &f)
	return f, err
}

// MarshalPACRequest returns the value of PA-PAC-REQUEST (MS-KILE 2.2.3).
func MarshalPACRequest(include bool) ([]byte, error) {
	return marshalSeq("KERB-PA-PAC-REQUEST", func(w *writer) { addBoolean(w, 0, include) })
}

// ParsePACRequest parses the value of PA-PAC-REQUEST.
func ParsePACRequest(b []byte) (include bool, err error) {
	r := newReader(b)
	s := r.seq()
	include = s.field(0).boolean()
	s.end()
	_, err = finish(r, "KERB-PA-PAC-REQUEST", &include)
	return include, err
}
