package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// openStore opens the store of a configuration.
func openStore(ctx context.Context, c *config.Config, log *slog.Logger) (*store.Store, error) {
	if c.Store.Driver == "" {
		return nil, withRemedy(errors.New("the configuration has no store"), "store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}")
	}
	sc := store.Config{Driver: string(c.Store.Driver), DSN: c.Store.DSN, Logger: log, KeepLogins: c.Store.KeepLogins.Std()}
	if !c.Store.Password.IsZero() {
		var err error
		if sc.Password, err = c.Store.Password.Read(); err != nil {
			return nil, fmt.Errorf("store.password: %w", err)
		}
	}
	s, err := store.Open(ctx, sc)
	return s, noStore(sc.Driver, err)
}

// openAD returns the directory of a realm.
func openAD(r *config.Realm, log *slog.Logger) (*ldap.Directory, error) {
	ad := r.AD
	cfg := ldap.DirectoryConfig{
		Kind: ldap.ActiveDirectory, Domain: ad.Domain, DefaultDomain: ad.DefaultDomain, BaseDN: ad.Base,
		BindUser: ad.BindUser, Groups: groupLookups[ad.Groups], Timeout: ad.Timeout.Std(), Logger: log,
	}
	for _, u := range ad.URL {
		cfg.URLs = append(cfg.URLs, u.Server())
	}
	var err error
	if !ad.BindPassword.IsZero() {
		if cfg.BindPassword, err = ad.BindPassword.Read(); err != nil {
			return nil, fmt.Errorf("ad.bind_password: %w", err)
		}
	}
	if cfg.Roots, err = rootsOf(ad.CAFile); err != nil {
		return nil, err
	}
	if ad.Sealed {
		cfg.Kerberos = &kerberos.Config{}
		if k := r.Kerberos; k != nil {
			cfg.Kerberos.DefaultRealm = k.Realm
			cfg.Kerberos.Realms = map[string]kerberos.Realm{k.Realm: {KDCs: k.KDC}}
		}
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return ldap.NewDirectory(cfg), nil
}

var groupLookups = map[config.Groups]ldap.GroupLookup{
	config.GroupsAuto: ldap.GroupsAuto, config.GroupsMemberOf: ldap.GroupsByMemberOf,
	config.GroupsChain: ldap.GroupsByChain, config.GroupsNone: ldap.GroupsNone,
}

func rootsOf(file config.Path) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	return loadRoots("ad.ca_file", string(file))
}
