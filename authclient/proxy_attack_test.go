package authclient_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn/ntlm"
)

// answering is a proxy for rawProxy that answers each request with what f says.
func answering(f func(*http.Request) string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if _, err := io.WriteString(c, f(r)); err != nil {
				return
			}
		}
	}
}

// ask407 is how a proxy asks for NTLM.
const ask407 = "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"

// challenge407 is what a proxy says in the middle of an NTLM login.
func challenge407() string {
	c := ntlm.Challenge{
		Flags:      ntlm.FlagUnicode | ntlm.FlagNTLM | ntlm.FlagExtendedSecurity | ntlm.FlagTargetInfo,
		TargetInfo: ntlm.AVPairs{{ID: ntlm.AVDomain, Value: []byte("C\x00")}},
	}
	return "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM " + base64.StdEncoding.EncodeToString(c.Append(nil)) + "\r\nContent-Length: 0\r\n\r\n"
}

// TestAttackHostileProxy: whatever a proxy does, the call ends soon with an
// error that names the proxy, after a bounded number of requests.
func TestAttackHostileProxy(t *testing.T) {
	t.Parallel()
	first := func(then func(c net.Conn)) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, in *bufio.Reader) {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if r.Header.Get("Proxy-Authorization") == "" {
				_, _ = io.WriteString(c, ask407)
				if _, err = http.ReadRequest(in); err != nil {
					return
				}
			}
			then(c)
		}
	}
	flood := func(c net.Conn, text string) {
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
	line := strings.Repeat("x", 1<<10)
	for _, tt := range []struct {
		name  string
		serve func(net.Conn, *bufio.Reader)
		want  string // in the error for CONNECT
	}{
		{"asks for ever", answering(func(*http.Request) string { return ask407 }), "refused the NTLM login"},
		{"challenges for ever", answering(func(r *http.Request) string {
			if r.Header.Get("Proxy-Authorization") == "" {
				return ask407
			}
			return challenge407()
		}), ""},
		{"asks for nothing", answering(func(*http.Request) string { return "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" }), "no Proxy-Authenticate"},
		{"closes in the middle", first(func(net.Conn) {}), "closed the connection"},
		{"closes at once", func(net.Conn, *bufio.Reader) {}, ""},
		{"token that is none", first(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM AAAA\r\nContent-Length: 0\r\n\r\n")
		}), "NTLM login at proxy"},
		{"challenge, then the end", first(func(c net.Conn) { _, _ = io.WriteString(c, challenge407()) }), ""},
		{"challenge, and says that it closes", first(func(c net.Conn) {
			_, _ = io.WriteString(c, strings.Replace(challenge407(), "\r\n", "\r\nConnection: close\r\n", 1))
		}), "in the middle of the NTLM login"},
		{"page without an end", func(c net.Conn, in *bufio.Reader) {
			if _, err := http.ReadRequest(in); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 99999999999\r\n\r\n")
				flood(c, line)
			}
		}, ""},
		{"header without an end", first(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\n")
			flood(c, "X: "+line+"\r\n")
		}), "header of more than"},
		{"1xx without an end", first(func(c net.Conn) { flood(c, "HTTP/1.1 103 Early\r\nX: "+line+"\r\n\r\n") }), "header of more than"},
		{"no HTTP", func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") }, ""},
	} {
		for _, target := range []string{"http://server.test/", "https://server.test/"} {
			t.Run(tt.name+" "+target, func(t *testing.T) {
				t.Parallel()
				var conns atomic.Int64
				p := rawProxy(t, func(c net.Conn, in *bufio.Reader) { conns.Add(1); tt.serve(c, in) })
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // of a machine that is busy
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, "POST", target, strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := through(t, p, authclient.Static(proxyCredential("alice")), authclient.Static(ntlmCredential("bob"))).RoundTrip(req)
				if err == nil {
					_ = resp.Body.Close()
					t.Fatalf("status %d, want an error", resp.StatusCode)
				}
				if ctx.Err() != nil {
					t.Errorf("only the deadline ended it: %v", err)
				}
				if text := err.Error(); !strings.Contains(text, "proxy "+p.String()) || strings.HasPrefix(target, "https") && !strings.Contains(text, tt.want) {
					t.Errorf("error %q, want one about the proxy with %q", text, tt.want)
				}
				if n := conns.Load(); n > 3 {
					t.Errorf("%d connections, want at most 3", n)
				}
			})
		}
	}
}

// TestAttackProxyInjects: what a proxy sends after its answer to CONNECT is not
// read as the server's.
func TestAttackProxyInjects(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "\x16\x03\x03\x00\x02hi"} {
		p := rawProxy(t, answering(func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + after }))
		status, body, err := do(&http.Client{Transport: through(t, p, authclient.Static(proxyCredential("alice")), nil)}, "GET", "https://server.test/", nil)
		if err == nil {
			t.Errorf("%d %q, want an error", status, body)
		}
	}
}

// TestAttackSilentProxy: the request's context ends a login at a proxy that
// says nothing, at each leg.
func TestAttackSilentProxy(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://server.test/", "https://server.test/"} {
		for answers := range 3 {
			reached := make(chan struct{})
			p := rawProxy(t, func(c net.Conn, in *bufio.Reader) {
				for i := range answers {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					_, _ = io.WriteString(c, []string{ask407, challenge407()}[i])
				}
				if _, err := http.ReadRequest(in); err == nil {
					close(reached)
					_, _ = io.Copy(io.Discard, in) // until the client gives up
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-reached
				cancel()
			}()
			req, err := http.NewRequestWithContext(ctx, "GET", target, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := through(t, p, authclient.Static(proxyCredential("alice")), nil).RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s after %d answers: %v, want that it was cancelled", target, answers, err)
			}
		}
	}
}

// TestAttackProxyProof: a proxy that offers a proof of itself must have a right
// one; one that offers none is believed, for nothing hangs on it.
func TestAttackProxyProof(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	s := newServer(t, nil)
	for _, header := range []string{"Proxy-Authentication-Info", "Proxy-Authenticate", ""} {
		p := rawProxy(t, answering(func(r *http.Request) string {
			if r.Header.Get("Proxy-Authorization") == "" {
				return "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
			}
			proof := ""
			if header != "" {
				proof = header + ": Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg==\r\n"
			}
			return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\nhi", proof)
		}))
		cred := &authclient.Kerberos{Client: d.client(t, "alice", "a")}
		status, body, err := do(&http.Client{Transport: through(t, p, authclient.Static(cred), nil)}, "GET", s.URL, nil)
		if header == "" && (err != nil || status != 200) {
			t.Errorf("no proof: %d %q, %v", status, body, err)
		}
		if header != "" && !errors.Is(err, authclient.ErrServerUnverified) {
			t.Errorf("wrong proof in %s: %d %q, %v; want ErrServerUnverified", header, status, body, err)
		}
	}
}
