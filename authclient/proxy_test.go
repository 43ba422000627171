package authclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
)

// testCertificate is one that a test's server presents.
func testCertificate(t *testing.T) *x509Pair {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	return &x509Pair{s.TLS.Certificates[0], authn.EndpointBinding(s.Certificate())}
}

// TestProxyLogin is a login at a proxy by each scheme, of both kinds of proxy,
// on the way to both kinds of server; over TLS the proxy and the server demand
// channel bindings, each its own.
func TestProxyLogin(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	cert := testCertificate(t)
	ntlmOfAlice, _ := proxyCredential("alice").(*authclient.NTLM)
	first := &authclient.KerberosFirst{Kerberos: &authclient.Kerberos{Client: d.client(t, "alice", "a")}, NTLM: ntlmOfAlice, AllowNTLM: true}
	for _, tt := range []struct {
		name    string
		schemes []string
		krb     bool
		each    bool
		cred    authclient.Credential
		user    string
	}{
		{"NTLM", []string{"Negotiate", "NTLM"}, false, false, proxyCredential("alice"), "proxy-alice"},
		{"NTLM inside Negotiate", []string{"Negotiate"}, false, false, proxyCredential("alice"), "proxy-alice"},
		{"NTLM for each request", []string{"NTLM"}, false, true, proxyCredential("alice"), "proxy-alice"},
		{"Kerberos", []string{"Negotiate", "NTLM"}, true, false, &authclient.Kerberos{Client: d.client(t, "alice", "a")}, "alice"},
		{"Kerberos for each request", []string{"Negotiate"}, true, true, &authclient.Kerberos{Client: d.client(t, "alice", "a")}, "alice"},
		{"Kerberos first", []string{"NTLM", "Negotiate"}, true, false, first, "alice"},
		{"Kerberos first, NTLM alone", []string{"NTLM"}, false, false, first, "proxy-alice"},
		{"Basic", []string{`Basic realm="x"`}, false, false, &authclient.Basic{User: `CORP\proxy-alice`, Password: authn.NewSecret("a"), AllowInsecureHTTP: true}, "proxy-alice"},
	} {
		for _, proxyScheme := range []string{"http", "https"} {
			for _, serverScheme := range []string{"http", "https"} {
				t.Run(tt.name+" "+proxyScheme+" to "+serverScheme, func(t *testing.T) {
					t.Parallel()
					p := &loginProxy{schemes: tt.schemes, each: tt.each}
					if tt.krb {
						p.krb = &kerberos.Mechanism{Keytab: d.keytab}
					}
					if proxyScheme == "https" {
						p.cert = testCertificate(t)
					}
					p.start(t)
					var o origin
					setup := []func(*httptest.Server){o.wrap}
					if serverScheme == "https" {
						setup = append(setup, func(s *httptest.Server) { s.TLS = &tls.Config{Certificates: []tls.Certificate{cert.cert}} })
					}
					o.server = newServer(t, func(a *iwa.Authenticator) {
						if serverScheme == "https" {
							a.Binding = func(*http.Request) authn.Bindings { return authn.Bindings{cert.binding} }
							a.NTLM.(*ntlm.Mechanism).Binding = authn.BindingRequired
						}
					}, setup...)
					p.keeps = true // plain HTTP allows NTLM at the server only then
					c := &http.Client{Transport: through(t, p.URL, authclient.Static(tt.cred), authclient.Static(ntlmCredential("bob")))}
					for i, body := range []string{"", "0123456789", strings.Repeat("x", 200<<10)} {
						method := "POST"
						if body == "" {
							method = "GET"
						}
						req, err := http.NewRequest(method, o.URL, strings.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						req.Header.Set("Proxy-Authorization", "Basic c3RvbGVuOng=") // a program's own is not to travel
						resp, err := c.Do(req)
						if err != nil {
							t.Fatalf("call %d: %v", i, err)
						}
						b, _ := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if want := `CORP\bob body=`; resp.StatusCode != 200 || !strings.HasPrefix(string(b), want) || !strings.HasSuffix(string(b), "err=<nil>") {
							t.Errorf("call %d: %d %q, want %s", i, resp.StatusCode, b, want)
						}
						if via := resp.Header.Get(viaHeader); serverScheme == "http" && via != tt.user {
							t.Errorf("call %d: the proxy saw %q, want %q", i, via, tt.user)
						}
					}
					for _, r := range p.requests() {
						if connect := r.method == http.MethodConnect; r.user != tt.user || connect != (serverScheme == "https") {
							t.Errorf("the proxy passed %+v", r)
						}
					}
					if p.leak != nil || o.leaked.Load() != 0 {
						t.Errorf("proxy saw %q, the server %d logins that are the other's", p.leak, o.leaked.Load())
					}
					if n := p.conns.Load(); n != 1 {
						t.Errorf("%d connections, want 1", n)
					}
					if n := o.hits.Load(); n != 3 {
						t.Errorf("%d requests reached the service, want 3", n)
					}
				})
			}
		}
	}
}

// TestProxyAlone: a login at the proxy and none at the server, in both orders
// of who has a credential.
func TestProxyAlone(t *testing.T) {
	t.Parallel()
	p := (&loginProxy{schemes: []string{"NTLM"}}).start(t)
	for _, scheme := range []string{"http", "https"} {
		var o origin
		setup := []func(*httptest.Server){o.wrap}
		if scheme == "https" {
			setup = append(setup, func(s *httptest.Server) { s.TLS = &tls.Config{} })
		}
		o.server = newServer(t, nil, setup...)
		c := &http.Client{Transport: through(t, p.URL, authclient.Static(proxyCredential("alice")), nil)}
		for range 2 {
			if status, _, err := do(c, "POST", o.URL, strings.NewReader("x")); err != nil || status != 401 {
				t.Errorf("%s: %d, %v; want the server's 401", scheme, status, err)
			}
		}
		if r := p.requests(); len(r) == 0 || r[0].user != "proxy-alice" {
			t.Errorf("%s: the proxy passed %v", scheme, r)
		}
	}
	if n := p.conns.Load(); n != 2 {
		t.Errorf("%d connections, want one for each server", n)
	}
}

// TestProxyRefuses: the error is of the type, says that it was the proxy, and
// what to do where nothing was configured.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	p := (&loginProxy{schemes: []string{"NTLM", "Basic realm=x"}}).start(t)
	withUser := *p.URL
	withUser.User = url.UserPassword("proxy-alice", "wrong")
	wrong := func(password string) authclient.Credential {
		return &authclient.NTLM{User: `CORP\proxy-alice`, Password: authn.NewSecret(password)}
	}
	for _, serverScheme := range []string{"http", "https"} {
		var o origin
		o.server = newServer(t, nil, o.wrap, func(s *httptest.Server) {
			if serverScheme == "https" {
				s.TLS = &tls.Config{}
			}
		})
		for _, tt := range []struct {
			name       string
			proxy      *url.URL
			at, server authclient.Source
			scheme     string
			text       string
		}{
			{"wrong password", p.URL, authclient.Static(wrong("x")), nil, "NTLM", "proxy " + p.String() + " refused the NTLM login (offers NTLM, Basic)"},
			{"no credential", p.URL, nil, authclient.Static(ntlmCredential("bob")), "", "proxy " + p.String() + " wants a login by NTLM, Basic; set Transport.Proxy"},
			{"no credential for anything", p.URL, nil, nil, "", "set Transport.Proxy"},
			{"source without a credential", p.URL, authclient.Static(nil), nil, "", "set Transport.Proxy"},
			{"URL with a wrong password", &withUser, nil, nil, "Basic", "proxy " + p.String() + " refused the Basic login"},
			{"scheme that is not offered", p.URL, &rotating{}, nil, "", "which the credential cannot do"},
		} {
			t.Run(serverScheme+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				_, _, err := do(&http.Client{Transport: through(t, tt.proxy, tt.at, tt.server)}, "POST", o.URL, strings.NewReader("x"))
				var re *authclient.RefusedError
				if !errors.As(err, &re) || !re.Proxy || re.Target.Origin() != p.String() || re.Scheme != tt.scheme || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v (%+v), want %q", err, re, tt.text)
				}
				if err != nil && strings.Contains(err.Error(), "wrong") {
					t.Errorf("a password in the error: %v", err)
				}
			})
		}
		t.Cleanup(func() {
			if o.requests.Load() != 0 {
				t.Errorf("%d requests reached the server", o.requests.Load())
			}
		})
	}
}

// TestAttackBasicAtProxyInClear: no password to a proxy over plain HTTP unless
// asked for, whatever the server's URL.
func TestAttackBasicAtProxyInClear(t *testing.T) {
	t.Parallel()
	p := (&loginProxy{schemes: []string{"Basic realm=x"}}).start(t)
	for _, u := range []string{"http://server.test/", "https://server.test/"} {
		c := &authclient.Basic{User: "proxy-alice", Password: authn.NewSecret("a")}
		_, _, err := do(&http.Client{Transport: through(t, p.URL, authclient.Static(c), nil)}, "GET", u, nil)
		if err == nil || !strings.Contains(err.Error(), "AllowInsecureHTTP") {
			t.Errorf("%s: error %v, want one that names the way out", u, err)
		}
	}
	if r := p.requests(); r != nil {
		t.Errorf("the proxy passed %v", r)
	}
}

// TestAttackMixedUsersAtProxy: connections through a proxy belong to who logged
// in there and to who logged in at the server, in any combination.
func TestAttackMixedUsersAtProxy(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			p := (&loginProxy{schemes: []string{"NTLM"}, keeps: true}).start(t)
			var o origin
			o.server = newServer(t, nil, o.wrap, func(s *httptest.Server) {
				if scheme == "https" {
					s.TLS = &tls.Config{}
				}
			})
			type who struct{ proxy, server string }
			source := func(pick func(who) string, creds map[string]authclient.Credential) authclient.Source {
				return sourceFunc(func(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
					return creds[pick(ctx.Value(userKey{}).(who))], nil
				})
			}
			tr := through(t, p.URL,
				source(func(w who) string { return w.proxy }, map[string]authclient.Credential{"alice": proxyCredential("alice"), "bob": proxyCredential("bob")}),
				source(func(w who) string { return w.server }, map[string]authclient.Credential{"alice": ntlmCredential("alice"), "bob": ntlmCredential("bob")}))
			tr.MaxIdlePerCredential = 4
			c := &http.Client{Transport: tr}
			var wg sync.WaitGroup
			users := []string{"alice", "bob"}
			for g := range 16 {
				wg.Go(func() {
					for i := range 10 {
						me := who{users[(g+i)%2], users[(g+i)/2%2]}
						ctx := context.WithValue(t.Context(), userKey{}, me)
						req, err := http.NewRequestWithContext(ctx, "POST", o.URL, strings.NewReader("0123456789"))
						if err != nil {
							t.Error(err)
							return
						}
						resp, err := c.Do(req)
						if err != nil {
							t.Errorf("%v: %v", me, err)
							return
						}
						b, _ := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if want := `CORP\` + me.server + " body=10 err=<nil>"; string(b) != want {
							t.Errorf("server says %q, want %q", b, want)
						}
						if via := resp.Header.Get(viaHeader); scheme == "http" && via != "proxy-"+me.proxy {
							t.Errorf("the proxy saw %q, want %s", via, me.proxy)
						}
					}
				})
			}
			wg.Wait()
			if o.leaked.Load() != 0 || p.leak != nil {
				t.Errorf("logins reached the wrong one: server %d, proxy %q", o.leaked.Load(), p.leak)
			}
			seen := map[string]int{}
			for _, r := range p.requests() {
				seen[r.user]++
			}
			if len(seen) != 2 || seen["proxy-alice"] == 0 || seen["proxy-bob"] == 0 {
				t.Errorf("the proxy saw %v", seen)
			}
		})
	}
}

// TestTunnelBelongsToProxyUser: a tunnel that one user of the proxy opened does
// not carry a request of another, though the server sees the same user.
func TestTunnelBelongsToProxyUser(t *testing.T) {
	t.Parallel()
	p := (&loginProxy{schemes: []string{"NTLM"}}).start(t)
	s := newServer(t, nil, func(s *httptest.Server) { s.TLS = &tls.Config{} })
	now := "alice"
	at := sourceFunc(func(context.Context, authclient.Target) (authclient.Credential, error) {
		return proxyCredential(now), nil
	})
	c := &http.Client{Transport: through(t, p.URL, at, authclient.Static(ntlmCredential("bob")))}
	for _, now = range []string{"alice", "bob", "alice", "bob"} {
		if status, _, err := do(c, "GET", s.URL, nil); err != nil || status != 200 {
			t.Fatalf("%s: %d, %v", now, status, err)
		}
	}
	var users []string
	for _, r := range p.requests() {
		users = append(users, r.user)
	}
	if got := strings.Join(users, " "); got != "proxy-alice proxy-bob" {
		t.Errorf("tunnels of %q, want one of each user", got)
	}
}

// TestProxyOnlyWhereItIs: who decides on the proxy sees the request, and where
// there is none the proxy's source is not asked.
func TestProxyOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	p := (&loginProxy{schemes: []string{"NTLM"}}).start(t)
	s := newServer(t, nil)
	asked := 0
	at := sourceFunc(func(_ context.Context, target authclient.Target) (authclient.Credential, error) {
		asked++
		if want := (authclient.Target{Scheme: "http", Host: p.Host, SPN: "HTTP/127.0.0.1"}); target != want {
			t.Errorf("asked for %+v, want %+v", target, want)
		}
		return proxyCredential("alice"), nil
	})
	tr := through(t, p.URL, at, authclient.Static(ntlmCredential("bob")))
	tr.Base.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Path == "/direct" && r.URL.Port() != "" {
			return nil, nil
		}
		return p.URL, nil
	}
	c := &http.Client{Transport: tr}
	if status, _, err := do(c, "GET", s.URL+"/direct", nil); err != nil || status != 200 || asked != 0 {
		t.Errorf("direct: %d, %v, asked %d times", status, err, asked)
	}
	if _, _, err := do(c, "GET", s.URL+"/", nil); !errors.Is(err, authclient.ErrSharedConnection) || asked != 1 {
		t.Errorf("through the proxy: %v, asked %d times; want ErrSharedConnection for the login at the server", err, asked)
	}
}

// TestAttackServerAsksForProxyLogin: a server that answers 407 is no proxy.
func TestAttackServerAsksForProxyLogin(t *testing.T) {
	t.Parallel()
	var got sync.Map
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Proxy-Authorization"); a != "" {
			got.Store(a, true)
		}
		w.Header().Set("Proxy-Authenticate", "NTLM")
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(s.Close)
	p := (&loginProxy{schemes: []string{"NTLM"}}).start(t)
	for _, proxy := range []*url.URL{nil, p.URL} {
		tr := through(t, proxy, authclient.Static(proxyCredential("alice")), authclient.Static(ntlmCredential("bob")))
		if status, _, err := do(&http.Client{Transport: tr}, "GET", s.URL, nil); err != nil || status != http.StatusProxyAuthRequired {
			t.Errorf("by %v: %d, %v; want the server's 407", proxy, status, err)
		}
	}
	got.Range(func(k, _ any) bool {
		t.Errorf("the server got %q", k)
		return true
	})
}

// TestProxyTicketIsRenewed: the key of a proxy changes too.
func TestProxyTicketIsRenewed(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		var logins []string
		var mu sync.Mutex
		s := newServer(t, nil, func(s *httptest.Server) {
			if scheme == "https" {
				s.TLS = &tls.Config{}
			}
		})
		p := rawProxy(t, answering(func(r *http.Request) string {
			mu.Lock()
			defer mu.Unlock()
			logins = append(logins, r.Header.Get("Proxy-Authorization"))
			if logins[len(logins)-1] == "Negotiate dG9rZW4x" { // token1
				return "HTTP/1.1 503 Far enough\r\nContent-Length: 0\r\n\r\n"
			}
			return "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
		}))
		status, _, err := do(&http.Client{Transport: through(t, p, &rotating{latest: 1}, nil)}, "POST", s.URL, strings.NewReader("x"))
		if scheme == "http" && (err != nil || status != 503) || scheme == "https" && (err == nil || !strings.Contains(err.Error(), "Far enough")) {
			t.Errorf("%s: %d, %v; want what the proxy says to the new login", scheme, status, err)
		}
		if len(logins) != 3 { // none, the old one, the new one
			t.Errorf("%s: logins %q", scheme, logins)
		}
	}
}
