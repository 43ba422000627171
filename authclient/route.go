package authclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/soapward/soapward/authn"
)

// route is the way to a target.
type route struct {
	target Target
	proxy  *url.URL // nil: none

	// at is the proxy as something to log in at, with credential. Without one,
	// net/http sends the name and password that the proxy's URL may have.
	at         Target
	credential Credential
}

// route asks base for the way of req to target.
func (t *Transport) route(req *http.Request, target Target) (*route, error) {
	r := &route{target: target}
	if t.base.Proxy == nil {
		return r, nil
	}
	var err error
	if r.proxy, err = t.base.Proxy(req); err != nil || r.proxy == nil {
		return r, err
	}
	if s := r.proxy.Scheme; s == "socks5" || s == "socks5h" {
		return r, nil // it passes bytes on, and net/http logs in at it
	}
	r.at = TargetOf(r.proxy)
	if t.SPN != nil {
		r.at.SPN = t.SPN(r.at)
	}
	return r, t.askForProxy(req.Context(), r)
}

// askForProxy asks the source for r's credential.
func (t *Transport) askForProxy(ctx context.Context, r *route) error {
	if t.Proxy == nil {
		return nil
	}
	c, err := t.Proxy.Credential(ctx, r.at)
	if err != nil || c == nil {
		return err
	}
	r.credential = c
	u := *r.proxy
	u.User = nil
	r.proxy = &u
	return nil
}

// shared reports whether the target is behind a proxy that reads requests and
// may send those of others over its half of the connection.
func (r *route) shared() bool { return r.at != Target{} && r.target.Scheme == "http" }

// tunnelled reports whether we make the tunnel to the target ourselves.
func (r *route) tunnelled() bool { return r.credential != nil && r.target.Scheme == "https" }

// blame names the proxy in err, which came over a connection to it. Who asks
// whether an error is a timeout looks at its outside, so that stays.
func (r *route) blame(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	if !r.shared() || ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return fmt.Errorf("authclient: by proxy %s: %w", r.at.Origin(), err)
}

// key tells apart the connections of different routes to one target.
func (r *route) key() string {
	if r.proxy == nil {
		return ""
	}
	k := r.proxy.Scheme + "://" + r.proxy.Host
	switch {
	case r.credential != nil:
		k += " " + r.credential.Key()
	case r.proxy.User != nil:
		k += " " + fingerprint(authn.NewSecret(r.proxy.User.String()))
	}
	return k
}

// routeKey is where a context keeps the *route of a connection that the
// transport makes.
type routeKey struct{ *Transport }

// routed is choose for net/http, but for connections whose route is known.
func (t *Transport) routed(choose func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		if r, ok := req.Context().Value(routeKey{t}).(*route); ok {
			return r.proxy, nil
		}
		if choose == nil {
			return nil, nil
		}
		return choose(req)
	}
}

// anonymous sends req, for which there is no credential at all.
func (t *Transport) anonymous(req *http.Request, r *route) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusProxyAuthRequired || !r.shared() {
		return resp, err
	}
	discard(resp)
	return nil, refusedByProxy(r.proxy, resp)
}

// refusedByProxy is for a 407 where there is no credential for the proxy but
// for what its URL may hold.
func refusedByProxy(proxy *url.URL, resp *http.Response) error {
	p := party{target: TargetOf(proxy), proxy: true}
	e := p.refused("", resp)
	if proxy.User != nil {
		e.Scheme = SchemeBasic
	}
	e.Anonymous = e.Scheme == ""
	return e
}
