package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// How long a server that did not answer gets no requests, while others do.
const (
	minDown = time.Second
	maxDown = 30 * time.Second
)

// A server is one of those that a service is passed on to. It is safe for
// concurrent use.
type server struct {
	index         int
	url           string // for people
	network, addr string
	host          string // of the URL
	prefix        string // of paths, without a slash at its end
	tls           *tls.Config
	pool          pool
	logger        *slog.Logger

	downUntil atomic.Int64 // in nanoseconds since 1970; 0: it is up
	sick      atomic.Bool  // an active check failed

	mu   sync.Mutex
	down time.Duration // for the next time
}

func newServer(index int, u config.BackendURL, c *config.Backend, logger *slog.Logger) (*server, error) {
	s := &server{index: index, url: u.String(), network: "tcp", host: u.Host, prefix: strings.TrimRight(u.Path, "/"), logger: logger}
	switch u.Scheme {
	case "unix":
		s.network, s.addr, s.host, s.prefix = "unix", u.Path, "localhost", ""
	case "https":
		t, err := newTLS(u.URL, c.TLS)
		if err != nil {
			return nil, err
		}
		s.tls = t
		s.addr = net.JoinHostPort(u.Hostname(), portOf(u.URL, "443"))
	default:
		s.addr = net.JoinHostPort(u.Hostname(), portOf(u.URL, "80"))
	}
	s.pool.connectTimeout = orDefault(c.ConnectTimeout, 5*time.Second)
	s.pool.idleTimeout = orDefault(c.IdleTimeout, time.Minute)
	s.pool.queueTimeout = orDefault(c.Timeout, defaultQueueTimeout)
	s.pool.max = c.MaxConnections
	return s, nil
}

func orDefault(d config.Duration, or time.Duration) time.Duration {
	if d > 0 {
		return d.Std()
	}
	return or
}

func portOf(u *url.URL, or string) string {
	if p := u.Port(); p != "" {
		return p
	}
	return or
}

func newTLS(u *url.URL, c *config.BackendTLS) (*tls.Config, error) {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if c == nil {
		return t, nil
	}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	t.InsecureSkipVerify = c.InsecureSkipVerify
	if c.CAFile != "" {
		pem, err := os.ReadFile(string(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("backend: authorities of %s: %w", u, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("backend: authorities of %s: %s has no certificate in PEM", u, c.CAFile)
		}
	}
	return t, nil
}

// connect returns a connection for a request, idle or new. fresh wants a new one.
// The caller leaves s.pool if there was no error.
func (s *server) connect(ctx context.Context, fresh bool) (*conn, error) {
	if err := s.pool.enter(ctx); err != nil {
		return nil, err
	}
	if !fresh {
		if c := s.pool.take(); c != nil {
			return c, nil
		}
	}
	c, err := s.dial(ctx)
	if err != nil {
		s.pool.leave()
		if ctx.Err() == nil {
			s.failed(err)
		}
		return nil, err
	}
	s.answered()
	return c, nil
}

// failed notes that nobody answers, for longer each time.
func (s *server) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.UnixNano() < s.downUntil.Load() {
		return // another request found it out
	}
	first := s.down == 0
	s.down = min(max(2*s.down, minDown), maxDown)
	s.downUntil.Store(now.Add(s.down).UnixNano())
	if first {
		s.logger.Warn("backend does not answer", "backend", s.url, "error", err)
	}
}

func (s *server) answered() {
	if s.downUntil.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != 0 {
		s.down = 0
		s.downUntil.Store(0)
		s.logger.Info("backend answers again", "backend", s.url)
	}
}

// A set of servers, by their index.
type set uint64

func (s set) has(i int) bool { return s>>i&1 != 0 }
func (s set) with(i int) set { return s | 1<<i }

// pick returns the server for a request that was not sent to those of tried: of
// those that are up the least busy one, each in turn where several are. Where
// none is up it is any that was not found sick, since the request itself finds
// out best whether one is back. It is nil if there is none.
func (p *Proxy) pick(tried set) *server {
	if len(p.servers) == 1 {
		if s := p.servers[0]; tried == 0 && !s.sick.Load() {
			return s
		}
		return nil
	}
	now, start := time.Now().UnixNano(), int(p.turn.Add(1))
	var best *server
	bestDown, bestBusy := false, int32(0)
	for i := range p.servers {
		s := p.servers[(start+i)%len(p.servers)]
		if tried.has(s.index) || s.sick.Load() {
			continue
		}
		down, busy := now < s.downUntil.Load(), s.pool.busy.Load()
		if best == nil || bestDown && !down || down == bestDown && busy < bestBusy {
			best, bestDown, bestBusy = s, down, busy
		}
	}
	return best
}

// timedOut reports whether an error is that of a deadline.
func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
