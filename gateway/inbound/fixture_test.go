package inbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/publish"
	"github.com/soapward/soapward/gateway/trail"
)

// fakeLogins take "Authorization: Test NAME" for CORP\NAME.
type fakeLogins struct {
	mu    sync.Mutex
	specs []login.Spec
}

func (f *fakeLogins) Handler(spec login.Spec, next http.Handler) (http.Handler, error) {
	f.mu.Lock()
	f.specs = append(f.specs, spec)
	f.mu.Unlock()
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{fakeAuthenticator(spec.Logins[0].String())},
		Logger:         slog.New(slog.DiscardHandler), Deny: spec.Deny, AllowAnonymous: spec.AllowAnonymous,
	}
	return m.Wrap(next), nil
}

func (f *fakeLogins) Pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "pages "+r.URL.Path) })
}

type fakeAuthenticator string

func (a fakeAuthenticator) Authenticate(r *http.Request) (*authn.Result, error) {
	scheme, user, ok := authn.Authorization(r)
	switch {
	case !ok:
		return nil, authn.ErrNoCredentials
	case scheme != "Test" || user == "mallory":
		return nil, authn.ErrBadCredentials
	}
	id := &authn.Identity{Account: user, Domain: "CORP", SID: authn.SID("S-1-5-21-1-2-3-" + fmt.Sprint(1000+len(user))), Mechanism: "Test"}
	if user == "alice" {
		id.Groups = []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}}
	}
	return &authn.Result{Identity: id, Fresh: true}, nil
}

func (a fakeAuthenticator) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: "Test", Param: string(a)}}
}

// got is what a backend got.
type got struct {
	method, host, path, uri, user string
	body                          []byte
	err                           error
}

// fakeBackend notes requests.
type fakeBackend struct {
	mu   sync.Mutex
	got  []got
	read func(r *http.Request) ([]byte, error)
}

func (b *fakeBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := got{method: r.Method, host: r.Host, path: r.URL.Path, uri: r.URL.RequestURI(), user: authn.FromContext(r.Context()).String()}
	if b.read != nil {
		g.body, g.err = b.read(r)
	} else {
		g.body, g.err = io.ReadAll(r.Body)
	}
	b.mu.Lock()
	b.got = append(b.got, g)
	b.mu.Unlock()
	fmt.Fprint(w, "from the backend")
}

func (b *fakeBackend) last(t *testing.T) got {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		t.Fatal("the backend got nothing")
	}
	return b.got[len(b.got)-1]
}

func (b *fakeBackend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

// fakePublisher has a description.
type fakePublisher []publish.Operation

func (p fakePublisher) Operations() []publish.Operation { return p }

func (p fakePublisher) Takes(r *http.Request) bool { return strings.EqualFold(r.URL.RawQuery, "wsdl") }

func (p fakePublisher) ServeHTTP(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the wsdl") }

// fixture is a Handler with fakes around it.
type fixture struct {
	*Handler
	logins  *fakeLogins
	backend *fakeBackend
	log     *bytes.Buffer
	denied  []error
	mu      sync.Mutex
	trail   *trail.Trail // of the last request
}

// newFixture makes a Handler of a configuration without listeners and realms.
// The WSDL of the service hr, if it has one, describes Pay, Get and List.
func newFixture(t testing.TB, text string) *fixture {
	t.Helper()
	text = "listen: [{addr: ':8080'}]\nrealms: {corp: {internal: {ntlm: true}}}\n" + text
	c, err := config.Parse("gw.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{logins: &fakeLogins{}, backend: &fakeBackend{}, log: &bytes.Buffer{}}
	p := parts{
		logins: f.logins, backends: map[string]http.Handler{}, publishers: map[string]publisher{},
		logger: slog.New(slog.NewTextHandler(&lockedWriter{w: f.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		observe: func(_ context.Context, _ *authz.Request, err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.denied = append(f.denied, err)
		},
		keys: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "keys") }),
		describe: func(name string, c *config.Identity, _ *authz.Roles) (func(context.Context, *authn.Identity) (http.Header, error), error) {
			without := *c
			without.JWT = nil
			describe, err := backend.Describe(&without, backend.Options{Service: name})
			return func(ctx context.Context, id *authn.Identity) (http.Header, error) {
				h, err := describe(ctx, id)
				if err == nil && c.JWT != nil {
					h.Set(c.JWT.Header, name+"."+id.Account)
				}
				return h, err
			}, err
		},
		page: func(allowed func(*http.Request, string) bool) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, name := range names(c.Services) {
					if allowed(r, name) {
						fmt.Fprintln(w, name)
					}
				}
			})
		},
	}
	for name, s := range c.Services {
		if s.Upstream != nil && len(s.Upstream.Servers()) > 0 {
			p.backends[name] = f.backend
		}
		if s.WSDL != "" {
			p.publishers[name] = fakePublisher{
				{Name: "{urn:hr}Pay", Action: "urn:hr/Pay", Body: "{urn:hr}Pay"},
				{Name: "{urn:hr}Get", Body: "{urn:hr}GetRequest"},
				{Name: "{urn:hr}List", Action: "urn:hr/List", Body: "{urn:hr}Query"},
				{Name: "{urn:hr}Find", Action: "urn:hr/Find", Body: "{urn:hr}Query"},
				{Name: "{urn:hr}Ping", Action: "urn:hr/Ping", Body: ""},
			}
		}
	}
	if f.Handler, err = newHandler(c, p); err != nil {
		t.Fatal(err)
	}
	return f
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// do sends a request to the Handler as its server would.
func (f *fixture) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.trail = &trail.Trail{Ref: "ref-1"}
	f.ServeHTTP(w, r.WithContext(trail.With(authn.WithRef(r.Context(), "ref-1"), f.trail)))
	return w
}

// request makes one. header are names and values.
func request(method, target, user, body string, header ...string) *http.Request {
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, b)
	r.RemoteAddr = "192.0.2.1:1000"
	if user != "" {
		r.Header.Set("Authorization", "Test "+user)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// unknownLength hides how long a body is.
func unknownLength(r *http.Request, chunk int) *http.Request {
	r.ContentLength = -1
	r.Body = io.NopCloser(&chunks{r: r.Body, n: chunk})
	return r
}

type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

const (
	env11 = "http://schemas.xmlsoap.org/soap/envelope/"
	env12 = "http://www.w3.org/2003/05/soap-envelope"
)

// envelope is a message of SOAP 1.1.
func envelope(body string) string {
	return `<s:Envelope xmlns:s="` + env11 + `" xmlns:h="urn:hr"><s:Body>` + body + `</s:Body></s:Envelope>`
}

// check compares an answer.
func check(t *testing.T, w *httptest.ResponseRecorder, status int, contains ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("got status %d (%s), want %d", w.Code, strings.TrimSpace(w.Body.String()), status)
	}
	for _, s := range contains {
		if !strings.Contains(w.Body.String(), s) {
			t.Errorf("got %q, want %q in it", w.Body, s)
		}
	}
}

// configSOAP is the default.
var configSOAP config.SOAP
