package krb5

import (
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// KDCReq is an AS-REQ or a TGS-REQ (RFC 4120 5.4.1).
type KDCReq struct {
	Type   MsgType // MsgASReq or MsgTGSReq
	PAData []PAData
	Body   KDCReqBody

	// RawBody is the KDC-REQ-BODY as received, which the checksum in a
	// TGS-REQ's authenticator is over. Marshal sends it instead of Body if it
	// is set.
	RawBody []byte
}

// KDCReqBody is what is asked of a KDC (RFC 4120 5.4.1). Names and times that
// are zero are absent, except Till.
type KDCReqBody struct {
	Options           Flags
	CName             PrincipalName
	Realm             string
	SName             PrincipalName
	From              time.Time
	Till              time.Time // zero means as long as the KDC allows
	RTime             time.Time
	Nonce             uint32
	ETypes            []EType // in order of preference
	Addresses         []HostAddress
	EncAuthData       *EncryptedData
	AdditionalTickets []Ticket
}

// ParseKDCReq parses an AS-REQ or a TGS-REQ.
func ParseKDCReq(b []byte) (*KDCReq, error) {
	r := newReader(b)
	t, _ := TypeOf(b)
	if t != MsgASReq && t != MsgTGSReq {
		r.fail()
	}
	m := &KDCReq{Type: t}
	s := r.app(uint8(t))
	s.field(1).is(ProtocolVersion)
	s.field(2).is(int64(t))
	if f, ok := s.optional(3); ok {
		m.PAData = f.paData()
	}
	body := s.field(4)
	s.end()
	m.RawBody = body.s
	m.Body = body.kdcReqBody()
	return finish(r, "KDC-REQ", m)
}

func (r reader) kdcReqBody() KDCReqBody {
	s := r.seq()
	m := KDCReqBody{Options: s.field(0).flags()}
	if f, ok := s.optional(1); ok {
		m.CName = f.principal()
	}
	m.Realm = s.field(2).string()
	if f, ok := s.optional(3); ok {
		m.SName = f.principal()
	}
	if f, ok := s.optional(4); ok {
		m.From = f.time()
	}
	m.Till = s.field(5).time()
	if m.Till.Equal(forever) {
		m.Till = time.Time{}
	}
	if f, ok := s.optional(6); ok {
		m.RTime = f.time()
	}
	m.Nonce = s.field(7).uint32()
	for l := s.field(8).seq(); l.more(); {
		var one reader
		one, l = l.split()
		m.ETypes = append(m.ETypes, EType(one.int32()))
	}
	if f, ok := s.optional(9); ok {
		m.Addresses = f.addresses()
	}
	if f, ok := s.optional(10); ok {
		d := f.encrypted()
		m.EncAuthData = &d
	}
	if f, ok := s.optional(11); ok {
		m.AdditionalTickets = f.tickets()
	}
	s.end()
	return m
}

// forever is how a till without an end is sent (RFC 4120 5.4.1).
var forever = time.Unix(0, 0).UTC()

// Marshal returns the DER form of the body, which checksums are over.
func (m *KDCReqBody) Marshal() ([]byte, error) {
	return marshalSeq("KDC-REQ-BODY", func(w *writer) {
		addFlags(w, 0, m.Options)
		if !m.CName.IsZero() {
			addPrincipal(w, 1, m.CName)
		}
		addString(w, 2, m.Realm)
		if !m.SName.IsZero() {
			addPrincipal(w, 3, m.SName)
		}
		addOptionalTime(w, 4, m.From)
		if m.Till.IsZero() {
			addTime(w, 5, forever)
		} else {
			addTime(w, 5, m.Till)
		}
		addOptionalTime(w, 6, m.RTime)
		addInt(w, 7, int64(m.Nonce))
		addSeq(w, 8, func(w *writer) {
			for _, e := range m.ETypes {
				w.AddASN1Int64(int64(e))
			}
		})
		addAddresses(w, 9, m.Addresses)
		if m.EncAuthData != nil {
			addEncrypted(w, 10, *m.EncAuthData)
		}
		if len(m.AdditionalTickets) > 0 {
			addTickets(w, 11, m.AdditionalTickets)
		}
	})
}

// Marshal returns the DER form.
func (m *KDCReq) Marshal() ([]byte, error) {
	body := m.RawBody
	if body == nil {
		var err error
		if body, err = m.Body.Marshal(); err != nil {
			return nil, err
		}
	}
	return marshal("KDC-REQ", uint8(m.Type), func(w *writer) {
		addInt(w, 1, ProtocolVersion)
		addInt(w, 2, int64(m.Type))
		if len(m.PAData) > 0 {
			addPAData(w, 3, m.PAData)
		}
		addField(w, 4, func(w *writer) { w.AddBytes(body) })
	})
}

// KDCRep is an AS-REP or a TGS-REP (RFC 4120 5.4.2).
type KDCRep struct {
	Type    MsgType // MsgASRep or MsgTGSRep
	PAData  []PAData
	CRealm  string
	CName   PrincipalName
	Ticket  Ticket
	EncPart EncryptedData
}

// ParseKDCRep parses an AS-REP or a TGS-REP.
func ParseKDCRep(b []byte) (*KDCRep, error) {
	r := newReader(b)
	t, _ := TypeOf(b)
	if t != MsgASRep && t != MsgTGSRep {
		r.fail()
	}
	m := &KDCRep{Type: t}
	s := r.app(uint8(t))
	s.field(0).is(ProtocolVersion)
	s.field(1).is(int64(t))
	if f, ok := s.optional(2); ok {
		m.PAData = f.paData()
	}
	m.CRealm = s.field(3).string()
	m.CName = s.field(4).principal()
	m.Ticket = s.field(5).ticket()
	m.EncPart = s.field(6).encrypted()
	s.end()
	return finish(r, "KDC-REP", m)
}

// Marshal returns the DER form.
func (m *KDCRep) Marshal() ([]byte, error) {
	return marshal("KDC-REP", uint8(m.Type), func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addInt(w, 1, int64(m.Type))
		if len(m.PAData) > 0 {
			addPAData(w, 2, m.PAData)
		}
		addString(w, 3, m.CRealm)
		addPrincipal(w, 4, m.CName)
		addTicket(w, 5, &m.Ticket)
		addEncrypted(w, 6, m.EncPart)
	})
}

// LastReq tells of earlier requests (RFC 4120 5.4.2).
type LastReq struct {
	Type  int32
	Value time.Time
}

// EncKDCRepPart is the part of a reply that is for the client alone (RFC 4120
// 5.4.2). Times that are zero are absent; AuthTime and EndTime are required.
type EncKDCRepPart struct {
	Key           Key // session key of the ticket
	LastReq       []LastReq
	Nonce         uint32
	KeyExpiration time.Time
	Flags         Flags
	AuthTime      time.Time
	StartTime     time.Time
	EndTime       time.Time
	RenewTill     time.Time
	SRealm        string
	SName         PrincipalName
	Addresses     []HostAddress
	EncPAData     []PAData // RFC 6806 11
}

// Application tags of EncASRepPart and EncTGSRepPart.
const (
	tagEncASRepPart  = 25
	tagEncTGSRepPart = 26
)

// ParseEncKDCRepPart parses the decrypted part of a reply. Either tag is taken
// for either reply, since MIT and others send EncTGSRepPart in an AS-REP (RFC
// 4120 5.4.2). The key usage tells the two apart.
func ParseEncKDCRepPart(b []byte) (*EncKDCRepPart, error) {
	r := newReader(b)
	s := r.sealed(tagEncASRepPart, tagEncTGSRepPart)
	m := &EncKDCRepPart{Key: s.field(0).key()}
	for l := s.field(1).seq(); l.more(); {
		e := l.next(asn1.SEQUENCE)
		q := LastReq{Type: e.field(0).int32()}
		q.Value = e.field(1).time()
		e.end()
		m.LastReq = append(m.LastReq, q)
	}
	m.Nonce = s.field(2).uint32()
	if f, ok := s.optional(3); ok {
		m.KeyExpiration = f.time()
	}
	m.Flags = s.field(4).flags()
	m.AuthTime = s.field(5).time()
	if f, ok := s.optional(6); ok {
		m.StartTime = f.time()
	}
	m.EndTime = s.field(7).time()
	if f, ok := s.optional(8); ok {
		m.RenewTill = f.time()
	}
	m.SRealm = s.field(9).string()
	m.SName = s.field(10).principal()
	if f, ok := s.optional(11); ok {
		m.Addresses = f.addresses()
	}
	if f, ok := s.optional(12); ok {
		m.EncPAData = f.paData()
	}
	s.end()
	return finish(r, "EncKDCRepPart", m)
}

// Marshal returns the DER form for a reply of type t, MsgASRep or MsgTGSRep.
func (m *EncKDCRepPart) Marshal(t MsgType) ([]byte, error) {
	tag := uint8(tagEncTGSRepPart)
	if t == MsgASRep {
		tag = tagEncASRepPart
	}
	return marshal("EncKDCRepPart", tag, func(w *writer) {
		addKey(w, 0, m.Key)
		addSeq(w, 1, func(w *writer) {
			for _, q := range m.LastReq {
				w.AddASN1(asn1.SEQUENCE, func(w *writer) {
					addInt(w, 0, int64(q.Type))
					addTime(w, 1, q.Value)
				})
			}
		})
		addInt(w, 2, int64(m.Nonce))
		addOptionalTime(w, 3, m.KeyExpiration)
		addFlags(w, 4, m.Flags)
		addTime(w, 5, m.AuthTime)
		addOptionalTime(w, 6, m.StartTime)
		addTime(w, 7, m.EndTime)
		addOptionalTime(w, 8, m.RenewTill)
		addString(w, 9, m.SRealm)
		addPrincipal(w, 10, m.SName)
		addAddresses(w, 11, m.Addresses)
		if len(m.EncPAData) > 0 {
			addPAData(w, 12, m.EncPAData)
		}
	})
}
