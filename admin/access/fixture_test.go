package access

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

// Secrets of tests are marked, so that a log which has one is found.
const (
	secretPassword = "Marked-pw-correct-horse"
	wrongSecret    = "Marked-pw-wrong"
)

// world is an Access with a store, and what is logged and recorded.
type world struct {
	t      testing.TB
	store  *store.Store
	access *Access
	log    *testenv.Log
	it     *fakeProvider // both are honest until a test says otherwise
	other  *fakeProvider

	mu    sync.Mutex
	now   time.Time // zero: the clock's
	parts Parts
	seen  []*authn.Decision

	areas  http.Handler  // below /admin/v1/, in place of a page that tells who asks
	looked chan struct{} // gets something when Parts is called, if somebody waits for it
}

func newWorld(t testing.TB, change ...func(c *config.Config)) *world {
	t.Helper()
	w := &world{t: t, log: new(testenv.Log)}
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	w.store, err = store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "soapward.db"), Logger: logger, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	roles, err := authz.NewRoles(authz.Config{Logger: logger, Roles: map[string]authz.Role{
		"gwadmins":    {Users: []string{`it\alice@example.com`}},
		"gwoperators": {Claims: map[string][]string{"groups": {"operators"}}},
		"gwviewers":   {Users: []string{`it\vera@example.com`}},
		"staff":       {Groups: []string{`CORP\Staff`}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(t)
	for _, f := range change {
		f(c)
	}
	w.parts = Parts{Config: c, Store: w.store, Roles: roles}
	w.access = New(Options{
		Logger: logger, Now: w.clock, Provision: w.provision,
		Parts: func() Parts {
			select {
			case w.looked <- struct{}{}:
			default:
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.parts
		},
		Observe: func(_ context.Context, d *authn.Decision) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, d)
		},
	})
	w.it, w.other = newFake("it"), newFake("partners")
	w.access.testOnlyProviders = map[string]provider{"it": w.it, "partners": w.other}
	return w
}

// testConfig is what a test needs of a configuration, without the checks that
// belong to a whole one.
func testConfig(t testing.TB) *config.Config {
	t.Helper()
	const minute = config.Duration(time.Minute)
	c := &config.Config{
		Sessions: config.Sessions{Idle: 20 * minute, Absolute: 12 * 60 * minute},
		Throttle: config.Throttle{
			Window:  60 * minute,
			User:    []config.ThrottleRule{{Failures: 3, Block: minute / 2}, {Failures: 6, Block: 30 * minute}},
			Address: []config.ThrottleRule{{Failures: 20, Block: 5 * minute}},
		},
	}
	c.Admin = &config.Admin{
		Addr: "127.0.0.1:9090", Login: []string{"it", "partners"},
		Roles: config.AdminRoles{Administrator: []string{"gwadmins"}, Operator: []string{"gwoperators"}, Viewer: []string{"gwviewers", "staff", `CORP\Staff`}},
	}
	issuer, err := url.Parse("https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c.Realms = map[string]*config.Realm{
		"it":       {OIDC: &config.Provider{Issuer: config.URL{URL: issuer}, ClientID: "web", DesktopClientID: "desktop", Scopes: []string{"groups"}}},
		"partners": {OIDC: &config.Provider{Issuer: config.URL{URL: issuer}, ClientID: "web"}},
	}
	c.Passwords.MemoryKiB, c.Passwords.Passes = 64, 1
	return c
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.IsZero() {
		return time.Now()
	}
	return w.now
}

// later moves the clock.
func (w *world) later(d time.Duration) {
	now := w.clock().Add(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// change puts another configuration into force.
func (w *world) change(f func(c *config.Config)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *w.parts.Config
	admin := *c.Admin
	c.Admin = &admin
	f(&c)
	w.parts.Config = &c
}

// provision is what package directory/provision does, as far as it matters here.
func (w *world) provision(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error) {
	u, err := w.store.User(ctx, id.String())
	if err != nil {
		u = &directory.User{Name: id.String(), Realm: realm, Subject: realm + " " + t.Subject}
		if err := w.store.CreateUser(ctx, u); err != nil {
			return nil, &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonUnknownUser, User: id.String(), Err: err}
		}
	}
	if u.State != directory.Active || u.Realm != realm {
		return nil, &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonDisabled, User: id.String()}
	}
	return id, nil
}

// local makes a local administrator, and returns the secret of the second factor.
func (w *world) local(name string, change ...func(u *directory.User)) (*directory.User, string) {
	w.t.Helper()
	secret := totp.NewSecret()
	u := &directory.User{Name: name, LocalAdmin: true, SecondFactor: authn.NewSecret(secret)}
	for _, f := range change {
		f(u)
	}
	if err := w.store.CreateUser(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
	in := password.Internal{Users: w.store}
	in.Hasher.Params = password.Params{Memory: 64, Time: 1}
	if err := in.SetPassword(w.t.Context(), u, secretPassword); err != nil {
		w.t.Fatal(err)
	}
	return u, secret
}

func (w *world) code(secret string) string {
	w.t.Helper()
	code, err := totp.At(secret, w.clock())
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

// decisions returns what was observed since the last call, as "mechanism outcome
// user reason".
func (w *world) decisions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, d := range w.seen {
		all = append(all, strings.TrimSpace(fmt.Sprint(d.Mechanism, " ", d.Outcome, " ", d.User, " ", d.Reason)))
	}
	w.seen = nil
	return all
}

// handler is what the admin listener has.
func (w *world) handler() http.Handler {
	pages := w.access.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		by := admin.FromContext(r.Context())
		rw.Header().Set("X-Session", by.Session)
		_, _ = fmt.Fprintf(rw, "hello %s %v %v %s csrf=%s", by.Name, by.Role, by.Local, by.Login, w.access.CSRF(r))
	}))
	mux := http.NewServeMux()
	mux.Handle("/console/", pages)
	if w.areas == nil {
		mux.Handle("/admin/v1/", pages)
	} else {
		mux.Handle("/admin/v1/", w.access.Wrap(w.areas))
	}
	return mux
}

// site is a world that is served.
func (w *world) site() *site {
	w.t.Helper()
	return w.siteFrom("")
}

// siteFrom is a site whose clients come from an address, if it is not empty.
func (w *world) siteFrom(addr string) *site {
	w.t.Helper()
	h := w.handler()
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get("Test-From"); from != "" {
			r.RemoteAddr = from + ":1234"
		} else if addr != "" {
			r.RemoteAddr = addr + ":1234"
		}
		h.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(s.Close)
	return &site{w, s}
}

// fakeProvider is a provider that has no protocol: what a browser comes back with
// is an account's name.
type fakeProvider struct {
	name string

	mu        sync.Mutex
	err       error           // of everything
	hang      time.Duration   // before everything
	logout    string          // LogoutURL
	begun     []*oidc.Login   // that began
	used      map[string]bool // codes
	refreshed int
	revoked   []string // refresh tokens
	claims    authn.Claims
	domain    string // of identities, in place of the name
	due       time.Time
}

func newFake(name string) *fakeProvider { return &fakeProvider{name: name, used: map[string]bool{}} }

func (p *fakeProvider) set(f func(p *fakeProvider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *fakeProvider) wait(ctx context.Context) error {
	p.mu.Lock()
	hang, err := p.hang, p.err
	p.mu.Unlock()
	if hang > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", authn.ErrUnavailable, ctx.Err())
		case <-time.After(hang):
		}
	}
	return err
}

func (p *fakeProvider) Begin(ctx context.Context, redirect, returnTo string) (string, *oidc.Login, error) {
	if err := p.wait(ctx); err != nil {
		return "", nil, err
	}
	l := &oidc.Login{Provider: p.name, State: randomText(), Nonce: randomText(), Redirect: redirect, Return: returnTo, Begun: time.Now()}
	p.set(func(p *fakeProvider) { p.begun = append(p.begun, l) })
	return "https://" + p.name + ".example/authorize?" + url.Values{"state": {l.State}, "redirect_uri": {redirect}}.Encode(), l, nil
}

// back is where the provider leads a browser that was sent to it.
func (p *fakeProvider) back(t testing.TB, sent, account string) string {
	t.Helper()
	u, err := url.Parse(sent)
	if err != nil || u.Host != p.name+".example" {
		t.Fatalf("%s does not lead to the provider: %v", sent, err)
	}
	to, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		t.Fatal(err)
	}
	return to.Path + "?" + url.Values{"state": {u.Query().Get("state")}, "code": {account + " " + randomText()}}.Encode()
}

func (p *fakeProvider) Callback(ctx context.Context, l *oidc.Login, r *http.Request) (*authn.Identity, *oidc.Tokens, error) {
	if err := p.wait(ctx); err != nil {
		return nil, nil, err
	}
	code := r.URL.Query().Get("code")
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Query().Get("state") != l.State || p.used[code] {
		return nil, nil, &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonReplay, Err: fmt.Errorf("state or code")}
	}
	p.used[code] = true
	account, _, _ := strings.Cut(code, " ")
	return p.identity(account), p.tokens(account), nil
}

func (p *fakeProvider) identity(account string) *authn.Identity {
	domain := p.name
	if p.domain != "" {
		domain = p.domain
	}
	claims := authn.Claims{"iss": {"https://id.example.com"}}
	maps.Copy(claims, p.claims)
	return &authn.Identity{
		Account: account, Domain: domain, Mechanism: mechOIDC, AuthTime: time.Now().Add(-time.Hour), Claims: claims,
		Groups: []authn.Group{{Name: `CORP\Staff`}}, // which no provider has
		Roles:  []string{"gwadmins"},                // nor that
	}
}

func (p *fakeProvider) tokens(account string) *oidc.Tokens {
	return &oidc.Tokens{
		Refresh: authn.NewSecret("Marked-refresh " + account), IDToken: authn.NewSecret("Marked-id-token"), Expires: p.due,
		Subject: "sub-" + account, SessionID: "sid-" + account,
	}
}

func (p *fakeProvider) Refresh(ctx context.Context, t *oidc.Tokens) (*authn.Identity, *oidc.Tokens, error) {
	if err := p.wait(ctx); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refreshed++
	account := strings.TrimPrefix(t.Refresh.Reveal(), "Marked-refresh ")
	return p.identity(account), p.tokens(account), nil
}

func (p *fakeProvider) LogoutURL(ctx context.Context, _ *oidc.Tokens, _ string) string {
	if p.wait(ctx) != nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logout
}

func (p *fakeProvider) RevokeLater(_ context.Context, t *oidc.Tokens) {
	p.set(func(p *fakeProvider) { p.revoked = append(p.revoked, t.Refresh.Reveal()) })
}

func (p *fakeProvider) BackchannelLogout(_ context.Context, r *http.Request) (string, string, error) {
	if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.PostFormValue("logout_token"), "good ") {
		return "", "", &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonIntegrity}
	}
	return strings.TrimPrefix(r.PostFormValue("logout_token"), "good "), "", nil
}

func (p *fakeProvider) VerifyIDToken(ctx context.Context, token authn.Secret, nonce string, _ time.Duration) (*authn.Identity, *oidc.Tokens, error) {
	if err := p.wait(ctx); err != nil {
		return nil, nil, err
	}
	account, ok := strings.CutPrefix(token.Reveal(), "Marked-id-token of ")
	account, _, _ = strings.Cut(account, " ")
	if !ok || nonce != "nonce" {
		return nil, nil, &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonIntegrity}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identity(account), p.tokens(account), nil
}

// refusing knows nobody.
type refusing struct{}

func (refusing) VerifyPassword(_ context.Context, user, _ string) (*authn.Identity, error) {
	return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user}
}

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func newRequest(method, at string) *http.Request {
	r := httptest.NewRequest(method, at, nil)
	r.Header.Set("Accept", "text/html")
	return r
}

// record is what the listener answers.
func record(w *world, r *http.Request) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	w.handler().ServeHTTP(rw, r)
	return rw
}
