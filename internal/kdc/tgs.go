package kdc

import (
	"strings"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// presented is the ticket that a TGS request was made with.
type presented struct {
	part   *krb5.EncTicketPart
	pac    *pac.PAC // nil if it has none
	issuer string   // realm that issued the ticket
	// The reply is sealed with the authenticator's subkey if there is one.
	replyKey   krb5.Key
	replyUsage krb5.Usage
}

// tgs answers a TGS-REQ (RFC 4120 3.3).
func (k *KDC) tgs(x *exchange) ([]byte, error) {
	q := &x.req.Body
	t, err := k.present(x)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Options&unsupported != 0:
		return nil, refuse(krb5.CodeBadOption, "option not supported")
	case q.EncAuthData != nil:
		return nil, refuse(krb5.CodePolicy, "additional authorization data not supported")
	}
	if t.part.CRealm == k.cfg.Realm {
		if a := k.client(t.part.CName); a == nil || a.Disabled {
			return nil, refuse(krb5.CodeClientRevoked, "account is disabled or gone")
		}
	}
	_, forUser := krb5.FindPAData(x.req.PAData, krb5.PAForUser)
	_, x509User := krb5.FindPAData(x.req.PAData, krb5.PAS4UX509User)
	switch {
	case q.Options.Has(krb5.OptionRenew):
		return k.renew(x, t)
	case q.Options.Has(krb5.OptionCNameInAddl):
		return k.s4u2proxy(x, t)
	case forUser || x509User:
		return k.s4u2self(x, t)
	}
	return k.ordinary(x, t)
}

// present reads and checks the ticket and the authenticator of a request (RFC
// 4120 3.3.2).
func (k *KDC) present(x *exchange) (*presented, error) {
	b, ok := krb5.FindPAData(x.req.PAData, krb5.PATGSReq)
	if !ok {
		return nil, refuse(krb5.CodePATypeNoSupport, "no ticket presented")
	}
	ap, err := krb5.ParseAPReq(b)
	if err != nil {
		return nil, refuse(krb5.CodeMsgType, "malformed ticket request")
	}
	t := &presented{issuer: ap.Ticket.Realm}
	tgs, err := k.ticketGrantingService(&ap.Ticket)
	if err != nil {
		return nil, err
	}
	var key krb5.Key
	if t.part, key, err = tgs.open(&ap.Ticket); err != nil {
		return nil, err
	}
	switch {
	case t.part.Flags.Has(krb5.FlagInvalid) || t.part.StartTime.After(x.now.Add(k.cfg.Skew)):
		return nil, refuse(krb5.CodeTicketNotYet, "ticket is not valid yet")
	case x.now.After(t.part.EndTime):
		return nil, refuse(krb5.CodeTicketExpired, "ticket has expired")
	}
	if err := k.authenticate(x, ap, t); err != nil {
		return nil, err
	}
	t.pac, err = readPAC(t.part, key)
	return t, err
}

// ticketGrantingService returns the account whose key a ticket-granting ticket
// is sealed with: our own, or that of a trust.
func (k *KDC) ticketGrantingService(t *krb5.Ticket) (*account, error) {
	realm, ok := t.SName.IsTGS()
	if !ok || realm != k.cfg.Realm {
		return nil, refuse(krb5.CodeNotUs, "not a ticket for this ticket-granting service")
	}
	if t.Realm == k.cfg.Realm {
		return k.krbtgt, nil
	}
	if tr := k.trust(t.Realm); tr != nil {
		return tr.in, nil
	}
	return nil, refuse(krb5.CodeNotUs, "realm "+printable(t.Realm)+" is not trusted")
}

// authenticate checks the authenticator and that it covers the request.
func (k *KDC) authenticate(x *exchange, ap *krb5.APReq, t *presented) error {
	b, err := ap.Authenticator.Open(t.part.Key, krb5.UsageTGSReqAuthenticator)
	if err != nil {
		return refuse(krb5.CodeBadIntegrity, "authenticator was made with another key or altered")
	}
	a, err := krb5.ParseAuthenticator(b)
	if err != nil {
		return refuse(krb5.CodeBadIntegrity, "authenticator is malformed")
	}
	switch {
	case a.CRealm != t.part.CRealm || !a.CName.Equal(t.part.CName):
		return refuse(krb5.CodeBadMatch, "ticket and authenticator name different clients")
	case x.now.Sub(a.Time()).Abs() > k.cfg.Skew:
		return refuse(krb5.CodeSkew, "clocks differ too much")
	case a.Checksum == nil:
		return refuse(krb5.CodeBadChecksum, "the request is not covered by a checksum")
	}
	err = t.part.Key.VerifyChecksum(a.Checksum.Type, krb5.UsageTGSReqChecksum, x.req.RawBody, a.Checksum.Sum)
	if err != nil {
		return refuse(krb5.CodeModified, "the request was altered")
	}
	t.replyKey, t.replyUsage = t.part.Key, krb5.UsageTGSRepPartKey
	if !a.SubKey.IsZero() {
		t.replyKey, t.replyUsage = a.SubKey, krb5.UsageTGSRepPartSub
	}
	return nil
}

// newGrant starts a ticket for the client of the presented one, which bounds
// its life.
func (k *KDC) newGrant(x *exchange, t *presented, sv *account, sname krb5.PrincipalName) (*grant, error) {
	g := &grant{
		cname: t.part.CName, crealm: t.part.CRealm,
		server: sv, sname: sname,
		flags: krb5.FlagPreAuthent & t.part.Flags, authTime: t.part.AuthTime,
		transited: k.transited(t),
		replyKey:  t.replyKey, replyUsage: t.replyUsage,
	}
	if err := g.limit(x, k.cfg, t.part.EndTime); err != nil {
		return nil, err
	}
	// A ticket is renewable if the one it comes from is, and no longer.
	if !t.part.Flags.Has(krb5.FlagRenewable) {
		g.flags &^= krb5.FlagRenewable
	}
	if g.flags.Has(krb5.FlagRenewable) {
		if t.part.RenewTill.Before(g.renewTill) {
			g.renewTill = t.part.RenewTill
		}
	} else {
		g.renewTill = time.Time{}
	}
	if sv.TrustedForDelegation {
		g.flags |= krb5.FlagOKAsDelegate
	}
	return g, nil
}

// ordinary answers a request for a ticket in the client's own name.
func (k *KDC) ordinary(x *exchange, t *presented) ([]byte, error) {
	q := &x.req.Body
	if q.Options.Has(krb5.FlagProxy) {
		return nil, refuse(krb5.CodeBadOption, "proxy tickets are not supported")
	}
	sv, sname, err := k.target(x)
	if err != nil {
		return nil, err
	}
	g, err := k.newGrant(x, t, sv, sname)
	if err != nil {
		return nil, err
	}
	forwardable := t.part.Flags.Has(krb5.FlagForwardable)
	if q.Options.Has(krb5.FlagForwardable) && forwardable {
		g.flags |= krb5.FlagForwardable
	}
	if q.Options.Has(krb5.FlagForwarded) {
		if !forwardable {
			return nil, refuse(krb5.CodeBadOption, "ticket is not forwardable")
		}
		g.flags |= krb5.FlagForwarded
	}
	g.flags |= t.part.Flags & krb5.FlagForwarded
	if err := g.carry(t.pac); err != nil {
		return nil, err
	}
	rep, err := k.issue(x, g)
	switch {
	case err != nil:
	case q.Options.Has(krb5.FlagForwarded):
		k.stats.forward.Add(1)
	case !sname.Equal(q.SName):
		k.stats.referral.Add(1)
	}
	return rep, err
}

// target finds the service a request is for. For one that another realm has,
// it is the ticket-granting service of that realm (RFC 6806 8).
func (k *KDC) target(x *exchange) (*account, krb5.PrincipalName, error) {
	q := &x.req.Body
	if realm, ok := q.SName.IsTGS(); ok {
		if realm == k.cfg.Realm {
			return k.krbtgt, q.SName, nil
		}
		if tr := k.trust(realm); tr != nil {
			return tr.out, q.SName, nil
		}
		return nil, q.SName, refuse(krb5.CodeServerUnknown, "no trust with "+printable(realm))
	}
	if a := k.service(q.SName); a != nil {
		switch {
		case a.Disabled:
			return nil, q.SName, refuse(krb5.CodeServiceRevoked, "account of the service is disabled")
		case len(a.SPNs) == 0:
			return nil, q.SName, refuse(krb5.CodeMustUseUser2User, "the account runs no service")
		}
		return a, q.SName, nil
	}
	if tr := k.referral(q.SName); tr != nil && q.Options.Has(krb5.OptionCanonical) {
		return tr.out, krb5.TGSName(tr.realm), nil
	}
	return nil, q.SName, refuse(krb5.CodeServerUnknown, "no account has the name "+printable(q.SName.String()))
}

// printable keeps a name from the network fit for the text of an error.
func printable(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// renew answers a request for the same ticket with a later end (RFC 4120
// 3.3.3).
func (k *KDC) renew(x *exchange, t *presented) ([]byte, error) {
	realm, ok := x.req.Body.SName.IsTGS()
	switch {
	case !ok || realm != k.cfg.Realm || t.issuer != k.cfg.Realm:
		return nil, refuse(krb5.CodeBadOption, "only ticket-granting tickets of this realm are renewed")
	case !t.part.Flags.Has(krb5.FlagRenewable):
		return nil, refuse(krb5.CodeBadOption, "ticket is not renewable")
	case !x.now.Before(t.part.RenewTill):
		return nil, refuse(krb5.CodeTicketExpired, "ticket can no longer be renewed")
	}
	g := &grant{
		cname: t.part.CName, crealm: t.part.CRealm,
		server: k.krbtgt, sname: x.req.Body.SName,
		flags:    t.part.Flags &^ krb5.FlagInitial,
		authTime: t.part.AuthTime, renewTill: t.part.RenewTill,
		transited: t.part.Transited.Contents,
		replyKey:  t.replyKey, replyUsage: t.replyUsage,
	}
	g.start = x.now.Truncate(time.Second)
	g.end = g.start.Add(t.part.EndTime.Sub(t.part.StartTime))
	if g.end.After(g.renewTill) {
		g.end = g.renewTill
	}
	if err := g.carry(t.pac); err != nil {
		return nil, err
	}
	rep, err := k.issue(x, g)
	if err == nil {
		k.stats.renew.Add(1)
	}
	return rep, err
}
