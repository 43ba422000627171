package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/audit"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/soapserver"
)

// realm is the name that users of the directory have in the store.
const realm = "corp"

// login is who may come in, and as whom.
type login struct {
	people   *form.Form        // browsers
	programs *authn.Middleware // SOAP clients
	sessions *session.Manager
	roles    *authz.Roles
	sync     *provision.Sync // nil: there is no domain

	directory *ldap.Directory // nil: all have a password in the store
	record    *audit.Recorder
}

// newLogin puts the parts together. From the outside to the inside:
//
//	session cookie
//	limit        an address that is blocked gets no further
//	  password   by the form or Basic
//	    limit      a user who is blocked gets no further
//	      store      who has a password there is judged by that alone
//	      users      all others are found in the store, or made, and refreshed
//	        directory  after their password was right
//	users        the same, after Kerberos
//	  limit        forged and repeated tickets count
//	    Kerberos
//
// Users are outside of the limit after Kerberos: a user who is disabled here has
// a right ticket, which is no guess, and his browser sends it again and again.
// They are inside of it after a password, where a refusal for whatever reason
// must look like any other.
func newLogin(s settings, users *store.Store) (*login, error) {
	l := &login{record: audit.New(audit.Config{Store: users, Realm: realm})}
	provisioner := &provision.Provisioner{Realm: realm, Store: users}
	chain := &password.Chain{Internal: &password.Internal{Users: users}}
	roles := authz.Config{Roles: map[string]authz.Role{
		"payroll": {Groups: []string{s.short + `\Payroll`}}, // and whom an operator granted it to
	}}
	if s.domain != "" || s.url != "" {
		d, err := openDirectory(s)
		if err != nil {
			return nil, err
		}
		l.directory, provisioner.Source, roles.Resolver = d, d, d
		chain.Next = provisioner.Verifier(d)
		if s.people == "" {
			l.sync = &provision.Sync{Realm: realm, Domains: []string{s.short}, Store: users, Source: d}
		}
	}
	names := throttle.Names{Domains: [][]string{{s.short, s.domain}}}
	limit := &throttle.Limiter{Store: users, Canonical: names.Canonical}
	passwords := limit.Password(chain)
	basic := limit.Authenticator(&password.Basic{Verifier: passwords, AllowInsecureHTTP: s.insecure})
	var windows authn.Authenticator
	if s.keytab != "" {
		keys, err := kerberos.LoadKeytab(s.keytab)
		if err != nil {
			return nil, err
		}
		tickets := &kerberos.Mechanism{Keytab: keys, Replay: users.Replays()}
		if err := tickets.Check(); err != nil {
			return nil, err
		}
		windows = provisioner.Wrap(limit.Authenticator(&iwa.Authenticator{Kerberos: tickets}))
	}
	l.sessions = &session.Manager{Store: users, Check: session.CheckUser(users), AllowInsecureHTTP: s.insecure}

	// Browsers see the form, or log in by Kerberos and never see it.
	var err error
	l.people, err = form.New(form.Config{
		Verifier: passwords, Sessions: l.sessions, Windows: windows, Others: []authn.Authenticator{basic},
		Service: "Portal", Observe: l.record.Observe,
	})
	if err != nil {
		return nil, err
	}
	// SOAP clients know no forms, and read faults.
	l.programs = &authn.Middleware{Authenticators: []authn.Authenticator{basic}, Deny: soapserver.Deny, Observe: l.record.Observe}
	if windows != nil {
		l.programs.Authenticators = []authn.Authenticator{windows, basic}
	}
	l.roles, err = authz.NewRoles(roles)
	return l, err
}

// openDirectory is Active Directory, or an LDAP server whose people have a uid.
func openDirectory(s settings) (*ldap.Directory, error) {
	c := ldap.DirectoryConfig{
		Domain: s.domain, DefaultDomain: s.short, BindUser: s.reader, BindPassword: authn.NewSecret(os.Getenv("PORTAL_READER_PASSWORD")),
	}
	if s.url != "" {
		c.URLs = []string{s.url}
	}
	if s.people != "" {
		c.Kind, c.Domain, c.BaseDN, c.Filter = ldap.Standard, "", s.people, "(uid={user})"
	}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, err
		}
		c.Roots = x509.NewCertPool()
		if !c.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", s.ca)
		}
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return ldap.NewDirectory(c), nil
}

// close writes what is still to be recorded.
func (l *login) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := l.record.Close(ctx); err != nil {
		slog.Warn("logins are missing in the record", slog.String("cause", err.Error()))
	}
	if l.directory != nil {
		_ = l.directory.Close() // nobody uses it any more
	}
}
