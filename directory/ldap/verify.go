package ldap

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory"
)

// userMark is replaced by what the user typed.
const userMark = "{user}"

// maxName and maxPassword bound what users type, in bytes. A UPN has up to 1024
// characters, a DN may have more than a name.
const (
	maxName     = 1024
	maxPassword = 1024
)

var (
	errName     = errors.New("the name is empty, too long, no UTF-8 or has control characters")
	errPassword = errors.New("the password is empty, too long or has a NUL")
)

func checkName(name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return errName
	}
	return nil
}

// VerifyPassword logs a user in by a bind, of which there is one for each call
// at most, and returns who it is with the groups. It implements
// password.Verifier. An empty password is refused before anything is sent.
//
// For Active Directory the user may be given as DOMAIN\name, name or a UPN, and
// whose account it is comes from the domain's answer to the bind, not from what
// was typed. For others see Filter and BindName of the configuration.
func (d *Directory) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if d.err != nil {
		return nil, d.err
	}
	if err := checkName(user); err != nil {
		return nil, refuse(authn.ReasonMalformed, printable(user), "", err)
	}
	if password == "" || len(password) > maxPassword || strings.ContainsRune(password, 0) {
		return nil, refuse(authn.ReasonWrongPassword, user, "", errPassword)
	}
	var account *directory.Account
	var err error
	secret := authn.NewSecret(password)
	switch {
	case d.cfg.Kind == ActiveDirectory:
		account, err = d.verifyDomain(ctx, user, secret)
	case d.cfg.Filter != "":
		account, err = d.verifyFound(ctx, user, secret)
	default:
		account, err = d.verifyTyped(ctx, user, secret)
	}
	if err != nil {
		return nil, d.judgeLogin(user, err)
	}
	now := d.cfg.Now()
	switch { // the server should have refused it
	case account.Disabled:
		return nil, refuse(authn.ReasonDisabled, user, hintDisabled, nil)
	case !account.Usable(now):
		return nil, refuse(authn.ReasonAccountExpired, user, hintAccount, nil)
	}
	dom, name, ok := strings.Cut(account.Name, `\`)
	if !ok {
		dom, name = "", account.Name
	}
	return &authn.Identity{
		Account: name, Domain: dom, UPN: account.UPN, DisplayName: account.DisplayName,
		SID: account.SID, Groups: account.Groups, Mechanism: mechanism, AuthTime: now,
	}, nil
}

// verifyDomain binds as the user, asks the domain who that is, and reads the
// account.
func (d *Directory) verifyDomain(ctx context.Context, user string, password authn.Secret) (*directory.Account, error) {
	bind, err := d.domainBind(ctx, user, password)
	if err != nil {
		return nil, err
	}
	var account *directory.Account
	err = d.asUser(ctx, bind, func(ctx context.Context, c *Conn) error {
		token, err := c.token(ctx)
		if err != nil {
			return err
		}
		return d.reader(ctx, c, func(ctx context.Context, v *view) (err error) {
			e, err := v.owner(ctx, token)
			if errors.Is(err, directory.ErrNotFound) {
				return refuse(authn.ReasonPolicy, user, "the account is of another domain, or not below the base DN: give that domain a realm of its own, or correct the base DN", err)
			}
			if err != nil {
				return err
			}
			account, err = v.account(ctx, e, true)
			return err
		})
	})
	return account, err
}

// token asks Active Directory whose connection it is, and returns the SIDs of
// the security context (MS-ADTS 3.1.1.3.2, tokenGroups of the root DSE). A name
// would not do: a UPN may be made to look like another account's name.
func (c *Conn) token(ctx context.Context) ([]authn.SID, error) {
	root, err := c.only(ctx, Search{Scope: BaseObject, Attributes: []string{attrTokenGroups}})
	if err != nil {
		return nil, err
	}
	var sids []authn.SID
	for _, b := range root.Values(attrTokenGroups) {
		if sid := decodeSID(b); strings.HasPrefix(string(sid), "S-1-5-21-") {
			sids = append(sids, sid)
		}
	}
	if len(sids) == 0 {
		return nil, fmt.Errorf("ldap: %s does not tell who is logged in", c.Host())
	}
	return sids, nil
}

// owner returns the entry of the account that a security context is of. The
// first SID is its own, in practice; no rule says so, but only one of them is
// that of an account, as the others are groups.
func (v *view) owner(ctx context.Context, token []authn.SID) (Entry, error) {
	e, err := v.find(ctx, directory.AccountRef{SID: token[0]})
	if !errors.Is(err, directory.ErrNotFound) {
		return e, err
	}
	for some := range slices.Chunk(token[1:], batch) {
		filters := make([]string, len(some))
		for i, sid := range some {
			filters[i] = bySID(sid)
		}
		e, err = v.one(ctx, v.accountFilter(Or(filters...)), directory.AccountRef{SID: token[0]})
		if !errors.Is(err, directory.ErrNotFound) {
			return e, err
		}
	}
	return Entry{}, err
}

// domainUser returns the name to bind by.
func (d *Directory) domainUser(ctx context.Context, user string) (string, error) {
	prefix, name, ok := strings.Cut(user, `\`)
	switch {
	case !ok && !strings.Contains(user, "@"):
		name = user
	case !ok || !strings.Contains(prefix, ".") || strings.ContainsAny(name, `\@`):
		return user, nil
	default:
		// Controllers know corp.test\alice from Windows clients, and not in a bind
		// (MS-ADTS 5.1.1.1.1).
		dns := d.cfg.Domain
		if dns == "" && d.cfg.reads() {
			dom, err := d.askDomain(ctx)
			if err != nil {
				return "", err
			}
			dns = dom.dns
		}
		if !strings.EqualFold(prefix, dns) {
			return user, nil
		}
	}
	switch {
	case d.cfg.DefaultDomain != "":
		return d.cfg.DefaultDomain + `\` + name, nil
	case d.cfg.reads():
		dom, err := d.askDomain(ctx)
		if err != nil {
			return "", err
		}
		return dom.netbios + `\` + name, nil
	}
	return name + "@" + d.cfg.Domain, nil // Check sees to it that there is one
}

// askDomain returns what the controllers say of their domain.
func (d *Directory) askDomain(ctx context.Context) (dom *domain, err error) {
	err = d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		dom, err = d.learnDomain(ctx, c)
		return err
	})
	return dom, err
}

// domainBind returns the login of a user of Active Directory.
func (d *Directory) domainBind(ctx context.Context, user string, password authn.Secret) (binder, error) {
	if d.cfg.Kerberos == nil {
		name, err := d.domainUser(ctx, user)
		return simpleBind(name, password), err
	}
	client, err := d.cfg.kerberosClient(user, password)
	if err != nil {
		return nil, refuse(authn.ReasonUnknownUser, user, "", err)
	}
	return func(ctx context.Context, c *Conn) error { return c.BindKerberos(ctx, client) }, nil
}

// A binder logs one user in.
type binder func(context.Context, *Conn) error

func simpleBind(name string, password authn.Secret) binder {
	return func(ctx context.Context, c *Conn) error { return c.bind(ctx, name, password) }
}

// asUser connects, binds as a user and does work. The connection is of no other
// use. A bind without an answer is not made again.
func (d *Directory) asUser(ctx context.Context, bind binder, work func(context.Context, *Conn) error) error {
	c, s, free, err := d.pool.dialUser(ctx)
	if err != nil {
		return err
	}
	defer free()
	err = d.pool.watch(ctx, s, func(ctx context.Context) error {
		if err := bind(ctx, c); err != nil {
			return bindError{err}
		}
		return work(ctx, c)
	})
	if c.broken || busy(err) {
		d.pool.servers.failed(s, err)
		d.pool.drop(s)
	}
	return err
}

// A bindError is what became of the bind of a user, as against one of the
// searches around it.
type bindError struct{ error }

func (e bindError) Unwrap() error { return e.error }

// reader does work as the account that reads, if there is one, else on the
// user's own connection.
func (d *Directory) reader(ctx context.Context, user *Conn, work func(context.Context, *view) error) error {
	inView := func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil {
			return err
		}
		return work(ctx, v)
	}
	if !d.cfg.reads() {
		return inView(ctx, user)
	}
	return d.pool.run(ctx, inView)
}

// verifyFound searches for the user's entry and binds as it. For a user who is
// unknown there is a bind as well, so that both take the same time.
func (d *Directory) verifyFound(ctx context.Context, user string, password authn.Secret) (*directory.Account, error) {
	var entry Entry
	search := d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil {
			return err
		}
		local, ok := v.localName(user)
		if !ok { // of another domain: nobody has such a name, but we ask
			local = nobody()
		}
		filter := strings.ReplaceAll(d.cfg.Filter, userMark, goldap.EscapeFilter(local))
		entry, err = v.one(ctx, filter, directory.AccountRef{Name: user})
		return err
	})
	if search != nil && !errors.Is(search, directory.ErrNotFound) && !errors.Is(search, errAmbiguous) {
		return nil, search
	}
	dn := entry.DN
	if search != nil || dn == "" {
		dn = Child("cn", nobody(), d.cfg.BaseDN)
	}
	var account *directory.Account
	err := d.asUser(ctx, simpleBind(dn, password), func(ctx context.Context, c *Conn) error {
		if search != nil {
			return fmt.Errorf("ldap: %s let in somebody who does not exist", c.Host())
		}
		return d.reader(ctx, c, func(ctx context.Context, v *view) (err error) {
			account, err = v.account(ctx, entry, true)
			return err
		})
	})
	var bind bindError
	var answered *Error
	switch {
	case search == nil || !errors.As(err, &bind) || !errors.As(bind.error, &answered):
		return account, err
	case errors.Is(search, errAmbiguous):
		return nil, refuse(authn.ReasonPolicy, user, "several entries fit the user: make the filter narrower, or the base", search)
	}
	return nil, refuse(authn.ReasonUnknownUser, user, "", search)
}

// nobody returns a name that no entry has.
func nobody() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "soapward-nobody-" + hex.EncodeToString(b[:])
}

// verifyTyped binds by the name that the user typed, or that is made of it, and
// asks the server whose entry that is.
func (d *Directory) verifyTyped(ctx context.Context, user string, password authn.Secret) (*directory.Account, error) {
	name := d.bindName(user)
	var account *directory.Account
	err := d.asUser(ctx, simpleBind(name, password), func(ctx context.Context, c *Conn) error {
		who, err := c.whoAmI(ctx)
		if err != nil {
			return err
		}
		dn, ok := strings.CutPrefix(who, "dn:") // RFC 4513 5.2.1.8
		if !ok && CheckDN(name) == nil {
			dn = name
		}
		if dn == "" {
			return fmt.Errorf("ldap: %s does not tell whose entry %s is: set a filter", c.Host(), printable(name))
		}
		return d.reader(ctx, c, func(ctx context.Context, v *view) error {
			if !IsUnder(dn, v.base()) {
				return refuse(authn.ReasonPolicy, user, "the user's entry is not below the base DN: correct the base DN", nil)
			}
			e, err := v.c.only(ctx, Search{Base: dn, Scope: BaseObject, Attributes: v.attributes()})
			if err != nil {
				return err
			}
			account, err = v.account(ctx, e, true)
			return err
		})
	})
	return account, err
}

// bindName puts what the user typed into BindName, escaped if that is a DN.
func (d *Directory) bindName(user string) string {
	if d.cfg.BindName != userMark && CheckDN(d.cfg.BindName) == nil {
		user = goldap.EscapeDN(user)
	}
	return strings.ReplaceAll(d.cfg.BindName, userMark, user)
}

func refuse(reason authn.Reason, user, hint string, err error) *authn.RefusedError {
	return &authn.RefusedError{Mechanism: mechanism, Reason: reason, User: user, Hint: hint, Err: err}
}

// judge makes err one of those that Account and Accounts return.
func (d *Directory) judge(err error) error {
	if errors.Is(err, directory.ErrNotFound) {
		return err
	}
	return unavailable(err)
}

// judgeLogin makes err one of those that VerifyPassword returns. What is not
// said in so many words to be the user's fault is not.
func (d *Directory) judgeLogin(user string, err error) error {
	var r *authn.RefusedError
	if errors.As(err, &r) {
		c := *r
		c.User = user
		return &c
	}
	if errors.Is(err, errBackslash) {
		return refuse(authn.ReasonPolicy, user, "", err)
	}
	var bind bindError
	var kdc *kerberos.KDCError
	if errors.As(err, &bind) && errors.As(bind.error, &kdc) && kdc.Reason() != "" {
		return refuse(kdc.Reason(), user, kdc.Hint, kdc)
	}
	var e *Error
	if !errors.As(err, &bind) || !errors.As(bind.error, &e) {
		return unavailable(err)
	}
	if refused := refusal(user, e); errors.As(refused, &r) {
		return r
	}
	switch e.Code {
	case goldap.LDAPResultNoSuchObject, goldap.LDAPResultInvalidDNSyntax:
		return refuse(authn.ReasonUnknownUser, user, "", e)
	case goldap.LDAPResultInappropriateAuthentication:
		return refuse(authn.ReasonWrongPassword, user, "the entry has no password to log in with", e)
	case goldap.LDAPResultConstraintViolation: // 389: too many tries
		return refuse(authn.ReasonLockedOut, user, hintLocked, e)
	case goldap.LDAPResultUnwillingToPerform: // 389: nsAccountLock
		return refuse(authn.ReasonRestricted, user, "the server does not let the account log in: it may be disabled", e)
	case goldap.LDAPResultStrongAuthRequired, goldap.LDAPResultConfidentialityRequired:
		remedy := "use ldaps:// or StartTLS"
		if d.cfg.Kerberos != nil {
			remedy = "use ldap://, which Kerberos seals"
		}
		return unavailable(fmt.Errorf("the server takes no logins on such a connection, %s: %w", remedy, e))
	}
	return unavailable(err)
}
