// Package realm opens what a configuration names: the store, directories,
// verifiers of NTLM, roles. The gateway and the commands make them here, so that
// both take the same words to mean the same.
//
//   - [OpenStore], [OpenGatewayStore], [Directory] and [Netlogon] each open one
//     thing. None but those of the store asks anybody.
//   - [Domains], [Spellings], [Names] and [Sync] say who is in a realm, and
//     [Roles] what roles there are.
//
// Errors name the key of the configuration that they are about.
//
// Compatibility: exported names keep their meaning within a major version.
package realm

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// OpenStore opens the store of a configuration, which must have one, for a program
// beside the gateway. An error that wraps authn.ErrUnavailable says that nobody
// answers there.
func OpenStore(ctx context.Context, c *config.Store, log *slog.Logger) (*store.Store, error) {
	return openStore(ctx, c, log, false)
}

// OpenGatewayStore is OpenStore for the gateway. It is the only one that logs in
// with a SQLite, so that another one on the same file is store.ErrInUse.
func OpenGatewayStore(ctx context.Context, c *config.Store, log *slog.Logger) (*store.Store, error) {
	return openStore(ctx, c, log, true)
}

func openStore(ctx context.Context, c *config.Store, log *slog.Logger, exclusive bool) (*store.Store, error) {
	sc := store.Config{Driver: string(c.Driver), DSN: c.DSN, Logger: log, KeepLogins: c.KeepLogins.Std(), Exclusive: exclusive}
	var err error
	if sc.Password, err = secret(c.Password, "store.password"); err != nil {
		return nil, err
	}
	return store.Open(ctx, sc)
}

// secret reads a secret, if there is one.
func secret(s config.Secret, key string) (authn.Secret, error) {
	if s.IsZero() {
		return authn.Secret{}, nil
	}
	v, err := s.Read()
	if err != nil {
		return v, fmt.Errorf("%s: %w", key, err)
	}
	return v, nil
}

// Directory returns the directory of a realm, nil if it has none. Nobody is asked
// before the first call of its methods.
func Directory(r *config.Realm, log *slog.Logger) (*ldap.Directory, error) {
	var cfg ldap.DirectoryConfig
	var err error
	switch {
	case r.AD != nil:
		cfg, err = adConfig(r)
	case r.LDAP != nil:
		cfg, err = ldapConfig(r.LDAP)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cfg.Logger = log
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return ldap.NewDirectory(cfg), nil
}

func adConfig(r *config.Realm) (cfg ldap.DirectoryConfig, err error) {
	ad := r.AD
	cfg = ldap.DirectoryConfig{
		Kind: ldap.ActiveDirectory, URLs: servers(ad.URL), Domain: ad.Domain, DefaultDomain: ad.DefaultDomain, BaseDN: ad.Base,
		BindUser: ad.BindUser, Groups: groupLookups[ad.Groups], Timeout: ad.Timeout.Std(),
	}
	if cfg.BindPassword, err = secret(ad.BindPassword, "ad.bind_password"); err != nil {
		return cfg, err
	}
	if cfg.Roots, err = roots(ad.CAFile, "ad.ca_file"); err != nil {
		return cfg, err
	}
	if ad.Sealed {
		cfg.Kerberos = &kerberos.Config{}
		if r.Kerberos != nil {
			*cfg.Kerberos = KDCs(r.Kerberos)
		}
	}
	return cfg, nil
}

func ldapConfig(l *config.LDAP) (cfg ldap.DirectoryConfig, err error) {
	cfg = ldap.DirectoryConfig{
		Kind: ldap.Standard, URLs: servers(l.URL), DefaultDomain: l.DefaultDomain, BaseDN: l.Base,
		Filter: l.Filter, BindName: l.BindName, BindUser: l.BindUser,
		Attributes: ldap.Attributes{
			Name: l.Attributes.Name, DisplayName: l.Attributes.DisplayName, Email: l.Attributes.Email,
			Phone: l.Attributes.Phone, UPN: l.Attributes.UPN, Group: l.Attributes.Group,
		},
		Groups: groupLookups[l.Groups], GroupBase: l.GroupBase, GroupFilter: l.GroupFilter,
		AllowInsecurePlain: l.AllowInsecurePlain, Timeout: l.Timeout.Std(),
	}
	if l.Style == config.StyleAD && l.BindName == "" && l.DefaultDomain != "" {
		cfg.BindName = "{user}@" + l.DefaultDomain
	}
	if cfg.BindPassword, err = secret(l.BindPassword, "ldap.bind_password"); err != nil {
		return cfg, err
	}
	cfg.Roots, err = roots(l.CAFile, "ldap.ca_file")
	return cfg, err
}

func servers(urls config.ServerURLs) (out []string) {
	for _, u := range urls {
		out = append(out, u.Server())
	}
	return out
}

var groupLookups = map[config.Groups]ldap.GroupLookup{
	config.GroupsAuto: ldap.GroupsAuto, config.GroupsMemberOf: ldap.GroupsByMemberOf,
	config.GroupsChain: ldap.GroupsByChain, config.GroupsNone: ldap.GroupsNone,
}

// roots reads the authorities in a file: PEM, or one in DER, which is what
// certutil writes on Windows.
func roots(file config.Path, key string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(string(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if pool.AppendCertsFromPEM(b) {
		return pool, nil
	}
	cert, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %s has no certificate, in PEM or DER", key, file)
	}
	pool.AddCert(cert)
	return pool, nil
}

// KDCs returns how the KDCs of a realm are found: by DNS if none are configured.
func KDCs(k *config.Kerberos) kerberos.Config {
	if len(k.KDC) == 0 {
		return kerberos.Config{DefaultRealm: k.Realm, LookupKDC: true}
	}
	return kerberos.Config{DefaultRealm: k.Realm, Realms: map[string]kerberos.Realm{k.Realm: {KDCs: k.KDC}}}
}

// Domains are those whose users the directory knows.
func Domains(ad *config.AD) []string {
	domains := ad.Domains
	if len(domains) == 0 && ad.DefaultDomain != "" {
		domains = []string{ad.DefaultDomain}
	}
	if len(domains) > 0 && ad.Domain != "" {
		// Users have it who logged in by Kerberos while nobody told the short name.
		domains = append(slices.Clone(domains), ad.Domain)
	}
	return domains
}

// Spellings are the names that users of a realm may write for its domain. The
// first is the short one, which is the realm's own name where it has no other.
func Spellings(name string, r *config.Realm) []string {
	var out []string
	add := func(names ...string) {
		for _, n := range names {
			if n != "" && !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, n) }) {
				out = append(out, n)
			}
		}
	}
	if r.AD != nil {
		add(r.AD.DefaultDomain)
	}
	if r.LDAP != nil {
		add(r.LDAP.DefaultDomain)
	}
	if r.NTLM != nil {
		add(r.NTLM.Domain)
	}
	if r.AD != nil {
		add(r.AD.Domain)
	}
	if r.Kerberos != nil {
		add(r.Kerberos.Realm)
	}
	if len(out) == 0 {
		add(name)
	}
	return out
}

// Names gives users of a realm one spelling each, for the counts of failures.
func Names(name string, r *config.Realm) throttle.Names {
	n := throttle.Names{Domains: [][]string{Spellings(name, r)}, AnyDomain: AnyDomain(r)}
	if r.AD != nil {
		for _, d := range r.AD.Domains {
			if !slices.ContainsFunc(n.Domains[0], func(o string) bool { return strings.EqualFold(o, d) }) {
				n.Domains = append(n.Domains, []string{d})
			}
		}
	}
	return n
}

// AnyDomain reports whether users of a realm may name whatever domain in an NTLM
// login: all of them are internal ones. So it is at a Windows server that is in no
// domain, and clients count on it: they fill in the name of their own computer, or
// of the domain that they are in, for people who type none.
func AnyDomain(r *config.Realm) bool {
	return r.Internal != nil && r.Internal.NTLM && r.NTLM == nil && r.AD == nil && r.LDAP == nil
}

// Sync returns the daily job of a realm with ad. It is an error if the
// configuration does not say whose users it is for.
func Sync(name string, r *config.Realm, s provision.SyncStore, dir provision.BatchSource, log *slog.Logger) (*provision.Sync, error) {
	domains := Domains(r.AD)
	if len(domains) == 0 {
		return nil, fmt.Errorf("realm %s does not say which domains its directory knows: add realms.%s.ad.default_domain, such as CORP", name, name)
	}
	return &provision.Sync{
		Realm: name, Aliases: r.Aliases, Domains: domains, Store: s, Source: dir,
		AllowManyGone: r.AD.Sync.AllowManyGone, Logger: log,
	}, nil
}
