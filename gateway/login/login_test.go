package login_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/realm"
	"github.com/soapward/soapward/internal/kdc"
)

// The passwords of tests are marked, so that a log that has one is found.
const marked = "Marked-pw-"

// world is a KDC, a store with users, and what is logged.
type world struct {
	t     testing.TB
	kdc   *kdc.KDC
	store *store.Store
	dir   string
	log   *logged
	seen  *decisions
}

// logged is a log that several goroutines write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// decisions are those that a Set told of.
type decisions struct {
	mu   sync.Mutex
	list []authn.Decision
}

func (d *decisions) observe(_ context.Context, x *authn.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, *x)
}

func (d *decisions) reasons() (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.list {
		out = append(out, string(x.Outcome)+" "+string(x.Reason))
	}
	return out
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: new(logged), seen: new(decisions)}
	var err error
	if w.kdc, err = kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: marked + "alice", Groups: []uint32{1200}},
		{Name: "bob", Password: marked + "bob"},
		{Name: "front", Password: marked + "front", SPNs: []string{"HTTP/127.0.0.1", "HTTP/localhost"}},
	} {
		if err := w.kdc.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.kdc.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.kdc.Close() })
	if err := w.kdc.WriteKeytab(filepath.Join(w.dir, "gw.keytab"), "HTTP/127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	w.store, err = store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(w.dir, "users.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

// cheap are hashes that cost little.
const cheap = "passwords: {memory_kib: 8192, passes: 1}\n"

// config parses a configuration. %KDC% and %DIR% are the world's.
func (w *world) config(text string) *config.Config {
	w.t.Helper()
	text = strings.NewReplacer("%KDC%", w.kdc.Addr(), "%DIR%", w.dir).Replace(cheap + text)
	c, err := config.Parse(filepath.Join(w.dir, "gw.yaml"), []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// user adds an internal user, whose password is his name, marked.
func (w *world) user(c *config.Config, realmName, name string) {
	w.t.Helper()
	h := password.Hasher{Params: password.Params{Memory: 8192, Time: 1}}
	hash, err := h.Hash(w.t.Context(), marked+name)
	if err != nil {
		w.t.Fatal(err)
	}
	u := &directory.User{Realm: realmName, Name: name, Password: hash}
	if realm.KeepsNTHash(c, u) {
		u.NTHash = realm.NTHash(marked + name)
	}
	if err := w.store.CreateUser(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) options() login.Options {
	return login.Options{
		Store: w.store, Observe: w.seen.observe,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (w *world) set(c *config.Config, previous *login.Set) *login.Set {
	w.t.Helper()
	s, err := login.New(c, w.options(), previous)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close(nil) })
	return s
}

// whoami answers with who the caller is, and by which mechanism.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	id := authn.FromContext(r.Context())
	if id == nil {
		_, _ = io.WriteString(w, "anonymous")
		return
	}
	_, _ = fmt.Fprintf(w, "%s by %s", id, id.Mechanism)
})

// spec is that of the service of a configuration.
func spec(c *config.Config, service string) login.Spec {
	sv := c.Services[service]
	set := sv.Settings
	if len(set.Login) == 0 {
		set.Login = c.Defaults.Login
	}
	return login.SpecOf(&set, sv.Custom)
}

// serve serves one service of a configuration over TLS, with its pages.
func (w *world) serve(c *config.Config, s *login.Set, service string) *httptest.Server {
	w.t.Helper()
	h, err := s.Handler(spec(c, service), whoami)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.listen(route(s, h), true)
}

// route is what inbound does: pages beside the service.
func route(s *login.Set, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/.soapward/login/", s.Pages())
	mux.Handle("/", h)
	return mux
}

// listen serves h as the gateway does.
func (w *world) listen(h http.Handler, tls bool) *httptest.Server {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = iwa.Server(h)
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	w.t.Cleanup(srv.Close)
	return srv
}

// client makes calls with a credential, nil for none, and has cookies.
func (w *world) client(srv *httptest.Server, c authclient.Credential) *http.Client {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if c == nil {
		return &http.Client{Transport: srv.Client().Transport, Jar: jar}
	}
	t := &authclient.Transport{Source: authclient.Static(c), Base: srv.Client().Transport.(*http.Transport).Clone()}
	w.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Jar: jar}
}

func (w *world) kerberos(user string) authclient.Credential {
	w.t.Helper()
	c, err := kerberos.NewPasswordClient(kerberos.Config{
		DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{w.kdc.Addr()}}},
	}, user, authn.NewSecret(marked+user))
	if err != nil {
		w.t.Fatal(err)
	}
	return &authclient.Kerberos{Client: c}
}

func ntlmAs(user string) authclient.Credential {
	return &authclient.NTLM{User: user, Password: authn.NewSecret(marked + user)}
}

func basicAs(user string) authclient.Credential {
	return &authclient.Basic{User: user, Password: authn.NewSecret(marked + user), AllowInsecureHTTP: true}
}

// get makes a call and returns what came back, as "200 body".
func get(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return "error " + err.Error()
	}
	return answer(t, resp)
}

func answer(t testing.TB, resp *http.Response) string {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}

// both is a configuration with a domain by Kerberos and internal users by NTLM.
const both = `
listen: [{addr: ":443"}]
realms:
  corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}, internal: {ntlm: true}}
  staff: {internal: {ntlm: true}}
services:
  all:      {match: {path: /a}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/ntlm, corp/basic]}
  kerberos: {match: {path: /k}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate]}
  ntlm:     {match: {path: /n}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm]}
  basic:    {match: {path: /b}, upstream: {url: "http://127.0.0.1"}, login: [corp/basic]}
  form:     {match: {path: /f}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/form]}
  none:     {match: {path: /o}, upstream: {url: "http://127.0.0.1"}, login: [none]}
  staff:    {match: {path: /s}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm, staff/basic]}
  without:  {match: {path: /w}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/ntlm], not_negotiate: {user_agents: ["*trident*"]}}
  session:  {match: {path: /x}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/ntlm], session: true}
`

func TestLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	w.user(c, "corp", "carol")
	w.user(c, "staff", "dora")
	w.user(c, "", "root")
	s := w.set(c, nil)
	for _, tt := range []struct {
		service string
		as      authclient.Credential
		want    string
	}{
		{"all", w.kerberos("alice"), `200 CORP\alice by Kerberos`},
		{"all", ntlmAs("carol"), "200 carol by NTLM"},
		{"all", basicAs("carol"), "200 carol by Basic"},
		{"all", basicAs("root"), "200 root by Basic"},
		{"kerberos", w.kerberos("bob"), `200 CORP\bob by Kerberos`},
		{"ntlm", ntlmAs("carol"), "200 carol by NTLM"},
		{"ntlm", ntlmAs("root"), "200 root by NTLM"},
		{"basic", basicAs("carol"), "200 carol by Basic"},
		{"staff", ntlmAs("dora"), "200 dora by NTLM"},
		{"staff", basicAs("dora"), "200 dora by Basic"},
		{"none", nil, "200 anonymous"},
		{"none", basicAs("carol"), "200 anonymous"},
		{"session", w.kerberos("alice"), `200 CORP\alice by Kerberos`},
		{"session", ntlmAs("carol"), "200 carol by NTLM"},
	} {
		t.Run(fmt.Sprintf("%s as %T", tt.service, tt.as), func(t *testing.T) {
			srv := w.serve(c, s, tt.service)
			client := w.client(srv, tt.as)
			for i := range 3 {
				if got := get(t, client, srv.URL); got != tt.want {
					t.Errorf("request %d: %s, want %s", i, got, tt.want)
				}
			}
		})
	}
	if got := w.log.String(); strings.Contains(got, marked) {
		t.Error("a password is in the log")
	}
}

// What is offered depends on the list, and on who asks.
func TestChallenges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	for _, tt := range []struct{ service, agent, via, want string }{
		{"all", "x", "", "Negotiate NTLM Basic"},
		{"kerberos", "x", "", "Negotiate"},
		{"ntlm", "x", "", "NTLM"},
		{"basic", "x", "", "Basic"},
		{"without", "x", "", "Negotiate NTLM"},
		{"without", "Mozilla (Trident/7.0)", "", "NTLM"},
		{"all", "x", "1.1 proxy", "Negotiate Basic"}, // NTLM would log the proxy's connection in
		{"session", "x", "1.1 proxy", "Negotiate NTLM"},
	} {
		srv := w.serve(c, s, tt.service)
		r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", tt.agent)
		if tt.via != "" {
			r.Header.Set("Via", tt.via)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		var got []string
		for _, h := range resp.Header["Www-Authenticate"] {
			scheme, _, _ := strings.Cut(h, " ")
			got = append(got, scheme)
		}
		if g := strings.Join(got, " "); resp.StatusCode != 401 || g != tt.want {
			t.Errorf("%s, agent %q, via %q: %d with %q, want %q", tt.service, tt.agent, tt.via, resp.StatusCode, g, tt.want)
		}
	}
}
