package authclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

func TestNTLM(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		change   func(*iwa.Authenticator)
		body     int
		requests int64 // of the first call, login included
	}{
		{"scheme NTLM beside Negotiate", nil, 2000, 3},
		{"scheme NTLM alone", func(a *iwa.Authenticator) { a.NoNegotiate = true }, 2000, 3},
		{"no body", nil, 0, 3},
		{"body that the server does not read before it refuses", nil, 2 << 20, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.change)
			c := newClient(t, ntlmCredential("alice"))
			for i := range 3 {
				status, body, err := do(c, "POST", s.URL, bytes.NewReader(make([]byte, tt.body)))
				if want := `CORP\alice body=` + strconv.Itoa(tt.body) + " err=<nil>"; err != nil || status != 200 || body != want {
					t.Fatalf("call %d: %d %q, %v; want %q", i, status, body, err, want)
				}
				if got, want := s.requests.Load(), tt.requests+int64(i); got != want {
					t.Errorf("after call %d the server saw %d requests, want %d", i, got, want)
				}
			}
		})
	}
}

func TestNegotiateOnlyNTLM(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	proxy := hideScheme(t, s, "NTLM")
	c := newClient(t, ntlmCredential("alice"))
	for range 2 {
		if status, body, err := do(c, "GET", proxy.URL, nil); err != nil || status != 200 || !strings.HasPrefix(body, `CORP\alice`) {
			t.Errorf("%d %q, %v", status, body, err)
		}
	}
}

// hideScheme is a proxy in front of s that keeps one connection for each of
// its own and drops a scheme from the challenges.
func hideScheme(t *testing.T, s *server, scheme string) *httptest.Server {
	t.Helper()
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxConnsPerHost: 1},
		ModifyResponse: func(r *http.Response) error {
			var keep []string
			for _, v := range r.Header["Www-Authenticate"] {
				if v != scheme {
					keep = append(keep, v)
				}
			}
			r.Header["Www-Authenticate"] = keep
			return nil
		},
	}
	proxy := httptest.NewServer(p)
	t.Cleanup(proxy.Close)
	return proxy
}

func TestRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, tt := range []struct {
		name   string
		c      authclient.Credential
		scheme string
	}{
		{"wrong password", &authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("wrong")}, "NTLM"},
		{"unknown user", &authclient.NTLM{User: `CORP\eve`, Password: authn.NewSecret("x")}, "NTLM"},
		{"scheme not offered", &authclient.Basic{User: "alice", Password: authn.NewSecret("a"), AllowInsecureHTTP: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := s.hits.Load()
			_, _, err := do(newClient(t, tt.c), "GET", s.URL, nil)
			var re *authclient.RefusedError
			if !errors.As(err, &re) || re.Scheme != tt.scheme || len(re.Offered) != 2 {
				t.Errorf("err = %v (%+v), want a refusal of %q", err, re, tt.scheme)
			}
			if s.hits.Load() != before {
				t.Error("the request reached the service")
			}
		})
	}
}

// TestAttackWrongPasswordRidesOnLogin: a wrong password must not get the
// connection that the right one logged in.
func TestAttackWrongPasswordRidesOnLogin(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var current atomic.Pointer[authclient.NTLM]
	c := &http.Client{Transport: &authclient.Transport{Source: sourceFunc(func(context.Context, authclient.Target) (authclient.Credential, error) {
		return current.Load(), nil
	})}}
	current.Store(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("a")})
	if status, _, err := do(c, "GET", s.URL, nil); err != nil || status != 200 {
		t.Fatalf("right password: %d, %v", status, err)
	}
	current.Store(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("wrong")})
	if status, body, err := do(c, "GET", s.URL, nil); err == nil {
		t.Errorf("wrong password: %d %q, want an error", status, body)
	}
}

type sourceFunc func(context.Context, authclient.Target) (authclient.Credential, error)

func (f sourceFunc) Credential(ctx context.Context, t authclient.Target) (authclient.Credential, error) {
	return f(ctx, t)
}

type userKey struct{}

// TestAttackMixedUsers: two users share a transport; the server sees the
// caller, each time, and never another one.
func TestAttackMixedUsers(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	creds := map[string]authclient.Credential{"alice": ntlmCredential("alice"), "bob": ntlmCredential("bob")}
	tr := &authclient.Transport{MaxIdlePerCredential: 8, Source: sourceFunc(func(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
		return creds[ctx.Value(userKey{}).(string)], nil
	})}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 20 {
				user := []string{"alice", "bob"}[(g+i)%2]
				req, _ := http.NewRequestWithContext(context.WithValue(context.Background(), userKey{}, user), "POST", s.URL, strings.NewReader("0123456789"))
				resp, err := c.Do(req)
				if err != nil {
					t.Errorf("%s: %v", user, err)
					return
				}
				b, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := `CORP\` + user + " body=10 err=<nil>"; string(b) != want {
					t.Errorf("server says %q, want %q", b, want)
				}
			}
		})
	}
	wg.Wait()
}

// TestAttackCredentialsFollowRedirect: another origin gets no token, even if
// it asks and even if it would accept it.
func TestAttackCredentialsFollowRedirect(t *testing.T) {
	t.Parallel()
	thief := newServer(t, nil)
	for _, first := range []string{"anonymous redirect", "redirect after login"} {
		t.Run(first, func(t *testing.T) {
			var home *httptest.Server
			if first == "anonymous redirect" {
				home = httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
			} else {
				s := newServer(t, nil)
				inner := s.Config.Handler
				s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					rec := httptest.NewRecorder()
					inner.ServeHTTP(rec, r)
					for k, v := range rec.Header() {
						w.Header()[k] = v
					}
					if rec.Code == 200 {
						http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
						return
					}
					w.WriteHeader(rec.Code)
				})
				home = s.Server
			}
			defer home.Close()
			status, body, err := do(newClient(t, ntlmCredential("alice")), "GET", home.URL, nil)
			if err != nil || status != 401 {
				t.Errorf("%d %q, %v; want the 401 of the other origin", status, body, err)
			}
			if thief.hits.Load() != 0 {
				t.Error("the other origin was logged in to")
			}
		})
	}
}

// TestRedirectSameOrigin: within the origin the login goes on.
func TestRedirectSameOrigin(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		inner.ServeHTTP(w, r)
	})
	if status, body, err := do(newClient(t, ntlmCredential("bob")), "GET", s.URL+"/old", nil); err != nil || status != 200 || !strings.HasPrefix(body, `CORP\bob`) {
		t.Errorf("%d %q, %v", status, body, err)
	}
}

// TestAttackBasicOverPlainHTTP: no password on the wire unless asked for.
func TestAttackBasicOverPlainHTTP(t *testing.T) {
	t.Parallel()
	var seen atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); ok {
			seen.Store(u + ":" + p)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x, NTLM", charset="UTF-8"`)
		w.WriteHeader(401)
	}))
	defer s.Close()
	b := &authclient.Basic{User: "alice", Password: authn.NewSecret("a")}
	if _, _, err := do(newClient(t, b), "GET", s.URL, nil); err == nil || !strings.Contains(err.Error(), "AllowInsecureHTTP") {
		t.Errorf("err = %v, want one that names the way out", err)
	}
	if seen.Load() != nil {
		t.Error("the password was sent")
	}
	b = &authclient.Basic{User: "alice", Password: authn.NewSecret("a"), AllowInsecureHTTP: true}
	if status, _, err := do(newClient(t, b), "GET", s.URL, nil); err != nil || status != 200 || seen.Load() != "alice:a" {
		t.Errorf("allowed: %d, %v, server saw %v", status, err, seen.Load())
	}
}

// TestStreamingBody: a body without GetBody is kept up to the limit, and
// beyond it the error says what to do.
func TestStreamingBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, tt := range []struct {
		name string
		size int
		ok   bool
	}{{"small", 1000, true}, {"at the limit", 4096, true}, {"over the limit", 4097, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &http.Client{Transport: &authclient.Transport{Source: authclient.Static(ntlmCredential("alice")), MaxReplayBody: 4096}}
			status, body, err := do(c, "POST", s.URL, io.MultiReader(bytes.NewReader(make([]byte, tt.size))))
			if tt.ok && (err != nil || status != 200 || !strings.Contains(body, "body="+strconv.Itoa(tt.size))) {
				t.Errorf("%d %q, %v", status, body, err)
			}
			if !tt.ok && !errors.Is(err, authclient.ErrBodyNotReplayable) {
				t.Errorf("err = %v, want ErrBodyNotReplayable", err)
			}
		})
	}
}

// TestStaleConnection: the server closes idle connections at once; the calls
// go through all the same.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, ntlmCredential("alice"))
	for i := range 20 {
		status, body, err := do(c, "POST", s.URL, strings.NewReader("x"))
		if err != nil || status != 200 {
			t.Fatalf("call %d: %d %q, %v", i, status, body, err)
		}
		s.CloseClientConnections()
	}
}

// TestNoRetryAfterAnswer: a connection that breaks in the middle of an answer
// is an error; the request is not sent twice.
func TestNoRetryAfterAnswer(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/warm" {
			return
		}
		posts.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConte")
			_ = conn.Close()
		}
	}))
	defer s.Close()
	c := newClient(t, ntlmCredential("alice"))
	if _, _, err := do(c, "GET", s.URL+"/warm", nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := do(c, "POST", s.URL, strings.NewReader("pay")); err == nil || posts.Load() != 1 {
		t.Errorf("err %v after %d requests, want an error after 1", err, posts.Load())
	}
}

// TestServerWithoutLogin: a credential at hand is not forced on a server that
// does not ask, and the body arrives once.
func TestServerWithoutLogin(t *testing.T) {
	t.Parallel()
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("Authorization")+"|"+string(b))
	}))
	defer s.Close()
	if status, _, err := do(newClient(t, ntlmCredential("alice")), "POST", s.URL, strings.NewReader("once")); err != nil || status != 200 {
		t.Fatalf("%d, %v", status, err)
	}
	if len(got) != 1 || got[0] != "|once" {
		t.Errorf("server got %q", got)
	}
}

// TestAttackEndlessChallenge: a server that challenges for ever gets a bounded
// number of requests.
func TestAttackEndlessChallenge(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"NTLM", "Negotiate", "NTLM AAAA", "Negotiate oQcwBaADCgEB", "Basic realm=x"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n.Add(1)
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(401)
			}))
			defer s.Close()
			if status, _, err := do(newClient(t, ntlmCredential("alice")), "GET", s.URL, nil); err == nil {
				t.Errorf("status %d, want an error", status)
			}
			if n.Load() > 3 {
				t.Errorf("%d requests, want at most 3", n.Load())
			}
		})
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	s := newServer(t, nil)
	tr := &authclient.Transport{Source: authclient.Static(ntlmCredential("alice")), IdleTimeout: 2 * time.Second}
	expired := make(chan struct{}, 1)
	authclient.NotifyExpired(tr, func() { expired <- struct{}{} })
	c := &http.Client{Transport: tr}
	call := func() {
		t.Helper()
		if status, _, err := do(c, "GET", s.URL, nil); err != nil || status != 200 {
			t.Fatalf("%d, %v", status, err)
		}
	}
	call()
	call()
	if got := s.conns.Load(); got != 1 {
		t.Errorf("%d connections for two calls in a row, want 1", got)
	}
	<-expired
	call()
	if got := s.conns.Load(); got != 2 {
		t.Errorf("%d connections, want a new one after the idle time", got)
	}
}

func TestTargetOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]authclient.Target{
		"http://App.corp.test/x":     {Scheme: "http", Host: "App.corp.test:80", SPN: "HTTP/App.corp.test"},
		"https://app.corp.test":      {Scheme: "https", Host: "app.corp.test:443", SPN: "HTTP/app.corp.test"},
		"https://app.corp.test:8443": {Scheme: "https", Host: "app.corp.test:8443", SPN: "HTTP/app.corp.test"},
		"http://[::1]:80/":           {Scheme: "http", Host: "[::1]:80", SPN: "HTTP/::1"},
	} {
		req, err := http.NewRequest("GET", in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := authclient.TargetOf(req.URL); got != want {
			t.Errorf("TargetOf(%s) = %+v, want %+v", in, got, want)
		}
	}
}
