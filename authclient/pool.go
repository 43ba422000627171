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
	binding  authn.ChannelBinding
	loggedIn bool // the server takes further requests without a token
	reused   bool

	idleTimer *time.Timer
}

// poolKey says who may use a connection.
type poolKey struct{ origin, credential string }

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

// dial makes a connection to t.
func dial(ctx context.Context, base *http.Transport, t Target) (*conn, error) {
	c := &conn{}
	if t.Scheme == "https" {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			TLSHandshakeDone: func(s tls.ConnectionState, err error) {
				if err == nil && len(s.PeerCertificates) > 0 {
					c.binding = authn.EndpointBinding(s.PeerCertificates[0])
				}
			},
		})
	}
	cc, err := base.NewClientConn(ctx, t.Scheme, t.Host)
	if err != nil {
		return nil, err
	}
	c.ClientConn = cc
	return c, nil
}
