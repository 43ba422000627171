package kdc

import (
	"slices"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// grant is a ticket that was decided to be issued, and the reply around it.
type grant struct {
	cname  krb5.PrincipalName
	crealm string
	server *account
	sname  krb5.PrincipalName
	flags  krb5.Flags

	authTime, start, end, renewTill time.Time
	transited                       []byte

	logon *pac.LogonInfo // nil: no PAC
	upn   *pac.UPNInfo

	replyKey   krb5.Key
	replyKVNO  uint32
	replyUsage krb5.Usage
	paData     []krb5.PAData
	encPAData  []krb5.PAData
}

// limit sets the times of the ticket (RFC 4120 3.1.3). It ends before until
// unless that is zero.
func (g *grant) limit(x *exchange, c Config, until time.Time) error {
	q := &x.req.Body
	g.start = x.now.Truncate(time.Second)
	g.end = g.start.Add(c.TicketLife).Truncate(time.Second)
	if !until.IsZero() && until.Before(g.end) {
		g.end = until
	}
	full := q.Till.IsZero() || q.Till.After(g.end)
	if !full {
		g.end = q.Till
	}
	if !g.end.After(g.start) {
		return refuse(krb5.CodeNeverValid, "ticket would end before it starts")
	}
	if q.Options.Has(krb5.FlagRenewable) || q.Options.Has(krb5.OptionRenewableOK) && full && !q.Till.IsZero() {
		g.flags |= krb5.FlagRenewable
		g.renewTill = g.start.Add(c.RenewLife)
		asked := q.RTime
		if !q.Options.Has(krb5.FlagRenewable) {
			asked = q.Till
		}
		if !asked.IsZero() && asked.Before(g.renewTill) {
			g.renewTill = asked
		}
	}
	return nil
}

// issue makes the ticket and the reply.
func (k *KDC) issue(x *exchange, g *grant) ([]byte, error) {
	session, err := k.sessionKey(x.req.Body.ETypes, g.server)
	if err != nil {
		return nil, err
	}
	g.authTime = g.authTime.Truncate(time.Second)
	part := &krb5.EncTicketPart{
		Flags: g.flags, Key: session,
		CRealm: g.crealm, CName: g.cname,
		Transited: krb5.TransitedEncoding{Type: 1, Contents: g.transited},
		AuthTime:  g.authTime, StartTime: g.start, EndTime: g.end, RenewTill: g.renewTill,
	}
	serverKey, kvno := g.server.ticketKey()
	if err := k.addPAC(part, g, serverKey); err != nil {
		return nil, err
	}
	plain, err := part.Marshal()
	if err != nil {
		return nil, err
	}
	sealed, err := krb5.Seal(serverKey, krb5.UsageTicket, kvno, plain)
	if err != nil {
		return nil, err
	}
	ticket := krb5.Ticket{Realm: k.cfg.Realm, SName: g.sname, EncPart: sealed}
	return k.reply(x, g, part, ticket)
}

func (k *KDC) reply(x *exchange, g *grant, part *krb5.EncTicketPart, ticket krb5.Ticket) ([]byte, error) {
	rep := &krb5.KDCRep{
		Type: krb5.MsgTGSRep, PAData: g.paData,
		CRealm: g.crealm, CName: g.cname, Ticket: ticket,
	}
	if x.req.Type == krb5.MsgASReq {
		rep.Type = krb5.MsgASRep
	}
	enc := &krb5.EncKDCRepPart{
		Key:     part.Key,
		LastReq: []krb5.LastReq{{Type: 0, Value: g.start}},
		Nonce:   x.req.Body.Nonce,
		Flags:   g.flags, AuthTime: part.AuthTime, StartTime: part.StartTime,
		EndTime: part.EndTime, RenewTill: part.RenewTill,
		SRealm: k.cfg.Realm, SName: g.sname,
		EncPAData: g.encPAData,
	}
	if x.fault.WrongNonce {
		enc.Nonce ^= 1
	}
	if x.fault.WrongServer {
		enc.SName = krb5.NewPrincipalName(krb5.NameService, "HTTP/elsewhere.test")
		rep.Ticket.SName = enc.SName
	}
	plain, err := enc.Marshal(rep.Type)
	if err != nil {
		return nil, err
	}
	if rep.EncPart, err = krb5.Seal(g.replyKey, g.replyUsage, g.replyKVNO, plain); err != nil {
		return nil, err
	}
	return rep.Marshal()
}

// sessionKey makes a key of the first type of the request that the service
// knows (RFC 4120 3.1.3).
func (k *KDC) sessionKey(asked []krb5.EType, server *account) (krb5.Key, error) {
	for _, e := range asked {
		if slices.Contains(server.ETypes, e) {
			return krb5.RandomKey(e)
		}
	}
	return krb5.Key{}, refuse(krb5.CodeETypeNoSupport, "client and service have no encryption type in common")
}

// isTGS reports whether the ticket is for a ticket-granting service, here or
// in another realm.
func (g *grant) isTGS() bool {
	_, ok := g.sname.IsTGS()
	return ok
}

// addPAC puts the PAC into the ticket as the first authorization data.
func (k *KDC) addPAC(part *krb5.EncTicketPart, g *grant, serverKey krb5.Key) error {
	if g.logon == nil {
		return nil
	}
	c := pac.Contents{
		Logon:  g.logon,
		UPN:    g.upn,
		Client: pac.ClientInfo{Name: g.cname.String(), AuthTime: g.authTime},
	}
	if g.isTGS() {
		c.Requestor = g.logon.SID()
	} else {
		var err error
		if c.TicketPart, err = withPAC(part, []byte{0}); err != nil {
			return err
		}
	}
	kdcKey, _ := k.krbtgt.ticketKey()
	b, err := pac.Build(c, serverKey, kdcKey)
	if err != nil {
		return err
	}
	e, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: b})
	part.AuthorizationData = []krb5.AuthorizationData{e}
	return err
}

// withPAC returns the encoding of a ticket with other PAC bytes in it. With a
// single zero it is what the ticket signature is over (MS-PAC 2.8.3).
func withPAC(part *krb5.EncTicketPart, b []byte) ([]byte, error) {
	e, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: b})
	if err != nil {
		return nil, err
	}
	p := *part
	p.AuthorizationData = []krb5.AuthorizationData{e}
	return p.Marshal()
}

// readPAC returns the PAC of a ticket, verified with the key the ticket was
// sealed with, or nil if it has none.
func readPAC(part *krb5.EncTicketPart, key krb5.Key) (*pac.PAC, error) {
	found, err := krb5.FindAuthorizationData(part.AuthorizationData, krb5.ADPAC)
	switch {
	case err != nil || len(found) > 1:
		return nil, refuse(krb5.CodeModified, "malformed authorization data")
	case len(found) == 0:
		return nil, nil
	}
	p, err := pac.Parse(found[0])
	if err == nil {
		err = p.VerifyServer(key)
	}
	if err == nil {
		err = p.CheckClient(part.CName.String(), part.AuthTime)
	}
	if err != nil {
		return nil, refuse(krb5.CodeModified, err.Error())
	}
	return p, nil
}

// carry copies what a PAC says of the client into the grant.
func (g *grant) carry(p *pac.PAC) error {
	if p == nil {
		return nil
	}
	l, err := p.LogonInfo()
	if err != nil {
		return refuse(krb5.CodeModified, err.Error())
	}
	u, err := p.UPNInfo()
	if err != nil {
		return refuse(krb5.CodeModified, err.Error())
	}
	g.logon, g.upn = l, u
	return nil
}
