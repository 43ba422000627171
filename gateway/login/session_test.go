package login_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/login"
)

// balancer forwards to a gateway over very few connections, as load balancers do
// that mix their clients' requests.
func (w *world) balancer(backend string) *httptest.Server {
	w.t.Helper()
	u, err := url.Parse(backend)
	if err != nil {
		w.t.Fatal(err)
	}
	tr := &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1}
	w.t.Cleanup(tr.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = iwa.Server(proxy)
	srv.StartTLS()
	w.t.Cleanup(srv.Close)
	return srv
}

// balanced is the service of a gateway behind a balancer that ends TLS.
const balanced = `
listen: [{addr: "127.0.0.1:8080"}]
trusted_proxies: [127.0.0.0/8]
sessions: {tls_at_proxy: true}
realms:
  staff: {internal: {ntlm: true}}
services:
  with:    {match: {path: /x}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], session: true}
  without: {match: {path: /y}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm]}
  kept:    {match: {path: /z}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], allow_forwarded: true}
`

// loginOver makes an NTLM login by hand, and returns the status of its last leg.
func loginOver(t testing.TB, c *http.Client, u, user string) int {
	t.Helper()
	i := initiatorAs(user)
	_, challenge := leg(t, c, u, step(t, i, nil))
	if len(challenge) == 0 {
		return http.StatusUnauthorized
	}
	status, _ := leg(t, c, u, step(t, i, challenge))
	return status
}

// With a session, NTLM works through a balancer that mixes the connections of its
// clients, and nobody is taken for another.
func TestSessionBehindBalancer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(balanced)
	s := w.set(c, nil)
	users := []string{"dora", "emil", "fred"}
	for _, u := range users {
		w.user(c, "staff", u)
	}
	h, err := s.Handler(spec(c, "with"), whoami)
	if err != nil {
		t.Fatal(err)
	}
	front := w.balancer(w.listen(h, false).URL)
	clients := make([]*http.Client, len(users))
	for i, u := range users {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = oneConnection(t, front.Client())
		clients[i].Jar = jar
		if status := loginOver(t, clients[i], front.URL, u); status != 200 {
			t.Fatalf("%s: %d behind the balancer", u, status)
		}
	}
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() {
			for range 50 {
				if got, want := get(t, clients[i], front.URL), "200 "+u+" by NTLM"; got != want {
					t.Errorf("%s, want %s", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := get(t, oneConnection(t, front.Client()), front.URL); !strings.HasPrefix(got, "401") {
		t.Errorf("somebody without a cookie: %s", got)
	}
}

// Without one, NTLM is refused there, unless the balancer keeps a connection for
// each client.
func TestNoSessionBehindBalancer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(balanced)
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	for service, want := range map[string]int{"without": 401, "kept": 200} {
		h, err := s.Handler(spec(c, service), whoami)
		if err != nil {
			t.Fatal(err)
		}
		front := w.balancer(w.listen(h, false).URL)
		client := oneConnection(t, front.Client())
		if status := loginOver(t, client, front.URL, "dora"); status != want {
			t.Errorf("%s: %d, want %d", service, status, want)
		}
		if status, _ := leg(t, client, front.URL, nil); status != want {
			t.Errorf("%s, the next request: %d, want %d", service, status, want)
		}
	}
	if got := strings.Join(w.seen.reasons(), ","); !strings.Contains(got, "refused policy") {
		t.Errorf("told of %q, want a refusal that names the proxy", got)
	}
}

// A client with a session is not given another at each login.
func TestSessionBeginsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	srv := w.serve(c, s, "session")
	client := w.client(srv, w.kerberos("alice"))
	set := 0
	for range 4 {
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range resp.Cookies() {
			if !login.IsCookie(k.Name) || !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteLaxMode {
				t.Errorf("cookie %v", k)
			}
			set++
		}
		_ = answer(t, resp)
		client.Transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
	if set != 1 {
		t.Errorf("%d sessions began, want 1", set)
	}
	plain := w.client(srv, nil)
	plain.Jar = client.Jar
	if got, want := get(t, plain, srv.URL), `200 CORP\alice by Kerberos`; got != want {
		t.Errorf("by the cookie alone: %s, want %s", got, want)
	}
}
