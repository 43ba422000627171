package authclient_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
)

// loginProxy is an HTTP proxy that wants a login, which holds for a connection
// (or, where each is set, for one request), and tells the server who the caller
// is.
type loginProxy struct {
	*url.URL
	schemes []string
	krb     *kerberos.Mechanism // nil: NTLM is what is inside Negotiate
	each    bool
	keeps   bool // says that it keeps connections to servers apart
	cert    *x509Pair

	accounts *ntlm.Accounts
	conns    atomic.Int64

	mu   sync.Mutex
	seen []proxied // requests that were passed on, in order
	leak []string  // what a proxy must not be sent
}

type proxied struct{ user, method, target string }

// x509Pair is the certificate of a proxy at an https URL.
type x509Pair struct {
	cert    tls.Certificate
	binding authn.ChannelBinding
}

// viaHeader is where the proxy tells the server its user.
const viaHeader = "X-Proxy-User"

// start makes p listen. Its users are proxy-alice (password a) and proxy-bob.
func (p *loginProxy) start(t *testing.T) *loginProxy {
	t.Helper()
	var err error
	p.accounts, err = ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "proxy-alice", Password: authn.NewSecret("a")},
		ntlm.Account{Name: "proxy-bob", Password: authn.NewSecret("b")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p.URL = &url.URL{Scheme: "http", Host: l.Addr().String()}
	if p.cert != nil {
		p.URL.Scheme = "https"
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{p.cert.cert}})
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			go p.serve(c)
		}
	}()
	return p
}

// serve is one connection.
func (p *loginProxy) serve(c net.Conn) {
	defer c.Close()
	login := &proxyLogin{p: p}
	upstream := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true} // of this connection alone
	defer upstream.CloseIdleConnections()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Method == http.MethodConnect {
			p.note(r.Header.Get("Authorization"))
		}
		challenges := login.judge(r.Header.Get("Proxy-Authorization"))
		if challenges != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			if _, err := fmt.Fprintf(c, "HTTP/1.1 407 Proxy Authentication Required\r\n%sContent-Length: 5\r\n\r\nlogin", strings.Join(challenges, "")); err != nil {
				return
			}
			continue
		}
		p.mu.Lock()
		p.seen = append(p.seen, proxied{login.user, r.Method, r.Host})
		p.mu.Unlock()
		if r.Method == http.MethodConnect {
			p.tunnel(c, r.Host)
			return
		}
		r.RequestURI = ""
		r.Header.Del("Proxy-Authorization")
		r.Header.Set(viaHeader, login.user)
		resp, err := upstream.RoundTrip(r)
		if err != nil {
			return
		}
		if p.keeps {
			resp.Header.Set("Proxy-Support", "Session-Based-Authentication")
		}
		if login.last != "" {
			resp.Header.Set("Proxy-Authentication-Info", login.last)
		}
		err = resp.Write(c)
		_ = resp.Body.Close()
		if err != nil {
			return
		}
		if p.each {
			*login = proxyLogin{p: p}
		}
	}
}

func (p *loginProxy) tunnel(c net.Conn, target string) {
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(up, c)
		_ = up.Close()
	}()
	_, _ = io.Copy(c, up)
}

func (p *loginProxy) note(leak string) {
	if leak != "" {
		p.mu.Lock()
		p.leak = append(p.leak, leak)
		p.mu.Unlock()
	}
}

// requests returns what was passed on since the last call.
func (p *loginProxy) requests() []proxied {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seen
	p.seen = nil
	return s
}

// proxyLogin is the login of one connection.
type proxyLogin struct {
	p        *loginProxy
	scheme   string
	acceptor authn.Acceptor
	user     string
	last     string // token that ends the login
}

// judge returns the challenges to refuse a request with, or nil.
func (l *proxyLogin) judge(authorization string) (challenges []string) {
	scheme, text, _ := strings.Cut(authorization, " ")
	switch {
	case scheme == "" && l.user != "":
		return nil
	case scheme == "":
		return l.all()
	}
	if l.user != "" { // a new login on the same connection
		*l = proxyLogin{p: l.p}
	}
	token, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return l.all()
	}
	if scheme == "Basic" {
		user, password, _ := strings.Cut(string(token), ":")
		id, err := l.p.accounts.VerifyPassword(context.Background(), user, password)
		if err != nil {
			return l.all()
		}
		l.user = id.Account
		return nil
	}
	if l.acceptor == nil || l.scheme != scheme {
		var x authn.Exchange
		m := &ntlm.Mechanism{Verifier: l.p.accounts, Names: ntlm.Names{Domain: "CORP", Computer: "PROXY"}}
		if l.p.cert != nil {
			x = authn.Exchange{TLS: true, Bindings: authn.Bindings{l.p.cert.binding}}
			m.Binding = authn.BindingRequired
		}
		l.scheme = scheme
		mechanisms := []authn.Mechanism{m}
		if l.p.krb != nil {
			mechanisms = []authn.Mechanism{l.p.krb}
		}
		if l.acceptor = m.NewAcceptor(x); scheme == "Negotiate" {
			l.acceptor = spnego.NewAcceptor(mechanisms, x)
		}
	}
	reply, id, err := l.acceptor.Step(context.Background(), token)
	switch {
	case err != nil:
		*l = proxyLogin{p: l.p}
		return l.all()
	case id == nil:
		return []string{"Proxy-Authenticate: " + scheme + " " + base64.StdEncoding.EncodeToString(reply) + "\r\n"}
	}
	l.user = id.Account
	if len(reply) > 0 {
		l.last = scheme + " " + base64.StdEncoding.EncodeToString(reply)
	}
	return nil
}

func (l *proxyLogin) all() []string {
	var cs []string
	for _, s := range l.p.schemes {
		cs = append(cs, "Proxy-Authenticate: "+s+"\r\n")
	}
	return cs
}

// rawProxy is a proxy that answers each connection with what f writes.
func rawProxy(t *testing.T, f func(c net.Conn, in *bufio.Reader)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// origin is a server that says who it sees, whom the proxy saw, and whether a
// login for the proxy reached it.
type origin struct {
	*server
	leaked atomic.Int64
}

// wrap is for the setup of newServer and serve.
func (o *origin) wrap(s *httptest.Server) {
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" {
			o.leaked.Add(1)
		}
		w.Header().Set(viaHeader, r.Header.Get(viaHeader))
		inner.ServeHTTP(w, r)
	})
}

func proxyCredential(user string) authclient.Credential {
	return &authclient.NTLM{User: `CORP\proxy-` + user, Password: authn.NewSecret(user[:1])}
}

// through makes a transport that uses proxy.
func through(t *testing.T, proxy *url.URL, at, server authclient.Source) *authclient.Transport {
	t.Helper()
	tr := &authclient.Transport{
		Source: server, Proxy: at,
		Base: &http.Transport{
			Proxy:           http.ProxyURL(proxy),
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the tests' own certificates
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}
