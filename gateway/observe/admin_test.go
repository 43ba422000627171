package observe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/health"
)

// ask is a request of the admin listener.
func ask(o *Observer, path, peer string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:9180", peer
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	o.Admin().ServeHTTP(w, r)
	return w
}

const here = "127.0.0.1:50000"

func TestReady(t *testing.T) {
	t.Parallel()
	var err error
	c := health.Check{Name: "store", Kind: health.Store, Essential: true, Remedy: "start PostgreSQL", Run: func(context.Context) error { return err }}
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{Checks: func() []health.Check { return []health.Check{c} }})
	ob.stop() // the test looks itself
	<-ob.done
	status := func(want int, why string) {
		t.Helper()
		ob.monitor.Look(t.Context())
		w := ask(ob, "/readyz", here, nil)
		var r health.Report
		if jsonErr := json.Unmarshal(w.Body.Bytes(), &r); jsonErr != nil || w.Code != want || r.Why != why || len(r.Checks) != 1 {
			t.Errorf("%d %s, %v; want %d %q", w.Code, w.Body, jsonErr, want, why)
		}
		if w := ask(ob, "/healthz", here, nil); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("healthz: %d %s, want 200 whatever is down", w.Code, w.Body)
		}
	}
	status(200, "")
	err = errors.New("connection refused")
	status(503, "store is down")
	if body := ask(ob, "/readyz", here, nil).Body.String(); !strings.Contains(body, `"remedy": "start PostgreSQL"`) || !strings.Contains(body, `"error": "connection refused"`) {
		t.Errorf("readyz %s", body)
	}
	err = nil
	status(200, "")
	ob.Drain()
	status(503, "draining: the gateway is about to stop")
}

// Whoever is not meant to look after the gateway sees nothing of it: from other
// machines, through a proxy on this one, or by a page in a browser on it whose
// name was turned to our address.
func TestAttackAdminStranger(t *testing.T) {
	t.Parallel()
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	host := func(v string) func(*http.Request) { return func(r *http.Request) { r.Host = v } }
	alone, _, _ := observer(t, "access_log: {file: off}\nadmin: {addr: \"0.0.0.0:9180\"}", Options{})
	shared, _, _ := observer(t, "access_log: {file: off}\nadmin: {addr: \"0.0.0.0:9180\", networks: [10.1.0.0/16, \"2001:db8::/32\"]}", Options{})
	for _, tt := range []struct {
		name          string
		peer          string
		change        func(*http.Request)
		alone, shared int
	}{
		{"this machine", here, nil, 200, 200},
		{"this machine, IPv6", "[::1]:1", host("[::1]:9180"), 200, 200},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:1", host("localhost:9180"), 200, 200},
		{"elsewhere", "192.0.2.1:1", nil, 403, 403},
		{"elsewhere, says here", "192.0.2.1:1", header("X-Forwarded-For", "127.0.0.1"), 403, 403},
		{"network", "10.1.2.3:1", host("gw.corp.test"), 403, 200},
		{"network, IPv4 in IPv6", "[::ffff:10.1.2.3]:1", nil, 403, 200},
		{"network, IPv6", "[2001:db8::1]:1", nil, 403, 200},
		{"proxy here", here, header("X-Forwarded-For", "192.0.2.1"), 403, 403},
		{"proxy here, RFC 7239", here, header("Forwarded", "for=192.0.2.1"), 403, 403},
		{"proxy here, behind a line of the client", here, func(r *http.Request) { r.Header["X-Forwarded-For"] = []string{"", "192.0.2.1"} }, 403, 403},
		{"proxy here, which says only so", here, header("Via", "1.1 proxy"), 403, 403},
		{"proxy here, by the header of nginx", here, header("X-Real-IP", "192.0.2.1"), 403, 403},
		{"rebound name", here, host("evil.test:9180"), 403, 403},
		{"rebound name like ours", here, host("127.0.0.1.evil.test"), 403, 403},
		{"no address", "@", nil, 403, 403},
		{"nothing", "", nil, 403, 403},
	} {
		for _, path := range []string{"/", "/metrics", "/readyz", "/healthz"} {
			for ob, want := range map[*Observer]int{alone: tt.alone, shared: tt.shared} {
				w := ask(ob, path, tt.peer, tt.change)
				if path == "/readyz" && w.Code == http.StatusServiceUnavailable {
					w.Code = http.StatusOK // it began just now
				}
				if w.Code != want || want == 403 && w.Body.Len() > 200 {
					t.Errorf("%s: %s: %d, want %d", tt.name, path, w.Code, want)
				}
			}
		}
	}
	// The name in admin.url is ours, for who comes from here; no other is.
	named, _, _ := observer(t, "access_log: {file: off}\nadmin: {addr: \"0.0.0.0:9180\", url: \"https://gw-admin.corp.test\"}", Options{})
	for _, tt := range []struct {
		peer, host string
		want       int
	}{
		{here, "gw-admin.corp.test", 200}, {here, "GW-admin.corp.test:9180", 200}, {here, "127.0.0.1:9180", 200},
		{here, "evil.test", 403}, {here, "gw-admin.corp.test.evil.test", 403}, {here, "x.gw-admin.corp.test", 403}, {"192.0.2.1:1", "gw-admin.corp.test", 403},
	} {
		if w := ask(named, "/healthz", tt.peer, host(tt.host)); w.Code != tt.want {
			t.Errorf("admin.url, from %s for %s: %d, want %d", tt.peer, tt.host, w.Code, tt.want)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if w := ask(alone, "/metrics", here, func(r *http.Request) { r.Method = method }); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// Who may open a Unix socket is said by its permissions.
func TestAdminUnix(t *testing.T) {
	t.Parallel()
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: ob.Admin(), ReadHeaderTimeout: time.Second}
	defer s.Close()
	go func() { _ = s.Serve(l) }()
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}}}
	resp, err := c.Get("http://admin/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

// full is a configuration with all that a page can show.
const full = `
listen: [{addr: ":443", tls: {cert: c, key: k}}, {addr: ":8080"}]
admin: {addr: "127.0.0.1:9180"}
access_log: {file: off}
realms:
  corp: {kerberos: {realm: CORP.TEST, keytab: app.keytab}, ntlm: {verifier: netlogon, computer: GW01$, secret: {env: MARKED_VARIABLE}}}
defaults: {login: [corp/negotiate, corp/ntlm]}
services:
  hr: {match: {host: hr.corp.test, path: /hr/}, upstream: {url: "http://127.0.0.1:8080/x"}}
  api: {match: {path: /api/}, login: [none], upstream: {url: "http://127.0.0.1:8081", identity: {jwt: {header: X-Identity, key: {file: marked.key}}}}}
upstreams:
  sharepoint: {listen: "127.0.0.1:9300", url: "https://sharepoint.corp.test", act_as: [caller, service], service: {principal: svc-gw@CORP.TEST, password: {env: MARKED_VARIABLE}}}
`

func TestPage(t *testing.T) {
	t.Parallel()
	checks := []health.Check{
		{Name: "realm corp: <b>KDC</b>", Kind: health.KDC, Run: func(context.Context) error { return errors.New("<script>alert(1)</script> refused") }, Remedy: "start it"},
		{Name: "store", Kind: health.Store, Essential: true, Run: func(context.Context) error { return nil }},
	}
	ob, _, _ := observer(t, full, Options{Checks: func() []health.Check { return checks }})
	ob.monitor.Look(t.Context())
	w := ask(ob, "/", here, nil)
	body := w.Body.String()
	for _, want := range []string{"Ready", "1 down", ":443 (https)", ":8080 (http)", "hr.corp.test/hr/", "corp/negotiate, corp/ntlm", "http://127.0.0.1:8080/x<",
		"caller, service", "&lt;b&gt;KDC", "&lt;script&gt;", "start it", "store", "v1.2.3"} {
		if !strings.Contains(body, want) {
			t.Errorf("page has no %q", want)
		}
	}
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") || strings.Contains(body, "<script") || strings.Contains(body, "style=") {
		t.Errorf("policy %q", csp)
	}
	if w := ask(ob, "/other", here, nil); w.Code != http.StatusNotFound {
		t.Errorf("another page: %d", w.Code)
	}
	ob.Reloaded(errors.New("c.yaml:3:1: unknown key"))
	if body := ask(ob, "/", here, nil).Body.String(); !strings.Contains(body, "The last reload was refused") || !strings.Contains(body, "c.yaml:3:1: unknown key") {
		t.Error("the page does not tell of the reload that was refused")
	}
	if dir := os.Getenv("SOAPWARD_TEST_PAGE"); dir != "" { // to look at it
		if err := os.WriteFile(filepath.Join(dir, "page.html"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The style of the page is what its policy allows, whatever the template does to
// it.
func TestPageStyle(t *testing.T) {
	t.Parallel()
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{})
	body := ask(ob, "/", here, nil).Body.String()
	_, rest, _ := strings.Cut(body, "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	if !ok || style != pageStyle {
		t.Errorf("style %.200q, want %.200q", style, pageStyle)
	}
}

// Nothing of a secret is on the admin listener, not even where it is from.
func TestAttackAdminShowsSecrets(t *testing.T) {
	t.Setenv("MARKED_VARIABLE", "marked-secret")
	ob, _, _ := observer(t, full, Options{})
	ob.monitor.Look(t.Context())
	if u, err := url.Parse("https://x.test/a?key=marked"); err != nil || place(u) != "https://x.test/a" {
		t.Errorf("a URL is shown as %q", place(u))
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/healthz"} {
		body := ask(ob, path, here, nil).Body.String()
		for _, secret := range []string{"marked-secret", "MARKED_VARIABLE", "marked.key"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s has %s", path, secret)
			}
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		3*time.Second + 5: "3s", 90 * time.Second: "1m", 25 * time.Hour: "25h0m", 73 * time.Hour: "3 days 1 hour",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
