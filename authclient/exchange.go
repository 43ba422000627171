package authclient

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/soapward/soapward/authn"
)

const (
	// maxLegs bounds the requests of one login. NTLM takes two, SPNEGO with a
	// mechListMIC four.
	maxLegs = 5

	// maxDrain bounds what is read of a refusal's body to keep the connection.
	maxDrain = 64 << 10
)

// exchange is one RoundTrip: a request, and the login it may take.
type exchange struct {
	transport  *Transport
	req        *http.Request
	body       *requestBody
	target     Target
	credential Credential
	key        poolKey

	conn     *conn
	answered atomic.Bool // a byte of an answer came on conn
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
	if err != nil && x.conn.reused && !x.answered.Load() && x.body.canOpen() && ctx.Err() == nil && x.conn.Err() != nil {
		_ = x.conn.Close()
		if x.conn, err = dial(ctx, x.transport.base, x.target); err != nil {
			return nil, err
		}
		resp, err = x.attempt()
	}
	if err != nil {
		_ = x.conn.Close()
		return nil, err
	}
	resp.Request = x.req
	c = x.conn
	if resp.Body == nil || resp.Body == http.NoBody {
		x.transport.release(x.key, c)
		return resp, nil
	}
	resp.Body = &pooledBody{ReadCloser: resp.Body, done: func() { x.transport.release(x.key, c) }}
	return resp, nil
}

// attempt does the request on x.conn, and the login where it is needed.
func (x *exchange) attempt() (*http.Response, error) {
	if !x.conn.loggedIn {
		if scheme := x.transport.schemes.get(x.key); scheme != "" {
			resp, err := x.login(scheme)
			if err != nil {
				x.transport.schemes.forget(x.key) // the server may want another one by now
			}
			return resp, err
		}
	}
	resp, err := x.send("", true)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	scheme, err := x.pick(resp)
	if err != nil {
		discard(resp)
		return nil, err
	}
	if err := x.reuse(resp); err != nil {
		return nil, err
	}
	return x.login(scheme)
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
	if x.conn.Err() == nil && !resp.Close {
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

// login runs one exchange of tokens, whose last leg carries the request.
func (x *exchange) login(scheme string) (*http.Response, error) {
	ctx := x.req.Context()
	x.conn.loggedIn = false
	init, err := x.credential.NewInitiator(scheme, x.target, x.conn.binding)
	if err != nil {
		return nil, err
	}
	var token []byte
	for leg := 1; leg <= maxLegs; leg++ {
		out, done, err := init.Step(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("authclient: %s login at %s: %w", scheme, x.target.Origin(), err)
		}
		if len(out) == 0 {
			return nil, x.refused(scheme, nil)
		}
		opening := expectsChallenge(init)
		resp, err := x.send(scheme+" "+base64.StdEncoding.EncodeToString(out), !opening)
		if err != nil {
			return nil, err
		}
		token = tokenOf(resp.Header, scheme)
		if resp.StatusCode != http.StatusUnauthorized {
			if opening {
				// No login is needed here; the body has not been sent yet.
				if err := x.reuse(resp); err != nil {
					return nil, err
				}
				return x.send("", true)
			}
			if err := x.verify(ctx, init, token, done, resp); err != nil {
				discard(resp)
				return nil, err
			}
			// A login over several legs is the connection's. IIS says so of
			// Kerberos too.
			x.conn.loggedIn = leg > 1 || resp.Header.Get("Persistent-Auth") == "true"
			x.transport.schemes.set(x.key, scheme)
			return resp, nil
		}
		if token == nil {
			err := x.refused(scheme, resp)
			discard(resp)
			return nil, err
		}
		discard(resp)
		if x.conn.Err() != nil || resp.Close {
			return nil, fmt.Errorf("authclient: %s closed the connection in the middle of the %s login", x.target.Origin(), scheme)
		}
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
	x.answered.Store(false)
	ctx := httptrace.WithClientTrace(x.req.Context(), &httptrace.ClientTrace{
		GotFirstResponseByte: func() { x.answered.Store(true) },
	})
	r := x.req.WithContext(ctx)
	r.GetBody = nil // the transport sends once; repeating is for us to decide
	if _, has := r.Header["Authorization"]; has || authorization != "" || !withBody {
		r.Header = r.Header.Clone()
		r.Header.Del("Authorization")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
	}
	if !withBody {
		r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
		r.Header.Del("Expect")
		return x.conn.RoundTrip(r)
	}
	body, err := x.body.open()
	if err != nil {
		return nil, err
	}
	r.Body = body
	return x.conn.RoundTrip(r)
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
