package inbound

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/mittest"
	"github.com/soapward/soapward/internal/testenv"
)

// kerberosLogins is a login by Kerberos of a realm.
type kerberosLogins struct {
	fakeLogins
	*iwa.Authenticator
}

func (k *kerberosLogins) Handler(spec login.Spec, next http.Handler) (http.Handler, error) {
	m := &authn.Middleware{Authenticators: []authn.Authenticator{k.Authenticator}, Deny: spec.Deny, AllowAnonymous: spec.AllowAnonymous}
	return m.Wrap(next), nil
}

// nginx asks us about each request, over one connection for all clients, and curl
// logs in by Kerberos through it.
func TestNGINX(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "nginx")
	curl := testenv.Need(t, "curl")
	const host, password = "web.a.test", "pw-of-both 42"
	k := mittest.Start(t, mittest.Realm{
		Name:       "A.TEST",
		Principals: []string{`-pw "` + password + `" alice`, `-pw "` + password + `" bob`, "-randkey HTTP/" + host},
		Keytabs:    map[string]string{"web": "HTTP/" + host},
	})
	keys, err := kerberos.LoadKeytab(k.Keytab("web"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("gw.yaml", []byte(`
listen: [{addr: ':8080'}]
realms: {a: {kerberos: {realm: A.TEST, keytab: web.keytab}}}
roles: {payroll: {users: ['A.TEST\alice']}}
forward_auth: {proxies: [127.0.0.1]}
services:
  web:
    match: {host: web.a.test}
    login: [a/negotiate]
    forward_auth: true
    allow: [{path: /pay/, roles: [payroll]}, {path: /, roles: [any]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	logins := &kerberosLogins{Authenticator: &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keys, AllowNoPAC: []string{"A.TEST"}}}}
	h, err := newHandler(c, parts{logins: logins, logger: slog.New(slog.NewTextHandler(t.Output(), nil)), keys: http.NotFoundHandler(), describe: func(name string, c *config.Identity, _ *authz.Roles) (func(context.Context, *authn.Identity) (http.Header, error), error) {
		return backend.Describe(c, backend.Options{Service: name})
	}})
	if err != nil {
		t.Fatal(err)
	}
	gateway := httptest.NewUnstartedServer(h)
	gateway.Config = iwa.Server(h)
	gateway.Start()
	t.Cleanup(gateway.Close)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", strings.Join(r.Header["X-Remote-User"], ","), r.Method, r.URL.Path, b)
	}))
	t.Cleanup(app.Close)
	port := peers.StartNGINX(t, "testdata/nginx.conf", gateway.Listener.Addr().String(), app.Listener.Addr().String())

	call := func(t *testing.T, cache, path string, args ...string) (body, status string) {
		t.Helper()
		args = append([]string{"-q", "-sS", "--max-time", "60", "--noproxy", "*", "-w", "\n%{http_code}", "--resolve", host + ":" + port + ":127.0.0.1"}, args...)
		if cache != "" {
			args = append(args, "--negotiate", "-u", ":")
		}
		out := testenv.Run(t, append(k.Env(), "KRB5CCNAME=FILE:"+cache), "", curl, append(args, "http://"+host+":"+port+path)...)
		i := strings.LastIndex(out, "\n")
		return out[:i], out[i+1:]
	}
	alice, bob := k.Kinit(t, k.Env(), "alice", password), k.Kinit(t, k.Env(), "bob", password)
	for _, tt := range []struct {
		name, cache, path string
		args              []string
		status, body      string
	}{
		{"alice", alice, "/x", nil, "200", `A.TEST\alice GET /x `},
		{"bob", bob, "/x", nil, "200", `A.TEST\bob GET /x `},
		{"post", bob, "/x", []string{"-d", "hello"}, "200", `A.TEST\bob POST /x hello`},
		{"nobody", "", "/x", nil, "401", ""},
		{"alice may", alice, "/pay/x", nil, "200", `A.TEST\alice GET /pay/x `},
		{"bob may not", bob, "/pay/x", nil, "403", ""},
		{"other spelling", bob, "/x/%2e%2e/pay/x", []string{"--path-as-is"}, "403", ""},
		{"name of one's own", bob, "/x", []string{"-H", "X-Remote-User: A.TEST\\alice", "-H", "X-Original-URL: http://web.a.test/y"}, "200", `A.TEST\bob GET /x `},
		{"wrong token", "", "/x", []string{"-H", "Authorization: Negotiate YWJj"}, "401", ""},
	} {
		body, status := call(t, tt.cache, tt.path, tt.args...)
		if status != tt.status || tt.body != "" && body != tt.body {
			t.Errorf("%s: got %s %q, want %s %q", tt.name, status, body, tt.status, tt.body)
		}
	}
	if _, status := call(t, "", "/x", "-I"); status != "401" {
		t.Errorf("after all of them: got %s, want 401: a login stayed with the connection", status)
	}
	out, _ := call(t, "", "/x", "-i")
	if !strings.Contains(out, "Www-Authenticate: Negotiate\r\n") || strings.Contains(out, "NTLM") {
		t.Errorf("got %q, want the challenge of Negotiate alone", out)
	}
}
