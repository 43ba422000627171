package authclient_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
)

// TestProxyURLWithUser: a name and password in the proxy's URL log in where
// there is no credential, and connections belong to them.
func TestProxyURLWithUser(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		p := (&loginProxy{schemes: []string{"Basic realm=x"}, keeps: true}).start(t)
		var o origin
		o.server = newServer(t, nil, o.wrap, withTLS(scheme))
		user := "alice"
		tr := through(t, p.URL, nil, authclient.Static(ntlmCredential("bob")))
		tr.Base.Proxy = func(*http.Request) (*url.URL, error) {
			u := *p.URL
			u.User = url.UserPassword("proxy-"+user, user[:1])
			return &u, nil
		}
		for _, user = range []string{"alice", "bob", "alice"} {
			if status, _, err := do(&http.Client{Transport: tr}, "POST", o.URL, strings.NewReader("x")); err != nil || status != 200 {
				t.Fatalf("%s, %s: %d, %v", scheme, user, status, err)
			}
		}
		seen := map[string]bool{}
		for _, r := range p.requests() {
			seen[r.user] = true
		}
		if n := p.conns.Load(); n != 2 || !seen["proxy-alice"] || !seen["proxy-bob"] {
			t.Errorf("%s: users %v on %d connections, want one for each", scheme, seen, n)
		}
	}
}

func withTLS(scheme string) func(*httptest.Server) {
	return func(s *httptest.Server) {
		if scheme == "https" {
			s.TLS = &tls.Config{}
		}
	}
}

// TestAttackPasswordOfProxyURL: where there is a credential, what else may hold
// a password for the proxy is not sent to it.
func TestAttackPasswordOfProxyURL(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://server.test/", "https://server.test/"} {
		var mu sync.Mutex
		var logins, extra []string
		p := rawProxy(t, answering(func(r *http.Request) string {
			mu.Lock()
			defer mu.Unlock()
			logins = append(logins, r.Header.Get("Proxy-Authorization"))
			extra = append(extra, r.Header.Get("X-Extra"))
			return ask407
		}))
		p.User = url.UserPassword("stolen", "secret")
		tr := through(t, p, authclient.Static(proxyCredential("alice")), nil)
		tr.Base.ProxyConnectHeader = http.Header{"Proxy-Authorization": {"Basic c3RvbGVuOnNlY3JldA=="}, "X-Extra": {"1"}}
		if _, _, err := do(&http.Client{Transport: tr}, "GET", target, nil); err == nil {
			t.Fatal("no error")
		}
		if len(logins) != 2 || logins[0] != "" || !strings.HasPrefix(logins[1], "NTLM ") {
			t.Errorf("%s: logins %q, want none and NTLM", target, logins)
		}
		if strings.HasPrefix(target, "https") && extra[0] != "1" {
			t.Error("the program's own header for CONNECT is missing")
		}
	}
}

// TestProxyNeedsNoLoginAfterAll: a proxy that asks, and then takes the request
// before the login is over, gets the request's body all the same.
func TestProxyNeedsNoLoginAfterAll(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var bodies []int64
	p := rawProxy(t, answering(func(r *http.Request) string {
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, r.ContentLength)
		if len(bodies) == 1 {
			return ask407
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	}))
	tr := through(t, p, authclient.Static(proxyCredential("alice")), nil)
	if status, _, err := do(&http.Client{Transport: tr}, "POST", "http://server.test/", strings.NewReader("12345")); err != nil || status != 200 {
		t.Fatalf("%d, %v", status, err)
	}
	if want := "[5 0 5]"; fmt.Sprint(bodies) != want {
		t.Errorf("bodies of %v bytes, want %s", bodies, want)
	}
}

// TestAttackProxyInterrupts: a proxy that asks for a login in the middle of the
// one at the server, and closes the connection, does not get the rest of it on
// another.
func TestAttackProxyInterrupts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answers := 0
	p := rawProxy(t, func(c net.Conn, in *bufio.Reader) {
		answering(func(*http.Request) string {
			mu.Lock()
			defer mu.Unlock()
			answers++
			switch answers {
			case 1:
				return "HTTP/1.1 401 No\r\nProxy-Support: Session-Based-Authentication\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"
			case 2:
				return strings.NewReplacer("407", "401", "Proxy-Authenticate", "WWW-Authenticate").Replace(challenge407())
			}
			return strings.Replace(ask407, "\r\n", "\r\nConnection: close\r\n", 1)
		})(c, in)
	})
	tr := through(t, p, authclient.Static(proxyCredential("alice")), authclient.Static(ntlmCredential("bob")))
	_, _, err := do(&http.Client{Transport: tr}, "GET", "http://server.test/", nil)
	if err == nil || !strings.Contains(err.Error(), "http://server.test:80 closed the connection in the middle of the NTLM login") {
		t.Errorf("error %v, want that the login was interrupted", err)
	}
	if answers != 3 {
		t.Errorf("%d requests, want 3", answers)
	}
}

// TestSOCKS: such a proxy passes on bytes of one client only, so that NTLM is
// possible on plain HTTP; it is not asked for a login of HTTP's.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	p := rawProxy(t, func(c net.Conn, in *bufio.Reader) { // RFC 1928, without a login, to an IPv4 address
		greeting := make([]byte, 3)
		request := make([]byte, 10)
		if _, err := io.ReadFull(in, greeting); err != nil {
			return
		}
		_, _ = c.Write([]byte{5, 0})
		if _, err := io.ReadFull(in, request); err != nil {
			return
		}
		up, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			return
		}
		defer up.Close()
		_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go func() { _, _ = io.Copy(up, in) }()
		_, _ = io.Copy(c, up)
	})
	p.Scheme = "socks5"
	at := sourceFunc(func(context.Context, authclient.Target) (authclient.Credential, error) {
		t.Error("asked for a credential for a SOCKS proxy")
		return nil, nil
	})
	c := &http.Client{Transport: through(t, p, at, authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("a")}))}
	if status, body, err := do(c, "POST", s.URL, strings.NewReader("x")); err != nil || status != 200 || !strings.HasPrefix(body, `CORP\alice`) {
		t.Errorf("%d %q, %v", status, body, err)
	}
}

// TestProxyStreamingBody: a body that can be read once is lost to a proxy that
// asks after it; a tunnel is made before the body is read.
func TestProxyStreamingBody(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		p := (&loginProxy{schemes: []string{"NTLM"}}).start(t)
		s := newServer(t, nil, withTLS(scheme))
		tr := through(t, p.URL, authclient.Static(proxyCredential("alice")), nil)
		tr.MaxReplayBody = 10
		status, _, err := do(&http.Client{Transport: tr}, "POST", s.URL, io.MultiReader(strings.NewReader("12345678901")))
		if scheme == "http" && !errors.Is(err, authclient.ErrBodyNotReplayable) {
			t.Errorf("http: %d, %v; want ErrBodyNotReplayable", status, err)
		}
		if scheme == "https" && (err != nil || status != 401) {
			t.Errorf("https: %d, %v; want the server's 401", status, err)
		}
	}
}
