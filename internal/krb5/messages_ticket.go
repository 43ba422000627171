package krb5

import (
	"time"
)

// ProtocolVersion is the pvno and tkt-vno of every message.
const ProtocolVersion = 5

// Ticket is what a KDC issued for a service (RFC 4120 5.3).
type Ticket struct {
	Realm   string
	SName   PrincipalName
	EncPart EncryptedData

	// Raw is the whole ticket as it was received. Marshal returns it unchanged
	// if it is set, so clear it after changing another field.
	Raw []byte
}

// ParseTicket parses a ticket.
func ParseTicket(b []byte) (*Ticket, error) {
	r := newReader(b)
	t := r.ticket()
	return finish(r, "Ticket", &t)
}

// Marshal returns the DER form.
func (t *Ticket) Marshal() ([]byte, error) {
	if t.Raw != nil {
		return t.Raw, nil
	}
	return marshal("Ticket", 1, func(w *writer) {
		addInt(w, 0, ProtocolVersion)
		addString(w, 1, t.Realm)
		addPrincipal(w, 2, t.SName)
		addEncrypted(w, 3, t.EncPart)
	})
}

func (r reader) ticket() Ticket {
	s := r.app(1)
	s.field(0).is(ProtocolVersion)
	t := Ticket{Raw: r.s}
	t.Realm = s.field(1).string()
	t.SName = s.field(2).principal()
	t.EncPart = s.field(3).encrypted()
	s.end()
	return t
}

func writeTicket(w *writer, t *Ticket) {
	b, err := t.Marshal()
	if err != nil {
		w.SetError(err)
		return
	}
	w.AddBytes(b)
}

func addTicket(w *writer, n uint8, t *Ticket) {
	addField(w, n, func(w *writer) { writeTicket(w, t) })
}

func (r reader) tickets() []Ticket {
	var l []Ticket
	for s := r.seq(); s.more(); {
		var one reader
		one, s = s.split()
		l = append(l, one.ticket())
	}
	return l
}

func addTickets(w *writer, n uint8, l []Ticket) {
	addSeq(w, n, func(w *writer) {
		for i := range l {
			writeTicket(w, &l[i])
		}
	})
}

// TransitedEncoding lists the realms between client and service (RFC 4120
// 3.3.3.2).
type TransitedEncoding struct {
	Type     int32
	Contents []byte
}

// EncTicketPart is the part of a ticket that only the service and the KDC can
// read (RFC 4120 5.3). Times that are zero are absent; AuthTime and EndTime are
// required.
type EncTicketPart struct {
	Flags             Flags
	Key               Key // session key
	CRealm            string
	CName             PrincipalName
	Transited         TransitedEncoding
	AuthTime          time.Time
	StartTime         time.Time
	EndTime           time.Time
	RenewTill         time.Time
	Addresses         []HostAddress
	AuthorizationData []AuthorizationData
}

// ParseEncTicketPart parses a decrypted ticket.
func ParseEncTicketPart(b []byte) (*EncTicketPart, error) {
	r := newReader(b)
	s := r.sealed(3)
	p := &EncTicketPart{Flags: s.field(0).flags()}
	p.Key = s.field(1).key()
	p.CRealm = s.field(2).string()
	p.CName = s.field(3).principal()
	tr := s.field(4).seq()
	p.Transited.Type = tr.field(0).int32()
	p.Transited.Contents = tr.field(1).octets()
	tr.end()
	p.AuthTime = s.field(5).time()
	if f, ok := s.optional(6); ok {
		p.StartTime = f.time()
	}
	p.EndTime = s.field(7).time()
	if f, ok := s.optional(8); ok {
		p.RenewTill = f.time()
	}
	if f, ok := s.optional(9); ok {
		p.Addresses = f.addresses()
	}
	if f, ok := s.optional(10); ok {
		p.AuthorizationData = f.authData()
	}
	s.end()
	return finish(r, "EncTicketPart", p)
}

// Marshal returns the DER form.
func (p *EncTicketPart) Marshal() ([]byte, error) {
	return marshal("EncTicketPart", 3, func(w *writer) {
		addFlags(w, 0, p.Flags)
		addKey(w, 1, p.Key)
		addString(w, 2, p.CRealm)
		addPrincipal(w, 3, p.CName)
		addSeq(w, 4, func(w *writer) {
			addInt(w, 0, int64(p.Transited.Type))
			addOctets(w, 1, p.Transited.Contents)
		})
		addTime(w, 5, p.AuthTime)
		addOptionalTime(w, 6, p.StartTime)
		addTime(w, 7, p.EndTime)
		addOptionalTime(w, 8, p.RenewTill)
		addAddresses(w, 9, p.Addresses)
		addAuthData(w, 10, p.AuthorizationData)
	})
}
