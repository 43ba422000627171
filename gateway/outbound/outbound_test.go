package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/internal/testenv"
)

const soap11 = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><a/></s:Body></s:Envelope>`

// asCaller is an upstream that callers are passed on to; the rest of it follows.
func asCaller(url, rest string) string {
	return fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", url: \"%s\", spn: HTTP/back.corp.test, delegation: {principal: front@CORP.TEST, keytab: front.keytab}, %s}\n", url, rest)
}

func TestActAs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	const service = `service: {user: 'CORP\svc', password: {file: svc.secret}}`
	const fixed = `fixed: {user: 'CORP\fix', password: {file: fix.secret}}`
	alice, ntlm, sam := w.byKerberos(t, "alice"), w.byNTLM(t, "alice"), w.byKerberos(t, "sam")
	for _, tt := range []struct {
		name     string
		settings string
		id       *authn.Identity
		user     string // whom the server sees; empty: a refusal
		as       string // in the trail
		reason   delegation.Reason
		method   delegation.Method // that was observed; "-": nothing was
	}{
		{"caller by Kerberos", "act_as: [caller]", alice, "alice", "s4u2proxy", "", delegation.Constrained},
		{"caller by NTLM", "act_as: [caller]", ntlm, "", "", delegation.ReasonDoubleHop, ""},
		{"caller by NTLM, transition", "act_as: [caller], protocol_transition: true", ntlm, "alice", "s4u2self+s4u2proxy", "", delegation.Transition},
		{"caller by NTLM, transition not listed", "act_as: [caller], protocol_transition: true, methods: [constrained]", ntlm, "", "", delegation.ReasonDoubleHop, ""},
		{"caller by NTLM, service listed but fault", "act_as: [caller, service], " + service, ntlm, "", "", delegation.ReasonDoubleHop, ""},
		{"caller by NTLM, service next", "act_as: [caller, service], on_double_hop: next, " + service, ntlm, "svc", "service-account", delegation.ReasonDoubleHop, delegation.AsService},
		{"caller by NTLM, fixed next", "act_as: [caller, fixed], on_double_hop: next, " + fixed, ntlm, "fix", "fixed", delegation.ReasonDoubleHop, delegation.AsService},
		{"sensitive", "act_as: [caller]", sam, "", "", delegation.ReasonSensitive, ""},
		{"nobody", "act_as: [caller]", nil, "", "", delegation.ReasonNoEvidence, ""},
		{"nobody, service next", "act_as: [caller, service], " + service, nil, "svc", "service-account", delegation.ReasonNoEvidence, delegation.AsService},
		{"service", "act_as: [service], " + service, alice, "svc", "service-account", "", "-"},
		{"fixed", "act_as: [fixed], " + fixed, nil, "fix", "fixed", "", "-"},
		{"service by Kerberos", "act_as: [service], service: {principal: front@CORP.TEST, keytab: front.keytab}", nil, "front", "service-account", "", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := w.gateway(t, asCaller(s.URL, tt.settings))
			local := g.start(t, "up")
			var header []string
			if tt.id != nil {
				header = []string{"X-Identity", g.token(t, tt.id)}
			}
			for n := range 2 {
				a := send(t, "POST", local.URL+"/a/b?c=d", strings.NewReader("hello"), header...)
				tr := g.lastTrail()
				if tt.user != "" {
					if want := `CORP\` + tt.user + ` POST /a/b?c=d "hello" <nil>`; a.status != 200 || a.body != want {
						t.Errorf("%d %q, want %q\n%s", a.status, a.body, want, g.log)
					}
					if s.last().Get("X-Identity") != "" {
						t.Error("the token went on to the server")
					}
				} else {
					p := a.problem(t)
					if a.status != http.StatusBadGateway || p.Ref != "ref-1" || !strings.HasPrefix(p.Type, delegation.Namespace) || strings.Contains(a.body, "CORP") {
						t.Errorf("%d %q, want a problem with the reference and nothing internal", a.status, a.body)
					}
					if tr.Refusal != string(tt.reason) || tr.Cause == "" {
						t.Errorf("trail: %q %q, want %s", tr.Refusal, tr.Cause, tt.reason)
					}
				}
				if tr.As != tt.as || tr.Service != "up" || tr.DoubleHop != (tt.reason == delegation.ReasonDoubleHop) || (tr.Identity == nil) != (tt.id == nil) || tr.Backend == "" {
					t.Errorf("trail: %+v", tr)
				}
				if tt.method == "-" {
					if len(g.decisions) > 0 {
						t.Errorf("observed: %+v", g.decisions)
					}
					continue
				}
				if len(g.decisions) != n+1 || g.decisions[n].Method != tt.method || g.decisions[n].Reason != tt.reason {
					t.Errorf("observed: %+v, want %q %q", g.decisions, tt.method, tt.reason)
				}
			}
			if got, want := strings.Contains(g.log.String(), "level=WARN msg=\"not in the caller's name\""), tt.method == delegation.AsService && tt.id != nil; got != want {
				t.Errorf("warned of somebody else's name: %v, want %v\n%s", got, want, g.log)
			}
		})
	}
}

// The double hop in a SOAP client's language.
func TestDoubleHopFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, asCaller("http://127.0.0.1:1", "act_as: [caller]"))
	local := g.start(t, "up")
	token := g.token(t, w.byNTLM(t, "alice"))
	for _, tt := range []struct {
		name, contentType, action, want string
		status                          int
	}{
		{"1.1", "text/xml; charset=utf-8", `""`, `schemas.xmlsoap.org/soap/envelope/`, 500},
		{"1.2", "application/soap+xml", "", "http://www.w3.org/2003/05/soap-envelope", 500},
		{"XML that is no SOAP", "text/xml", "", "problem", 502},
		{"JSON", "application/json", "", "problem", 502},
	} {
		header := []string{"X-Identity", token, "Content-Type", tt.contentType}
		if tt.action != "" {
			header = append(header, "Soapaction", tt.action)
		}
		a := send(t, "POST", local.URL+"/", strings.NewReader(soap11), header...)
		if a.status != tt.status || !strings.Contains(a.body+a.header.Get("Content-Type"), tt.want) || !strings.Contains(a.body, "DoubleHop") || !strings.Contains(a.body, "ref-1") || strings.Contains(a.body, "alice") {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
	}
	for _, want := range []string{"reason=double-hop", "ref=ref-1", `CORP\alice`, "Kerberos only", "protocol transition"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, g.log)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		settings string
		want     []string
	}{
		{"act_as: [caller]", []string{"upstream HTTP/back.corp.test acts as the caller, but route service hr accepts NTLM: such callers cannot be passed on unless protocol transition is configured"}},
		{"act_as: [caller], protocol_transition: true", nil},
		{"act_as: [caller], login: [corp/ntlm]", []string{"route service hr accepts NTLM", "route upstream up accepts NTLM"}},
		{"act_as: [caller, fixed], on_double_hop: next, fixed: {user: x, password: {file: fix.secret}}", []string{"are passed on as the service account"}},
		{"act_as: [fixed], fixed: {user: x, password: {file: fix.secret}}", nil},
	} {
		ws := w.gateway(t, asCaller("http://127.0.0.1:1", tt.settings)).Warnings()
		if len(ws) != len(tt.want) {
			t.Errorf("%s: %v, want %d", tt.settings, ws, len(tt.want))
			continue
		}
		for i := range ws {
			if !strings.Contains(ws[i].String(), tt.want[i]) || len(ws[i].Remedies) == 0 {
				t.Errorf("%s: %v, want %q", tt.settings, ws[i], tt.want[i])
			}
		}
	}
}

// Callers of an upstream with a login of its own are passed on, and those who
// bring a token need none.
func TestOwnLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller], login: [corp/negotiate]"))
	local := g.start(t, "up")
	a := send(t, "GET", local.URL+"/x", nil)
	if a.status != 401 || !strings.Contains(strings.Join(a.header.Values("Www-Authenticate"), ","), "Negotiate") {
		t.Errorf("%d %v, want to be asked", a.status, a.header)
	}
	c := w.kerberosHTTP(t, "bob")
	req, err := http.NewRequest("GET", local.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "front.corp.test:9300" // a login makes names harmless
	if a := do(t, c, req); a.body != `CORP\bob GET /x "" <nil>` || len(a.header.Values("Www-Authenticate")) > 1 {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	if got := s.last().Get("Authorization"); got == "" {
		t.Error("no login at the server")
	}
	if a := send(t, "GET", local.URL+"/x", nil, "X-Identity", g.token(t, w.byKerberos(t, "alice"))); a.body != `CORP\alice GET /x "" <nil>` {
		t.Errorf("by token: %d %q", a.status, a.body)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	const service = `act_as: [service], service: {user: 'CORP\svc', password: {file: svc.secret}}, `
	alice, bob := w.byKerberos(t, "alice"), w.byKerberos(t, "bob")
	for _, tt := range []struct {
		roles  string
		status [3]int // of alice, bob, nobody
	}{
		{"[payroll]", [3]int{200, 403, 403}},
		{"[any]", [3]int{200, 200, 403}},
		{"[payroll, anonymous]", [3]int{200, 200, 200}},
	} {
		g := w.gateway(t, asCaller(s.URL, service+"allowed_roles: "+tt.roles))
		local := g.start(t, "up")
		for i, id := range []*authn.Identity{alice, bob, nil} {
			var header []string
			if id != nil {
				header = []string{"X-Identity", g.token(t, id)}
			}
			if a := send(t, "GET", local.URL, nil, header...); a.status != tt.status[i] {
				t.Errorf("%s: %v: %d %s, want %d", tt.roles, id, a.status, a.body, tt.status[i])
			}
		}
	}
}

// away is a directory that does not answer.
type away struct{ *testLogins }

func (away) Resolver() authz.Resolver { return away{} }

func (away) ResolveSID(context.Context, string) (authn.SID, error) {
	return "", errors.New("directory: no answer")
}

// Where nobody can say which roles a caller has, he is told that, and not of the
// server, which was not asked.
func TestRolesUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.parse(asCaller("http://127.0.0.1:1", "act_as: [caller], allowed_roles: [auditor]"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{log: &testenv.Log{}}
	if g.issuer, err = identity.New(c, nil); err != nil {
		t.Fatal(err)
	}
	if g.Set, err = newSet(c, Parts{Issuer: g.issuer, Logger: slog.New(slog.NewTextHandler(g.log, nil))}, away{&testLogins{w, t}}); err != nil {
		t.Fatal(err)
	}
	a := send(t, "GET", g.start(t, "up").URL, nil, "X-Identity", g.token(t, w.byKerberos(t, "alice")))
	if a.status != 503 || !strings.Contains(a.body, "roles of the caller") || !strings.Contains(g.log.String(), "reason=roles-unavailable") {
		t.Errorf("%d %s, log %s", a.status, a.body, g.log)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct{ settings, want string }{
		{"act_as: [service], service: {user: x, password: {file: none.secret}}", "upstreams.up: service.password"},
		{"act_as: [service], service: {principal: front@CORP.TEST, keytab: none.keytab}", "service.keytab"},
		{"act_as: [service], service: {principal: front, keytab: front.keytab}", "svc-gw@CORP.TEST"},
		{"act_as: [caller], ca_file: none.pem", "ca_file"},
		{"act_as: [caller], ca_file: svc.secret", "no certificate"},
	} {
		c, err := w.parse(asCaller("http://127.0.0.1:1", tt.settings))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = newSet(c, Parts{}, nil); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "upstreams.up") {
			t.Errorf("%s: %v, want %q", tt.settings, err, tt.want)
		}
	}
	c, err := w.parse(asCaller("http://127.0.0.1:1", "act_as: [caller], login: [corp/ntlm]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(c, Parts{}); err == nil || !strings.Contains(err.Error(), "realms") {
		t.Errorf("a login without realms: %v", err)
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller]"))
	cs := g.Checks()
	if len(cs) != 2 {
		t.Fatalf("%d checks, want one of the server and one of the account", len(cs))
	}
	for _, c := range cs {
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	s.Close()
	_ = w.Close()
	g = w.gateway(t, asCaller(s.URL, "act_as: [caller]"))
	for _, c := range g.Checks() {
		if err := c.Run(t.Context()); err == nil {
			t.Errorf("%s: nothing is wrong", c.Name)
		} else if c.Kind == "kdc" && !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// Programs call by a socket of Unix, under whatever name.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	g := w.gateway(t, strings.Replace(asService(s.URL, ""), "127.0.0.1:9300", "systemd:up", 1)) // whatever systemd has under that name
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	local := httptest.NewUnstartedServer(g.Endpoints()[0].Handler)
	_ = local.Listener.Close()
	local.Listener = l
	local.Start()
	t.Cleanup(local.Close)
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequest("GET", "http://whatever.test/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := do(t, c, req); a.body != `CORP\svc GET /x "" <nil>` {
		t.Errorf("%d %s", a.status, a.body)
	}
}
