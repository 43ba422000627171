package krb5

import (
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// Cred is KRB-CRED: tickets with their keys for somebody else to use (RFC 4120
// 5.8.1). The tickets and the elements of EncCredPart.Info belong together in
// order.
type Cred struct {
	Tickets []Ticket
	EncPart EncryptedData
}

// ParseCred parses a KRB-CRED.
func ParseCred(b []byte) (*Cred, error) {
	r := newReader(b)
	s := r.app(uint8(MsgCred))
	s.field(0).is(ProtocolVersion)
	s.field(1).is(int64(MsgCred))
	m := &Cred{Tickets: s.field(2).tickets()}
	m.EncPart = s.field(3).encrypted()
	s.end()
	return finish(r, "KRB-CRED", m)
}

// Marshal returns the DER form.
func (m *Cred) Marshal() ([]byte, error) {
	return marshal("KRB-CRED", uint8(MsgCred), func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addInt(w, 1, int64(MsgCred))
		addTickets(w, 2, m.Tickets)
		addEncrypted(w, 3, m.EncPart)
	})
}

// CredInfo describes one ticket of a KRB-CRED. All but the key is optional.
type CredInfo struct {
	Key       Key
	PRealm    string // of the client
	PName     PrincipalName
	Flags     Flags
	AuthTime  time.Time
	StartTime time.Time
	EndTime   time.Time
	RenewTill time.Time
	SRealm    string
	SName     PrincipalName
	Addresses []HostAddress
}

// EncCredPart is the encrypted part of a KRB-CRED (RFC 4120 5.8.1). Fields that
// are zero are absent.
type EncCredPart struct {
	Info      []CredInfo
	Nonce     uint32
	Timestamp time.Time
	USec      int
	SAddress  *HostAddress
	RAddress  *HostAddress
}

// ParseEncCredPart parses the decrypted part of a KRB-CRED.
func ParseEncCredPart(b []byte) (*EncCredPart, error) {
	r := newReader(b)
	s := r.sealed(29)
	m := &EncCredPart{}
	for l := s.field(0).seq(); l.more(); {
		e := l.next(asn1.SEQUENCE)
		m.Info = append(m.Info, e.credInfo())
	}
	if f, ok := s.optional(1); ok {
		m.Nonce = f.uint32()
	}
	if f, ok := s.optional(2); ok {
		m.Timestamp = f.time()
	}
	if f, ok := s.optional(3); ok {
		m.USec = f.microseconds()
	}
	if f, ok := s.optional(4); ok {
		a := f.address()
		m.SAddress = &a
	}
	if f, ok := s.optional(5); ok {
		a := f.address()
		m.RAddress = &a
	}
	s.end()
	return finish(r, "EncKrbCredPart", m)
}

// credInfo reads the content of one KrbCredInfo.
func (r reader) credInfo() CredInfo {
	m := CredInfo{Key: r.field(0).key()}
	if f, ok := r.optional(1); ok {
		m.PRealm = f.string()
	}
	if f, ok := r.optional(2); ok {
		m.PName = f.principal()
	}
	if f, ok := r.optional(3); ok {
		m.Flags = f.flags()
	}
	for n, t := range []*time.Time{&m.AuthTime, &m.StartTime, &m.EndTime, &m.RenewTill} {
		if f, ok := r.optional(uint8(4 + n)); ok {
			*t = f.time()
		}
	}
	if f, ok := r.optional(8); ok {
		m.SRealm = f.string()
	}
	if f, ok := r.optional(9); ok {
		m.SName = f.principal()
	}
	if f, ok := r.optional(10); ok {
		m.Addresses = f.addresses()
	}
	r.end()
	return m
}

// Marshal returns the DER form.
func (m *EncCredPart) Marshal() ([]byte, error) {
	return marshal("EncKrbCredPart", 29, func(w *writer) {
		addSeq(w, 0, func(w *writer) {
			for i := range m.Info {
				w.AddASN1(asn1.SEQUENCE, m.Info[i].write)
			}
		})
		if m.Nonce != 0 {
			addInt(w, 1, int64(m.Nonce))
		}
		if !m.Timestamp.IsZero() {
			addTime(w, 2, m.Timestamp)
			addInt(w, 3, int64(m.USec))
		}
		if m.SAddress != nil {
			addSeq(w, 4, m.SAddress.write)
		}
		if m.RAddress != nil {
			addSeq(w, 5, m.RAddress.write)
		}
	})
}

func (m *CredInfo) write(w *writer) {
	addKey(w, 0, m.Key)
	if m.PRealm != "" {
		addString(w, 1, m.PRealm)
	}
	if !m.PName.IsZero() {
		addPrincipal(w, 2, m.PName)
	}
	addFlags(w, 3, m.Flags)
	addOptionalTime(w, 4, m.AuthTime)
	addOptionalTime(w, 5, m.StartTime)
	addOptionalTime(w, 6, m.EndTime)
	addOptionalTime(w, 7, m.RenewTill)
	if m.SRealm != "" {
		addString(w, 8, m.SRealm)
	}
	if !m.SName.IsZero() {
		addPrincipal(w, 9, m.SName)
	}
	addAddresses(w, 10, m.Addresses)
}
