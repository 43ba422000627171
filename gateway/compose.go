package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/soapward/soapward/admin/access"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/audit"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/inbound"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/observe"
	"github.com/soapward/soapward/gateway/outbound"
	"github.com/soapward/soapward/gateway/publish"
	"github.com/soapward/soapward/gateway/realm"
	"github.com/soapward/soapward/gateway/trail"
)

// observer is what the gateway needs of an *observe.Observer.
type observer interface {
	Wrap(d trail.Direction, listener string, next http.Handler) http.Handler
	Reconfigure(c *config.Config) error
	Reloaded(err error)
	Recheck()
	Drain()
	Admin() http.Handler
}

// composer puts the real parts together.
type composer struct {
	*observe.Observer
	log   *slog.Logger
	admin *administration
}

func newComposer(c *config.Config, g *Gateway, version string) (*composer, error) {
	o, err := observe.New(c, observe.Options{Logger: g.log, Checks: g.Checks, Pools: g.pools, Version: version})
	if err != nil {
		return nil, err
	}
	p := &composer{Observer: o, log: g.log}
	p.admin = newAdministration(g, p)
	return p, nil
}

func (p *composer) close(ctx context.Context) error {
	p.admin.wait()
	return p.Close(ctx)
}

// made is what a generation is made of, with what tells whether the next one may
// take it over.
type made struct {
	config   *config.Config
	store    *keptStore // nil: none is configured
	logins   *login.Set
	issuer   *identity.Issuer // nil: none
	keys     string           // stamp of the issuer
	backends map[string]*keptBackend
	outbound *outbound.Set // nil: no upstreams

	inbound    *inbound.Handler
	operations map[string][]string // of services that publish a description
	access     access.Parts
}

// keptStore is a store with the record of logins in it.
type keptStore struct {
	*store.Store
	record *audit.Recorder
	stamp  string
}

type keptBackend struct {
	*backend.Proxy
	issuer *identity.Issuer
	stamp  string
}

func (p *composer) build(ctx context.Context, c *config.Config, previous *generation) (*generation, error) {
	return p.make(ctx, c, previous, false)
}

// make is build. One that is only to be looked at has the store of the generation
// before.
func (p *composer) make(ctx context.Context, c *config.Config, previous *generation, look bool) (_ *generation, err error) {
	old := new(made)
	if previous != nil {
		old = previous.own.(*made)
	}
	m := &made{config: c, backends: make(map[string]*keptBackend)}
	defer func() {
		if err != nil {
			p.end(m, old)
		}
	}()
	if look && c.Store.Driver != "" {
		m.store = old.store
	} else if err := m.openStore(ctx, c, old, p.log); err != nil {
		return nil, err
	}
	if m.logins, err = login.New(c, login.Options{Store: m.sharedStore(), Logger: p.log, Observe: p.login(m.store)}, old.logins); err != nil {
		return nil, err
	}
	if err := m.openIssuer(c, old); err != nil {
		return nil, err
	}
	if err := m.openBackends(c, old, p.log); err != nil {
		return nil, err
	}
	publishers, err := publish.All(c)
	if err != nil {
		return nil, err
	}
	in, err := inbound.New(c, inbound.Parts{
		Logins: m.logins, Backends: m.proxies(), Publishers: publishers, Issuer: m.issuer, Logger: p.log, Observe: p.Denied,
	})
	if err != nil {
		return nil, err
	}
	m.inbound, m.operations = in, operationsOf(publishers)
	m.access = m.accessParts(c)
	g := &generation{
		config: c, proxies: proxiesOf(c), inbound: in, checks: m.checks, own: m,
		background: m.logins.Run, inForce: func() {
			p.SetOperations(m.operations)
			if m.store != nil {
				m.store.KeepLogins(c.Store.KeepLogins.Std())
			}
		},
	}
	for _, w := range c.Warnings() {
		g.warnings = append(g.warnings, w.String())
	}
	if len(c.Upstreams) > 0 {
		if m.outbound, err = outbound.New(c, outbound.Parts{
			Logins: m.logins, Issuer: m.issuer, Logger: p.log, Observe: p.delegation(m.store), Previous: old.outbound,
		}); err != nil {
			return nil, err
		}
		for _, e := range m.outbound.Endpoints() {
			g.outbound = append(g.outbound, endpoint{e.Name, e.Addr, e.Handler})
		}
		for _, w := range m.outbound.Warnings() {
			g.warnings = append(g.warnings, w.String())
		}
	}
	g.end = func(next *generation) {
		after := new(made)
		if next != nil {
			after = next.own.(*made)
		}
		p.end(m, after)
	}
	return g, nil
}

// end ends what m has and other does not.
func (p *composer) end(m, other *made) {
	var errs []error
	if m.outbound != nil {
		errs = append(errs, m.outbound.Close())
	}
	for name, b := range m.backends {
		if other.backends[name] != b {
			errs = append(errs, b.Close())
		}
	}
	if m.logins != nil {
		errs = append(errs, m.logins.Close(other.logins))
	}
	if m.store != nil && m.store != other.store {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		errs = append(errs, m.store.record.Close(ctx), m.store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		p.log.Warn("parts that are not needed any more", slog.String("cause", err.Error()))
	}
}

// login tells the observer and the store's record of each login.
func (p *composer) login(s *keptStore) func(context.Context, *authn.Decision) {
	if s == nil {
		return p.Login
	}
	return func(ctx context.Context, d *authn.Decision) {
		p.Login(ctx, d)
		s.record.Observe(ctx, d)
	}
}

// delegation tells the observer and the store's record of each caller who is passed
// on, or cannot be.
func (p *composer) delegation(s *keptStore) func(context.Context, delegation.Decision) {
	if s == nil {
		return p.Delegation
	}
	return func(ctx context.Context, d delegation.Decision) {
		p.Delegation(ctx, d)
		if d.Err != nil && errors.Is(d.Err, delegation.ErrDoubleHop) {
			s.record.DoubleHop()
		}
	}
}

func (m *made) openStore(ctx context.Context, c *config.Config, old *made, log *slog.Logger) error {
	if c.Store.Driver == "" {
		return nil
	}
	stamp := stampOf(&c.Store)
	if old.store != nil && (old.store.stamp == stamp && old.config.Store == c.Store || sameFile(&old.config.Store, &c.Store)) {
		m.store = old.store
		return nil
	}
	s, err := realm.OpenGatewayStore(ctx, &c.Store, log)
	if err != nil {
		return fmt.Errorf("gateway: store: %w", err)
	}
	m.store = &keptStore{s, audit.New(audit.Config{Store: s, Logger: log}), stamp}
	return nil
}

// sameFile reports whether two stores are one SQLite, which this process cannot
// open once more: it has the file for itself. run does the rest.
func sameFile(a, b *config.Store) bool {
	return a.Driver == config.SQLite && b.Driver == config.SQLite && a.DSN == b.DSN
}

func (m *made) sharedStore() *store.Store {
	if m.store == nil {
		return nil
	}
	return m.store.Store
}

// openIssuer keeps the issuer while nothing of it changed, and the files of its
// keys did not either, so that backends can be kept too.
func (m *made) openIssuer(c *config.Config, old *made) (err error) {
	stamp := ""
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if u := c.Services[name].Upstream; u != nil {
			stamp += name + ": " + stampOf(u.Identity)
		}
	}
	stamp += stampOf(&c.Tokens)
	m.keys = stamp
	if old.config != nil && old.keys == stamp {
		m.issuer = old.issuer
		return nil
	}
	m.issuer, err = identity.New(c, old.issuer)
	return err
}

func (m *made) openBackends(c *config.Config, old *made, log *slog.Logger) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		u := c.Services[name].Upstream
		if u == nil || len(u.Servers()) == 0 {
			continue // another proxy passes its requests on
		}
		stamp := stampOf(u)
		if k := old.backends[name]; k != nil && k.stamp == stamp && k.issuer == m.issuer && reflect.DeepEqual(old.config.Services[name].Upstream, u) {
			m.backends[name] = k
			continue
		}
		b, err := backend.New(u, backend.Options{
			Service: name, Issuer: m.issuer, Logger: log, Deny: inbound.Deny, Roles: inbound.Roles, OwnCookie: login.IsCookie,
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("gateway: services.%s.upstream: %w", name, err))
			continue
		}
		m.backends[name] = &keptBackend{b, m.issuer, stamp}
	}
	return errors.Join(errs...)
}

func (m *made) proxies() map[string]*backend.Proxy {
	out := make(map[string]*backend.Proxy, len(m.backends))
	for name, b := range m.backends {
		out[name] = b.Proxy
	}
	return out
}

func proxiesOf(c *config.Config) *authn.Proxies {
	p := new(authn.Proxies)
	for _, n := range c.TrustedProxies {
		p.Networks = append(p.Networks, n.Prefix)
	}
	return p
}

func (m *made) checks() []health.Check {
	checks := m.logins.Checks() // that of the store, too
	for _, name := range slices.Sorted(maps.Keys(m.backends)) {
		checks = append(checks, m.backends[name].Checks()...)
	}
	if m.outbound != nil {
		checks = append(checks, m.outbound.Checks()...)
	}
	return checks
}

// stampOf changes with the values of a part of the configuration and with the
// files that it names.
func stampOf(v any) string {
	var files []string
	var b strings.Builder
	walkValues(reflect.ValueOf(v), "", func(path string, v any) {
		if p, ok := v.(config.Path); ok && p != "" {
			files = append(files, string(p))
		}
		fmt.Fprintf(&b, "%s: %#v\n", path, v)
	})
	stamps := fingerprint(files)
	for _, f := range files {
		fmt.Fprintf(&b, "%s\n", stamps[f])
	}
	return b.String()
}

// walkValues calls f for each value that is no struct, pointer, list or table.
func walkValues(v reflect.Value, path string, f func(path string, v any)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walkValues(v.Elem(), path, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if t := v.Type().Field(i); t.IsExported() {
				walkValues(v.Field(i), path+"."+t.Name, f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walkValues(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, k := range keys {
			walkValues(v.MapIndex(k), path+"."+k.String(), f)
		}
	default:
		if v.IsValid() {
			f(path, v.Interface())
		}
	}
}
