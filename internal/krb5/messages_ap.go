package krb5

import (
	"time"
)

// MsgType is the number of a message, which is its application tag too (RFC
// 4120 5.10).
type MsgType uint8

// Message types.
const (
	MsgASReq  MsgType = 10
	MsgASRep  MsgType = 11
	MsgTGSReq MsgType = 12
	MsgTGSRep MsgType = 13
	MsgAPReq  MsgType = 14
	MsgAPRep  MsgType = 15
	MsgCred   MsgType = 22
	MsgError  MsgType = 30
)

// TypeOf returns the type of the message that b begins with, by its tag.
func TypeOf(b []byte) (MsgType, bool) {
	if len(b) == 0 || b[0]&0xe0 != 0x60 || b[0]&0x1f == 0x1f {
		return 0, false
	}
	return MsgType(b[0] & 0x1f), true
}

// APReq presents a ticket to a service (RFC 4120 5.5.1).
type APReq struct {
	Options       Flags
	Ticket        Ticket
	Authenticator EncryptedData
}

// ParseAPReq parses an AP-REQ.
func ParseAPReq(b []byte) (*APReq, error) {
	r := newReader(b)
	s := r.app(uint8(MsgAPReq))
	s.field(0).is(ProtocolVersion)
	s.field(1).is(int64(MsgAPReq))
	m := &APReq{Options: s.field(2).flags()}
	m.Ticket = s.field(3).ticket()
	m.Authenticator = s.field(4).encrypted()
	s.end()
	return finish(r, "AP-REQ", m)
}

// Marshal returns the DER form.
func (m *APReq) Marshal() ([]byte, error) {
	return marshal("AP-REQ", uint8(MsgAPReq), func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addInt(w, 1, int64(MsgAPReq))
		addFlags(w, 2, m.Options)
		addTicket(w, 3, &m.Ticket)
		addEncrypted(w, 4, m.Authenticator)
	})
}

// Authenticator proves that the sender of a ticket knows its session key (RFC
// 4120 5.5.1).
type Authenticator struct {
	CRealm            string
	CName             PrincipalName
	Checksum          *Checksum // nil if absent
	CUSec             int
	CTime             time.Time
	SubKey            Key    // zero if absent
	SeqNumber         uint32 // 0 if absent
	AuthorizationData []AuthorizationData
}

// ParseAuthenticator parses a decrypted authenticator.
func ParseAuthenticator(b []byte) (*Authenticator, error) {
	r := newReader(b)
	s := r.sealed(2)
	s.field(0).is(ProtocolVersion)
	m := &Authenticator{CRealm: s.field(1).string()}
	m.CName = s.field(2).principal()
	if f, ok := s.optional(3); ok {
		c := f.checksum()
		m.Checksum = &c
	}
	m.CUSec = s.field(4).microseconds()
	m.CTime = s.field(5).time()
	if f, ok := s.optional(6); ok {
		m.SubKey = f.key()
	}
	if f, ok := s.optional(7); ok {
		m.SeqNumber = f.uint32()
	}
	if f, ok := s.optional(8); ok {
		m.AuthorizationData = f.authData()
	}
	s.end()
	return finish(r, "Authenticator", m)
}

// Marshal returns the DER form.
func (m *Authenticator) Marshal() ([]byte, error) {
	return marshal("Authenticator", 2, func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addString(w, 1, m.CRealm)
		addPrincipal(w, 2, m.CName)
		if m.Checksum != nil {
			addChecksum(w, 3, *m.Checksum)
		}
		addInt(w, 4, int64(m.CUSec))
		addTime(w, 5, m.CTime)
		addSubKey(w, 6, 7, m.SubKey, m.SeqNumber)
		addAuthData(w, 8, m.AuthorizationData)
	})
}

// addSubKey writes the two fields that authenticators and AP-REPs share.
func addSubKey(w *writer, nKey, nSeq uint8, k Key, seq uint32) {
	if !k.IsZero() {
		addKey(w, nKey, k)
	}
	if seq != 0 {
		addInt(w, nSeq, int64(seq))
	}
}

// Time returns the client's clock with microseconds.
func (m *Authenticator) Time() time.Time {
	return m.CTime.Add(time.Duration(m.CUSec) * time.Microsecond)
}

// APRep is a service's proof that it could read the ticket (RFC 4120 5.5.2).
type APRep struct {
	EncPart EncryptedData
}

// ParseAPRep parses an AP-REP.
func ParseAPRep(b []byte) (*APRep, error) {
	r := newReader(b)
	s := r.app(uint8(MsgAPRep))
	s.field(0).is(ProtocolVersion)
	s.field(1).is(int64(MsgAPRep))
	m := &APRep{EncPart: s.field(2).encrypted()}
	s.end()
	return finish(r, "AP-REP", m)
}

// Marshal returns the DER form.
func (m *APRep) Marshal() ([]byte, error) {
	return marshal("AP-REP", uint8(MsgAPRep), func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addInt(w, 1, int64(MsgAPRep))
		addEncrypted(w, 2, m.EncPart)
	})
}

// EncAPRepPart is the encrypted part of an AP-REP. CTime and CUSec echo the
// authenticator (RFC 4120 5.5.2).
type EncAPRepPart struct {
	CTime     time.Time
	CUSec     int
	SubKey    Key    // zero if absent
	SeqNumber uint32 // 0 if absent
}

// ParseEncAPRepPart parses the decrypted part of an AP-REP.
func ParseEncAPRepPart(b []byte) (*EncAPRepPart, error) {
	r := newReader(b)
	s := r.sealed(27)
	m := &EncAPRepPart{CTime: s.field(0).time()}
	m.CUSec = s.field(1).microseconds()
	if f, ok := s.optional(2); ok {
		m.SubKey = f.key()
	}
	if f, ok := s.optional(3); ok {
		m.SeqNumber = f.uint32()
	}
	s.end()
	return finish(r, "EncAPRepPart", m)
}

// Marshal returns the DER form.
func (m *EncAPRepPart) Marshal() ([]byte, error) {
	return marshal("EncAPRepPart", 27, func(w *writer) {
		addTime(w, 0, m.CTime)
		addInt(w, 1, int64(m.CUSec))
		addSubKey(w, 2, 3, m.SubKey, m.SeqNumber)
	})
}
