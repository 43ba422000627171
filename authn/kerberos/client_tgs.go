package kerberos

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// tgsRequest is what is wanted of a ticket-granting service.
type tgsRequest struct {
	op         string
	service    krb5.PrincipalName
	options    krb5.Flags
	padata     []krb5.PAData
	additional []krb5.Ticket

	nonce uint32 // zero: any
	user  string // whom the request is for, if not the TGT's client

	// check returns what is wrong with the open part of the reply. Nil means
	// that it must be in the name of the TGT's client.
	check func(rep *krb5.KDCRep) error
}

// who says for errors who asks, and for whom.
func (q *tgsRequest) who(tgt *ticket) string {
	s := tgt.client.String() + "@" + tgt.crealm
	if q.user != "" {
		s += " for " + q.user
	}
	return s
}

// nonce returns a number for one request. It has 31 bits, since some KDCs take
// it for a signed number.
func nonce() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:]) & 0x7fffffff
}

// tgs does one exchange with the KDC that takes tgt (RFC 4120 3.3). The ticket
// it returns may be a referral; its service name is not checked.
func (c *client) tgs(ctx context.Context, tgt *ticket, q *tgsRequest) (*ticket, error) {
	realm := tgt.serves()
	now := c.now()
	if q.nonce == 0 {
		q.nonce = nonce()
	}
	body := krb5.KDCReqBody{
		Options: q.options | krb5.FlagForwardable&tgt.flags, Realm: realm, SName: q.service,
		Till: now.Add(c.cfg.lifetime()), Nonce: q.nonce, ETypes: c.etypes, AdditionalTickets: q.additional,
	}
	rawBody, err := body.Marshal()
	if err != nil {
		return nil, err
	}
	pa, err := tgsProof(tgt, rawBody, now)
	if err != nil {
		return nil, err
	}
	req := krb5.KDCReq{Type: krb5.MsgTGSReq, PAData: append([]krb5.PAData{pa}, q.padata...), Body: body, RawBody: rawBody}
	b, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	reply, err := c.kdc.exchange(ctx, realm, b)
	if err != nil {
		return nil, err
	}
	if t, _ := krb5.TypeOf(reply); t == krb5.MsgError {
		m, err := krb5.ParseErrorMessage(reply)
		if err != nil {
			return nil, err
		}
		return nil, newKDCError(q.op, realm, &body, q.who(tgt), m, now)
	}
	rep, err := krb5.ParseKDCRep(reply)
	if err != nil {
		return nil, err
	}
	if rep.Type != krb5.MsgTGSRep {
		return nil, errors.New("kerberos: KDC answered a TGS-REQ with an AS-REP")
	}
	plain, err := rep.EncPart.Open(tgt.key, krb5.UsageTGSRepPartKey)
	if err != nil {
		return nil, fmt.Errorf("kerberos: open TGS-REP: %w", err)
	}
	if q.check != nil {
		err = q.check(rep)
	} else if !rep.CName.Equal(tgt.client) || rep.CRealm != tgt.crealm {
		err = fmt.Errorf("kerberos: KDC of %s answered %v@%s with a ticket for %v@%s", realm, tgt.client, tgt.crealm, rep.CName, rep.CRealm)
	}
	if err != nil {
		return nil, err
	}
	return c.accept(rep, plain, &body, now)
}

// tgsProof makes PA-TGS-REQ: an AP-REQ with the TGT whose authenticator signs
// the body (RFC 4120 5.2.7.1).
func tgsProof(tgt *ticket, body []byte, now time.Time) (krb5.PAData, error) {
	sum, err := krb5.Sign(tgt.key, krb5.UsageTGSReqChecksum, body)
	if err != nil {
		return krb5.PAData{}, err
	}
	auth := krb5.Authenticator{CRealm: tgt.crealm, CName: tgt.client, Checksum: &sum}
	auth.CTime, auth.CUSec = tgt.stamp(now)
	plain, err := auth.Marshal()
	if err != nil {
		return krb5.PAData{}, err
	}
	sealed, err := krb5.Seal(tgt.key, krb5.UsageTGSReqAuthenticator, 0, plain)
	if err != nil {
		return krb5.PAData{}, err
	}
	ap := krb5.APReq{Ticket: tgt.Ticket, Authenticator: sealed}
	b, err := ap.Marshal()
	return krb5.PAData{Type: krb5.PATGSReq, Value: b}, err
}

// splitTime parts a time as Kerberos sends it.
func splitTime(t time.Time) (seconds time.Time, usec int) {
	t = t.UTC()
	return t.Truncate(time.Second), t.Nanosecond() / 1000
}

// accept checks the sealed part of a reply against the request, and makes the
// ticket. Service names other than the one asked for are up to the caller,
// since the answer may be a referral.
func (c *client) accept(rep *krb5.KDCRep, plain []byte, req *krb5.KDCReqBody, now time.Time) (*ticket, error) {
	e, err := krb5.ParseEncKDCRepPart(plain)
	if err != nil {
		return nil, err
	}
	start := e.StartTime
	if start.IsZero() {
		start = e.AuthTime
	}
	skew := c.cfg.skew()
	switch {
	case e.Nonce != req.Nonce:
		err = errors.New("the nonce is another request's")
	case !strings.EqualFold(e.SRealm, req.Realm):
		err = fmt.Errorf("the ticket is of realm %s, not %s", e.SRealm, req.Realm)
	case e.SRealm != rep.Ticket.Realm || !e.SName.Equal(rep.Ticket.SName):
		err = fmt.Errorf("sealed and open part name different services, %v@%s and %v@%s", e.SName, e.SRealm, rep.Ticket.SName, rep.Ticket.Realm)
	case e.Flags.Has(krb5.FlagInvalid):
		err = errors.New("the ticket is marked invalid")
	case start.Sub(now) > skew:
		err = fmt.Errorf("the ticket begins in %v: this machine's clock is behind the KDC's; synchronise it (NTP)", start.Sub(now).Truncate(time.Second))
	case now.Sub(e.EndTime) > skew:
		err = fmt.Errorf("the ticket ended %v ago: this machine's clock is ahead of the KDC's; synchronise it (NTP)", now.Sub(e.EndTime).Truncate(time.Second))
	case !c.allowed(e.Key.EType()):
		err = fmt.Errorf("the session key is of type %v, which is not allowed", e.Key.EType())
	}
	if err != nil {
		return nil, fmt.Errorf("kerberos: refuse reply of KDC of %s for %v: %w", req.Realm, req.SName, err)
	}
	return &ticket{
		Ticket: rep.Ticket, key: e.Key, client: rep.CName, crealm: rep.CRealm, flags: e.Flags,
		start: start, end: e.EndTime, renew: e.RenewTill,
	}, nil
}

func (c *client) allowed(e krb5.EType) bool {
	for _, a := range c.etypes {
		if a == e {
			return true
		}
	}
	return false
}
