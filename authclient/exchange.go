package authclient

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxDrain bounds what is read of a refusal's body to keep the connection.
	maxDrain = 64 << 10

	// maxOpeningBody bounds the body that is sent with the first leg of a login
	// which was not asked for, in case it needs none.
	maxOpeningBody = 64 << 10

	// staleWindow is how soon a server that had closed an idle connection makes
	// itself felt.
	staleWindow = 200 * time.Millisecond
)

// exchange is one RoundTrip: a request, and the logins it may take.
type exchange struct {
	transport *Transport
	req       *http.Request
	body      *requestBody
	route     *route
	server    party
	atProxy   party // the proxy, where requests themselves go to it
	key       poolKey

	conn     *conn       // nil until the first is made
	shared   bool        // a proxy may send others' requests over its half of conn
	sent     time.Time   // when the request was last sent
	written  atomic.Bool // all of it reached conn
	answered atomic.Bool // a byte of an answer came on conn
}

// rekey makes the keys that follow from the credentials.
func (x *exchange) rekey() {
	x.key = poolKey{origin: x.server.target.Origin(), route: x.route.key()}
	if c := x.server.credential; c != nil {
		x.key.credential = c.Key()
	}
	x.server.key = x.key
	if c := x.route.credential; c != nil {
		x.atProxy.key = poolKey{origin: x.route.at.Origin(), credential: c.Key(), route: proxyItself}
	}
}

// run sends the request, on a new connection if a reused one turns out to be
// dead or one ends before its login is over.
func (x *exchange) run() (*http.Response, error) {
	resp, err := x.attempt()
	if err != nil && (x.wasStale() || x.endedMidway(err)) {
		resp, err = x.again()
	}
	if err != nil && x.renew(err) {
		resp, err = x.again()
	}
	if err != nil {
		x.close()
		return nil, err
	}
	resp.Request = x.req
	c := x.conn
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols: // the body is the connection
	case resp.Body == nil || resp.Body == http.NoBody:
		x.release(c)
	default:
		resp.Body = &pooledBody{ReadCloser: resp.Body, done: func() { x.release(c) }}
	}
	return resp, nil
}

// again repeats the attempt on a new connection.
func (x *exchange) again() (*http.Response, error) {
	x.close()
	return x.attempt()
}

func (x *exchange) close() {
	if x.conn != nil {
		_ = x.conn.Close()
		x.conn = nil
	}
}

// connect makes a connection if there is none.
func (x *exchange) connect() error {
	if x.conn != nil {
		return nil
	}
	c, err := x.transport.dial(x.req.Context(), x.route, &x.atProxy)
	if err == nil {
		x.conn = c
	}
	return err
}

// release keeps c for later, unless the program wants it closed.
func (x *exchange) release(c *conn) {
	if x.req.Close {
		_ = c.Close()
		return
	}
	x.transport.release(x.key, c)
}

// wasStale reports whether the request that just failed found a connection
// that the server had closed, and may be sent again.
func (x *exchange) wasStale() bool {
	if x.conn == nil || !x.conn.reused || x.conn.Err() == nil || x.answered.Load() || !x.body.canOpen() || x.req.Context().Err() != nil {
		return false
	}
	return !x.written.Load() || isIdempotent(x.req) || time.Since(x.sent) < staleWindow
}

// endedMidway reports whether err ended a login that may be made once more, on
// another connection.
func (x *exchange) endedMidway(err error) bool {
	var m midway
	return errors.As(err, &m) && x.body.canOpen() && x.req.Context().Err() == nil
}

// isIdempotent reports whether running req twice does what running it once
// does (RFC 9110 9.2.2, and net/http's convention for others).
func isIdempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, xkey := req.Header["X-Idempotency-Key"]
	return key || xkey
}

// attempt does the request on one connection, or on two where the first does
// not survive that a login is asked for.
func (x *exchange) attempt() (*http.Response, error) {
	if err := x.connect(); err != nil {
		return nil, err
	}
	if x.server.credential == nil {
		return x.viaProxy("", true)
	}
	return x.at(&x.server, x.viaProxy, true)
}

// viaProxy is the leg of a login at the server. Where the request itself goes
// to a proxy, that may want a login of its own first.
func (x *exchange) viaProxy(authorization string, withBody bool) (*http.Response, error) {
	if !x.route.shared() {
		return x.send(authorization, "", withBody)
	}
	if x.route.credential != nil {
		return x.at(&x.atProxy, func(proxyAuthorization string, withBody bool) (*http.Response, error) {
			return x.send(authorization, proxyAuthorization, withBody)
		}, withBody)
	}
	resp, err := x.send(authorization, "", withBody)
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired {
		discard(resp)
		return nil, refusedByProxy(x.route.proxy, resp)
	}
	return resp, err
}

// at sends the request to p, and logs in there where that is needed.
func (x *exchange) at(p *party, send leg, withBody bool) (*http.Response, error) {
	ctx := x.req.Context()
	loggedIn := *x.conn.loggedInAt(p)
	if p.offered != nil && !loggedIn { // asked for before, maybe on a connection that broke
		if err := p.choose(ctx, p.offered); err != nil {
			return nil, err
		}
		return x.login(p, send, withBody, true)
	}
	scheme := x.transport.schemes.get(p.key)
	if scheme != "" && !loggedIn && x.mayOpen(p) {
		err := p.choose(ctx, []string{scheme})
		var resp *http.Response
		if err == nil {
			resp, err = x.login(p, send, withBody, false)
		}
		if err != nil {
			x.transport.schemes.forget(p.key) // the party may want another one by now
		}
		return resp, err
	}
	resp, err := send("", withBody)
	if err == nil && loggedIn {
		x.transport.noteAsked(p, resp.StatusCode == p.status())
	}
	if err != nil || resp.StatusCode != p.status() {
		return resp, err
	}
	if err = p.asks(resp); err == nil {
		err = p.choose(ctx, p.offered)
	}
	if err != nil {
		discard(resp)
		return nil, err
	}
	if !p.proxy {
		// RFC 4559 6: how a proxy says that it keeps one connection per client.
		x.shared = x.shared && !strings.EqualFold(resp.Header.Get("Proxy-Support"), "Session-Based-Authentication")
	}
	if err := x.reuse(resp); err != nil {
		return nil, err
	}
	return x.login(p, send, withBody, true)
}

// mayOpen reports whether a login at p may begin before it is asked for.
func (x *exchange) mayOpen(p *party) bool {
	if !p.proxy && x.shared {
		return false
	}
	// Of unknown length is a body with zero too (net/http.Request).
	n := x.req.ContentLength
	return x.body.isEmpty() || n > 0 && n <= maxOpeningBody || x.body.streams() && !p.proxy && showsAll(p.credential)
}

// showsAll reports whether a login with c takes one leg, unless it fails.
func showsAll(c Credential) bool {
	switch c.(type) {
	case *Kerberos, *Ticket, *Basic:
		return true
	}
	return false
}

// isWarm reports whether no login is expected to need the request twice.
func (x *exchange) isWarm() bool {
	if x.route.shared() && x.route.credential != nil && (x.conn == nil || !x.conn.proxyLoggedIn) {
		return false
	}
	switch {
	case x.server.credential == nil:
		return true
	case x.conn != nil && x.conn.loggedIn:
		return x.transport.asking.get(x.server.key) == ""
	}
	return !x.shared && showsAll(x.server.credential) && x.transport.schemes.get(x.server.key) != ""
}

// noteAsked remembers whether a party asks for a login again on connections that
// are logged in, as IIS does for each request with authPersistSingleRequest.
func (t *Transport) noteAsked(p *party, asks bool) {
	switch was := t.asking.get(p.key) != ""; {
	case asks:
		t.asking.set(p.key, "again")
	case was:
		t.asking.forget(p.key)
	}
}

// prepare takes a connection and gets the body ready.
func (x *exchange) prepare() error {
	t, req := x.transport, x.req
	if t.Replay == nil || req.GetBody != nil || req.Body == nil || req.Body == http.NoBody {
		limit := t.MaxReplayBody
		if limit == 0 {
			limit = defaultMaxReplayBody
		}
		var err error
		if x.body, err = newRequestBody(req, limit); err == nil {
			x.conn = t.pool.take(x.key)
		}
		return err
	}
	x.conn = t.pool.take(x.key)
	warm := x.isWarm()
	if !warm && x.conn != nil { // others can use it while the body comes
		t.release(x.key, x.conn)
		x.conn = nil
	}
	s, err := newSpool(req, t.Replay, warm)
	if err != nil {
		return err
	}
	x.body = &requestBody{spool: s}
	if !warm {
		x.conn = t.pool.take(x.key)
	}
	return nil
}

// reuse makes x.conn ready for the next request after resp: the same one if
// it survived, else a new one.
func (x *exchange) reuse(resp *http.Response) error {
	if x.keep(resp) {
		x.conn.reused = true
		return nil
	}
	if x.server.midway {
		return x.server.closed(x.server.scheme)
	}
	x.close()
	return x.connect()
}

// keep is done with resp and reports whether x.conn can take another request.
func (x *exchange) keep(resp *http.Response) bool {
	discard(resp)
	return x.conn.Available() > 0 && !resp.Close
}

// login logs in at p with what was chosen, and sends the request. asked
// reports that p refused it without a login.
func (x *exchange) login(p *party, send leg, withBody, asked bool) (*http.Response, error) {
	*x.conn.loggedInAt(p) = false
	h := handshake{
		party: p, binding: x.conn.bindingAt(p), shared: x.shared && !p.proxy, keep: x.keep,
		send: func(authorization string, mayHaveBody bool) (*http.Response, error) {
			return send(authorization, withBody && mayHaveBody)
		},
	}
	end, err := h.run(x.req.Context(), asked)
	if err != nil {
		return nil, err
	}
	if end.opening {
		if asked && withBody && !x.body.isEmpty() {
			// No login is needed after all, and the body was not sent.
			if err := x.reuse(end.Response); err != nil {
				return nil, err
			}
			return send("", true)
		}
		return end.Response, nil
	}
	// A login over several legs is the connection's. IIS says so of Kerberos
	// too.
	*x.conn.loggedInAt(p) = !h.shared && (end.legs > 1 || !p.proxy && end.Header.Get("Persistent-Auth") == "true")
	if p.memorable() {
		x.transport.schemes.set(p.key, p.scheme)
	}
	return end.Response, nil
}

// send sends the request with the logins' headers, if any, with or without its
// body.
func (x *exchange) send(authorization, proxyAuthorization string, withBody bool) (*http.Response, error) {
	x.written.Store(false)
	x.answered.Store(false)
	ctx := httptrace.WithClientTrace(x.req.Context(), &httptrace.ClientTrace{
		WroteRequest:         func(i httptrace.WroteRequestInfo) { x.written.Store(i.Err == nil) },
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	r := x.req.WithContext(ctx)
	r.GetBody = nil // the transport sends once; repeating is for us to decide
	r.Close = false // a login may take several legs; see release
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if x.server.credential != nil {
		r.Header.Del("Authorization")
	}
	if x.route.credential != nil || !x.route.shared() {
		r.Header.Del("Proxy-Authorization") // never for the server to see
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if proxyAuthorization != "" {
		r.Header.Set("Proxy-Authorization", proxyAuthorization)
	}
	if withBody {
		body, err := x.body.open()
		if err != nil {
			return nil, err
		}
		r.Body = body
		if s := x.body.spool; s != nil && s.size >= 0 && len(r.Trailer) == 0 {
			r.ContentLength, r.TransferEncoding = s.size, nil // some servers know no other way
			if s.size == 0 {
				r.Body = http.NoBody
			}
		}
	} else {
		r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
		r.Header.Del("Expect")
	}
	x.sent = time.Now()
	resp, err := x.conn.RoundTrip(r)
	if err != nil {
		_ = r.Body.Close() // net/http does not on each way out
		return nil, x.route.blame(ctx, err)
	}
	return resp, nil
}

// discard reads a little of resp's body, so that the connection may live, and
// closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	_ = resp.Body.Close()
}
