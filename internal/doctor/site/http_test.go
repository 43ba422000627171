package site_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/doctor/site"
)

// What the first answer of a server may be.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	reply := func(status int, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Add(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
		}
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<form action="/x"><input name=u><INPUT TYPE="password"></form>`)
	}
	const auth = "WWW-Authenticate"
	for _, tt := range []struct {
		name, breaks string
		h            http.HandlerFunc
		others       []string
	}{
		{"POST only", "", reply(405), []string{"http.anonymous"}},
		{"anonymous", "", reply(200), []string{"http.anonymous"}},
		{"form", "http.login-page", page, nil},
		{"login page", "http.login-page", reply(302, "Location", "https://sts.corp.test/adfs/ls/?wa=wsignin1.0"), nil},
		{"login page here", "http.login-page", reply(302, "Location", "/Account/Login?ReturnUrl=%2f"), nil},
		{"other host", "http.redirect-host", reply(307, "Location", "https://other.corp.test/Service.svc"), nil},
		{"other port", "http.redirect-host", reply(307, "Location", "http://app.corp.test:81/Service.svc"), nil},
		{"to https", "", reply(301, "Location", "https://app.corp.test/Service.svc"), []string{"http.redirect"}},
		{"slash", "", reply(301, "Location", "/Service.svc/"), []string{"http.redirect"}},
		{"to nothing", "http.status", reply(301, "Location", ":%zz"), nil},
		{"forbidden", "http.forbidden", reply(403), nil},
		{"missing", "http.not-found", reply(404), nil},
		{"down", "http.error", reply(503), nil},
		{"odd", "http.status", reply(418), nil},
		{"proxy", "proxy.login", reply(407), nil},
		{"no challenge", "http.no-challenge", reply(401), nil},
		{"bearer", "http.other-schemes", reply(401, auth, `Bearer realm="a, Negotiate", error="x"`), nil},
		{"basic", "http.other-schemes", reply(401, auth, `Basic realm="NTLM"`), []string{"http.basic-plain"}},
		{"order", "ntlm.broken", reply(401, auth, `NTLM, Negotiate`), []string{"http.order", "http.challenge"}},
		{"NTLM only", "ntlm.broken", reply(401, auth, `ntlm`), []string{"http.ntlm-only", "krb.not-offered"}},
		{"Negotiate only", "", reply(401, auth, `Negotiate`), []string{"ntlm.none"}},
		{"nginx", "http.forbidden", reply(403, "Server", "nginx/1.24"), []string{"http.between"}},
		{"via", "http.forbidden", reply(403, "Via", "1.1 cache"), []string{"http.between"}},
		{"cookie", "http.forbidden", reply(403, "Set-Cookie", "BIGipServerpool=1.2.3; path=/"), []string{"http.between"}},
		{"IIS", "http.forbidden", reply(403, "Server", "Microsoft-IIS/10.0"), []string{"!http.between"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, run(t, config("http", serve(t, tt.h))), tt.breaks, tt.others...)
		})
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	serve := func(a *iwa.Authenticator, protos ...string) string {
		var p http.Protocols
		p.SetHTTP1(len(protos) > 1)
		p.SetHTTP2(true)
		s := &http.Server{Handler: protect(a), ConnContext: iwa.ConnContext, Protocols: &p, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protos}}
		l := listen(t)
		go func() { _ = s.ServeTLS(l, "", "") }()
		t.Cleanup(func() { _ = s.Close() })
		return portOf(l)
	}
	cfg := config("https", serve(&iwa.Authenticator{NTLM: localNTLM(t, 0)}, "h2"))
	cfg.Roots = roots
	want(t, run(t, cfg), "http.h2-only", "tls.good")
	cfg = as(config("https", serve(&iwa.Authenticator{NTLM: localNTLM(t, 0)}, "h2", "http/1.1")), nil)
	cfg.Roots = roots
	want(t, run(t, cfg), "", "http.h2-offered", "login.ntlm")
	cfg = config("https", serve(&iwa.Authenticator{Kerberos: newDomain(t).login(t, 0).Kerberos}, "h2", "http/1.1"))
	cfg.Roots = roots
	want(t, run(t, cfg), "", "http.h2-kerberos", "ntlm.none")
}

// reverse is a proxy before servers, which sees to it that its connections to
// them are shared, and says nothing of itself.
func reverse(t *testing.T, ports ...string) http.Handler {
	t.Helper()
	tr := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	var n atomic.Int64
	return &httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + ports[int(n.Add(1))%len(ports)]})
	}}
}

// A proxy that shares its connections is found out by a request that nobody
// logged in for.
func TestMultiplexingProxy(t *testing.T) {
	t.Parallel()
	back := serve(t, protect(&iwa.Authenticator{NTLM: localNTLM(t, 0), AllowForwarded: true}))
	r := run(t, as(config("http", serve(t, reverse(t, back))), nil))
	want(t, r, "conn.shared", "login.ntlm")
	// The same server without the proxy.
	want(t, run(t, as(config("http", back), nil)), "", "login.ntlm", "conn.kept")
}

// A balancer that deals requests out shows by the servers' names, with nobody
// logging in.
func TestBalancer(t *testing.T) {
	t.Parallel()
	server := func(name string) string {
		m := localNTLM(t, 0)
		m.Names = ntlm.Names{Domain: "CORP", Computer: name}
		return serve(t, protect(&iwa.Authenticator{NTLM: m, AllowForwarded: true}))
	}
	a, b := server("APP1"), server("APP2")
	want(t, run(t, config("http", serve(t, reverse(t, a, b)))), "conn.balanced")
	// By connection is well.
	l := listen(t)
	go dealConnections(l, a, b)
	want(t, run(t, as(config("http", portOf(l)), nil)), "", "conn.several", "conn.kept", "login.ntlm")
}

func dealConnections(l net.Listener, ports ...string) {
	for n := 0; ; n++ {
		c, err := l.Accept()
		if err != nil {
			return
		}
		back, err := net.Dial("tcp", "127.0.0.1:"+ports[n%len(ports)])
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(back, c); _ = back.Close() }()
		go func() { _, _ = io.Copy(c, back); _ = c.Close() }()
	}
}

// raw is a server that answers each request as told.
func raw(t *testing.T, answer func(n int, r *http.Request, c net.Conn) (again bool)) string {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				br := bufio.NewReader(c)
				for n := 0; ; n++ {
					r, err := http.ReadRequest(br)
					if err != nil || !answer(n, r, c) {
						return
					}
				}
			}()
		}
	}()
	return portOf(l)
}

// A server that ends the connection with its challenge, or after it.
func TestConnectionEnds(t *testing.T) {
	t.Parallel()
	back := protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)})
	closing := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		back.ServeHTTP(w, r)
	}))
	r := run(t, config("http", closing))
	want(t, r, "conn.closed")
	if !r.HTTP.Closes {
		t.Errorf("%+v", r.HTTP)
	}
}

func TestHTTPProxy(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	port := serveTLS(t, cert, protect(d.login(t, 0)))
	var status atomic.Int64
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		back, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(back, c); _ = back.Close() }()
		_, _ = io.Copy(c, back)
		_ = c.Close()
	}))
	cfg := as(config("https", port), d)
	cfg.Roots, cfg.Proxy = roots, &url.URL{Scheme: "http", Host: "proxy.corp.test:" + proxy}
	r := run(t, cfg)
	want(t, r, "", "proxy.used", "login.kerberos", "login.ntlm", "!dns.found")
	status.Store(407)
	want(t, run(t, cfg), "proxy.login")
	status.Store(403)
	want(t, run(t, cfg), "proxy.refused")
	cfg.Resolver = &names{none: true}
	want(t, run(t, cfg), "proxy.unreachable")
	// To a server without TLS nobody logs in through a proxy.
	cfg = as(config("http", port), d)
	cfg.Proxy = &url.URL{Scheme: "http", Host: "127.0.0.1:" + serve(t, protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)}))}
	r = run(t, cfg)
	want(t, r, "", "proxy.plain", "login.not-tried")
	if len(r.Logins) != 0 {
		t.Errorf("%+v", r.Logins)
	}
}

// Servers that mean no good: bounded time and memory, and nothing of theirs
// reaches a terminal.
func TestAttackDoctorHostileServer(t *testing.T) {
	t.Parallel()
	const esc = "\x1b[2J\x1b]0;owned\x07\u202e"
	challenge := "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"
	flood := func(c net.Conn, s string) {
		for {
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name   string
		breaks string
		answer func(n int, r *http.Request, c net.Conn) bool
	}{
		{"header without end", "http.no-answer", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\n")
			flood(c, "X-A: "+strings.Repeat("a", 4000)+"\r\n")
			return false
		}},
		{"line without end", "http.no-answer", func(_ int, _ *http.Request, c net.Conn) bool {
			flood(c, strings.Repeat("HTTP", 4000))
			return false
		}},
		{"interim answers without end", "http.no-answer", func(_ int, _ *http.Request, c net.Conn) bool {
			flood(c, "HTTP/1.1 103 Early\r\n\r\n")
			return false
		}},
		{"body without end", "ntlm.broken", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\n\r\n")
			flood(c, strings.Repeat("<form>", 1000))
			return false
		}},
		{"silence", "http.no-answer", func(int, *http.Request, net.Conn) bool { time.Sleep(3 * time.Second); return false }},
		{"huge tokens", "ntlm.broken", func(_ int, r *http.Request, c net.Conn) bool {
			if r.Header.Get("Authorization") == "" {
				_, _ = io.WriteString(c, challenge)
				return true
			}
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM "+strings.Repeat("TlRMTVNTUAAC", 20000)+"\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
		{"many schemes", "http.other-schemes", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nWWW-Authenticate: "+manySchemes()+"\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
		{"text that steers terminals", "http.no-answer", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nServer: nginx"+esc+"\r\nVia: "+esc+"\r\nWWW-Authenticate: Evil"+esc+"\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
		{"text that turns round", "http.other-schemes", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nServer: nginx\u202e\x9b\r\nVia: \u202e\x9b\r\nWWW-Authenticate: Evil\u202e\x9b\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
		{"redirect that steers terminals", "http.redirect-host", func(_ int, _ *http.Request, c net.Conn) bool {
			_, _ = io.WriteString(c, "HTTP/1.1 302 No\r\nLocation: https://evil.test/%1b%5b\u202e\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
		{"a challenge for ever", "login.error", func(_ int, r *http.Request, c net.Conn) bool {
			if r.Header.Get("Authorization") == "" {
				_, _ = io.WriteString(c, challenge)
				return true
			}
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM "+foreverChallenge()+"\r\nContent-Length: 0\r\n\r\n")
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := as(config("http", raw(t, tt.answer)), nil)
			cfg.Timeout = 700 * time.Millisecond
			began := time.Now()
			r := run(t, cfg)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("took %v", took)
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 64<<10 {
				t.Errorf("a report of %d bytes", len(b))
			}
			var back site.Report
			if err := json.Unmarshal(b, &back); err == nil {
				for _, f := range back.Findings {
					for _, c := range f.Why {
						if !unicode.IsPrint(c) {
							t.Errorf("%q in %q", c, f.Why)
						}
					}
				}
			}
			if strings.Contains(string(b), `\u001b`) || strings.Contains(string(b), "\u202e") {
				t.Errorf("%s", b)
			}
			for name, why := range map[string]string{
				"header without end": "longer than anybody means it", "line without end": "longer than anybody means it",
				"interim answers without end": "interim answers without end",
			} { // and not for the time that it took
				if tt.name == name && !strings.Contains(list(r), why) {
					t.Errorf("no %q in %s", why, list(r))
				}
			}
			if tt.name == "a challenge for ever" {
				if r.OK || len(r.Logins) != 1 {
					t.Error(list(r))
				}
				return
			}
			want(t, r, tt.breaks)
		})
	}
}

func manySchemes() string {
	var b strings.Builder
	for n := range 20000 {
		fmt.Fprintf(&b, "S%d x,", n)
	}
	return b.String()
}

// foreverChallenge is a challenge that never changes (MS-NLMP 2.2.1.2).
func foreverChallenge() string {
	c := ntlm.Challenge{
		Flags:      ntlm.FlagUnicode | ntlm.FlagNTLM | ntlm.FlagRequestTarget | ntlm.FlagTargetInfo | ntlm.FlagExtendedSecurity | ntlm.Flag128,
		TargetInfo: ntlm.AVPairs{{ID: ntlm.AVComputer, Value: []byte("X\x00\x1b\x00")}},
	}
	return base64.StdEncoding.EncodeToString(c.Append(nil))
}

// No credential goes to a server that another one names, to one whose
// certificate is not in order, or twice after a refusal.
func TestAttackDoctorCredentials(t *testing.T) {
	t.Parallel()
	year := time.Now().Add(365 * 24 * time.Hour)
	for _, tt := range []struct {
		name   string
		cert   string
		user   string
		trust  bool
		logins int64 // AUTHENTICATE messages, or more than one is too many
	}{
		{"in order", host, `CORP\alice`, true, 1},
		{"untrusted", host, `CORP\alice`, false, 0},
		{"of another name", "evil.test", `CORP\alice`, true, 0},
		{"wrong user", host, `CORP\bob`, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cert, roots := certificate(t, tt.cert, year)
			back := protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)})
			var seen atomic.Int64
			port := serveTLS(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Header.Get("Authorization"), "NTLM TlRMTVNTUAAD") {
					seen.Add(1)
				}
				back.ServeHTTP(w, r)
			}))
			cfg := as(config("https", port), nil)
			cfg.User, cfg.ProbeBinding = tt.user, tt.name == "wrong user"
			if tt.trust {
				cfg.Roots = roots
			}
			run(t, cfg)
			if n := seen.Load(); n != tt.logins {
				t.Errorf("%d logins, want %d", n, tt.logins)
			}
		})
	}
	t.Run("redirect", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int64
		thief := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		run(t, as(config("http", serve(t, http.RedirectHandler("http://127.0.0.1:"+thief+"/", http.StatusFound))), nil))
		if asked.Load() != 0 {
			t.Error("the other host was asked")
		}
	})
}
