package browser

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/pgtest"
)

// federated is "soapward serve" with a service behind a certified provider.
type federated struct {
	*peers.Gateway
	provider *peers.Provider
	port     string
	dsn      string
}

const federatedConfig = `
listen: [{addr: "127.0.0.1:%PORT%", tls: {cert: gw.pem, key: gw.key}}]
log: {level: debug}
store: {driver: postgres, dsn: %DSN%}
realms:
  partners: {oidc: {issuer: "%ISSUER%", client_id: web, client_secret: {file: secret}, ca_file: gw.pem, audiences: ["https://api.corp.test"]}}
%REALMS%roles:
  admins: {claims: [{name: groups, value: admins}]}
services:
  pay:
    match: {path: /pay}
    login: [%LOGIN%]
    allow: [{path: /pay/boss, roles: [admins]}, {path: /, roles: [any]}]
    upstream: {url: "%BACKEND%", identity: {header: X-Remote-User}}
`

func startFederated(t *testing.T, realms, login string) *federated {
	t.Helper()
	f := &federated{port: strconv.Itoa(peers.FreePort(t)), dsn: pgtest.Database(t)}
	cert := loopbackCertificate()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"gw.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		"gw.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(files["gw.pem"]), 0o600); err != nil {
		t.Fatal(err)
	}
	own := f.at("/.soapward/login/partners")
	f.provider = peers.StartProvider(t, peers.ProviderConfig{
		Redirects: []string{own + "/callback"}, LogoutRedirects: []string{own + "/done"}, CAFile: ca,
		Backchannel: "https://127.0.0.1:" + f.port + "/.soapward/login/partners/backchannel",
		TLS:         &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	files["secret"] = f.provider.ClientSecret
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>Pay</title><link rel="icon" href="data:,"><p id="who">%s</p>`, html.EscapeString(r.Header.Get("X-Remote-User")))
	}))
	t.Cleanup(backend.Close)
	config := strings.NewReplacer("%PORT%", f.port, "%DSN%", strconv.Quote(f.dsn), "%ISSUER%", f.provider.Issuer, "%BACKEND%", backend.URL,
		"%REALMS%", realms, "%LOGIN%", login).Replace(federatedConfig)
	f.Gateway = peers.StartGateway(t, config, files, "127.0.0.1:"+f.port)
	return f
}

func (f *federated) at(path string) string {
	return "https://" + net.JoinHostPort("web.corp.test", f.port) + path
}

// signIn does what alice does at the pages of the provider.
func (f *federated) signIn(b *peers.Chrome) {
	b.Wait("the provider's page", func() bool {
		return strings.HasPrefix(b.URL(), f.provider.Issuer+"/interaction/") && b.Has("input[name=login]")
	})
	b.Fill("input[name=login]", "alice")
	b.Fill("input[name=password]", "any")
	b.Submit("button[type=submit]")
	b.Wait("consent", func() bool { return b.Has("form button[type=submit]") || b.Has("#who") })
	if !b.Has("#who") {
		b.Submit("form button[type=submit]")
	}
}

// atProvider waits until the browser is asked to sign in there.
func (f *federated) atProvider(b *peers.Chrome) {
	b.Wait("the provider's page", func() bool {
		return strings.HasPrefix(b.URL(), f.provider.Issuer+"/") && b.Has("input[name=login]")
	})
}

// age has the provider asked at the next request of each session.
func (f *federated) age(t *testing.T) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Driver: "postgres", DSN: f.dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	ss, err := st.SessionsOf(t.Context(), `partners\alice@corp.test`)
	if err != nil || len(ss) == 0 {
		t.Fatal(len(ss), err)
	}
	for _, s := range ss {
		g := *s.Grant
		g.Due = time.Now().Add(-time.Second)
		if err := st.PutGrant(t.Context(), s.ID, &g, nil); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // at the latest then the gateway reads the rows again
}

const aliceThere = `partners\alice@corp.test`

// TestProvider: a login, what comes after it, and its end, at a certified provider.
func TestProvider(t *testing.T) {
	t.Parallel()
	f := startFederated(t, "", "partners/oidc")
	b := borrowChrome(t)

	b.Open(f.at("/pay/november?page=2"))
	f.signIn(b)
	if b.URL() != f.at("/pay/november?page=2") || b.Text("#who") != aliceThere {
		t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
	}
	c := b.Cookie("__Host-soapward-partners")
	if c == nil || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Expiry != 0 {
		t.Errorf("cookie %+v", c)
	}
	b.Open(f.at("/pay/boss")) // a role by a claim
	if b.Text("#who") != aliceThere {
		t.Errorf("a role by a claim: %s", b.Text("body"))
	}

	// The provider is asked while the session lives, and may be away for a while.
	refreshes := func() (n int) {
		for _, e := range f.provider.Events() {
			if e.Event == "grant.success" && e.Grant == "refresh_token" {
				n++
			}
		}
		return n
	}
	for want := 1; want <= 2; want++ { // refresh tokens count once
		f.age(t)
		b.Open(f.at("/pay/"))
		if n := refreshes(); b.Text("#who") != aliceThere || n != want {
			t.Errorf("%d refreshes, want %d: %s", n, want, b.Text("body"))
		}
	}
	f.provider.SetDown(true)
	f.age(t)
	b.Open(f.at("/pay/"))
	if b.Text("#who") != aliceThere {
		t.Errorf("while the provider is away: %s", b.Text("body"))
	}
	f.provider.SetDown(false)

	// The end of the session is one at the provider too.
	b.Open(f.at("/.soapward/login/partners/out"))
	b.Submit("button")
	b.Wait("the provider's question", func() bool {
		return strings.HasPrefix(b.URL(), f.provider.Issuer+"/session/end") && b.Has("button[name=logout]")
	})
	b.Submit("button[name=logout]")
	b.Wait("the way back", func() bool { return strings.HasPrefix(b.URL(), f.at("/.soapward/login/partners/done")) })
	if got := b.Text("#message"); got != "You are signed out." {
		t.Errorf("message %q", got)
	}
	b.Open(f.at("/pay/"))
	f.atProvider(b)

	// Signed out at the provider, or at another program: the session ends here.
	f.signIn(b)
	if b.Text("#who") != aliceThere {
		t.Fatalf("again: %s", b.Text("body"))
	}
	b.Open(f.provider.Issuer + "/session/end")
	b.Submit("button[name=logout]")
	f.provider.Await(t, "backchannel.success")
	b.Open(f.at("/pay/"))
	f.atProvider(b)
	for _, e := range f.provider.Events() {
		if e.Error != "" {
			t.Errorf("at the provider: %+v", e)
		}
	}
}

// TestProviderWithoutBrowser: what the helper for programs does, through the gateway.
func TestProviderWithoutBrowser(t *testing.T) {
	t.Parallel()
	f := startFederated(t, "", "partners/oidc")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it is the test's own
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.at("/pay/x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), f.provider.Issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	left, page := f.provider.SignIn(t, c, res.Header.Get("Location"), "bob")
	if !strings.HasPrefix(left, f.at("/.soapward/login/partners/callback?")) {
		t.Fatalf("led to %s: %s", left, page)
	}
	res, err = c.Get(left)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body) // what is missing fails below
	_ = res.Body.Close()
	if res.StatusCode != 200 || !strings.Contains(string(body), `partners\bob@corp.test`) || res.Request.URL.Path != "/pay/x" {
		t.Errorf("%s at %s: %s", res.Status, res.Request.URL, body)
	}
	res, err = c.Get(f.at("/pay/boss"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a role that bob has not: %s", res.Status)
	}
}

// TestProviderBesideDomain: members of the domain are known by their ticket, and
// others are led to the provider, which they see without a click.
func TestProviderBesideDomain(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	f := startFederated(t, fmt.Sprintf("  corp: {kerberos: {realm: CORP.TEST, kdc: [%q], keytab: %q}}\n", dc.IP, dc.Keytab(adtest.Web)), "corp/negotiate, partners/oidc")
	t.Run("ticket", func(t *testing.T) {
		b := peers.StartChrome(t, peers.ChromeConfig{Env: append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice)), Args: trusting})
		b.Open(f.at("/pay/x"))
		if b.URL() != f.at("/pay/x") || b.Text("#who") != `CORP\alice` {
			t.Errorf("at %s: %s", b.URL(), b.Text("body"))
		}
	})
	for name, args := range map[string][]string{"no ticket": trusting, "server not trusted": nil} {
		t.Run(name, func(t *testing.T) {
			b := peers.StartChrome(t, peers.ChromeConfig{Env: append(dc.Env(), "KRB5CCNAME=FILE:"+t.TempDir()+"/none"), Args: args})
			b.Open(f.at("/pay/x"))
			f.signIn(b)
			if b.URL() != f.at("/pay/x") || b.Text("#who") != aliceThere {
				t.Errorf("at %s: %s", b.URL(), b.Text("body"))
			}
		})
	}
}
