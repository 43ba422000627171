package outbound

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	frontSPN = "HTTP/front.corp.test"
	backSPN  = "HTTP/back.corp.test"
)

// world is a domain with callers, the gateway's account and servers that want a
// login.
type world struct {
	*kdc.KDC
	dir  string
	ntlm *ntlm.Accounts
}

func newWorld(t testing.TB, more ...string) *world {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	accounts := []kdc.Account{
		{Name: "sam", Password: "pw-sam", Sensitive: true},
		{Name: "svc", Password: "pw-svc"},
		{Name: "front", Password: "pw-front", SPNs: []string{frontSPN}, TrustedToAuth: true, DelegateTo: []string{backSPN}},
		{Name: "plain", Password: "pw-plain", SPNs: []string{"HTTP/plain.corp.test"}, DelegateTo: []string{backSPN}},
		{Name: "back", Password: "pw-back", SPNs: []string{backSPN, "HTTP/localhost"}},
		{Name: "other", Password: "pw-other", SPNs: []string{"HTTP/other.corp.test"}},
	}
	local := []ntlm.Account{{Name: "svc", Password: authn.NewSecret("pw-svc")}, {Name: "fix", Password: authn.NewSecret("pw-fix")}}
	for n, name := range append([]string{"alice", "bob"}, more...) {
		accounts = append(accounts, kdc.Account{Name: name, Password: "pw-" + name, RID: uint32(5000 + n)})
	}
	for _, a := range accounts {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	w := &world{KDC: k, dir: t.TempDir()}
	if w.ntlm, err = ntlm.NewAccounts("CORP", "corp.test", local...); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"front", "plain"} {
		if err := k.WriteKeytab(filepath.Join(w.dir, a+".keytab"), a); err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "id.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})))
	w.write(t, "svc.secret", "pw-svc\n")
	w.write(t, "fix.secret", "pw-fix\n")
	w.write(t, "wrong.secret", "marked-wrong-secret\n")
	return w
}

// many are callers besides alice and bob.
func many() (names []string) {
	for n := range 62 {
		names = append(names, fmt.Sprintf("user%02d", n))
	}
	return names
}

func (w *world) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) client(t testing.TB, name string) *kerberos.Client {
	t.Helper()
	c, err := kerberos.NewPasswordClient(w.config(), name, authn.NewSecret("pw-"+name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) config() kerberos.Config {
	return kerberos.Config{DefaultRealm: w.Realm(), Realms: map[string]kerberos.Realm{w.Realm(): {KDCs: []string{w.Addr()}}}}
}

func (w *world) mechanism(t testing.TB, account, spn string) *kerberos.Mechanism {
	t.Helper()
	b, err := w.Keytab(account, spn)
	if err != nil {
		t.Fatal(err)
	}
	k, err := kerberos.ParseKeytab(b)
	if err != nil {
		t.Fatal(err)
	}
	return &kerberos.Mechanism{Keytab: k}
}

// byKerberos is a caller who logged in at the gateway.
func (w *world) byKerberos(t testing.TB, user string) *authn.Identity {
	t.Helper()
	in := w.client(t, user).NewInitiator(frontSPN, kerberos.InitiatorConfig{})
	token, _, err := in.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := w.mechanism(t, "front", frontSPN).NewAcceptor(authn.Exchange{}).Step(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// byNTLM is one who did so by NTLM.
func (w *world) byNTLM(t testing.TB, user string) *authn.Identity {
	t.Helper()
	n := *w.byKerberos(t, user)
	n.Mechanism, n.Evidence = authn.MechanismNTLM, nil
	return &n
}

// server wants a login by Kerberos or NTLM.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
}

func (s *server) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

// protect is h behind a login, nil for one that tells who calls and what came.
func (w *world) protect(t testing.TB, h http.Handler) *server {
	t.Helper()
	s := &server{}
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if len(b) > 100 {
				b = fmt.Appendf(nil, "%d bytes", len(b))
			}
			fmt.Fprintf(w, "%s %s %s %q %v", authn.FromContext(r.Context()), r.Method, r.URL.RequestURI(), b, err)
		})
	}
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{&iwa.Authenticator{
			Kerberos: w.mechanism(t, "back", backSPN),
			NTLM:     &ntlm.Mechanism{Verifier: w.ntlm, Names: ntlm.Names{Domain: "CORP", Computer: "BACK"}},
		}},
		Logger: slog.New(slog.DiscardHandler),
	}
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Header.Clone())
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	})))
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// gateway is the outbound side of one.
type gateway struct {
	*Set
	issuer *identity.Issuer
	log    *testenv.Log

	mu        sync.Mutex
	decisions []delegation.Decision
	trails    []*trail.Trail
}

const services = `
listen: [{addr: ":443"}]
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: front.keytab}
    ntlm: {verifier: winbind, domain: CORP}
services:
  hr: {match: {path: /hr/}, login: [corp/negotiate], upstream: {url: "http://127.0.0.1:1", identity: {jwt: {header: X-Identity, key: {file: id.key}}}}}
  ot: {match: {path: /ot/}, login: [none], upstream: {url: "http://127.0.0.1:1", identity: {jwt: {header: X-Identity, audience: "urn:ot", key: {file: id.key}}}}}
roles:
  payroll: {users: ['CORP\alice']}
  auditor: {groups: ['CORP\Auditors']}
upstreams:
`

// gateway parses upstreams and makes them.
func (w *world) gateway(t testing.TB, upstreams string) *gateway {
	t.Helper()
	c, err := w.parse(upstreams)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{log: &testenv.Log{}}
	if g.issuer, err = identity.New(c, nil); err != nil {
		t.Fatal(err)
	}
	g.Set, err = newSet(c, Parts{
		Issuer: g.issuer, Logger: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(_ context.Context, d delegation.Decision) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.decisions = append(g.decisions, d)
		},
	}, &testLogins{w, t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func (w *world) parse(upstreams string) (*config.Config, error) {
	text := strings.ReplaceAll(services, "%KDC%", w.Addr()) + upstreams
	return config.Parse(filepath.Join(w.dir, "gw.yaml"), []byte(text))
}

// testLogins logs in by Negotiate at the gateway's account.
type testLogins struct {
	w *world
	t testing.TB
}

func (l *testLogins) Handler(spec login.Spec, next http.Handler) (http.Handler, error) {
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{&iwa.Authenticator{
			Kerberos: l.w.mechanism(l.t, "front", frontSPN),
			NTLM:     &ntlm.Mechanism{Verifier: l.w.ntlm, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}},
		}},
		Logger: slog.New(slog.DiscardHandler), Deny: spec.Deny,
	}
	return m.Wrap(next), nil
}

func (l *testLogins) Resolver() authz.Resolver { return nil }

// start serves an upstream as observe and listen would.
func (g *gateway) start(t testing.TB, name string) *httptest.Server {
	t.Helper()
	i := slices.IndexFunc(g.Endpoints(), func(e Endpoint) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("no upstream %s", name)
	}
	e := g.Endpoints()[i]
	s := httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr := &trail.Trail{Ref: "ref-1", Direction: trail.Outbound}
		g.mu.Lock()
		g.trails = append(g.trails, tr)
		g.mu.Unlock()
		e.Handler.ServeHTTP(w, r.WithContext(trail.With(authn.WithRef(r.Context(), tr.Ref), tr)))
	}))
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (g *gateway) lastTrail() *trail.Trail {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trails[len(g.trails)-1]
}

func (g *gateway) token(t testing.TB, id *authn.Identity) string {
	t.Helper()
	s, err := g.issuer.Token(t.Context(), id, "hr")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what a program got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t testing.TB) (p delegation.Problem) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %q: %v, want a problem", a.status, a.body, err)
	}
	return p
}

// direct follows no redirects.
var direct = &http.Client{
	Transport:     &http.Transport{DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func send(t testing.TB, method, url string, body io.Reader, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	return do(t, direct, req)
}

func do(t testing.TB, c *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// kerberosHTTP logs in at the gateway as user.
func (w *world) kerberosHTTP(t testing.TB, user string) *http.Client {
	t.Helper()
	tr := &authclient.Transport{
		Source: authclient.Static(&authclient.Kerberos{Client: w.client(t, user)}),
		SPN:    func(authclient.Target) string { return frontSPN },
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// open is a server without a login.
func (w *world) open(t testing.TB) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s
}
