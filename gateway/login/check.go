package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/gateway/health"
	builder "github.com/soapward/soapward/gateway/realm"
)

// Checks says what the realms depend on. Only the store is essential: a domain
// controller that is away keeps some from logging in, and not all.
func (s *Set) Checks() []health.Check {
	var all []health.Check
	if st := s.o.Store; st != nil {
		all = append(all, health.Check{
			Name: "store", Kind: health.Store, Essential: true,
			Run: func(ctx context.Context) error {
				_, err := st.Note(ctx, "health")
				return err
			},
			Remedy: "look whether the database runs, and at store.dsn; while it is away nobody logs in",
		})
	}
	for _, name := range slices.Sorted(maps.Keys(s.realms)) {
		all = append(all, s.realms[name].checks()...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.config.Services)) {
		switch c := s.config.Services[name].Custom; {
		case c == nil:
		case c.Call.URL != nil:
			all = append(all, provider("service "+name+": call-out "+c.Call.Host, c.Call.URL, "look whether it runs, and at services."+name+".custom.call"))
		case c.JWT != nil && c.JWT.JWKS.URL != nil:
			all = append(all, provider("service "+name+": keys of "+c.JWT.JWKS.Host, c.JWT.JWKS.URL,
				"look at services."+name+".custom.jwt.jwks; keys that were fetched before count for a day"))
		}
	}
	return all
}

// provider looks whether somebody listens: a question about nobody could count as
// a guess there.
func provider(name string, u *url.URL, remedy string) health.Check {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return health.Check{Name: name, Kind: health.Provider, Remedy: remedy, Run: func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		if err != nil {
			return fmt.Errorf("login: %w", err)
		}
		return c.Close()
	}}
}

func (r *realm) checks() (all []health.Check) {
	c, at := r.made.realm, "realm "+r.name+": "
	add := func(name string, kind health.Kind, run func(context.Context) error, remedy string) {
		all = append(all, health.Check{Name: at + name, Kind: kind, Run: run, Remedy: remedy})
	}
	if k := c.Kerberos; k != nil {
		m := &kerberos.Mechanism{Keytab: r.keytab, SPNs: k.SPN}
		add("keytab "+string(k.Keytab), health.File, func(context.Context) error { return m.Check() },
			"soapward doctor --keytab "+string(k.Keytab)+" tells what is wrong with it; soapward join writes a new one")
		add("kdc "+where(k.KDC, k.Realm), health.KDC, r.probeKDCs,
			"look whether the KDC runs, and whether port 88 is open on the way to it (UDP and TCP); realms."+r.name+".kerberos.kdc names others. Tickets are taken all the same")
	}
	if v := r.netlogon; v != nil {
		add("netlogon", health.DomainController, v.Check,
			"look whether the controller runs, and whether ports 135 and 49152-65535 are open on the way to it; for a refused account soapward join --reset makes a new password")
	}
	if v := r.winbind; v != nil {
		add("winbind", health.DomainController, v.Check,
			"look whether winbindd runs (wbinfo -P), and whether the gateway's user is in the group winbindd_priv")
	}
	if p := r.provider; p != nil {
		add("provider "+c.OIDC.Issuer.Host, health.Provider, func(ctx context.Context) error {
			_, err := p.Check(ctx)
			return err
		}, "look whether it runs, and at realms."+r.name+".oidc: issuer, ca_file, proxy; who is logged in goes on for a while, and local administrators always can")
	}
	if d := r.directory; d != nil {
		key := "ad"
		if c.LDAP != nil {
			key = "ldap"
		}
		add("directory", health.Directory, d.Ping, fmt.Sprintf("look at realms.%s.%s: url, base, bind_user, bind_password, ca_file", r.name, key))
	}
	return all
}

func where(hosts []string, realm string) string {
	if len(hosts) == 0 {
		return "of " + realm
	}
	return strings.Join(hosts, ", ")
}

// probeKDCs asks each KDC for a principal of the keytab, which proves nothing. One
// that answers is enough, over one protocol.
func (r *realm) probeKDCs(ctx context.Context) error {
	principals := r.keytab.Principals()
	if len(principals) == 0 {
		return errors.New("login: the keytab has no principal")
	}
	probes, err := kerberos.ProbeKDCs(ctx, builder.KDCs(r.made.realm.Kerberos), principals[0])
	if err != nil {
		return err
	}
	var errs []error
	up := make(map[string]bool)
	for _, p := range probes {
		up[p.Addr] = up[p.Addr] || p.Err == nil
	}
	for _, p := range probes {
		if !up[p.Addr] {
			errs = append(errs, fmt.Errorf("%s over %s: %w", p.Addr, p.Network, p.Err))
		}
		if skew := p.Offset.Abs(); p.HasOffset && skew > kerberos.DefaultSkew {
			errs = append(errs, fmt.Errorf("%s: its clock is %v off ours: tickets are refused", p.Addr, p.Offset))
		}
	}
	return errors.Join(errs...)
}
