package inbound

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

const forwardText = `
roles: {payroll: {groups: ['CORP\Payroll']}}
forward_auth: {proxies: [192.0.2.1]}
services:
  web:
    match: {host: web.corp.test}
    allow_forwarded: true
    login: [corp/ntlm, corp/basic]
    forward_auth: true
    allow:
      - {path: /pay/, roles: [payroll]}
      - {path: /, methods: [GET], roles: [any]}
    elements: [{path: /in/, networks: [10.0.0.0/8]}]
  open:
    match: {host: open.corp.test}
    login: [none]
    forward_auth: true
    upstream: {identity: {header: X-User, jwt: {header: X-Token, key: {file: id.key}}}}
  token:
    match: {host: token.corp.test}
    login: [corp/ntlm, corp/basic]
    forward_auth: true
    upstream: {identity: {header: X-User, jwt: {header: X-Token, key: {file: id.key}}}}
  own:
    match: {host: own.corp.test}
    login: [none]
    upstream: {url: "http://127.0.0.1:1"}
`

// ask makes the question of a proxy.
func ask(user string, header ...string) *http.Request {
	return request("GET", "http://gw.corp.test/.soapward/auth", user, "", header...)
}

func nginxAsks(user, method, target string) *http.Request {
	return ask(user, "X-Original-Url", target, "X-Original-Method", method)
}

func traefikAsks(user, method, host, uri string, more ...string) *http.Request {
	return ask(user, append([]string{"X-Forwarded-Method", method, "X-Forwarded-Proto", "https", "X-Forwarded-Host", host, "X-Forwarded-Uri", uri, "X-Forwarded-For", "10.1.1.1"}, more...)...)
}

func TestForwardAuth(t *testing.T) {
	t.Parallel()
	f := newFixture(t, forwardText)
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		header string // and value
		value  string
	}{
		{"nginx", nginxAsks("bob", "GET", "https://web.corp.test/x?y=%2f"), 200, "X-Remote-User", `CORP\bob`},
		{"nginx, uri and host", ask("bob", "X-Original-Uri", "/x", "X-Original-Method", "GET", "X-Forwarded-Host", "web.corp.test"), 200, "X-Remote-User", `CORP\bob`},
		{"traefik", traefikAsks("bob", "GET", "web.corp.test", "/x?y=1"), 200, "X-Remote-User", `CORP\bob`},
		{"caddy, with a port", traefikAsks("bob", "HEAD", "web.corp.test:8443", "/"), 200, "X-Remote-User", `CORP\bob`},
		{"names and token", nginxAsks("alice", "GET", "https://token.corp.test/"), 200, "X-Token", "token.alice"},
		{"a name that is no header", nginxAsks("z\u00fc%", "GET", "https://token.corp.test/"), 200, "X-User", `UTF-8''CORP%5Cz%C3%BC%25`},
		{"anonymous", nginxAsks("", "GET", "https://open.corp.test/"), 200, "X-User", ""},
		{"no credentials", nginxAsks("", "GET", "https://web.corp.test/x"), 401, "Www-Authenticate", "Test corp/basic"},
		{"wrong credentials", traefikAsks("mallory", "GET", "web.corp.test", "/x"), 401, "Www-Authenticate", "Test corp/basic"},
		{"rule", nginxAsks("bob", "GET", "https://web.corp.test/pay/x"), 403, "", ""},
		{"rule for others", nginxAsks("alice", "GET", "https://web.corp.test/pay/x"), 200, "", ""},
		{"method", nginxAsks("bob", "POST", "https://web.corp.test/x"), 403, "", ""},
		{"network of the client", traefikAsks("bob", "GET", "web.corp.test", "/in/x"), 200, "", ""},
		{"another network", nginxAsks("bob", "GET", "https://web.corp.test/in/x"), 403, "", ""},
		{"no such service", nginxAsks("bob", "GET", "https://none.corp.test/x"), 403, "", ""},
		{"JSON", traefikAsks("bob", "POST", "web.corp.test", "/x", "Accept", "application/json"), 403, "Content-Type", "application/problem+json"},
		{"SOAP is not for it", traefikAsks("bob", "POST", "web.corp.test", "/x", "Content-Type", "text/xml"), 403, "Content-Type", "text/plain; charset=utf-8"},
	} {
		w := f.do(tt.r)
		if w.Code != tt.status || tt.header != "" && w.Header().Get(tt.header) != tt.value {
			t.Errorf("%s: got %d, %s: %q, want %d, %q", tt.name, w.Code, tt.header, w.Header().Get(tt.header), tt.status, tt.value)
		}
	}
	if n := f.backend.count(); n > 0 {
		t.Errorf("the backend got %d requests", n)
	}
	// Requests do not come to us for what another proxy passes on.
	check(t, f.do(request("GET", "http://token.corp.test/", "bob", "")), 404)
}

// Whoever asks without being a proxy, describes a request in two ways or leaves
// out what the rules are about, learns nothing.
func TestAttackForwardAuth(t *testing.T) {
	t.Parallel()
	f := newFixture(t, forwardText)
	other := nginxAsks("bob", "GET", "https://web.corp.test/x")
	other.RemoteAddr = "192.0.2.9:1000"
	other.Header.Set("X-Forwarded-For", "192.0.2.1")
	other = other.WithContext(authn.WithClient(other.Context(), netip.MustParseAddr("192.0.2.1"))) // as trusted_proxies have it
	unix := nginxAsks("bob", "GET", "https://web.corp.test/x")
	unix.RemoteAddr = "@"
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		log    string
	}{
		{"another asks", other, 403, "nobody else may ask"},
		{"nobody knows who", unix, 403, "nobody else may ask"},
		{"client adds a URL", traefikAsks("bob", "GET", "web.corp.test", "/pay/x", "X-Original-Url", "https://open.corp.test/"), 403, "in two ways"},
		{"client adds a URI", traefikAsks("bob", "GET", "web.corp.test", "/pay/x", "X-Original-Uri", "/x"), 403, "in two ways"},
		{"client adds a method", traefikAsks("bob", "POST", "web.corp.test", "/x", "X-Original-Method", "GET"), 403, "in two ways"},
		{"client adds what others send", ask("bob", "X-Original-Url", "https://web.corp.test/pay/x", "X-Original-Method", "GET", "X-Forwarded-Uri", "/x"), 403, "in two ways"},
		{"two URLs", ask("bob", "X-Original-Url", "https://open.corp.test/", "X-Original-Url", "https://web.corp.test/pay/x", "X-Original-Method", "GET"), 403, "twice"},
		{"two hosts", traefikAsks("bob", "GET", "web.corp.test", "/x", "X-Forwarded-Host", "open.corp.test"), 403, "twice"},
		{"hosts in a list", traefikAsks("bob", "GET", "open.corp.test, web.corp.test", "/x"), 403, "does not say which request"},
		{"no method", ask("bob", "X-Original-Url", "https://web.corp.test/x"), 403, "does not say the method"},
		{"no host", ask("bob", "X-Original-Uri", "/x", "X-Original-Method", "GET"), 403, "does not say which request"},
		{"nothing", ask("bob"), 403, "does not say which request"},
		{"no URL", nginxAsks("bob", "GET", "web.corp.test/x"), 403, "does not say which request"},
		{"user in it", nginxAsks("bob", "GET", "https://open.corp.test@web.corp.test/pay/"), 403, "does not say which request"},
		{"dots", nginxAsks("bob", "GET", "https://web.corp.test/x/../pay/x"), 403, "not in its shortest form"},
		{"dots for others", traefikAsks("bob", "GET", "web.corp.test", "/x/../pay/x"), 400, "not in its shortest form"},
		{"slashes", nginxAsks("bob", "GET", "https://web.corp.test//pay/x"), 403, "not in its shortest form"},
		{"encoded slash", nginxAsks("bob", "GET", "https://web.corp.test/x%2f..%2fpay/x"), 403, "encoded slash"},
		{"small letters", traefikAsks("bob", "get", "web.corp.test", "/x"), 400, "not in capitals"},
		{"service that we pass on to", nginxAsks("bob", "GET", "https://own.corp.test/"), 403, "not one with forward_auth"},
		{"our own pages", nginxAsks("bob", "GET", "https://web.corp.test/.soapward/whoami"), 403, "own pages"},
	} {
		f.log.Reset()
		w := f.do(tt.r)
		if w.Code != tt.status || !strings.Contains(f.log.String(), tt.log) || w.Header().Get("X-Remote-User") != "" {
			t.Errorf("%s: got %d, want %d and %q in the log\n%s", tt.name, w.Code, tt.status, tt.log, f.log)
		}
	}
	// What a proxy says of the client counts only if it is one.
	g := newFixture(t, strings.Replace(forwardText, "forward_auth: {proxies: [192.0.2.1]}", "forward_auth: {proxies: [192.0.2.7]}", 1))
	check(t, g.do(traefikAsks("bob", "GET", "web.corp.test", "/in/x")), 403)
}

// NTLM needs a connection of its own, which nobody has here: its messages are not
// taken, alone or inside Negotiate, so that no login stays with the connection of
// the proxy.
func TestAttackForwardAuthNTLM(t *testing.T) {
	t.Parallel()
	f := newFixture(t, forwardText)
	message := base64.StdEncoding.EncodeToString([]byte("\x60\x40NTLMSSP\x00\x01\x00\x00\x00"))
	for _, s := range f.logins.specs {
		for _, l := range s.Logins {
			if l.Method == config.NTLM || s.AllowForwarded {
				t.Errorf("%v, %v, want no NTLM", s.Logins, s.AllowForwarded)
			}
		}
	}
	for _, authorization := range []string{"NTLM " + message, "Negotiate " + message, "negotiate " + message} {
		f.log.Reset()
		r := nginxAsks("", "GET", "https://web.corp.test/x")
		r.Header.Set("Authorization", authorization)
		w := f.do(r)
		if w.Code != 401 || len(w.Header()["Www-Authenticate"]) != 1 || !strings.Contains(f.log.String(), "NTLM needs several requests") {
			t.Errorf("%s: got %d, %v\n%s", authorization, w.Code, w.Header(), f.log)
		}
	}
}

// What the client says of itself is not what the proxy is told.
func TestAttackForwardedIdentity(t *testing.T) {
	t.Parallel()
	f := newFixture(t, forwardText)
	mine := []string{"X-User", `CORP\alice`, "x_user", `CORP\alice`, "X-Token", "mine", "Connection", "X-User"}
	for user, want := range map[string][]string{"": {"", ""}, "bob": {`CORP\bob`, "token.bob"}} {
		host := "open"
		if user != "" {
			host = "token"
		}
		w := f.do(ask(user, append(mine, "X-Original-Url", "https://"+host+".corp.test/", "X-Original-Method", "GET")...))
		if w.Code != 200 || w.Header().Get("X-User") != want[0] || w.Header().Get("X-Token") != want[1] || w.Header().Get("Connection") != "" {
			t.Errorf("%q: got %d, %v", user, w.Code, w.Header())
		}
	}
}
