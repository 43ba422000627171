package oidctest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// A Proxy is an HTTP proxy in front of a provider, to which alone it connects by
// CONNECT, whatever name the provider is asked for by. It runs until the test ends,
// and is safe for concurrent use.
type Proxy struct {
	URL string

	to     string
	server *httptest.Server

	mu     sync.Mutex
	status int
	asked  []string
	local  map[string]bool
	open   []net.Conn
}

// NewProxy starts one, at https if secure is set: then its certificate is of the
// authority of providers with TLS.
func NewProxy(tb testing.TB, to *Provider, secure bool) *Proxy {
	tb.Helper()
	p := &Proxy{to: to.server.Listener.Addr().String(), local: map[string]bool{}}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if secure {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	p.URL = p.server.URL
	tb.Cleanup(func() {
		p.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.open {
			_ = c.Close()
		}
	})
	return p
}

// Close ends it before the test ends: connections are refused from then on.
func (p *Proxy) Close() { p.server.Close() }

// Refuse has it answer all requests with a status; zero ends that.
func (p *Proxy) Refuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// Asked returns the addresses that it was asked to connect to.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Carried reports whether a request to the provider, by its RemoteAddr, came through
// the proxy.
func (p *Proxy) Carried(remote string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local[remote]
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	status := p.status
	p.mu.Unlock()
	if status == 0 && r.Method != http.MethodConnect {
		status = http.StatusMethodNotAllowed
	}
	if status != 0 {
		w.Header().Set("Proxy-Authenticate", "Negotiate")
		http.Error(w, "refused", status)
		return
	}
	there, err := net.Dial("tcp", p.to) //nolint:noctx // it ends with the test
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	p.mu.Lock()
	p.local[there.LocalAddr().String()] = true
	p.open = append(p.open, here, there)
	p.mu.Unlock()
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	go pass(there, here)
	go pass(here, there)
}
