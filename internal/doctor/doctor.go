package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Config says what to look at, and who is asked. Only Keytab must be set.
type Config struct {
	Keytab  string   // the file
	Offline bool     // ask nobody
	Names   []string // hosts by which clients call

	// Kerberos says where KDCs are. Those of a realm that it does not know are
	// found by DNS; its DefaultRealm does not count.
	Kerberos kerberos.Config
	KDCs     []string // those of the keytab's realm instead, host or host:port

	// User asks for tickets instead of the keytab's account, if it is set.
	User     string
	Password authn.Secret

	// Directory connects to the directory of a realm, logged in. Nil means that
	// it is not asked.
	Directory func(ctx context.Context, realm string) (Searcher, error)

	Resolver Resolver          // nil means net.DefaultResolver
	Progress func(text string) // is told what is being done, unless nil
}

func (c *Config) resolver() Resolver {
	if c.Resolver == nil {
		return net.DefaultResolver
	}
	return c.Resolver
}

func (c *Config) progress(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// doctor is one run.
type doctor struct {
	cfg    Config
	report *Report
	keytab *kerberos.Keytab
	krb    kerberos.Config  // to ask with
	own    *kerberos.Client // the keytab's account, logged in; nil: it cannot
	asker  *kerberos.Client // who gets tickets: the user, or own; nil: nobody can

	userRefused bool // a KDC did not take the user's password

	owned        map[int]*owned // by account
	accountNames []string       // all of them, without realm
}

// Run looks at a keytab and what belongs to it. The error is that of ctx, or
// tells that the configuration makes no sense; whatever else goes wrong is a
// finding.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Keytab == "" {
		return nil, errors.New("doctor: Config has no Keytab")
	}
	d := &doctor{cfg: cfg, report: &Report{
		Offline: cfg.Offline, Keytab: Keytab{File: cfg.Keytab, Keys: []Key{}},
		KDCs: []KDC{}, Accounts: []Account{}, Services: []Service{}, Findings: []Finding{},
	}}
	usable := d.readKeytab()
	d.report.Realm = d.realm()
	d.listServices()
	if len(d.report.Keytab.Keys) > 0 {
		d.checkWanted(ctx)
	}
	if usable && !cfg.Offline {
		d.ask(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.report.finish()
	return d.report, nil
}

// ask asks KDC and directory.
func (d *doctor) ask(ctx context.Context) {
	d.configure()
	reached := d.probe(ctx)
	if reached {
		d.logIn(ctx)
		d.askTickets(ctx)
	}
	d.askDirectory(ctx)
}

// realm is that of the keytab's first account, or of its first name.
func (d *doctor) realm() string {
	keys := d.report.Keytab.Keys
	for _, k := range keys {
		if !isService(k.name) {
			return k.realm
		}
	}
	if len(keys) > 0 {
		return keys[0].realm
	}
	return ""
}

// configure makes a configuration for the keytab's realm. RC4 is allowed, to
// find out where it is still used.
func (d *doctor) configure() {
	c, realm := d.cfg.Kerberos, d.report.Realm
	c.DefaultRealm, c.AllowRC4 = realm, true
	c.Realms = maps.Clone(c.Realms)
	if len(d.cfg.KDCs) > 0 {
		if c.Realms == nil {
			c.Realms = map[string]kerberos.Realm{}
		}
		c.Realms[realm] = kerberos.Realm{KDCs: d.cfg.KDCs}
	}
	known := slices.ContainsFunc(slices.Collect(maps.Keys(c.Realms)), func(n string) bool {
		return strings.EqualFold(n, realm) && len(c.Realms[n].KDCs) > 0
	})
	if !known {
		c.LookupKDC = true
		maps.DeleteFunc(c.Realms, func(n string, _ kerberos.Realm) bool { return strings.EqualFold(n, realm) })
	}
	d.krb = c
}

// listServices puts the service names of the file into the report.
func (d *doctor) listServices() {
	at := map[string]int{}
	for _, k := range d.report.Keytab.Keys {
		if !isService(k.name) || strings.EqualFold(class(k.name), "krbtgt") {
			continue
		}
		i, ok := at[k.Principal]
		if !ok {
			i = len(d.report.Services)
			at[k.Principal] = i
			d.report.Services = append(d.report.Services, Service{Name: k.name, Realm: k.realm})
		}
		s := &d.report.Services[i]
		if !slices.Contains(s.Versions, k.KVNO) {
			s.Versions = append(s.Versions, k.KVNO)
		}
	}
	for _, s := range d.report.Services {
		slices.SortFunc(s.Versions, func(a, b uint32) int { return cmp.Compare(b, a) })
	}
}
