package authz_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// nameLogin believes whoever says a name, and challenges everybody else.
type nameLogin struct{}

func (nameLogin) Authenticate(r *http.Request) (*authn.Result, error) {
	switch name := r.Header.Get("X-Test-User"); name {
	case "":
		return nil, authn.ErrNoCredentials
	case "alice":
		return &authn.Result{Identity: &authn.Identity{Account: name, Domain: "CORP", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}}}}, nil
	default:
		return &authn.Result{Identity: &authn.Identity{Account: name, Domain: "CORP", SID: "S-1-5-21-1-2-3-9", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513"}}}}, nil
	}
}

func (nameLogin) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: "Negotiate"}}
}

type down struct{}

func (down) ResolveSID(context.Context, string) (authn.SID, error) {
	return "", authn.ErrUnavailable
}

func newGuard(t *testing.T) (*authz.Guard, *bytes.Buffer) {
	t.Helper()
	rs, err := authz.NewRoles(authz.Config{
		Roles:    map[string]authz.Role{"payroll": {Groups: []string{`CORP\Payroll`}}, "known": {Groups: []string{"S-1-5-21-1-2-3-2000"}}},
		Resolver: down{},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := authz.NewPolicy(authz.PolicyConfig{Roles: rs, Root: &authz.Element{
		Name: "gateway",
		Allow: []authz.Rule{
			{Match: authz.Match{Operation: "{urn:x}pay"}, Roles: []string{"known"}, Source: "gw.yaml:1"},
			{Match: authz.Match{Operation: "{urn:x}ask"}, Roles: []string{"payroll"}, Source: "gw.yaml:2"},
			{Match: authz.Match{Path: "/known"}, Roles: []string{"known"}, Source: "gw.yaml:3"},
			{Match: authz.Match{Path: "/ask"}, Roles: []string{"payroll"}, Source: "gw.yaml:4"},
			{Match: authz.Match{Path: "/open/"}, Roles: []string{authz.Any}, Source: "gw.yaml:5"},
		},
		Elements: []*authz.Element{{
			Name: "inside", Match: authz.Match{Path: "/inside/"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Allow: []authz.Rule{{Roles: []string{authz.Any}}},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	return &authz.Guard{
		Policy: p, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Observe: func(_ context.Context, r *authz.Request, err error) {
			fmt.Fprintf(log, "observed %d %s%s %v\n", authz.StatusOf(err), r.Path, r.Operation, r.Identity)
		},
	}, log
}

func TestGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, user, target, peer string
		status                   int
		body, log                string
	}{
		{"allowed", "alice", "/known", "", 200, "/known known=true", ""},
		{"denied", "bob", "/known", "", 403, "Forbidden (reference ", `user.name=CORP\bob`},
		{"denied, the rule", "bob", "/known", "", 403, "Forbidden", `rule="the rule for path /known needs the role known" source=gw.yaml:3`},
		{"nobody could say", "bob", "/ask", "", 503, "Service Unavailable", `msg="access not decided"`},
		{"denied, observed", "bob", "/known", "", 403, "Forbidden", `observed 403 /known CORP\bob`},
		{"no rule", "alice", "/x", "", 403, "Forbidden", "no rule matches"},
		{"no login", "", "/known", "", 401, "Unauthorized", ""},
		{"cleaned for the handler", "alice", "/open//a/%2e/b%20c", "", 200, "/open/a/b c known=true", ""},
		{"out of the open part", "alice", "/open/../known", "", 200, "/known known=true", ""},
		{"out of the open part, without the right", "bob", "/open/%2e%2e/known", "", 403, "Forbidden", "path=/known"},
		{"two meanings", "alice", "/open/..%2fknown", "", 400, "Bad Request", `msg="path refused"`},
		{"foreign network, before any login", "", "/inside/x", "192.0.2.1:7", 403, "Forbidden", "not in 10.0.0.0/8"},
		{"network", "bob", "/inside/x", "10.1.1.1:7", 200, "/inside/x known=false", ""},
		{"network, no login", "", "/inside/x", "10.1.1.1:7", 401, "Unauthorized", ""},
		{"unix socket", "bob", "/inside/x", "@", 403, "Forbidden", "unknown address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, log := newGuard(t)
			login := &authn.Middleware{Authenticators: []authn.Authenticator{nameLogin{}}, Logger: slog.New(slog.DiscardHandler)}
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ok, err := authz.IsInRole(r.Context(), "known")
				if err != nil {
					t.Error(err)
				}
				fmt.Fprintf(w, "%s known=%v", r.URL.Path, ok)
			})
			r := httptest.NewRequest("GET", tt.target, nil)
			if tt.peer != "" {
				r.RemoteAddr = tt.peer
			}
			if tt.user != "" {
				r.Header.Set("X-Test-User", tt.user)
			}
			w := httptest.NewRecorder()
			g.Admit(login.Wrap(g.Wrap(handler))).ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) || !strings.Contains(log.String(), tt.log) {
				t.Errorf("%d %s\nlog %s\nwant %d %s, log %s", w.Code, w.Body, log, tt.status, tt.body, tt.log)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (tt.status == 401) {
				t.Errorf("challenges %q with status %d", w.Header()["Www-Authenticate"], w.Code)
			}
			if tt.status == 200 && log.Len() > 0 {
				t.Errorf("logged %s", log)
			}
			// Without Admit it is the same, but for who is asked first.
			if tt.user != "" {
				again := httptest.NewRecorder()
				login.Wrap(g.Wrap(handler)).ServeHTTP(again, r)
				if again.Code != tt.status {
					t.Errorf("without Admit: %d, want %d", again.Code, tt.status)
				}
			}
		})
	}
}

// A rule for one path must not decide about another that is forwarded.
func TestAttackPathOfHandler(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t)
	var seen []string
	h := g.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.URL.EscapedPath()) }))
	id := &authn.Identity{Account: "bob", Domain: "CORP"}
	for _, path := range []string{"/open/../known", "/open/%2e%2e/known", "/open/.%2E/known", "/open//../known", "/open/x/..//../known", `/open/..%5cknown`, "/open/..;/known", "/open/..%252fknown", "//known", "/./known", "/known/", "/known.", "/known%20", "/known%00", "/KNOWN"} {
		r := httptest.NewRequest("GET", path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), id)))
		if w.Code != 403 && w.Code != 400 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if len(seen) > 0 {
		t.Errorf("the handler got %q", seen)
	}
}

func TestGuardSOAP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, user, op string
		status         int
		want, log      string
	}{
		{"allowed", "alice", "pay", 200, "payResponse", ""},
		{"denied", "bob", "pay", 403, "access denied (reference ", "gw.yaml:1"},
		{"nobody could say", "bob", "ask", 503, "authorization is not available at the moment (reference ", "authority unavailable"},
		{"not in a rule", "alice", "other", 403, "access denied", "no rule matches"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, guardLog := newGuard(t)
			g.SOAP = true
			log := new(bytes.Buffer)
			ran := false
			s := &soapserver.Service{
				Logger: slog.New(slog.NewTextHandler(log, nil)),
				Interceptors: []soapserver.Interceptor{soapserver.Authorize(func(ctx context.Context, op *soap.Operation) error {
					return g.Authorize(ctx, "{urn:x}"+op.Name)
				})},
			}
			for _, name := range []string{"pay", "ask", "other"} {
				op := &soap.Operation{Name: name, Input: xml.Name{Space: "urn:x", Local: name}, Output: xml.Name{Space: "urn:x", Local: name + "Response"}}
				soapserver.Handle(s, op, func(context.Context, *wire.Empty) (*wire.Empty, error) {
					ran = true
					return &wire.Empty{}, nil
				})
			}
			login := &authn.Middleware{Authenticators: []authn.Authenticator{nameLogin{}}, Logger: slog.New(slog.DiscardHandler)}
			call := func(h http.Handler) (int, string) {
				r := httptest.NewRequest("POST", "/soap", strings.NewReader(`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><`+tt.op+` xmlns="urn:x"/></Body></Envelope>`))
				r.Header.Set("Content-Type", "text/xml")
				r.Header.Set("X-Test-User", tt.user)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				body, _ := io.ReadAll(w.Body)
				return w.Code, string(body)
			}
			status, body := call(login.Wrap(g.Wrap(s)))
			if want := fmt.Sprintf("observed %d /soap{urn:x}%s", tt.status, tt.op); (tt.status != 200) != strings.Contains(guardLog.String(), want) {
				t.Errorf("observed %q, want %q", guardLog, want)
			}
			if status != tt.status || !strings.Contains(body, tt.want) || !strings.Contains(log.String(), tt.log) || ran != (tt.status == 200) {
				t.Errorf("%d %s\nlog %s\nwant %d %s", status, body, log, tt.status, tt.want)
			}
			// A guard that is asked without being in front refuses everybody.
			ran = false
			if status, _ := call(login.Wrap(s)); status != 503 || ran {
				t.Errorf("without Wrap: %d, ran %v", status, ran)
			}
		})
	}
}

// Where the policy needs no login, nobody is asked for one, and nowhere else.
func TestGuardAnonymous(t *testing.T) {
	t.Parallel()
	open := authz.Rule{Match: authz.Match{Path: "/open/"}, Roles: []string{authz.Anonymous}}
	p, err := authz.NewPolicy(authz.PolicyConfig{Root: &authz.Element{
		Allow: []authz.Rule{open, {Match: authz.Match{Path: "/closed/"}, Roles: []string{authz.Any}}},
		Elements: []*authz.Element{
			{Match: authz.Match{Path: "/soap"}, Allow: []authz.Rule{{Match: authz.Match{Operation: "a"}, Roles: []string{authz.Any}}, {Roles: []string{authz.Anonymous}}}},
			{Match: authz.Match{Path: "/opensoap"}, Allow: []authz.Rule{{Match: authz.Match{Operation: "a"}, Roles: []string{authz.Anonymous}}, {Roles: []string{authz.Anonymous}}}},
			{Match: authz.Match{Path: "/inside/"}, Networks: []netip.Prefix{}, Allow: []authz.Rule{{Roles: []string{authz.Anonymous}}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := &authz.Guard{Policy: p, Logger: slog.New(slog.DiscardHandler)}
	login := &authn.Middleware{Authenticators: []authn.Authenticator{nameLogin{}}, AllowAnonymous: g.AllowsAnonymous, Logger: slog.New(slog.DiscardHandler)}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, authn.FromContext(r.Context())) })
	for _, tt := range []struct {
		path, user string
		status     int
		body       string
	}{
		{"/open/x", "", 200, "anonymous"}, {"/open/x", "alice", 200, `CORP\alice`}, {"/closed/x", "", 401, ""}, {"/closed/x", "bob", 200, `CORP\bob`},
		{"/open/../closed/x", "", 401, ""}, {"/x", "", 401, ""}, {"/x", "alice", 403, ""}, {"/soap", "", 401, ""}, {"/opensoap", "", 200, "anonymous"},
		{"/inside/x", "", 403, ""},
	} {
		r := httptest.NewRequest("GET", tt.path, nil)
		if tt.user != "" {
			r.Header.Set("X-Test-User", tt.user)
		}
		w := httptest.NewRecorder()
		g.Admit(login.Wrap(g.Wrap(h))).ServeHTTP(w, r)
		if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.body) {
			t.Errorf("%s by %q: %d %s, want %d %s", tt.path, tt.user, w.Code, w.Body, tt.status, tt.body)
		}
	}
	if r := httptest.NewRequest("GET", "/open/x", nil); g.AllowsAnonymous(r) {
		t.Error("without Admit, the path is not known to be clean")
	}
}

// The table of soapserver takes roles of authz, with the error only in the log.
func TestRequireRoles(t *testing.T) {
	t.Parallel()
	log := new(bytes.Buffer)
	rs, err := authz.NewRoles(authz.Config{
		Roles:    map[string]authz.Role{"payroll": {Groups: []string{`CORP\Payroll`}}},
		Resolver: down{}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ic := soapserver.RequireRoles(soapserver.Roles{"pay": {"payroll"}}, rs.HasRole)
	for user, want := range map[string]bool{"alice": true, "bob": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Test-User", user)
		res, err := nameLogin{}.Authenticate(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ic(func(context.Context, *soap.Operation, any) (any, error) { return nil, nil })(authn.NewContext(t.Context(), res.Identity), &soap.Operation{Name: "pay"}, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", user, err)
		}
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log %s", log)
	}
}

// Behind a proxy each request comes from the proxy, which is of an internal
// network: everybody was.
func TestAttackNetworkBehindProxy(t *testing.T) {
	t.Parallel()
	p, err := authz.NewPolicy(authz.PolicyConfig{Root: &authz.Element{
		Name: "gateway", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Allow: []authz.Rule{{Roles: []string{authz.Anonymous}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := &authz.Guard{Policy: p, Logger: slog.New(slog.DiscardHandler)}
	proxies := &authn.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/32")}}
	h := proxies.Wrap(g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for _, tt := range []struct {
		remote, forwarded string
		want              int
	}{
		{"10.0.0.5:1234", "203.0.113.9", http.StatusForbidden},
		{"10.0.0.5:1234", "10.1.2.3", http.StatusOK},
		{"10.7.7.7:1234", "203.0.113.9", http.StatusOK}, // no proxy: it may write what it likes
		{"203.0.113.9:1234", "10.1.2.3", http.StatusForbidden},
		{"@", "10.1.2.3", http.StatusForbidden},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		r.Header.Set("X-Forwarded-For", tt.forwarded)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != tt.want {
			t.Errorf("%s for %s: %d, want %d", tt.remote, tt.forwarded, w.Code, tt.want)
		}
	}
}

// A method in small letters matched no rule for it, and what came after such a
// rule let it through to servers that do not look at the case.
func TestAttackMethodInSmallLetters(t *testing.T) {
	t.Parallel()
	p, err := authz.NewPolicy(authz.PolicyConfig{Root: &authz.Element{Name: "gateway", Allow: []authz.Rule{
		{Match: authz.Match{Method: "DELETE"}, Roles: []string{`CORP\Payroll`}},
		{Roles: []string{authz.Anonymous}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	g := &authz.Guard{Policy: p, Logger: slog.New(slog.NewTextHandler(log, nil))}
	h := g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for method, want := range map[string]int{"GET": 200, "PURGE": 200, "DELETE": 403, "delete": 400, "Delete": 400, "get": 400} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = method
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", method, w.Code, want)
		}
	}
	if !strings.Contains(log.String(), `msg="method refused" `) {
		t.Errorf("log %s", log)
	}
}
