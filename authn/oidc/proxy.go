package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

var errProxyLogin = errors.New("it wants a login (status 407), and there is none for proxies of providers")

// throughProxy returns a transport whose requests go through a proxy, or, without
// one, where t sends them. Its errors name the proxy that a request went to.
func throughProxy(rt http.RoundTripper, proxy *url.URL) (http.RoundTripper, error) {
	t, ok := rt.(*http.Transport)
	switch {
	case proxy == nil && (!ok || t.Proxy == nil):
		return rt, nil
	case !ok:
		return nil, fmt.Errorf("the Transport of HTTP is a %T, want an *http.Transport", rt)
	case proxy != nil && proxy.User != nil:
		return nil, errors.New("want one that asks for no login, without a user")
	case proxy != nil && (proxy.Scheme != "http" && proxy.Scheme != "https" || proxy.Hostname() == ""):
		return nil, fmt.Errorf("%.200q: want http://HOST:PORT or https://HOST:PORT", proxy)
	}
	t = t.Clone()
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	if t.OnProxyConnectResponse == nil {
		t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			return refusedByProxy(res.StatusCode)
		}
	}
	return &proxied{t}, nil
}

// refusedByProxy is the error of an answer to CONNECT. What else is in the answer is
// anybody's who is between.
func refusedByProxy(status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return errProxyLogin
	}
	return fmt.Errorf("it does not connect to the provider: status %d", status)
}

// proxied names the proxy in errors.
type proxied struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (p *proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := p.Proxy(r)
	if err != nil || at == nil { // the Transport says the same
		return p.Transport.RoundTrip(r)
	}
	res, err := p.Transport.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusProxyAuthRequired { // of http, which has no CONNECT
		_ = res.Body.Close()
		err = errProxyLogin
	}
	if err != nil {
		return nil, fmt.Errorf("through the proxy %s://%s: %w", at.Scheme, at.Host, err) // without its user
	}
	return res, nil
}
