package kerberos

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// ErrNotDelegable means that a user's identity may not be passed on: the
// account is sensitive or in Protected Users, or the evidence is not
// forwardable. The error around it says which, and what helps.
var ErrNotDelegable = errors.New("kerberos: user may not be delegated")

// ErrProtectedUser is the ErrNotDelegable of members of Protected Users.
var ErrProtectedUser = fmt.Errorf("%w: member of Protected Users", ErrNotDelegable)

// ErrLimitedClient is the ErrNotDelegable of evidence from S4U2Self that is not
// forwardable because the client's own ticket-granting ticket is not: the
// service account itself is sensitive or in Protected Users, or its credential
// cache holds such a ticket.
var ErrLimitedClient = fmt.Errorf("%w: the service's own ticket-granting ticket is not forwardable", ErrNotDelegable)

// ErrNoServiceKey means that S4U2Self cannot see whose ticket it got, because
// the client has no long-term key of its own that opens it. A client with a
// keytab or password has.
var ErrNoServiceKey = errors.New("kerberos: no key of the service account that opens its own ticket")

// s4uLife is how long a ticket that the client got for a user is used. It says
// which groups the user has, that the account is enabled and that it may be
// acted for, so it is asked for anew long before the KDC lets it end.
const s4uLife = 15 * time.Minute

// S4U2Self gets evidence for a user who did not come by Kerberos: a ticket in
// the user's name for the client itself, which must be a service account
// (protocol transition, MS-SFU 3.1.5.1.1). user is an account name, a name
// with the client's realm, or a UPN. Whoever may call it decides who the user
// is, so the name must come from a login that was verified.
//
// The KDC is not taken at its word: the ticket is opened to see whose it is,
// and members of Protected Users are refused, which not every KDC does. That
// takes a client with a keytab or password; others get ErrNoServiceKey.
func (c *Client) S4U2Self(ctx context.Context, user string) (*Evidence, error) {
	k := c.c
	tgt, err := k.tgt(ctx) // says which realm is ours
	if err != nil {
		return nil, err
	}
	name, err := s4uUser(user, tgt.serves())
	if err != nil {
		return nil, err
	}
	// An account name and a UPN that look the same may be two users.
	key := fmt.Sprintf("self %d %s", name.Type, strings.ToLower(name.String()))
	t, err := k.cache.get(ctx, key, k.now, func(ctx context.Context, _ *ticket) (*ticket, error) {
		return k.withTGT(ctx, func(tgt *ticket) (*ticket, error) { return k.s4u2self(ctx, tgt, name) })
	})
	if err != nil {
		return nil, err
	}
	return newEvidence(&evidence{
		ticket: t.Ticket, client: t.client, realm: t.crealm, sid: t.sid, account: t.account, control: t.control,
		flags: t.flags, end: t.end, asserted: true, limited: t.limited,
		forget: func() { k.cache.drop(key, t) },
	}), nil
}

// s4uUser reads the name of the user to act for. The client's own realm is the
// only one whose KDC can make the ticket.
func s4uUser(user, realm string) (krb5.PrincipalName, error) {
	if user == "" || strings.ContainsAny(user, "\\/\x00") {
		return krb5.PrincipalName{}, fmt.Errorf("kerberos: S4U2Self: user %q: want an account name or a UPN", user)
	}
	name, suffix, isUPN := strings.Cut(user, "@")
	switch {
	case !isUPN || suffix == realm:
		return krb5.PrincipalName{Type: krb5.NamePrincipal, Components: []string{name}}, nil
	case name == "":
		return krb5.PrincipalName{}, fmt.Errorf("kerberos: S4U2Self: user %q has no name", user)
	}
	return krb5.NewPrincipalName(krb5.NameEnterprise, user), nil
}

func (c *client) s4u2self(ctx context.Context, tgt *ticket, name krb5.PrincipalName) (*ticket, error) {
	q := &tgsRequest{op: opSelf, service: tgt.client, options: krb5.OptionCanonical, nonce: nonce(), user: name.String()}
	var err error
	if q.padata, err = s4uPAData(tgt.key, name, tgt.serves(), q.nonce); err != nil {
		return nil, err
	}
	q.check = func(rep *krb5.KDCRep) error { return checkS4UUser(rep, name, tgt) }
	t, err := c.tgs(ctx, tgt, q)
	if err != nil {
		return nil, err
	}
	if _, ok := t.SName.IsTGS(); ok {
		return nil, fmt.Errorf("kerberos: S4U2Self: %v is of another realm, which this account cannot act for", name)
	}
	if !t.SName.EqualFold(tgt.client) {
		return nil, fmt.Errorf("kerberos: S4U2Self: KDC answered with a ticket for %v instead of %v", t.SName, tgt.client)
	}
	if err := c.confirmUser(t, name); err != nil {
		return nil, err
	}
	t.refresh = c.now().Add(s4uLife)
	t.limited = !tgt.flags.Has(krb5.FlagForwardable)
	return t, nil
}

// s4uPAData names the user in both ways there are: PA-FOR-USER, which all KDCs
// understand, and PA-S4U-X509-USER, which is signed with the key's own
// checksum (MS-SFU 2.2.1, 2.2.2).
func s4uPAData(key krb5.Key, name krb5.PrincipalName, realm string, nonce uint32) ([]krb5.PAData, error) {
	f := krb5.ForUser{Name: name, Realm: realm, AuthPackage: "Kerberos"}
	sum, err := key.HMACMD5(krb5.UsageForUserChecksum, f.SignedBytes()) // whatever the key's type
	if err != nil {
		return nil, err
	}
	f.Checksum = krb5.Checksum{Type: krb5.HMACMD5, Sum: sum}
	b, err := f.Marshal()
	if err != nil {
		return nil, err
	}
	out := []krb5.PAData{{Type: krb5.PAForUser, Value: b}}
	if key.EType() == krb5.RC4HMAC {
		return out, nil // would need MD4 without a key (MS-SFU 2.2.2)
	}
	u := krb5.S4UUserID{Nonce: nonce, CName: name, CRealm: realm, Options: krb5.S4UOptionUseReplyKey, HasOptions: true}
	raw, err := u.Marshal()
	if err != nil {
		return nil, err
	}
	x := krb5.S4UX509User{RawUser: raw}
	if x.Checksum, err = krb5.Sign(key, krb5.UsageS4UX509UserRequest, raw); err != nil {
		return nil, err
	}
	if b, err = x.Marshal(); err != nil {
		return nil, err
	}
	return append([]krb5.PAData{{Type: krb5.PAS4UX509User, Value: b}}, out...), nil
}

// checkS4UUser checks in whose name a reply is. A KDC that does not understand
// the request answers with an ordinary ticket of the service for itself.
func checkS4UUser(rep *krb5.KDCRep, name krb5.PrincipalName, tgt *ticket) error {
	switch {
	case !strings.EqualFold(rep.CRealm, tgt.serves()):
		return fmt.Errorf("kerberos: S4U2Self: KDC answered with a ticket of realm %s", rep.CRealm)
	case rep.CName.EqualFold(tgt.client) && !name.EqualFold(tgt.client):
		return errors.New("kerberos: S4U2Self: the KDC ignored the user's name and answered with a ticket of the service itself; it does not support protocol transition")
	case name.Type != krb5.NameEnterprise && !rep.CName.EqualFold(name):
		return fmt.Errorf("kerberos: S4U2Self: KDC answered with a ticket of %v instead of %v", rep.CName, name)
	}
	if b, ok := krb5.FindPAData(rep.PAData, krb5.PAS4UX509User); ok {
		x, err := krb5.ParseS4UX509User(b)
		if err != nil {
			return err
		}
		usage := krb5.UsageS4UX509UserRequest
		if x.User.Options.Has(krb5.S4UOptionUseReplyKey) {
			usage = krb5.UsageS4UX509UserReply
		}
		if err := tgt.key.VerifyChecksum(x.Checksum.Type, usage, x.RawUser, x.Checksum.Sum); err != nil {
			return fmt.Errorf("kerberos: S4U2Self: signature of the user's name in the reply: %w", err)
		}
	}
	return nil
}

// confirmUser opens a ticket to the client itself and checks that it is the
// user's: the name outside of it is not protected.
func (c *client) confirmUser(t *ticket, asked krb5.PrincipalName) error {
	keys := c.ownKeys(t.EncPart.EType)
	if len(keys) == 0 {
		return fmt.Errorf("%w: S4U2Self got one of type %v: use a keytab with all encryption types of %v, or its password",
			ErrNoServiceKey, t.EncPart.EType, t.SName)
	}
	var plain []byte
	var key krb5.Key
	err := krb5.ErrIntegrity
	for _, key = range keys {
		if plain, err = t.EncPart.Open(key, krb5.UsageTicket); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%w: S4U2Self: %w: the account's password was changed, or its key of type %v has another salt than the one of the login: use a new keytab",
			ErrNoServiceKey, err, t.EncPart.EType)
	}
	c.keepKey(key)
	part, err := krb5.ParseEncTicketPart(plain)
	if err != nil {
		return err
	}
	if !part.CName.Equal(t.client) || part.CRealm != t.crealm {
		return fmt.Errorf("kerberos: S4U2Self: the ticket is of %v@%s inside and of %v@%s outside", part.CName, part.CRealm, t.client, t.crealm)
	}
	found, err := krb5.FindAuthorizationData(part.AuthorizationData, krb5.ADPAC)
	if err != nil || len(found) == 0 {
		return err // a realm without PACs
	}
	p, err := pac.Parse(found[0])
	if err != nil {
		return err
	}
	if err := p.VerifyServer(key); err != nil {
		return fmt.Errorf("kerberos: S4U2Self: %w", err)
	}
	info, err := p.LogonInfo()
	if errors.Is(err, pac.ErrNoLogonInfo) { // of an MIT KDC
		return nil
	}
	if err != nil {
		return fmt.Errorf("kerberos: S4U2Self: %w", err)
	}
	if !isUser(p, info, asked, t.crealm) {
		return fmt.Errorf("kerberos: S4U2Self: asked for %v, the ticket is of %s\\%s", asked, info.Domain, info.Account)
	}
	for _, sid := range info.GroupSIDs() {
		if isProtectedUsers(string(sid)) {
			return fmt.Errorf("%w: %s", ErrProtectedUser, info.Account)
		}
	}
	t.sid, t.account, t.control = authn.SID(info.SID()), info.Account, info.AccountControl
	return nil
}

// isUser reports whether a PAC describes the user asked for, by account name
// or UPN.
func isUser(p *pac.PAC, info *pac.LogonInfo, asked krb5.PrincipalName, realm string) bool {
	full := asked.String()
	name, _, isUPN := strings.Cut(full, "@")
	if strings.EqualFold(info.Account, name) {
		return true
	}
	if !isUPN { // the KDC may know it as name@realm
		full += "@" + realm
	}
	upn, err := p.UPNInfo()
	return err == nil && upn != nil && strings.EqualFold(upn.UPN, full)
}

// isProtectedUsers recognises the group by its RID, 525 (MS-ADTS 6.1.1.6.15).
func isProtectedUsers(sid string) bool {
	return strings.HasPrefix(sid, "S-1-5-21-") && strings.HasSuffix(sid, "-525")
}

// S4U2Proxy gets a ticket for a service in the name of the caller that ev is
// evidence of (constrained delegation, MS-SFU 3.1.5.2.1). ev comes from an
// accepted login to the client's own service, or from S4U2Self. The service
// must be listed for the account, or allow it (resource-based).
func (c *Client) S4U2Proxy(ctx context.Context, ev *Evidence, spn string) (*Ticket, error) {
	k, v := c.c, ev.open()
	if v.ticket.Raw == nil {
		return nil, errors.New("kerberos: S4U2Proxy: no evidence ticket")
	}
	if now := k.now(); !now.Before(v.end) {
		return nil, fmt.Errorf("kerberos: S4U2Proxy: the caller's ticket expired at %s: the caller has to log in again", v.end.Format(time.RFC3339))
	}
	name, realm, err := k.cfg.parseSPN(spn)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(v.ticket.Raw)
	key := "proxy " + string(hash[:]) + " " + serviceKey(name, realm)
	t, err := k.cache.get(ctx, key, k.now, func(ctx context.Context, _ *ticket) (*ticket, error) {
		return k.withTGT(ctx, func(tgt *ticket) (*ticket, error) { return k.s4u2proxy(ctx, tgt, v, name, realm) })
	})
	if err != nil {
		return nil, err
	}
	return newTicket(t), nil
}

func (c *client) s4u2proxy(ctx context.Context, tgt *ticket, v *evidence, name krb5.PrincipalName, realm string) (*ticket, error) {
	if realm != "" && !strings.EqualFold(realm, tgt.serves()) {
		return nil, fmt.Errorf("kerberos: S4U2Proxy: %v is in realm %s; delegation across realms is not supported", name, realm)
	}
	options, err := krb5.MarshalPACOptions(krb5.PACOptionRBCD)
	if err != nil {
		return nil, err
	}
	t, err := c.tgs(ctx, tgt, &tgsRequest{
		op: opProxy, service: name, user: v.client.String(),
		options:    krb5.OptionCNameInAddl | krb5.OptionCanonical,
		padata:     []krb5.PAData{{Type: krb5.PAPACOptionsType, Value: options}},
		additional: []krb5.Ticket{v.ticket},
		check: func(rep *krb5.KDCRep) error {
			if !rep.CName.EqualFold(v.client) || !strings.EqualFold(rep.CRealm, v.realm) {
				return fmt.Errorf("kerberos: S4U2Proxy: KDC answered with a ticket of %v@%s instead of %v@%s", rep.CName, rep.CRealm, v.client, v.realm)
			}
			return nil
		},
	})
	var ke *KDCError
	if errors.As(err, &ke) && krb5.ErrorCode(ke.Code) == krb5.CodeBadOption && !v.flags.Has(krb5.FlagForwardable) {
		// Once an administrator gave the right, the next ticket will be
		// forwardable.
		if v.forget != nil {
			v.forget()
		}
		if v.limited {
			if !tgt.flags.Has(krb5.FlagForwardable) {
				c.cache.drop(tgtKey, tgt) // as above
			}
			return nil, fmt.Errorf("%w: %w", ErrLimitedClient, err)
		}
		return nil, fmt.Errorf("%w: %w; the evidence is not forwardable: %s", ErrNotDelegable, err, notForwardableHint(v))
	}
	if err != nil {
		return nil, err
	}
	if next, ok := t.SName.IsTGS(); ok {
		return nil, fmt.Errorf("kerberos: S4U2Proxy: %v is in realm %s; delegation across realms is not supported", name, next)
	}
	if !t.SName.EqualFold(name) {
		return nil, fmt.Errorf("kerberos: S4U2Proxy: KDC answered with a ticket for %v instead of %v", t.SName, name)
	}
	t.refresh = c.now().Add(s4uLife)
	return t, nil
}

// notForwardableHint says why evidence is not forwardable.
func notForwardableHint(v *evidence) string {
	switch sensitive, known := newEvidence(v).Sensitive(); {
	case sensitive:
		return "the user is sensitive"
	case v.asserted && known:
		return "the service account needs \"trust for delegation using any protocol\" (TrustedToAuthForDelegation)"
	case v.asserted:
		return "the service account needs \"trust for delegation using any protocol\" (TrustedToAuthForDelegation), or the user is sensitive"
	case known:
		return "the caller's client asked for such a ticket"
	}
	return "the user is sensitive, or the caller's client asked for such a ticket"
}
