package outbound

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/gateway/config"
)

// kerberosOf tells where the KDCs of a configuration are. Those of realms that it
// does not list are found by DNS.
func kerberosOf(c *config.Config) kerberos.Config {
	k := kerberos.Config{Realms: make(map[string]kerberos.Realm), DomainRealm: make(map[string]string), LookupKDC: true}
	for _, r := range c.Realms {
		if r.Kerberos == nil {
			continue
		}
		name := strings.ToUpper(r.Kerberos.Realm)
		if len(r.Kerberos.KDC) > 0 {
			k.Realms[name] = kerberos.Realm{KDCs: r.Kerberos.KDC}
		}
		host := strings.ToLower(name)
		k.DomainRealm[host], k.DomainRealm["."+host] = name, name
	}
	return k
}

// domainsOf maps the short names of domains to their realms.
func domainsOf(c *config.Config) map[string]string {
	domains := make(map[string]string)
	for _, r := range c.Realms {
		if r.Kerberos == nil {
			continue
		}
		var names []string
		if r.AD != nil {
			names = append(append(names, r.AD.Domains...), r.AD.DefaultDomain)
		}
		if r.NTLM != nil {
			names = append(names, r.NTLM.Domain)
		}
		for _, name := range names {
			if name != "" {
				domains[name] = strings.ToUpper(r.Kerberos.Realm)
			}
		}
	}
	return domains
}

// client is an account at a KDC. key is where it stands in the configuration.
func (u *upstream) client(krb kerberos.Config, key string, a *config.Account) (*kerberos.Client, error) {
	for _, known := range u.accounts {
		if known.key == key {
			return known.client, nil
		}
	}
	if _, realm, ok := strings.Cut(a.Principal, "@"); ok {
		krb.DefaultRealm = strings.ToUpper(realm)
	} else {
		return nil, fmt.Errorf("%s.principal is %q: want the realm in it, such as svc-gw@CORP.TEST", key, a.Principal)
	}
	stamp, err := stampOf(krb, key, a)
	if err != nil {
		return nil, err
	}
	for _, f := range u.former {
		if f.key == key && f.stamp == stamp {
			u.accounts = append(u.accounts, f)
			return f.client, nil
		}
	}
	var c *kerberos.Client
	if a.Keytab != "" {
		keytab, err := kerberos.LoadKeytab(string(a.Keytab))
		if err != nil {
			return nil, fmt.Errorf("%s.keytab: %w", key, err)
		}
		if c, err = kerberos.NewKeytabClient(krb, a.Principal, keytab); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	} else {
		password, err := a.Password.Read()
		if err != nil {
			return nil, fmt.Errorf("%s.password: %w", key, err)
		}
		if c, err = kerberos.NewPasswordClient(krb, a.Principal, password); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	u.accounts = append(u.accounts, account{key, c, stamp})
	return c, nil
}

// accountStamp is what a client at a KDC was made of. It is a hash, since a
// password is in it.
type accountStamp [sha256.Size]byte

// stampOf reads before the client does: a file that changes in between makes
// another one with the next configuration.
func stampOf(krb kerberos.Config, key string, a *config.Account) (accountStamp, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%#v\n%q\n", krb, a.Principal) // maps in order
	if a.Keytab != "" {
		b, err := os.ReadFile(string(a.Keytab))
		if err != nil {
			return accountStamp{}, fmt.Errorf("%s.keytab: %w", key, err)
		}
		_, _ = fmt.Fprintf(h, "keytab %d\n%s", len(b), b)
	} else {
		password, err := a.Password.Read()
		if err != nil {
			return accountStamp{}, fmt.Errorf("%s.password: %w", key, err)
		}
		_, _ = fmt.Fprintf(h, "password\n%s", password.Reveal())
	}
	return accountStamp(h.Sum(nil)), nil
}

// accountsOf are those of an upstream, nil if there is none of the name.
func (s *Set) accountsOf(name string) []account {
	for _, u := range s.upstreams {
		if u.name == name {
			return u.accounts
		}
	}
	return nil
}

// credential is an account to log in with at a server, nil for none.
func (u *upstream) credential(krb kerberos.Config, key string, a *config.Account) (authclient.Credential, error) {
	if a == nil {
		return nil, nil
	}
	if a.User != "" {
		password, err := a.Password.Read()
		if err != nil {
			return nil, fmt.Errorf("%s.password: %w", key, err)
		}
		ntlm := &authclient.NTLM{User: a.User, Password: password}
		if !u.config.AllowBasic {
			return ntlm, nil
		}
		return &orBasic{ntlm, &authclient.Basic{User: a.User, Password: password}}, nil
	}
	c, err := u.client(krb, key, a)
	if err != nil {
		return nil, err
	}
	ticket := &authclient.Kerberos{Client: c}
	if !u.config.AllowNTLM || a.Keytab != "" {
		return ticket, nil
	}
	password, err := a.Password.Read()
	if err != nil {
		return nil, fmt.Errorf("%s.password: %w", key, err)
	}
	return &authclient.KerberosFirst{
		Kerberos: ticket, NTLM: &authclient.NTLM{User: a.Principal, Password: password}, AllowNTLM: true,
	}, nil
}

// orBasic logs in by NTLM, and by Basic at servers that offer nothing else. Basic
// refuses plain HTTP.
type orBasic struct {
	*authclient.NTLM
	basic *authclient.Basic
}

var _ authclient.Credential = (*orBasic)(nil)

// Key implements authclient.Credential.
func (c *orBasic) Key() string { return c.NTLM.Key() + " or " + c.basic.Key() }

// Schemes implements authclient.Credential.
func (c *orBasic) Schemes() []string { return append(c.NTLM.Schemes(), c.basic.Schemes()...) }

// NewInitiator implements authclient.Credential.
func (c *orBasic) NewInitiator(scheme string, t authclient.Target, cb authn.ChannelBinding) (authn.Initiator, error) {
	if scheme == authclient.SchemeBasic {
		return c.basic.NewInitiator(scheme, t, cb)
	}
	return c.NTLM.NewInitiator(scheme, t, cb)
}
