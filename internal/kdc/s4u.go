package kdc

import (
	"slices"
	"strings"

	"github.com/soapward/soapward/internal/krb5"
)

// s4u2self answers a service that asks for a ticket to itself in a user's name
// (MS-SFU 3.2.5.1).
func (k *KDC) s4u2self(x *exchange, t *presented) ([]byte, error) {
	q := &x.req.Body
	self := k.ourClient(t)
	if sv := k.service(q.SName); self == nil || sv != self {
		return nil, refuse(krb5.CodeBadOption, "S4U2Self must be for the service itself")
	}
	u, err := k.s4uUser(x, t)
	if err != nil {
		return nil, err
	}
	a := k.client(u.name)
	switch {
	case !strings.EqualFold(u.realm, k.cfg.Realm) && !strings.EqualFold(u.realm, k.cfg.NetBIOS):
		return nil, refuse(krb5.CodeWrongRealm, "user is of another realm")
	case a == nil:
		return nil, refuse(krb5.CodeClientUnknown, "no such user")
	case a.Disabled:
		return nil, refuse(krb5.CodePolicy, "user is disabled")
	}
	g, err := k.newGrant(x, t, self, q.SName)
	if err != nil {
		return nil, err
	}
	g.authTime, g.paData, g.encPAData = x.now, u.paData, u.encPAData
	g.cname = u.name // as asked for; who that is, the PAC says
	if x.fault.IgnoreS4UUser {
		a, g.cname, g.paData, g.encPAData = self, t.part.CName, nil, nil
	}
	if q.Options.Has(krb5.FlagForwardable) && t.part.Flags.Has(krb5.FlagForwardable) &&
		self.TrustedToAuth && a.mayBeDelegated() {
		g.flags |= krb5.FlagForwardable
	}
	if !a.NoPAC {
		g.logon, g.upn = k.logonInfo(a, x.now, sidServiceAsserted), k.upnInfo(a)
	}
	rep, err := k.issue(x, g)
	if err == nil {
		k.stats.s4u2self.Add(1)
	}
	return rep, err
}

// ourClient returns the account that presents a ticket, or nil if it is of
// another realm, where it may have the name of one of ours.
func (k *KDC) ourClient(t *presented) *account {
	if t.issuer != k.cfg.Realm || t.part.CRealm != k.cfg.Realm {
		return nil
	}
	return k.client(t.part.CName)
}

// s4uUser is the user that an S4U2Self request names, and what the reply says
// about that.
type s4uUser struct {
	name      krb5.PrincipalName
	realm     string
	paData    []krb5.PAData
	encPAData []krb5.PAData
}

// s4uUser reads and verifies PA-S4U-X509-USER, or PA-FOR-USER if that is all
// there is. If both are there they must agree.
func (k *KDC) s4uUser(x *exchange, t *presented) (*s4uUser, error) {
	var u *s4uUser
	if b, ok := krb5.FindPAData(x.req.PAData, krb5.PAForUser); ok {
		f, err := krb5.ParseForUser(b)
		if err != nil {
			return nil, refuse(krb5.CodeModified, "malformed PA-FOR-USER")
		}
		// MS-SFU 2.2.1: HMAC-MD5 with the ticket's session key, of any type
		if f.Checksum.Type != krb5.HMACMD5 ||
			t.part.Key.VerifyHMACMD5(krb5.UsageForUserChecksum, f.SignedBytes(), f.Checksum.Sum) != nil {
			return nil, refuse(krb5.CodeModified, "checksum of PA-FOR-USER is wrong")
		}
		u = &s4uUser{name: f.Name, realm: f.Realm}
	}
	b, ok := krb5.FindPAData(x.req.PAData, krb5.PAS4UX509User)
	if !ok {
		return u, nil
	}
	m, err := krb5.ParseS4UX509User(b)
	if err != nil {
		return nil, refuse(krb5.CodeModified, "malformed PA-S4U-X509-USER")
	}
	// The reply key is the subkey where there is one, as MS-SFU 2.2.2 wants.
	err = t.replyKey.VerifyChecksum(m.Checksum.Type, krb5.UsageS4UX509UserRequest, m.RawUser, m.Checksum.Sum)
	switch {
	case err != nil || m.User.Nonce != x.req.Body.Nonce:
		return nil, refuse(krb5.CodeModified, "checksum of PA-S4U-X509-USER is wrong")
	case m.User.CName.IsZero():
		return nil, refuse(krb5.CodeClientUnknown, "user certificates are not supported")
	case u != nil && (!u.name.Equal(m.User.CName) || u.realm != m.User.CRealm):
		return nil, refuse(krb5.CodeModified, "two users are named")
	}
	u = &s4uUser{name: m.User.CName, realm: m.User.CRealm}
	return u, u.confirm(m, t)
}

// confirm makes the reply's PA-S4U-X509-USER, and the checksums inside the
// sealed part that tie it to the reply (MS-SFU 3.2.5.1.2).
func (u *s4uUser) confirm(m *krb5.S4UX509User, t *presented) error {
	usage := krb5.UsageS4UX509UserRequest
	if m.User.HasOptions && m.User.Options.Has(krb5.S4UOptionUseReplyKey) {
		usage = krb5.UsageS4UX509UserReply
	}
	sum, err := krb5.Sign(t.replyKey, usage, m.RawUser)
	if err != nil {
		return err
	}
	b, err := (&krb5.S4UX509User{RawUser: m.RawUser, Checksum: sum}).Marshal()
	if err != nil {
		return err
	}
	u.paData = []krb5.PAData{{Type: krb5.PAS4UX509User, Value: b}}
	u.encPAData = []krb5.PAData{{
		Type:  krb5.PAS4UX509User,
		Value: slices.Concat(m.Checksum.Sum, sum.Sum),
	}}
	return nil
}

// s4u2proxy answers a service that asks for a ticket to another service in the
// name of a user whose ticket it presents as evidence (MS-SFU 3.2.5.2).
func (k *KDC) s4u2proxy(x *exchange, t *presented) ([]byte, error) {
	q := &x.req.Body
	self := k.ourClient(t)
	sv, sname, err := k.target(x)
	switch {
	case err != nil:
		return nil, err
	case self == nil:
		return nil, refuse(krb5.CodeBadOption, "S4U2Proxy is for services of this realm")
	case len(q.AdditionalTickets) != 1:
		return nil, refuse(krb5.CodeBadOption, "one evidence ticket is needed")
	case !sname.Equal(q.SName) || sv == k.krbtgt:
		return nil, refuse(krb5.CodeBadOption, "only tickets for services of this realm are issued")
	}
	e, err := k.evidence(x, self, &q.AdditionalTickets[0])
	if err != nil {
		return nil, err
	}
	if e.part.CRealm == k.cfg.Realm {
		a := k.client(e.part.CName)
		switch {
		case a == nil:
			return nil, refuse(krb5.CodeClientUnknown, "no such user")
		case a.Disabled:
			return nil, refuse(krb5.CodePolicy, "user is disabled")
		case !a.mayBeDelegated():
			return nil, refuse(krb5.CodeBadOption, "user may not be delegated")
		}
	}
	listed := containsFold(self.DelegateTo, q.SName.String())
	resource := wantsRBCD(x.req.PAData) && containsFold(sv.ActFor, self.Name)
	switch {
	case !listed && !resource:
		return nil, refuse(krb5.CodeBadOption, self.Name+" may not call this service in others' names")
	case !resource && !e.part.Flags.Has(krb5.FlagForwardable):
		return nil, refuse(krb5.CodeBadOption, "evidence ticket is not forwardable")
	}
	g, err := k.newGrant(x, t, sv, sname)
	if err != nil {
		return nil, err
	}
	g.cname, g.crealm, g.authTime = e.part.CName, e.part.CRealm, e.part.AuthTime
	g.transited = e.part.Transited.Contents
	g.flags |= krb5.FlagForwardable
	if err := g.carry(e.pac); err != nil {
		return nil, err
	}
	rep, err := k.issue(x, g)
	if err == nil {
		k.stats.s4u2proxy.Add(1)
	}
	return rep, err
}

// evidence opens the ticket a user presented to self. Its PAC proves that a
// KDC made it as it is: self has the key the ticket is sealed with, so it could
// have altered flags and names (CVE-2020-17049).
func (k *KDC) evidence(x *exchange, self *account, ticket *krb5.Ticket) (*presented, error) {
	if sv := k.service(ticket.SName); sv != self || ticket.Realm != k.cfg.Realm {
		return nil, refuse(krb5.CodeBadOption, "evidence ticket is for another service")
	}
	part, key, err := self.open(ticket)
	if err != nil {
		return nil, err
	}
	if x.now.After(part.EndTime) {
		return nil, refuse(krb5.CodeTicketExpired, "evidence ticket has expired")
	}
	p, err := readPAC(part, key)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, refuse(krb5.CodeBadOption, "evidence ticket has no PAC")
	}
	signed, err := withPAC(part, []byte{0})
	if err != nil {
		return nil, err
	}
	kdcKey, _ := k.krbtgt.ticketKey()
	for _, err := range []error{p.VerifyKDC(kdcKey), p.VerifyFull(kdcKey), p.VerifyTicket(kdcKey, signed)} {
		if err != nil {
			return nil, refuse(krb5.CodeModified, "evidence: "+err.Error())
		}
	}
	return &presented{part: part, pac: p}, nil
}

// wantsRBCD reports whether the request may use resource-based constrained
// delegation (MS-KILE 2.2.10).
func wantsRBCD(l []krb5.PAData) bool {
	b, ok := krb5.FindPAData(l, krb5.PAPACOptionsType)
	if !ok {
		return false
	}
	f, err := krb5.ParsePACOptions(b)
	return err == nil && f.Has(krb5.PACOptionRBCD)
}

func containsFold(l []string, s string) bool {
	return slices.ContainsFunc(l, func(e string) bool { return strings.EqualFold(e, s) })
}
