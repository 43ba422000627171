package authclient

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// Defaults of Transport's limits.
const (
	defaultMaxIdle       = 32
	defaultIdleTimeout   = 60 * time.Second // IIS closes after 120 s
	defaultMaxReplayBody = 4 << 20
)

// Transport is an http.RoundTripper that logs in. Its fields must not change
// after the first request; it is safe for concurrent use then. It speaks
// HTTP/1.1, because NTLM logs connections in.
//
// Servers close idle connections at any moment, and a request may meet that.
// If it was on a connection that was used before, and no byte of an answer
// came, it is sent once more on a new one, provided that its body can be read
// again and that the server hardly ran it: it was not written whole, or the
// connection broke within a moment, or its method is idempotent (or it has an
// Idempotency-Key).
type Transport struct {
	// Source chooses the credential. Nil sends requests without a login.
	Source Source

	// Proxy chooses the credential for the HTTP proxy that Base.Proxy names for
	// a request: it is asked for a Target that is the proxy. It takes the place
	// of a name and password in the proxy's URL. Nil logs in with those or not
	// at all, and a proxy that wants a login is then an error.
	//
	// The credential goes to the proxy and Source's to the server, never the
	// other way round. To a proxy at an http URL, everybody on the way can ask
	// for a login in the proxy's name, as on plain HTTP everywhere.
	Proxy Source

	// Base dials, does TLS and knows the proxy. Nil means a clone of
	// http.DefaultTransport. Its connection limits are not used.
	Base *http.Transport

	// SPN returns the service principal name for a target whose name is not
	// HTTP/host. It is asked for proxies too. Nil means Target.SPN.
	SPN func(t Target) string

	MaxIdlePerCredential int           // idle connections kept per origin and credential; zero means 32
	IdleTimeout          time.Duration // of a connection; zero means 60 s
	MaxReplayBody        int64         // bytes of a body without GetBody kept to send it again; zero means 4 MiB

	// Replay keeps such bodies in another way. Nil means as MaxReplayBody says.
	Replay *Replay

	once    sync.Once
	base    *http.Transport
	tunnels *http.Transport // for tunnels that are made by us
	pool    pool
	schemes schemeMemory
	asking  schemeMemory // parties that ask again on connections that are logged in
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip implements http.RoundTripper. Its errors are *RefusedError when
// the server or the proxy refused the credential, and wrap the credential's own
// error when that could not begin. Where the request's context has authn.Spans,
// it is a span that ends with the head of the answer.
func (t *Transport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	t.once.Do(t.init)
	ctx, end := authn.StartSpan(req.Context(), authn.SpanUpstream, slog.String("server", req.URL.Host))
	if ctx == req.Context() {
		return t.roundTrip(req)
	}
	defer func() { end(err) }()
	traced := req.WithContext(ctx)
	if traced.Header = req.Header.Clone(); traced.Header == nil {
		traced.Header = http.Header{}
	}
	authn.SetSpanHeader(ctx, traced.Header)
	if resp, err = t.roundTrip(traced); err == nil {
		resp.Request = req
	}
	return resp, err
}

func (t *Transport) roundTrip(req *http.Request) (*http.Response, error) {
	x, err := t.exchange(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if x.server.credential == nil && x.route.credential == nil {
		return t.anonymous(req, x.route)
	}
	if err := x.prepare(); err != nil {
		return nil, err
	}
	defer x.body.close()
	return x.run()
}

// exchange finds the route and the credentials of a request.
func (t *Transport) exchange(req *http.Request) (*exchange, error) {
	target := TargetOf(req.URL)
	if t.SPN != nil {
		target.SPN = t.SPN(target)
	}
	cred, err := t.credential(req, target)
	if err != nil {
		return nil, err
	}
	r, err := t.route(req, target)
	if err != nil {
		return nil, err
	}
	x := &exchange{
		transport: t, req: req, route: r, shared: r.shared(),
		server:  party{target: target, credential: cred},
		atProxy: party{target: r.at, credential: r.credential, proxy: true},
	}
	x.rekey()
	return x, nil
}

// credential asks the source, unless a redirect led to another origin than
// the program asked for: credentials do not follow.
func (t *Transport) credential(req *http.Request, target Target) (Credential, error) {
	if t.Source == nil {
		return nil, nil
	}
	for r := req; r.Response != nil && r.Response.Request != nil; {
		r = r.Response.Request
		if TargetOf(r.URL).Origin() != target.Origin() {
			return nil, nil
		}
	}
	return t.Source.Credential(req.Context(), target)
}

func (t *Transport) init() {
	base := t.Base
	if base == nil {
		base, _ = http.DefaultTransport.(*http.Transport)
		if base == nil {
			base = &http.Transport{Proxy: http.ProxyFromEnvironment}
		}
	}
	t.base = base.Clone()
	var p http.Protocols
	p.SetHTTP1(true)
	t.base.Protocols = &p
	t.base.ForceAttemptHTTP2 = false
	t.base.Proxy = t.routed(base.Proxy)
	t.base.OnProxyConnectResponse = connectAnswered(base.OnProxyConnectResponse)
	t.tunnels = tunnelTransport(t.base)
}

// release gives c back to the pool.
func (t *Transport) release(key poolKey, c *conn) {
	maxIdle, timeout := t.MaxIdlePerCredential, t.IdleTimeout
	if maxIdle == 0 {
		maxIdle = defaultMaxIdle
	}
	if timeout == 0 {
		timeout = defaultIdleTimeout
	}
	t.pool.put(key, c, maxIdle, timeout)
}

// CloseIdleConnections closes the connections that no request is using.
// http.Client.CloseIdleConnections calls it.
func (t *Transport) CloseIdleConnections() {
	t.once.Do(t.init)
	t.pool.closeIdle()
	t.base.CloseIdleConnections()
}

// pooledBody gives its connection back once the response was read.
type pooledBody struct {
	io.ReadCloser
	once sync.Once
	done func()
}

func (b *pooledBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.once.Do(b.done)
	}
	return n, err
}

func (b *pooledBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.done)
	return err
}

// maxSchemes bounds the memory of a gateway that acts for many users.
const maxSchemes = 16 << 10

// schemeMemory remembers the scheme that logged a credential in, so that the
// next connection begins with it. The zero value is ready.
type schemeMemory struct {
	mu sync.RWMutex
	m  map[poolKey]string
}

func (s *schemeMemory) get(k poolKey) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[k]
}

func (s *schemeMemory) set(k poolKey, scheme string) {
	if s.get(k) == scheme {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil || len(s.m) >= maxSchemes {
		s.m = map[poolKey]string{} // forgetting costs one more round trip each
	}
	s.m[k] = scheme
}

func (s *schemeMemory) forget(k poolKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, k)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
