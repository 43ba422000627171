package ldap

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory"
)

// Kind says what a Directory asks.
type Kind int

// Kinds of directories.
const (
	ActiveDirectory Kind = iota // and Samba's
	Standard                    // OpenLDAP, 389, FreeIPA and others
)

// GroupLookup says how the groups of an account are found.
type GroupLookup int

const (
	// GroupsAuto is tokenGroups in Active Directory: what the domain itself
	// makes of nested groups. At other servers it is a search for the groups
	// that have the account as a member, and for those that have these.
	GroupsAuto GroupLookup = iota

	// GroupsByMemberOf follows the attribute memberOf of the account and of its
	// groups. OpenLDAP has it with an overlay of that name only.
	GroupsByMemberOf

	// GroupsByChain asks Active Directory for all groups that hold the account,
	// by LDAP_MATCHING_RULE_IN_CHAIN. It is for those who may not read
	// tokenGroups.
	GroupsByChain

	// GroupsNone leaves groups out.
	GroupsNone
)

// Attributes are the names of attributes that accounts are read from. Empty
// ones have the usual names, which are given as those of Active Directory and
// of other servers.
type Attributes struct {
	Name        string // sAMAccountName, uid
	DisplayName string // displayName, cn; where it is missing, cn
	Email       string // mail
	Phone       string // mobile
	UPN         string // userPrincipalName, none
	Group       string // name of a group: sAMAccountName, cn
}

// DirectoryConfig says where the users are. Kind, and either URLs or Domain, or
// both, must be set, and BaseDN for Standard. Check finds what does not fit.
type DirectoryConfig struct {
	Kind Kind

	// URLs are the servers, the preferred one first: ldaps://HOST[:PORT], or
	// ldap://HOST[:PORT] for StartTLS. Without any, DNS names the controllers of
	// Domain.
	URLs []string

	// Domain is the DNS name of an Active Directory domain: corp.test.
	Domain string

	// DefaultDomain is the short name that users without a domain get: CORP. For
	// Active Directory it may be empty where BindUser can be asked for it.
	DefaultDomain string

	// BaseDN is where accounts and groups are below. For Active Directory it may
	// be empty, and is the domain then.
	BaseDN string

	// BindUser and BindPassword are of an account that may read others:
	// user@domain, or a DN. Without it, users log in and are read as themselves,
	// and Account and Accounts work only where anybody may read.
	BindUser     string
	BindPassword authn.Secret

	// Kerberos, if it is set, has everybody log in by Kerberos and not by sending
	// the password, for Active Directory. ldap:// is then sealed by Kerberos and
	// needs no certificate, ldaps:// is bound to it. Servers must be named and
	// not given by address, Domain must be set, and BindUser is user@domain. An
	// empty Config finds the KDCs of the domain by DNS.
	Kerberos *kerberos.Config

	// BindClient, if it is set, reads in place of BindUser, with Kerberos: a
	// client with the keytab of the gateway's own account has no password to
	// keep here.
	BindClient *kerberos.Client

	// Filter finds the entry of a user, for Standard: "(uid={user})". {user} is
	// replaced by what the user typed, escaped. Empty means that the user binds
	// as typed, or as BindName says.
	Filter string

	// BindName makes the name that a user binds by, for Standard without Filter:
	// "{user}@corp.test", or "uid={user},ou=people,dc=corp,dc=test", in which the
	// name is escaped. Empty means "{user}".
	BindName string

	Attributes Attributes

	Groups      GroupLookup
	GroupBase   string // where groups are below, for Standard; empty: BaseDN
	GroupFilter string // of groups, for Standard; empty: groupOfNames, groupOfUniqueNames and posixGroup

	// Roots, AllowInsecurePlain and Dialer are as in Config.
	Roots              *x509.CertPool
	AllowInsecurePlain bool
	Dialer             Dialer

	// Timeout is for each request. Zero means 5 s. A server that is silent for
	// much less is left for another one where there is one.
	Timeout time.Duration

	// MaxConns bounds the connections that are kept for reading. Zero means 8.
	// Logins of users have four times as many at most, one for each, which are
	// closed at once.
	MaxConns int

	// CacheTime is how long names and nested groups are remembered where fresh
	// ones are not needed: for names of groups, and in Accounts. Zero means 5
	// minutes.
	CacheTime time.Duration

	// Resolver asks DNS for controllers. Nil means net.DefaultResolver.
	Resolver Resolver

	Logger *slog.Logger     // nil: none
	Now    func() time.Time // nil: time.Now
}

const (
	defaultConns     = 8
	defaultCacheTime = 5 * time.Minute

	// defaultRequest is the Timeout of a Directory. It is shorter than that of a
	// Conn because somebody waits for a login.
	defaultRequest = 5 * time.Second
)

// A Directory checks passwords and reads accounts at the servers of one domain,
// or of one LDAP directory. It keeps connections and is safe for concurrent
// use. NewDirectory makes it; Close ends the connections.
//
// Its errors are *authn.RefusedError for users who are not let in,
// directory.ErrNotFound, and authn.ErrUnavailable for all that kept it from
// finding out, such as servers that do not answer and a configuration that does
// not fit.
type Directory struct {
	cfg  DirectoryConfig
	err  error // of the configuration
	pool *pool

	cache *cache // groups and names

	mu     sync.Mutex
	domain *domain // of Active Directory, once it is known
}

// NewDirectory returns the directory that cfg describes. Nothing is sent before
// it is asked. What Check finds in cfg is the error of each call.
func NewDirectory(cfg DirectoryConfig) *Directory {
	d := &Directory{err: cfg.Check()}
	if d.err != nil {
		d.err = unavailable(d.err)
	}
	d.cfg = cfg.withDefaults()
	d.pool = newPool(&d.cfg)
	d.cache = newCache(d.cfg.CacheTime, d.cfg.Now)
	return d
}

// reads reports whether there is an account that reads.
func (c *DirectoryConfig) reads() bool { return c.BindUser != "" || c.BindClient != nil }

func (c DirectoryConfig) withDefaults() DirectoryConfig {
	if c.Timeout <= 0 {
		c.Timeout = defaultRequest
	}
	if c.MaxConns <= 0 {
		c.MaxConns = defaultConns
	}
	if c.CacheTime <= 0 {
		c.CacheTime = defaultCacheTime
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.GroupBase == "" {
		c.GroupBase = c.BaseDN
	}
	if c.GroupFilter == "" {
		c.GroupFilter = Or(Equal("objectClass", "groupOfNames"), Equal("objectClass", "groupOfUniqueNames"), Equal("objectClass", "posixGroup"))
	}
	if c.BindName == "" {
		c.BindName = userMark
	}
	c.Attributes = c.Attributes.withDefaults(c.Kind)
	return c
}

func (a Attributes) withDefaults(kind Kind) Attributes {
	usual := Attributes{Name: "sAMAccountName", DisplayName: "displayName", Email: "mail", Phone: "mobile", UPN: "userPrincipalName", Group: "sAMAccountName"}
	if kind == Standard {
		usual = Attributes{Name: "uid", DisplayName: "cn", Email: "mail", Phone: "mobile", Group: "cn"}
	}
	for _, f := range []struct{ set, usual *string }{
		{&a.Name, &usual.Name},
		{&a.DisplayName, &usual.DisplayName},
		{&a.Email, &usual.Email},
		{&a.Phone, &usual.Phone},
		{&a.UPN, &usual.UPN},
		{&a.Group, &usual.Group},
	} {
		if *f.set == "" {
			*f.set = *f.usual
		}
	}
	return a
}

// Close ends the connections. Calls that are made later fail.
func (d *Directory) Close() error {
	d.pool.close()
	return nil
}

// Ping tries each server: it connects, logs in as the account that reads, and
// reads the entry at the base. The error says what does not work at which
// server, and wraps authn.ErrUnavailable. It is for checking a configuration.
func (d *Directory) Ping(ctx context.Context) error {
	if d.err != nil {
		return d.err
	}
	list, err := d.pool.servers.discover(ctx)
	if err != nil {
		return unavailable(err)
	}
	var errs []error
	for _, s := range list {
		if err := d.ping(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.url, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return unavailable(err)
	}
	return nil
}

func (d *Directory) ping(ctx context.Context, s *replica) error {
	c, err := d.pool.dial(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if !d.cfg.reads() {
		return c.ping(ctx) // more may not be allowed to anybody
	}
	if err := d.pool.login(ctx, c); err != nil {
		return err
	}
	v, err := d.view(ctx, c)
	if err != nil {
		return err
	}
	if _, err = c.only(ctx, Search{Base: v.base(), Scope: BaseObject, Attributes: []string{"1.1"}}); errors.Is(err, ErrNotFound) {
		return fmt.Errorf("the base DN is not there, or the account that reads may not see it: %w", err)
	}
	return err
}

// Account returns an account with its groups, nested ones included, as it is
// now. The error wraps directory.ErrNotFound if there is none.
func (d *Directory) Account(ctx context.Context, ref directory.AccountRef) (*directory.Account, error) {
	if d.err != nil {
		return nil, d.err
	}
	var account *directory.Account
	err := d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil {
			return err
		}
		e, err := v.find(ctx, ref)
		if err != nil {
			return err
		}
		account, err = v.account(ctx, e, true)
		return err
	})
	if err != nil {
		return nil, d.judge(err)
	}
	return account, nil
}

// Accounts returns accounts with their groups, in the order of refs. One that
// is not found is nil; any other trouble is the error. There may be up to 500
// refs. Nested groups may be as old as CacheTime.
func (d *Directory) Accounts(ctx context.Context, refs []directory.AccountRef) ([]*directory.Account, error) {
	switch {
	case d.err != nil:
		return nil, d.err
	case len(refs) > MaxAccounts:
		return nil, fmt.Errorf("ldap: %d accounts asked for at a time, want no more than %d", len(refs), MaxAccounts)
	case len(refs) == 0:
		return nil, nil
	}
	var accounts []*directory.Account
	err := d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil {
			return err
		}
		accounts, err = v.accounts(ctx, refs)
		return err
	})
	if err != nil {
		return nil, d.judge(err)
	}
	return accounts, nil
}

// MaxAccounts is how many accounts Accounts returns at a time.
const MaxAccounts = 500
