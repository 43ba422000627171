package authclient

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// conn is one connection, in the hands of one request or idle in the pool.
type conn struct {
	*http.ClientConn
	reused bool

	// Each for the server and, where requests themselves go to it, the proxy.
	binding, proxyBinding   authn.ChannelBinding
	loggedIn, proxyLoggedIn bool // further requests are taken without a token

	idleTimer *time.Timer
}

func (c *conn) bindingAt(p *party) authn.ChannelBinding {
	if p.proxy {
		return c.proxyBinding
	}
	return c.binding
}

func (c *conn) loggedInAt(p *party) *bool {
	if p.proxy {
		return &c.proxyLoggedIn
	}
	return &c.loggedIn
}

// poolKey says who may use a connection: to which origin, with which
// credential, and by which route with which credential for the proxy there.
type poolKey struct{ origin, credential, route string }

// proxyItself is the route in the key of what is remembered about a proxy.
const proxyItself = "itself"

// pool keeps idle connections. The zero value is ready.
type pool struct {
	mu   sync.Mutex
	idle map[poolKey][]*conn

	testOnlyExpired func()
}

// take returns the connection of key that was used last, or nil.
func (p *pool) take(key poolKey) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cs := p.idle[key]; len(cs) > 0; cs = p.idle[key] {
		c := cs[len(cs)-1]
		p.set(key, cs[:len(cs)-1])
		c.idleTimer.Stop()
		if c.Available() > 0 {
			c.reused = true
			return c
		}
	}
	return nil
}

// put keeps c for later, for at most maxIdle connections of its key and for at
// most timeout.
func (p *pool) put(key poolKey, c *conn, maxIdle int, timeout time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Available tells before the end of a response's body is reported whether
	// the connection survives it; Err tells later.
	if c.Available() == 0 || len(p.idle[key]) >= maxIdle {
		_ = c.Close()
		return
	}
	if p.idle == nil {
		p.idle = map[poolKey][]*conn{}
	}
	if c.idleTimer == nil {
		c.idleTimer = time.AfterFunc(timeout, func() { p.expire(key, c) })
	} else {
		c.idleTimer.Reset(timeout)
	}
	p.set(key, append(p.idle[key], c))
}

// expire closes c if it is still idle.
func (p *pool) expire(key poolKey, c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cs := p.idle[key]
	for i := range cs {
		if cs[i] == c {
			p.set(key, append(cs[:i:i], cs[i+1:]...))
			_ = c.Close()
			if p.testOnlyExpired != nil {
				p.testOnlyExpired()
			}
			return
		}
	}
}

// set replaces the idle connections of key and forgets a key without any.
func (p *pool) set(key poolKey, cs []*conn) {
	if len(cs) == 0 {
		delete(p.idle, key)
		return
	}
	p.idle[key] = cs
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cs := range p.idle {
		for _, c := range cs {
			c.idleTimer.Stop()
			_ = c.Close()
		}
	}
	p.idle = nil
}

// dial makes a connection on r. A tunnel to the target wants the login at the
// proxy now.
func (t *Transport) dial(ctx context.Context, r *route, proxy *party) (*conn, error) {
	c := &conn{}
	base := t.base
	if r.tunnelled() {
		base = t.tunnels
		ctx = context.WithValue(ctx, tunnelKey{}, &tunnel{transport: t, route: r, party: proxy})
	}
	ctx = context.WithValue(ctx, routeKey{t}, r)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if err != nil || len(s.PeerCertificates) == 0 {
				return
			}
			binding := authn.EndpointBinding(s.PeerCertificates[0])
			if r.target.Scheme == "https" {
				c.binding = binding // the last one: TLS to a proxy comes before
			} else {
				c.proxyBinding = binding
			}
		},
	})
	cc, err := base.NewClientConn(ctx, r.target.Scheme, r.target.Host)
	if err != nil {
		return nil, err
	}
	c.ClientConn = cc
	return c, nil
}
