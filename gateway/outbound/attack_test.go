package outbound

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// Callers of all kinds at once, through several upstreams: the server sees who
// called, and nobody else.
func TestAttackMixedCallersThroughGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, many()...)
	s := w.protect(t, nil)
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller, service], on_double_hop: next, service: {user: 'CORP\\svc', password: {file: svc.secret}}")+
		strings.Replace(asCaller(s.URL, "act_as: [caller], protocol_transition: true"), "  up: {listen: \"127.0.0.1:9300\"", "  transition: {listen: \"127.0.0.1:9301\"", 1)+
		strings.Replace(asService(s.URL, ""), "  up: {listen: \"127.0.0.1:9300\"", "  fixed: {listen: \"127.0.0.1:9302\"", 1))
	urls := map[string]string{}
	for _, name := range []string{"up", "transition", "fixed"} {
		urls[name] = g.start(t, name).URL
	}
	type caller struct {
		name  string
		token [2]string // by Kerberos, by NTLM
	}
	callers := []caller{{name: "nobody"}}
	for _, name := range append([]string{"alice", "bob"}, many()...) {
		id := w.byKerberos(t, name)
		n := *id
		n.Mechanism, n.Evidence = authn.MechanismNTLM, nil
		callers = append(callers, caller{name, [2]string{g.token(t, id), g.token(t, &n)}})
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}} // connections of programs are shared by callers
	var wg sync.WaitGroup
	for n, c := range callers {
		wg.Go(func() {
			for k := range 9 {
				upstream, kind := []string{"up", "transition", "fixed"}[(n+k)%3], k/3%2
				want := c.name
				switch {
				case c.name == "nobody" && upstream == "transition":
					continue
				case upstream == "fixed" || upstream == "up" && kind == 1 || c.name == "nobody":
					want = "svc"
				}
				req, err := http.NewRequest("POST", urls[upstream]+"/"+c.name, strings.NewReader(c.name))
				if err != nil {
					t.Error(err)
					return
				}
				if c.name != "nobody" {
					req.Header.Set("X-Identity", c.token[kind])
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := fmt.Sprintf(`CORP\%s POST /%s %q <nil>`, want, c.name, c.name); err != nil || string(b) != want {
					t.Errorf("%s at %s: %q, %v, want %q", c.name, upstream, b, err, want)
				}
			}
		})
	}
	wg.Wait()
}

// Tokens that are not good for it do not make anybody the caller, nor nobody.
func TestAttackIdentityTokenAtUpstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller, service], on_double_hop: next, service: {user: 'CORP\\svc', password: {file: svc.secret}}"))
	local := g.start(t, "up")
	good := g.token(t, w.byKerberos(t, "alice"))
	other := newWorld(t).gateway(t, asService(s.URL, ""))
	parts := strings.Split(good, ".")
	for name, header := range map[string][]string{
		"another gateway's":       {"X-Identity", other.token(t, w.byKerberos(t, "alice"))},
		"no signature":            {"X-Identity", parts[0] + "." + parts[1] + "."},
		"empty":                   {"X-Identity", ""},
		"two":                     {"X-Identity", good, "X-Identity", good},
		"two in one":              {"X-Identity", good + ", " + good},
		"two spellings":           {"X-Identity", good, "X_Identity", "x"},
		"another spelling":        {"x_identity", "x"},
		"a good and a bad one":    {"X-Identity", "x", "X_identity", good},
		"a token of the old days": {"X-Identity", "eyJhbGciOiJub25lIn0.eyJhY2NvdW50IjoiYWRtaW4ifQ."},
	} {
		a := send(t, "GET", local.URL, nil, header...)
		if p := a.problem(t); a.status != http.StatusForbidden || p.Type != Namespace+":identity-token" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if len(s.seen) > 0 {
		t.Error("a request reached the server")
	}
	if log := g.log.String(); strings.Contains(log, good) || strings.Contains(log, parts[2]) {
		t.Error("a token is in the log")
	}
	// A header that says it belongs to the connection is read and removed all the same.
	if a := send(t, "GET", local.URL, nil, "X_identity", good, "Connection", "X_identity"); a.status != 200 || !strings.HasPrefix(a.body, `CORP\alice `) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name := range s.last() {
		if foldHeader(name) == "X-Identity" {
			t.Errorf("%s reached the server", name)
		}
	}
}

// A service that was broken into has the tokens of those who come to it. They are
// good at its own upstreams only, also after a restart, when nobody knows them.
func TestAttackTokenOfAnotherService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	text := asCaller(s.URL, "act_as: [caller], services: [hr]")
	g := w.gateway(t, text)
	id := w.byKerberos(t, "alice")
	hr, err := g.issuer.Token(t.Context(), id, "hr")
	if err != nil {
		t.Fatal(err)
	}
	ot, err := g.issuer.Token(t.Context(), id, "ot")
	if err != nil {
		t.Fatal(err)
	}
	local, restarted, open := g.start(t, "up"), w.gateway(t, text).start(t, "up"), w.gateway(t, strings.Replace(text, ", services: [hr]", "", 1)).start(t, "up")
	for _, at := range []string{local.URL, restarted.URL} {
		if a := send(t, "GET", at, nil, "X-Identity", ot); a.status != 403 || a.problem(t).Type != Namespace+":identity-token" {
			t.Errorf("a token of another service: %d %s", a.status, a.body)
		}
	}
	if len(s.seen) > 0 {
		t.Error("a request reached the server")
	}
	if a := send(t, "GET", local.URL, nil, "X-Identity", hr); a.status != 200 {
		t.Errorf("a token of the service: %d %s", a.status, a.body)
	}
	for at, token := range map[string]string{restarted.URL: hr, open.URL: ot} {
		if a := send(t, "GET", at, nil, "X-Identity", token); strings.Contains(a.body, "identity-token") {
			t.Errorf("a token that is good: %d %s", a.status, a.body)
		}
	}
	if log := g.log.String(); !strings.Contains(log, "urn:ot") || strings.Contains(log, ot) {
		t.Errorf("the log: %s", log)
	}
}

// at runs a request as if it came from an address.
func (g *gateway) at(addr string, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = addr
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	g.Endpoints()[0].Handler.ServeHTTP(w, r)
	return w
}

// Who is not on this machine acts for nobody, also with a token that he found.
func TestAttackIdentityTokenStolen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	const act = "act_as: [caller, service], service: {user: 'CORP\\svc', password: {file: svc.secret}}"
	for _, tt := range []struct {
		settings string
		addr     string
		status   int
	}{
		{act, "127.0.0.1:1", 200},
		{act, "[::1]:1", 200},
		{act, "[::ffff:127.0.0.1]:1", 200},
		{act, "10.0.0.1:1", 403},
		{act, "[::ffff:10.0.0.1]:1", 403},
		{act, "@", 403}, // not by TCP: this listener is no socket of Unix
		{act + ", networks: [10.0.0.0/8]", "10.0.0.1:1", 200},
		{act + ", networks: [10.0.0.0/8]", "[::ffff:10.0.0.1]:1", 200},
		{act + ", networks: [10.0.0.0/8]", "127.0.0.1:1", 403},
		{act + ", networks: [10.0.0.0/8]", "192.0.2.1:1", 403},
	} {
		g := w.gateway(t, asCaller(s.URL, tt.settings))
		for _, header := range [][]string{{"Host", "localhost"}, {"Host", "localhost", "X-Identity", g.token(t, w.byKerberos(t, "alice")), "X-Forwarded-For", "127.0.0.1"}} {
			if got := g.at(tt.addr, "GET", "/", header...); got.Code != tt.status {
				t.Errorf("%s: from %s: %d %s, want %d", tt.settings, tt.addr, got.Code, got.Body, tt.status)
			}
		}
	}
	g := w.gateway(t, strings.Replace(asService(s.URL, ""), "127.0.0.1:9300", "unix:/run/up.sock", 1))
	if got := g.at("@", "GET", "/", "Host", "whatever"); got.Code != 200 {
		t.Errorf("by a socket of Unix: %d %s", got.Code, got.Body)
	}
}

// Pages that a browser on this machine looks at cannot use the gateway's account.
func TestAttackPageCallsUpstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	g := w.gateway(t, asService(s.URL, ", names: [sharepoint.local]"))
	for _, tt := range []struct {
		method string
		header []string
		status int
	}{
		{"GET", []string{"Host", "localhost:9300"}, 200},
		{"GET", []string{"Host", "127.0.0.1:9300"}, 200},
		{"GET", []string{"Host", "[::1]:9300"}, 200},
		{"GET", []string{"Host", "SharePoint.local"}, 200},
		{"GET", []string{"Host", "a.localhost"}, 200},
		{"GET", []string{"Host", "rebound.evil.test:9300"}, 421},
		{"GET", []string{"Host", "localhost.evil.test"}, 421},
		{"GET", []string{"Host", "127.0.0.1.evil.test"}, 421},
		{"GET", []string{"Host", ""}, 421},
		{"POST", []string{"Host", "localhost:9300", "Origin", "https://evil.test"}, 403},
		{"POST", []string{"Host", "localhost:9300", "Origin", "null"}, 403},
		{"POST", []string{"Host", "localhost:9300", "Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", []string{"Host", "localhost:9300", "Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", []string{"Host", "localhost:9300", "Sec-Fetch-Site", "same-site"}, 403},
		{"POST", []string{"Host", "localhost:9300", "Sec-Fetch-Site", "same-origin"}, 200},
		{"CONNECT", []string{"Host", "localhost:9300"}, 405},
	} {
		target := "/"
		if tt.method == "CONNECT" {
			target = "localhost:9300"
		}
		if got := g.at("127.0.0.1:1", tt.method, target, tt.header...); got.Code != tt.status {
			t.Errorf("%s %v: %d %s, want %d", tt.method, tt.header, got.Code, got.Body, tt.status)
		}
	}
}

// The path of an upstream's address cannot be left.
func TestAttackPathLeavesUpstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	base, whole := w.gateway(t, asService(s.URL+"/app", "")).start(t, "up"), w.gateway(t, asService(s.URL, "")).start(t, "up")
	for _, path := range []string{"/../admin", "/a/../../admin", "/%2e%2e/admin", "/..%2fadmin", "/%2e%2e%2fadmin", `/..\admin`, "/..%5cadmin", "/..;/admin", "/..;a=b/admin", "/%252e%252e/admin", "/.%2e/x", "/./x"} {
		raw := send(t, "GET", base.URL+strings.ReplaceAll(path, `\`, "%5c"), nil)
		if raw.status != 400 || raw.problem(t).Type != Namespace+":path-leads-out" {
			t.Errorf("%s: %d %s", path, raw.status, raw.body)
		}
	}
	for _, path := range []string{"/a..b", "/...", "/a;b=..", "/_api/f('x%2Fy')"} {
		if a := send(t, "GET", base.URL+path, nil); a.status != 200 || !strings.Contains(a.body, "/app"+path) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := send(t, "GET", whole.URL+"/a/%2e%2e/b", nil); a.status != 200 {
		t.Errorf("of the whole server: %d %s", a.status, a.body)
	}
}

// One program calls for many, and has one jar. A cookie is a login, too.
func TestAttackCookieOfAnotherCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me := authn.FromContext(r.Context()).String()
		if c, err := r.Cookie("session"); err == nil {
			me = c.Value // as servers do that log in once
		} else {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: strings.ReplaceAll(me, `\`, "-"), Path: "/"})
		}
		fmt.Fprintf(w, "%s %s", me, r.Header.Get("Cookie"))
	}))
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller, service], service: {user: 'CORP\\svc', password: {file: svc.secret}}"))
	local := g.start(t, "up")
	jar := ""
	call := func(user string) string {
		header := []string{"Cookie", jar + "tracking=1; session=CORP-admin"}
		if user != "svc" {
			header = append(header, "X-Identity", g.token(t, w.byKerberos(t, user)))
		}
		a := send(t, "GET", local.URL, nil, header...)
		if c := a.header.Get("Set-Cookie"); c != "" {
			name, _, _ := strings.Cut(c, ";")
			jar += name + "; "
		}
		return a.body
	}
	for _, round := range []string{`CORP\%s `, "CORP-%s session=CORP-%[1]s"} {
		for _, user := range []string{"alice", "bob", "svc"} {
			if got, want := call(user), fmt.Sprintf(round, user); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}

// A server that sends a program elsewhere does not get the login there.
func TestAttackUpstreamRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thief := w.protect(t, nil)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+"/x", http.StatusTemporaryRedirect)
	}))
	local := w.gateway(t, asService(s.URL, "")).start(t, "up")
	a := send(t, "POST", local.URL, strings.NewReader("x"))
	if a.status != 307 || a.header.Get("Location") != thief.URL+"/x" || len(thief.seen) > 0 {
		t.Errorf("%d %v, and the other server saw %d requests", a.status, a.header, len(thief.seen))
	}
}

// A server that asks for logins without end, or for the password itself, gets
// neither, and a program is never asked.
func TestAttackUpstreamAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, challenge := range map[string]string{"for ever": "NTLM", "for the password": "Basic realm=\"x\"", "at the proxy": "NTLM"} {
		requests, passwords := 0, 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			if strings.HasPrefix(r.Header.Get("Authorization"), "Basic") {
				passwords++
			}
			if name == "at the proxy" {
				w.Header().Set("Proxy-Authenticate", challenge)
				w.WriteHeader(http.StatusProxyAuthRequired)
				return
			}
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		t.Cleanup(s.Close)
		local := w.gateway(t, asService(s.URL, ", allow_basic: true")).start(t, "up")
		a := send(t, "GET", local.URL, nil)
		if a.status != 502 || a.header.Get("Www-Authenticate")+a.header.Get("Proxy-Authenticate") != "" || requests > 5 || passwords > 0 {
			t.Errorf("%s: %d %v, %d requests, %d passwords", name, a.status, a.header, requests, passwords)
		}
	}
}

// No password, ticket or token is in logs, answers or what is printed.
func TestAttackSecretsOfUpstreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	var out bytes.Buffer
	for _, settings := range []string{
		"act_as: [caller, service], on_double_hop: next, service: {user: 'CORP\\svc', password: {file: svc.secret}}",
		"act_as: [service], service: {user: 'CORP\\svc', password: {file: wrong.secret}}",
		"act_as: [service], service: {principal: front@CORP.TEST, password: {file: wrong.secret}}, allow_ntlm: true",
		"act_as: [caller], protocol_transition: true",
	} {
		g := w.gateway(t, asCaller(s.URL, settings))
		local := g.start(t, "up")
		alice := w.byKerberos(t, "alice")
		basic := *w.byNTLM(t, "alice")
		basic.Mechanism, basic.Evidence = "Basic", secretEvidence{}
		for _, id := range []*authn.Identity{alice, w.byNTLM(t, "alice"), &basic, w.byKerberos(t, "sam")} {
			token := g.token(t, id)
			a := send(t, "POST", local.URL, strings.NewReader("x"), "X-Identity", token, "Authorization", "Basic bWFya2VkLWNsaWVudA==")
			fmt.Fprint(&out, a)
			if strings.Contains(out.String()+g.log.String(), token) {
				t.Errorf("%s: a token is shown", settings)
			}
		}
		for _, d := range g.decisions {
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("err", d.Err), slog.Any("user", d.Identity))
		}
		fmt.Fprintf(&out, "%v %+v %v %v", g.Set, g.upstreams[0].delegator, g.Warnings(), g.issuer)
		out.WriteString(g.log.String())
	}
	for _, secret := range []string{"pw-svc", "pw-front", "marked-", "bWFya2Vk", "pw-alice"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if !strings.Contains(out.String(), "outbound request refused") {
		t.Error("the log is not looked at")
	}
}

type secretEvidence struct{}

func (secretEvidence) EvidenceKind() string { return "password" }

func (secretEvidence) Credentials() (string, authn.Secret) {
	return "alice", authn.NewSecret("marked-typed-password")
}

// A login that has ended is not passed on by a token that has not.
func TestAttackTokenOutlivesLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	g := w.gateway(t, asCaller(s.URL, "act_as: [caller, service], on_double_hop: fault, service: {user: 'CORP\\svc', password: {file: svc.secret}}"))
	local := g.start(t, "up")
	id := *w.byKerberos(t, "alice")
	id.Expires = time.Now().Add(1500 * time.Millisecond)
	token := g.token(t, &id)
	if a := send(t, "GET", local.URL, nil, "X-Identity", token); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	<-time.After(time.Until(id.Expires))
	if a := send(t, "GET", local.URL, nil, "X-Identity", token); a.status != 403 {
		t.Errorf("%d %s, want that the token has expired with the login", a.status, a.body)
	}
}
