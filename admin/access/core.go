package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// errNoStore is a configuration that a check lets nobody start with.
var errNoStore = fmt.Errorf("access: %w: administrators need a store", authn.ErrUnavailable)

// A provider is a *oidc.Provider.
type provider interface {
	Begin(ctx context.Context, redirect, returnTo string) (url string, l *oidc.Login, err error)
	Callback(ctx context.Context, l *oidc.Login, r *http.Request) (*authn.Identity, *oidc.Tokens, error)
	Refresh(ctx context.Context, t *oidc.Tokens) (*authn.Identity, *oidc.Tokens, error)
	LogoutURL(ctx context.Context, t *oidc.Tokens, returnTo string) string
	RevokeLater(ctx context.Context, t *oidc.Tokens)
	BackchannelLogout(ctx context.Context, r *http.Request) (subject, sessionID string, err error)
	VerifyIDToken(ctx context.Context, token authn.Secret, nonce string, maxAge time.Duration) (*authn.Identity, *oidc.Tokens, error)
}

var _ provider = (*oidc.Provider)(nil)

// core is what an Access makes of Parts. It does not change.
type core struct {
	Parts
	a         *Access
	admin     *config.Admin
	providers map[string]provider

	passwords judges // of local administrators
	codes     judges // of their second factors

	// Sessions of browsers that see TLS at a proxy, and of those that see what we do.
	behindTLS, direct *session.Manager

	logins oidc.LoginSealer // those that have begun
}

// core returns what the parts in force make, nil if there is no store.
func (a *Access) core() *core {
	p := a.o.Parts()
	if p.Store == nil || p.Config == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.current; c != nil && c.Config == p.Config && c.Store == p.Store && c.Roles == p.Roles {
		return c
	}
	a.current = a.newCore(p)
	return a.current
}

func (a *Access) newCore(p Parts) *core {
	c := &core{Parts: p, a: a, admin: p.Config.Admin, providers: map[string]provider{}}
	if c.admin == nil {
		c.admin = &config.Admin{}
	}
	for name, pr := range p.Providers {
		c.providers[name] = pr
	}
	for name, pr := range a.testOnlyProviders {
		c.providers[name] = pr
	}
	internal := &password.Internal{Users: &administrators{p.Store, c}, Logger: a.log, Now: a.o.Now}
	internal.Hasher.Params = password.Params{
		Memory: uint32(p.Config.Passwords.MemoryKiB), Time: uint32(p.Config.Passwords.Passes), //nolint:gosec // the configuration has bounds
	}
	c.passwords = c.limited("console", &passwordJudge{c, &password.Chain{Internal: internal}})
	c.codes = c.limited("console code", &codeJudge{c})
	c.logins.Key, c.logins.Home, c.logins.Now = c.loginKey, home, a.o.Now
	c.behindTLS, c.direct = c.manager(true, false), c.manager(false, c.plainAllowed())
	return c
}

// loginKey is of logins that have begun, for all nodes.
func (c *core) loginKey(ctx context.Context) (*[32]byte, error) {
	return c.Store.SharedKey(ctx, "admin login key")
}

// limited puts v behind limits of its own: who guesses at services, or at
// passwords here, does not keep an administrator from typing his code, and the
// other way round. A right password forgives no wrong codes.
func (c *core) limited(domain string, v throttle.PasswordVerifier) judges {
	t := c.Config.Throttle
	rules := func(from []config.ThrottleRule) []throttle.Rule {
		rs := make([]throttle.Rule, 0, len(from))
		for _, r := range from {
			rs = append(rs, throttle.Rule{Failures: r.Failures, Block: r.Block.Std()})
		}
		return rs
	}
	limit := func(address []throttle.Rule) *throttle.Limiter {
		return &throttle.Limiter{
			Store: ownBlocks{c.Store}, User: rules(t.User), Address: address, Window: t.Window.Std(),
			Canonical: func(user string) string { return domain + `\` + directory.FoldName(user) },
			Logger:    c.a.log, Now: c.a.o.Now,
		}
	}
	// On this machine, and by a Unix socket, everybody has one address: that of the
	// administrator who repairs things, too.
	return judges{far: limit(rules(t.Address)).Password(v), here: limit([]throttle.Rule{}).Password(v)}
}

// judges are the same verifier for clients of other machines and of this one.
type judges struct{ far, here *throttle.Password }

func (j judges) verify(r *http.Request, user, secret string) (*authn.Identity, error) {
	addr := authn.ClientAddr(r)
	ctx := authn.WithClient(r.Context(), addr)
	if !addr.IsValid() || addr.IsLoopback() || addr.Unmap().IsLoopback() {
		return j.here.VerifyPassword(ctx, user, secret)
	}
	return j.far.VerifyPassword(ctx, user, secret)
}

// ownBlocks keeps failures of addresses here apart from those at services, which
// anybody can cause from behind a proxy that he shares with an administrator.
type ownBlocks struct{ *store.Store }

const addressKey = "address "

func own(key string) string {
	if strings.HasPrefix(key, addressKey) {
		return "console " + key
	}
	return key
}

func owned(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = own(k)
	}
	return out
}

// AddFailure implements throttle.Store.
func (o ownBlocks) AddFailure(ctx context.Context, at, since time.Time, keys ...string) ([]int, error) {
	return o.Store.AddFailure(ctx, at, since, owned(keys)...)
}

// SetBlock implements throttle.Store.
func (o ownBlocks) SetBlock(ctx context.Context, b directory.Block) error {
	b.Key = own(b.Key)
	return o.Store.SetBlock(ctx, b)
}

// BlockOf implements throttle.Store.
func (o ownBlocks) BlockOf(ctx context.Context, at time.Time, keys ...string) (*directory.Block, error) {
	return o.Store.BlockOf(ctx, at, owned(keys)...)
}

// ForgetFailures implements throttle.Store.
func (o ownBlocks) ForgetFailures(ctx context.Context, key string) error {
	return o.Store.ForgetFailures(ctx, own(key))
}

// manager returns the console's sessions. Both kinds have the same rows.
func (c *core) manager(tlsAtProxy, plain bool) *session.Manager {
	s := c.Config.Sessions
	return &session.Manager{
		Store: c.Store, Name: CookieName, Idle: s.Idle.Std(), Absolute: s.Absolute.Std(), Remember: -1,
		TLSAtProxy: tlsAtProxy, AllowInsecureHTTP: plain, Granter: granter{c.a},
		Check:  func(ctx context.Context, id *authn.Identity) (*authn.Identity, error) { return c.check(ctx, id) },
		Logger: c.a.log, Now: c.a.o.Now,
	}
}

// sessions returns those for r's browser. One that came for the console's public
// address, which is https, sees TLS, wherever that ends.
func (c *core) sessions(r *http.Request) *session.Manager {
	if u := c.admin.URL.URL; r.TLS == nil && u != nil && u.Scheme == "https" && strings.EqualFold(r.Host, u.Host) {
		return c.behindTLS
	}
	return c.direct
}

// plainAllowed reports whether nobody can listen between browsers and us although
// there is no TLS.
func (c *core) plainAllowed() bool {
	if c.admin.TLS != nil {
		return false
	}
	if c.Config.Sessions.AllowInsecureHTTP {
		return true
	}
	network, address := c.admin.Addr.Split()
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// base is where browsers find the console, without a slash at its end. Without
// admin.url it is where they say they are, which is trusted on this machine only.
func (c *core) base(r *http.Request) (string, error) {
	if u := c.admin.URL.URL; u != nil {
		return strings.TrimSuffix(u.String(), "/"), nil
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if !strings.EqualFold(host, "localhost") && (err != nil || !addr.IsLoopback()) {
		return "", errors.New("access: admin.url is not set, and a provider needs to know where to lead browsers back")
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host, nil
}
