package authclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/spnego"
)

const (
	// maxLegs bounds the requests of one login. NTLM takes two, SPNEGO with a
	// mechListMIC four.
	maxLegs = 5

	// maxDrain bounds what is read of a refusal's body to keep the connection.
	maxDrain = 64 << 10

	// maxOpeningBody bounds the body that is sent with the first leg of a login
	// which the server has not asked for, in case it needs none.
	maxOpeningBody = 64 << 10

	// staleWindow is how soon a server that had closed an idle connection makes
	// itself felt.
	staleWindow = 200 * time.Millisecond
)

// exchange is one RoundTrip: a request, and the login it may take.
type exchange struct {
	transport  *Transport
	req        *http.Request
	body       *requestBody
	target     Target
	credential Credential
	key        poolKey

	conn      *conn
	initiator authn.Initiator // of the login that was tried last
	scheme    string          // that the server asked for, once it did
	shared    bool            // a proxy may send others' requests over its half of conn
	sent      time.Time       // when the request was last sent
	written   atomic.Bool     // all of it reached conn
	answered  atomic.Bool     // a byte of an answer came on conn
}

// run sends the request, on a new connection if a reused one turns out to be
// dead.
func (x *exchange) run() (*http.Response, error) {
	ctx := x.req.Context()
	c, err := x.transport.conn(ctx, x.key, x.target)
	if err != nil {
		return nil, err
	}
	x.conn = c
	resp, err := x.attempt()
	if err != nil && x.wasStale() {
		resp, err = x.again()
	}
	if err != nil && x.renew(err) {
		resp, err = x.again()
	}
	if err != nil {
		_ = x.conn.Close()
		return nil, err
	}
	resp.Request = x.req
	c = x.conn
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols: // the body is the connection
	case resp.Body == nil || resp.Body == http.NoBody:
		x.release(c)
	default:
		resp.Body = &pooledBody{ReadCloser: resp.Body, done: func() { x.release(c) }}
	}
	return resp, nil
}

// again repeats the attempt on a new connection. Where there is none, the old
// one stays x.conn, closed.
func (x *exchange) again() (*http.Response, error) {
	_ = x.conn.Close()
	c, err := dial(x.req.Context(), x.transport.base, x.target)
	if err != nil {
		return nil, err
	}
	x.conn = c
	return x.attempt()
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
	if !x.conn.reused || x.conn.Err() == nil || x.answered.Load() || !x.body.canOpen() || x.req.Context().Err() != nil {
		return false
	}
	return !x.written.Load() || isIdempotent(x.req) || time.Since(x.sent) < staleWindow
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

// attempt does the request on x.conn, and the login where it is needed.
func (x *exchange) attempt() (*http.Response, error) {
	if x.scheme != "" { // asked for on a connection that broke
		return x.login(x.scheme, true)
	}
	if scheme := x.preemptive(); scheme != "" {
		resp, err := x.login(scheme, false)
		if err != nil {
			x.transport.schemes.forget(x.key) // the server may want another one by now
		}
		return resp, err
	}
	resp, err := x.send("", true)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if x.scheme, err = x.pick(resp); err != nil {
		discard(resp)
		return nil, err
	}
	// RFC 4559 6: how a proxy says that it keeps one connection per client.
	x.shared = x.shared && !strings.EqualFold(resp.Header.Get("Proxy-Support"), "Session-Based-Authentication")
	if err := x.reuse(resp); err != nil {
		return nil, err
	}
	return x.login(x.scheme, true)
}

// preemptive returns the scheme to log in with before the server asks for it,
// or nothing.
func (x *exchange) preemptive() string {
	x.shared = x.target.Scheme == "http" && throughProxy(x.transport.base, x.req)
	if x.conn.loggedIn || x.shared {
		return ""
	}
	// Of unknown length is a body with zero too (net/http.Request).
	if n := x.req.ContentLength; x.body.first != nil && (n <= 0 || n > maxOpeningBody) {
		return ""
	}
	return x.transport.schemes.get(x.key)
}

// throughProxy reports whether req goes to a proxy.
func throughProxy(base *http.Transport, req *http.Request) bool {
	if base.Proxy == nil {
		return false
	}
	u, err := base.Proxy(req)
	return u != nil || err != nil
}

// pick chooses the best scheme of the credential that the server offers.
func (x *exchange) pick(resp *http.Response) (string, error) {
	os := parseOffers(resp.Header)
	for _, scheme := range x.credential.Schemes() {
		if offers(os, scheme) {
			return scheme, nil
		}
	}
	return "", &RefusedError{Target: x.target, Offered: schemesOf(os)}
}

// reuse makes x.conn ready for the next request after resp: the same one if
// it survived, else a new one.
func (x *exchange) reuse(resp *http.Response) error {
	discard(resp)
	if x.conn.Available() > 0 && !resp.Close {
		x.conn.reused = true
		return nil
	}
	_ = x.conn.Close()
	c, err := dial(x.req.Context(), x.transport.base, x.target)
	if err != nil {
		return err
	}
	x.conn = c
	return nil
}

// login runs one exchange of tokens, whose last leg carries the request. asked
// reports that the server refused the request without a login.
func (x *exchange) login(scheme string, asked bool) (*http.Response, error) {
	ctx := x.req.Context()
	x.conn.loggedIn = false
	init, err := x.credential.NewInitiator(scheme, x.target, x.conn.binding)
	if err != nil {
		return nil, err
	}
	x.initiator = init
	var token []byte
	for leg := 1; leg <= maxLegs; leg++ {
		out, done, err := init.Step(ctx, token)
		if errors.Is(err, spnego.ErrRejected) {
			return nil, x.refused(scheme, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("authclient: %s login at %s: %w", scheme, x.target.Origin(), err)
		}
		if len(out) == 0 {
			return nil, x.refused(scheme, nil)
		}
		opening := expectsChallenge(init)
		if opening && x.shared {
			return nil, fmt.Errorf("%w: %s login at %s", ErrSharedConnection, scheme, x.target.Origin())
		}
		// The first leg of a login that was asked for cannot succeed, so the
		// body need not travel. One that nobody asked for may be the request.
		resp, err := x.send(scheme+" "+base64.StdEncoding.EncodeToString(out), !opening || !asked)
		if err != nil {
			return nil, err
		}
		token = tokenOf(resp.Header, scheme)
		if resp.StatusCode != http.StatusUnauthorized {
			switch {
			case opening && asked && x.body.first != nil:
				// No login is needed after all, and the body was not sent.
				if err := x.reuse(resp); err != nil {
					return nil, err
				}
				return x.send("", true)
			case opening:
				return resp, nil
			}
			if err := x.verify(ctx, init, token, done, resp); err != nil {
				discard(resp)
				return nil, err
			}
			// A login over several legs is the connection's. IIS says so of
			// Kerberos too.
			x.conn.loggedIn = !x.shared && (leg > 1 || resp.Header.Get("Persistent-Auth") == "true")
			x.transport.schemes.set(x.key, scheme)
			return resp, nil
		}
		if token == nil {
			err := x.refused(scheme, resp)
			discard(resp)
			return nil, err
		}
		discard(resp)
		if x.conn.Available() == 0 || resp.Close {
			return nil, fmt.Errorf("authclient: %s closed the connection in the middle of the %s login", x.target.Origin(), scheme)
		}
		asked = true
	}
	return nil, x.refused(scheme, nil)
}

// verify gives the initiator the server's last token, if it sent one.
func (x *exchange) verify(ctx context.Context, init authn.Initiator, token []byte, done bool, resp *http.Response) error {
	if len(token) == 0 {
		if !done {
			return fmt.Errorf("%w: %s answered %q to the login, without a token of its own", ErrServerUnverified, x.target.Origin(), resp.Status)
		}
		return nil
	}
	_, done, err := init.Step(ctx, token)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrServerUnverified, err)
	}
	if !done {
		return fmt.Errorf("%w: %s ended the login early", ErrServerUnverified, x.target.Origin())
	}
	return nil
}

func (x *exchange) refused(scheme string, resp *http.Response) error {
	e := &RefusedError{Target: x.target, Scheme: scheme}
	if resp != nil {
		e.Offered = schemesOf(parseOffers(resp.Header))
	}
	return e
}

// send sends the request with an Authorization header, if any, with or
// without its body.
func (x *exchange) send(authorization string, withBody bool) (*http.Response, error) {
	x.written.Store(false)
	x.answered.Store(false)
	ctx := httptrace.WithClientTrace(x.req.Context(), &httptrace.ClientTrace{
		WroteRequest:         func(i httptrace.WroteRequestInfo) { x.written.Store(i.Err == nil) },
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	r := x.req.WithContext(ctx)
	r.GetBody = nil // the transport sends once; repeating is for us to decide
	r.Close = false // a login may take several legs; see release
	if _, has := r.Header["Authorization"]; has || authorization != "" || !withBody {
		r.Header = r.Header.Clone()
		r.Header.Del("Authorization")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
	}
	if withBody {
		body, err := x.body.open()
		if err != nil {
			return nil, err
		}
		r.Body = body
	} else {
		r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
		r.Header.Del("Expect")
	}
	x.sent = time.Now()
	resp, err := x.conn.RoundTrip(r)
	if err != nil {
		_ = r.Body.Close() // net/http does not on each way out
	}
	return resp, err
}

func expectsChallenge(i authn.Initiator) bool {
	e, ok := i.(authn.ChallengeExpecter)
	return ok && e.ExpectsChallenge()
}

// discard reads a little of resp's body, so that the connection may live, and
// closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	_ = resp.Body.Close()
}
