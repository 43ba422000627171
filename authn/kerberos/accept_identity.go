package kerberos

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

const (
	sidServiceAsserted authn.SID = "S-1-18-2" // SERVICE_ASSERTED_IDENTITY (MS-SFU 3.2.5.1.2)
	sidAnonymous       authn.SID = "S-1-5-7"
)

// identity says who the caller is: what the PAC says, because the client's
// name on the ticket may be any spelling or alias of the account.
func (l *login) identity() (*authn.Identity, error) {
	t := l.ticket
	id := &authn.Identity{
		Account:   t.CName.String(),
		Domain:    t.CRealm,
		Mechanism: authn.MechanismKerberos,
		AuthTime:  t.AuthTime,
		Expires:   t.EndTime,
	}
	found, err := l.readPAC(id)
	if err != nil {
		return nil, err
	}
	if !found && !containsFold(l.m.AllowNoPAC, t.CRealm) {
		return nil, l.refuse(authn.ReasonPolicy,
			fmt.Sprintf("the ticket does not say which SID and groups the client has: if the KDC of %s is not Active Directory, allow tickets without PAC for it (AllowNoPAC); "+
				"otherwise clear NA_AUTH_DATA_REQUIRED in userAccountControl of the service's account", t.CRealm),
			errors.New("kerberos: ticket without PAC"))
	}
	// RFC 4120 2.7. Realms on the way could claim to vouch for any client. In
	// Windows domains it is the KDC of our realm that filters the SIDs in the
	// PAC, and services ignore the flag (MS-KILE 3.1.5.4).
	if !found && len(t.Transited.Contents) > 0 && !t.Flags.Has(krb5.FlagTransited) {
		return nil, l.refuse(authn.ReasonPolicy,
			fmt.Sprintf("the client's realm %s was reached through others, and no KDC checked that they may vouch for it: configure the path (capaths) at the KDC of the service's realm", t.CRealm),
			errors.New("kerberos: transited realms were not checked"))
	}
	forwarded, err := l.forwardedTGT()
	if err != nil {
		return nil, err
	}
	ev := &evidence{
		ticket:    ownTicket(l.req.Ticket),
		client:    t.CName,
		realm:     t.CRealm,
		sid:       id.SID,
		flags:     t.Flags,
		end:       t.EndTime,
		context:   l.gss.flags,
		rc4:       l.req.Ticket.EncPart.EType == krb5.RC4HMAC || t.Key.EType() == krb5.RC4HMAC,
		forwarded: forwarded,
	}
	if l.pac != nil {
		ev.account, ev.control = l.pac.Account, l.pac.AccountControl
	}
	for _, g := range id.Groups {
		ev.asserted = ev.asserted || g.SID == sidServiceAsserted
	}
	id.Evidence = newEvidence(ev)
	return id, nil
}

// readPAC fills id from the PAC. It reports false if there is none or if it
// does not describe a Windows account.
func (l *login) readPAC(id *authn.Identity) (bool, error) {
	if a := l.opened.account.Load(); a != nil {
		l.pac = a.info
		a.describe(id)
		return true, nil
	}
	found, err := krb5.FindAuthorizationData(l.ticket.AuthorizationData, krb5.ADPAC)
	switch {
	case err != nil:
		return false, l.malformed(fmt.Errorf("kerberos: authorization data: %w", err))
	case len(found) == 0:
		return false, nil
	case len(found) > 1:
		return false, l.refuse(authn.ReasonIntegrity, "", errors.New("kerberos: ticket with two PACs"))
	}
	p, err := pac.Parse(found[0])
	if err != nil {
		return false, l.refuse(authn.ReasonMalformed, "", err)
	}
	if err := p.VerifyServer(l.key); err != nil {
		return false, l.refuse(authn.ReasonIntegrity, "the PAC was altered, or signed by somebody who does not have the service's key", err)
	}
	if err := p.CheckClient(l.ticket.CName.String(), l.ticket.AuthTime); err != nil {
		return false, l.refuse(authn.ReasonIntegrity, "the PAC was cut out of another ticket", err)
	}
	info, err := p.LogonInfo()
	if errors.Is(err, pac.ErrNoLogonInfo) {
		return false, nil // MIT 1.20 and later: a PAC for the sake of its signatures
	}
	if err != nil {
		return false, l.refuse(authn.ReasonMalformed, "", err)
	}
	upn, err := p.UPNInfo()
	if err != nil {
		return false, l.refuse(authn.ReasonMalformed, "", err)
	}
	sids := info.GroupSIDs()
	account := &pacAccount{info: info, sid: authn.SID(info.SID()), groups: make([]authn.Group, len(sids))}
	if upn != nil {
		account.upn = upn.UPN
	}
	for i, s := range sids {
		account.groups[i].SID = authn.SID(s)
	}
	if account.sid == sidAnonymous {
		return false, l.refuse(authn.ReasonAnonymous, "", errors.New("kerberos: the anonymous account"))
	}
	l.opened.account.Store(account)
	l.pac = info
	account.describe(id)
	return true, nil
}

// forwardedTGT takes the ticket-granting ticket the client forwards, if that
// is allowed and there is one (RFC 4121 4.1.1).
func (l *login) forwardedTGT() (*ticket, error) {
	if !l.m.AllowForwardedTGT || l.gss.flags&ContextDelegate == 0 {
		return nil, nil
	}
	bad := func(err error) (*ticket, error) {
		return nil, l.refuse(authn.ReasonMalformed, "", fmt.Errorf("kerberos: forwarded ticket: %w", err))
	}
	c, err := krb5.ParseCred(l.gss.delegated)
	if err != nil {
		return bad(err)
	}
	// RFC 4121 4.1.1.1 says the session key; some clients take their subkey.
	b, err := l.ticket.Key.Decrypt(krb5.UsageCredPart, c.EncPart.Cipher)
	if err != nil && !l.auth.SubKey.IsZero() {
		b, err = l.auth.SubKey.Decrypt(krb5.UsageCredPart, c.EncPart.Cipher)
	}
	if err != nil {
		return bad(err)
	}
	part, err := krb5.ParseEncCredPart(b)
	if err != nil {
		return bad(err)
	}
	if len(c.Tickets) != 1 || len(part.Info) != 1 {
		return bad(fmt.Errorf("%d tickets", len(c.Tickets)))
	}
	tgt, info := c.Tickets[0], part.Info[0]
	if _, ok := tgt.SName.IsTGS(); !ok {
		return bad(fmt.Errorf("it is for %s and not for a ticket-granting service", tgt.SName))
	}
	if !info.PName.Equal(l.ticket.CName) || info.PRealm != l.ticket.CRealm {
		return bad(errors.New("it belongs to another client"))
	}
	return &ticket{
		Ticket: ownTicket(tgt),
		key:    info.Key,
		client: info.PName,
		crealm: info.PRealm,
		flags:  info.Flags,
		start:  info.StartTime,
		end:    info.EndTime,
		renew:  info.RenewTill,
	}, nil
}

// ownTicket returns t in memory of its own: a token's is its sender's.
func ownTicket(t krb5.Ticket) krb5.Ticket {
	t.Raw = bytes.Clone(t.Raw)
	t.EncPart.Cipher = nil // Raw has it
	return t
}
