package oidc_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// behindProxy is a world whose provider is known by a name to the proxy alone.
func behindProxy(t *testing.T, secure bool) (*world, *oidctest.Proxy) {
	t.Helper()
	w := setup(t, &oidctest.Options{TLS: true, Host: "example.com"}, nil)
	proxy := oidctest.NewProxy(t, w.Provider, secure)
	w.us = w.client(t, func(c *oidc.Config) { c.Proxy = parseURL(t, proxy.URL) })
	return w, proxy
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAttackOIDCAroundProxy does all there is to do with a provider through a proxy:
// nothing, such as a secret, goes another way.
func TestAttackOIDCAroundProxy(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, proxy := behindProxy(t, secure)
			var around, requests atomic.Int32
			w.Set(func(s *oidctest.Switches) {
				s.ClaimsInUserinfo = true
				s.Serve = func(_ http.ResponseWriter, r *http.Request) bool {
					if requests.Add(1); !proxy.Carried(r.RemoteAddr) {
						around.Add(1)
					}
					return false
				}
			})
			browser := http.Client{Transport: through(t, w, proxy)}
			l, err := beginAt(t, w, &browser)
			if err != nil {
				t.Fatal(err)
			}
			id, tokens, err := w.us.Callback(t.Context(), l.login, l.answer)
			if err != nil || id.Account != "alice@example.com" {
				t.Fatal(id, err)
			}
			if _, tokens, err = w.us.Refresh(t.Context(), tokens); err != nil {
				t.Fatal(err)
			}
			if err := w.us.Revoke(t.Context(), tokens); err != nil || w.Granted("alice") != 0 {
				t.Errorf("%d refresh tokens are good, %v", w.Granted("alice"), err)
			}
			if _, err := w.us.Check(t.Context()); err != nil {
				t.Error(err)
			}
			program := w.client(t, func(c *oidc.Config) {
				c.ClientID, c.ClientSecret, c.DesktopClientID, c.Proxy = "desktop", authn.Secret{}, "", parseURL(t, proxy.URL)
			})
			n := oidc.Native{Provider: program, Show: func(_, code string) { w.ApproveDevice(code, "alice") }}
			if _, _, err := n.Device(t.Context()); err != nil {
				t.Error(err)
			}
			for _, path := range []string{oidctest.PathDocument, oidctest.PathKeys, oidctest.PathToken, oidctest.PathUserinfo, oidctest.PathRevoke, oidctest.PathDevice} {
				if w.Requests(path) == 0 {
					t.Errorf("nothing asked for %s", path)
				}
			}
			host := strings.TrimPrefix(w.Issuer, "https://")
			if n := around.Load(); n != 0 || requests.Load() == 0 {
				t.Errorf("%d of %d requests went around the proxy", n, requests.Load())
			}
			if asked := proxy.Asked(); len(asked) == 0 || slices.ContainsFunc(asked, func(a string) bool { return a != host }) {
				t.Errorf("the proxy was asked for %q, want %q", asked, host)
			}
		})
	}
}

// begun is a login at which the provider has answered.
type begun struct {
	login  *oidc.Login
	answer *http.Request
}

func beginAt(t *testing.T, w *world, browser *http.Client) (*begun, error) {
	t.Helper()
	at, l, err := w.us.Begin(t.Context(), redirect, "/")
	if err != nil {
		return nil, err
	}
	return &begun{l, browse(t, browser, at)}, nil
}

// through is what a browser goes through the proxy with.
func through(t *testing.T, w *world, proxy *oidctest.Proxy) *http.Transport {
	t.Helper()
	tr := w.Client().Transport.(*http.Transport).Clone()
	tr.Proxy = http.ProxyURL(parseURL(t, proxy.URL))
	return tr
}

// What a proxy does not do is told with its name.
func TestProxyErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		proxy func(p *oidctest.Proxy)
		want  string
	}{
		{"a login", func(p *oidctest.Proxy) { p.Refuse(407) }, "it wants a login (status 407)"},
		{"forbidden", func(p *oidctest.Proxy) { p.Refuse(403) }, "it does not connect to the provider: status 403"},
		{"gone", (*oidctest.Proxy).Close, "proxyconnect tcp: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, proxy := behindProxy(t, false)
			tt.proxy(proxy)
			_, _, err := w.us.Begin(t.Context(), redirect, "/")
			wantUnavailable(t, nil, err, "through the proxy "+proxy.URL+": ")
			wantUnavailable(t, nil, err, tt.want)
			if _, err := w.us.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "through the proxy "+proxy.URL) {
				t.Errorf("check: %v", err)
			}
			usual := w.client(t, func(c *oidc.Config) { c.HTTP, c.Proxy = nil, parseURL(t, proxy.URL) })
			_, _, err = usual.Begin(t.Context(), redirect, "/")
			wantUnavailable(t, nil, err, "through the proxy "+proxy.URL+": ")
			if n := w.Requests(oidctest.PathDocument); n != 0 {
				t.Errorf("%d requests came to the provider all the same", n)
			}
		})
	}

	// At http the proxy itself answers, and so it does where the transport chooses.
	w := setup(t, nil, nil)
	proxy := oidctest.NewProxy(t, w.Provider, false)
	proxy.Refuse(407)
	at := parseURL(t, proxy.URL)
	at.User = url.UserPassword("alice", "Marked-proxy-password")
	us := w.client(t, func(c *oidc.Config) { c.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}} })
	_, _, err := us.Begin(t.Context(), redirect, "/")
	wantUnavailable(t, nil, err, "through the proxy "+proxy.URL+": it wants a login")
	if strings.Contains(err.Error(), "Marked") {
		t.Errorf("the password of the proxy is told: %v", err)
	}
}

type otherTransport struct{ http.RoundTripper }

func TestProxyConfig(t *testing.T) {
	t.Parallel()
	good := oidc.Config{Name: "it", Issuer: "https://id.example", ClientID: "web"}
	for text, want := range map[string]string{
		"http://proxy.corp.test:3128": "", "https://proxy.corp.test": "",
		"http://u:Marked@proxy.corp.test:3128": "without a user", "socks5://proxy.corp.test": "want http://HOST:PORT", "http://:3128": "want http://HOST:PORT",
	} {
		c := good
		c.Proxy = parseURL(t, text)
		if _, err := oidc.New(c); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Marked")) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	c := good
	c.HTTP = &http.Client{Transport: otherTransport{http.DefaultTransport}}
	if _, err := oidc.New(c); err != nil {
		t.Error(err)
	}
	c.Proxy = parseURL(t, "http://proxy.corp.test:3128")
	if _, err := oidc.New(c); err == nil || errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "want an *http.Transport") {
		t.Errorf("a proxy for a transport that has none: %v", err)
	}
}

// TestAttackOIDCProxyReads: an issuer of this machine may be at http, and what is sent
// to it by way of a proxy the proxy reads.
func TestAttackOIDCProxyReads(t *testing.T) {
	t.Parallel()
	c := oidc.Config{Name: "it", Issuer: "http://127.0.0.1:8080", ClientID: "web", Proxy: parseURL(t, "http://proxy.corp.test:3128")}
	if _, err := oidc.New(c); err == nil || !strings.Contains(err.Error(), "the proxy would read what is secret") {
		t.Errorf("got %v", err)
	}
	c.Proxy = nil
	if _, err := oidc.New(c); err != nil {
		t.Error(err)
	}
}
