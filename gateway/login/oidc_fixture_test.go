package login_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
)

// providers is a gateway with two providers. %A% and %B% are their issuers.
const providers = `
listen: [{addr: "127.0.0.1:8443", tls: {cert: x, key: x}}]
realms:
  corp:     {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}}
  staff:    {internal: {}}
  partners: {oidc: {issuer: "%A%", client_id: web, client_secret: {file: "%DIR%/secret"}, audiences: ["https://api.corp.test"]}}
  vendors:  {create_users: false, oidc: {issuer: "%B%", client_id: web, client_secret: {file: "%DIR%/secret"}, audiences: ["https://api.corp.test"]}}
services:
  partners: {match: {path: /p}, upstream: {url: "http://127.0.0.1"}, login: [partners/oidc]}
  vendors:  {match: {path: /v}, upstream: {url: "http://127.0.0.1"}, login: [vendors/oidc]}
  either:   {match: {path: /e}, upstream: {url: "http://127.0.0.1"}, login: [partners/oidc, vendors/oidc]}
  form:     {match: {path: /f}, upstream: {url: "http://127.0.0.1"}, login: [staff/form, partners/oidc]}
  windows:  {match: {path: /w}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, partners/oidc]}
`

// federation is a world with two providers.
type federation struct {
	*world
	a, b   *oidctest.Provider
	config *config.Config
	set    *login.Set
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{world: newWorld(t), a: oidctest.New(t, oidctest.Options{}), b: oidctest.New(t, oidctest.Options{})}
	if err := os.WriteFile(filepath.Join(f.dir, "secret"), []byte("web-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.config = f.world.config(f.text(providers))
	f.set = f.world.set(f.config, nil)
	return f
}

func (f *federation) text(s string) string {
	return strings.NewReplacer("%A%", f.a.Issuer, "%B%", f.b.Issuer).Replace(s)
}

func (f *federation) serve(service string) *httptest.Server {
	f.t.Helper()
	return f.world.serve(f.config, f.set, service)
}

// person is a browser in front of a service.
type person struct {
	*http.Client
	t   *testing.T
	url string
}

func newPerson(t *testing.T, srv *httptest.Server) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{&http.Client{Transport: srv.Client().Transport, Jar: jar}, t, srv.URL}
}

// open opens a page as browsers do. It returns what is on the last one.
func (p *person) open(target string, header ...string) (status int, body string, at *url.URL) {
	p.t.Helper()
	res := p.do(http.MethodGet, target, nil, header...)
	_, body, _ = strings.Cut(answer(p.t, res), " ")
	return res.StatusCode, body, res.Request.URL
}

func (p *person) do(method, target string, form url.Values, header ...string) *http.Response {
	p.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = p.url + target
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.url)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := p.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// stay has redirects returned, not followed.
func (p *person) stay() *person {
	c := *p.Client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &person{&c, p.t, p.url}
}

// step opens a page and returns where it leads.
func (p *person) step(target string) string {
	p.t.Helper()
	res := p.stay().do(http.MethodGet, target, nil)
	_ = answer(p.t, res)
	to, err := res.Location()
	if err != nil {
		p.t.Fatalf("%s: %s leads nowhere", target, res.Status)
	}
	return to.String()
}

// tokenOn is the token of a page's form.
func tokenOn(t *testing.T, page string) string {
	t.Helper()
	m := hidden.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no token on the page: %s", page)
	}
	return m[1]
}
