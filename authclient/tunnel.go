package authclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	// tunnelTimeout bounds all of a login at a proxy, as net/http's does for
	// CONNECT.
	tunnelTimeout = time.Minute

	// maxConnectHeader bounds the header of a proxy's answer where
	// http.Transport.MaxResponseHeaderBytes does not.
	maxConnectHeader = 1 << 20
)

// tunnelKey is where a context keeps the *tunnel that a connection goes through.
type tunnelKey struct{}

// tunnelTransport returns a transport whose connections are tunnels: it does
// TLS to the target in what the tunnel in the context dials.
func tunnelTransport(base *http.Transport) *http.Transport {
	t := base.Clone()
	t.Proxy, t.DialTLSContext = nil, nil
	//lint:ignore SA1019 a program may have set it, and it comes before DialContext
	t.DialTLS = nil
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		u, ok := ctx.Value(tunnelKey{}).(*tunnel)
		if !ok {
			return nil, errors.New("authclient: no tunnel in the context")
		}
		return u.dial(ctx)
	}
	return t
}

// connectAnswered is next, with an error for a proxy that wants a login where
// net/http makes the tunnel.
func connectAnswered(next connectHook) connectHook {
	return func(ctx context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
		if next != nil {
			if err := next(ctx, proxy, req, resp); err != nil {
				return err
			}
		}
		if resp.StatusCode == http.StatusProxyAuthRequired {
			return refusedByProxy(proxy, resp)
		}
		return nil
	}
}

// connectHook is the type of http.Transport.OnProxyConnectResponse.
type connectHook = func(context.Context, *url.URL, *http.Request, *http.Response) error

// tunnel makes one connection to a target through a proxy that wants a login
// (RFC 9110 9.3.6). All legs of the login go over it.
type tunnel struct {
	transport *Transport
	route     *route
	party     *party // the proxy

	conn    net.Conn
	limit   *io.LimitedReader // in front of conn
	in      *bufio.Reader     // from limit
	binding authn.ChannelBinding
	unbind  func() bool // conn from the context
}

// dial returns the connection to the target.
func (u *tunnel) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tunnelTimeout, fmt.Errorf("authclient: %s made no tunnel within %v: %w", u.party, tunnelTimeout, context.DeadlineExceeded))
	defer cancel()
	err := u.open(ctx)
	if u.conn == nil {
		return nil, err
	}
	if !u.unbind() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = u.conn.Close()
		return nil, err
	}
	return u.conn, nil
}

// open connects to the proxy, logs in and leaves the tunnel in u.conn.
func (u *tunnel) open(ctx context.Context) error {
	if err := u.connect(ctx); err != nil {
		return err
	}
	p, schemes := u.party, &u.transport.schemes
	if p.offered != nil { // to another tunnel of this exchange
		if err := p.choose(ctx, p.offered); err != nil {
			return err
		}
		return u.login(ctx, true)
	}
	if scheme := schemes.get(p.key); scheme != "" {
		err := p.choose(ctx, []string{scheme})
		if err == nil {
			err = u.login(ctx, false)
		}
		if err != nil {
			schemes.forget(p.key) // the proxy may want another one by now
		}
		return err
	}
	resp, err := u.send(ctx, "")
	if err != nil {
		return err
	}
	if resp.StatusCode != p.status() {
		return u.opened(ctx, resp)
	}
	if err := p.asks(resp); err != nil {
		return err
	}
	if err := p.choose(ctx, p.offered); err != nil {
		return err
	}
	if !u.keep(resp) {
		if err := u.connect(ctx); err != nil {
			return err
		}
	}
	return u.login(ctx, true)
}

func (u *tunnel) login(ctx context.Context, asked bool) error {
	h := handshake{
		party: u.party, binding: u.binding, keep: u.keep,
		send: func(authorization string, _ bool) (*http.Response, error) { return u.send(ctx, authorization) },
	}
	end, err := h.run(ctx, asked)
	if err != nil {
		return err
	}
	if err := u.opened(ctx, end.Response); err != nil {
		return err
	}
	if !end.opening && u.party.memorable() {
		u.transport.schemes.set(u.party.key, u.party.scheme)
	}
	return nil
}

// opened checks the answer that ends the login.
func (u *tunnel) opened(ctx context.Context, resp *http.Response) error {
	if hook := u.transport.base.OnProxyConnectResponse; hook != nil {
		if err := hook(ctx, u.route.proxy, resp.Request, resp); err != nil {
			return err
		}
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("authclient: %s answered %q to CONNECT %s", u.party, resp.Status, u.route.target.Host)
	}
	// In TLS the client speaks first.
	if n := u.in.Buffered(); n > 0 {
		return fmt.Errorf("authclient: %s sent %d bytes after its answer to CONNECT", u.party, n)
	}
	return nil
}

// connect makes a new connection to the proxy.
func (u *tunnel) connect(ctx context.Context) error {
	if u.conn != nil {
		u.unbind()
		_ = u.conn.Close()
		u.conn = nil
	}
	c, err := u.dialProxy(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err} // as net/http does
	}
	u.conn = c
	u.limit = &io.LimitedReader{R: c}
	u.in = bufio.NewReader(u.limit)
	u.unbind = context.AfterFunc(ctx, func() { _ = c.Close() })
	return nil
}

func (u *tunnel) dialProxy(ctx context.Context) (net.Conn, error) {
	base, addr := u.transport.base, u.route.at.Host
	secure := u.route.at.Scheme == "https"
	dial, dialTLS := dialers(base)
	if secure && dialTLS != nil {
		c, err := dialTLS(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		if tc, ok := c.(*tls.Conn); ok {
			return u.shake(ctx, tc)
		}
		return c, nil
	}
	c, err := dial(ctx, "tcp", addr)
	if err != nil || !secure {
		return c, err
	}
	config := base.TLSClientConfig.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config.ServerName = u.route.proxy.Hostname()
	}
	config.NextProtos = nil
	return u.shake(ctx, tls.Client(c, config))
}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialers returns what base dials with, as net/http would choose it. dialTLS
// may be nil.
func dialers(base *http.Transport) (dial, dialTLS dialer) {
	dial, dialTLS = base.DialContext, base.DialTLSContext
	//lint:ignore SA1019 a program may have set it
	if old := base.Dial; dial == nil && old != nil {
		dial = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	//lint:ignore SA1019 a program may have set it
	if old := base.DialTLS; dialTLS == nil && old != nil {
		dialTLS = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial, dialTLS
}

// shake does the TLS handshake with the proxy.
func (u *tunnel) shake(ctx context.Context, c *tls.Conn) (net.Conn, error) {
	if d := u.transport.base.TLSHandshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	if err := c.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
		u.binding = authn.EndpointBinding(certs[0])
	}
	return c, nil
}

// send sends CONNECT and reads the header of the answer.
func (u *tunnel) send(ctx context.Context, authorization string) (*http.Response, error) {
	base, host := u.transport.base, u.route.target.Host
	header := base.ProxyConnectHeader.Clone()
	if base.GetProxyConnectHeader != nil {
		h, err := base.GetProxyConnectHeader(ctx, u.route.proxy, host)
		if err != nil {
			return nil, err
		}
		header = h.Clone()
	}
	if header == nil {
		header = http.Header{}
	}
	header.Del("Authorization") // for the target, if at all
	header.Del("Proxy-Authorization")
	if authorization != "" {
		header.Set("Proxy-Authorization", authorization)
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: header}
	resp, err := u.exchange(req)
	if err == nil {
		return resp, nil
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case u.limit.N <= 0:
		err = fmt.Errorf("header of more than %d bytes", u.maxHeader())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if u.party.midway {
			return nil, u.party.closed(u.party.scheme)
		}
		err = errors.New("it closed the connection")
	}
	return nil, fmt.Errorf("authclient: CONNECT %s by %s: %w", host, u.party, err)
}

// exchange sends req and reads the answer, whose body must be read before the
// next one is sent.
func (u *tunnel) exchange(req *http.Request) (*http.Response, error) {
	if err := req.Write(u.conn); err != nil {
		return nil, err
	}
	u.limit.N = u.maxHeader()
	for {
		resp, err := http.ReadResponse(u.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 1 { // RFC 9110 15.2; the limit is for all
			continue
		}
		if resp.StatusCode/100 != 2 {
			u.limit.N = maxDrain + int64(u.in.Size())
		}
		return resp, nil
	}
}

func (u *tunnel) maxHeader() int64 {
	if n := u.transport.base.MaxResponseHeaderBytes; n > 0 {
		return n
	}
	return maxConnectHeader
}

// keep reads the body of resp and reports whether the connection can take
// another request.
func (u *tunnel) keep(resp *http.Response) bool {
	if resp.Close {
		return false
	}
	_, err := io.CopyN(io.Discard, resp.Body, maxDrain+1)
	return errors.Is(err, io.EOF)
}
