package inbound

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/trail"
)

// Why a question of another proxy is refused.
var (
	errNotAsked   = errors.New("the address is not in forward_auth.proxies: nobody else may ask")
	errForwarded  = errors.New("the proxy does not say which request it asks about")
	errTwoForms   = errors.New("the request is described in two ways: one of them is the client's")
	errNoMethod   = errors.New("the proxy does not say the method of the request")
	errNotForward = errors.New("the service is not one with forward_auth")
	errNotClean   = errors.New("the path is not in its shortest form, in which the proxy must pass it on")
)

const (
	hintNGINX   = "nginx: proxy_set_header X-Original-URL $scheme://$http_host$request_uri and X-Original-Method $request_method"
	hintTwoWays = "have the proxy remove what is not its own: X-Original-URL, X-Original-URI, X-Original-Method, X-Forwarded-Uri, X-Forwarded-Method"
)

// forwardAuth answers other proxies that ask whether to pass a request on: nginx
// (auth_request), Traefik (forwardAuth), Caddy (forward_auth).
type forwardAuth struct {
	networks []netip.Prefix
	proxies  authn.Proxies
}

func (h *Handler) newForwardAuth(c *config.Config) {
	if c.ForwardAuth == nil {
		return
	}
	networks := prefixes(c.ForwardAuth.Proxies)
	h.forward = &forwardAuth{networks: networks, proxies: authn.Proxies{Networks: networks}}
}

// mayAsk reports whether a connection comes from a proxy. The address is that of
// the connection: what a client says of itself does not count.
func (f *forwardAuth) mayAsk(r *http.Request) bool {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := a.Addr().Unmap().WithZone("")
	for _, n := range f.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// asked is a request that another proxy asks about.
type asked struct {
	nginx bool // which knows no other refusals than 401 and 403
}

// status is that of a refusal: nginx answers 500 in place of any other.
func (a *asked) status(status int) int {
	if a.nginx && status >= 400 && status < 500 && status != http.StatusUnauthorized {
		return http.StatusForbidden
	}
	return status
}

// original is the request that a proxy asks about.
type original struct {
	method, host string
	url          *url.URL
	nginx        bool
}

// originalOf reads it. Each proxy writes headers of its own and passes on those
// of its client: who knows of two cannot say which is whose.
func originalOf(h http.Header) (o original, err error) {
	one := func(name string) (string, bool) {
		v := h[name]
		if len(v) > 1 && err == nil {
			err = fmt.Errorf("%w: %s is there twice", errTwoForms, name)
		}
		if len(v) == 0 {
			return "", false
		}
		return v[0], true
	}
	full, isFull := one("X-Original-Url")
	uri, isURI := one("X-Original-Uri")
	method, isOriginal := one("X-Original-Method")
	forwardedURI, isForwarded := one("X-Forwarded-Uri")
	forwardedMethod, hasForwardedMethod := one("X-Forwarded-Method")
	host, hasHost := one("X-Forwarded-Host")
	switch {
	case err != nil:
		return o, err
	case strings.Contains(full+uri+forwardedURI, "#"): // where some see the end of the path
		return o, errForwarded
	case isFull && isURI, (isFull || isURI || isOriginal) && (isForwarded || hasForwardedMethod):
		return o, errTwoForms
	case isFull:
		u, err := url.Parse(full)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return o, errForwarded
		}
		o = original{method: method, host: u.Host, url: u, nginx: true}
	case isURI || isForwarded:
		if isForwarded {
			uri, method = forwardedURI, forwardedMethod
		}
		u, err := url.ParseRequestURI(uri)
		if err != nil || u.Host != "" || !hasHost || host == "" || strings.ContainsAny(host, ", /@") {
			return o, errForwarded
		}
		o = original{method: method, host: host, url: u, nginx: isURI}
	default:
		return o, errForwarded
	}
	if !validHost(o.host) {
		return o, errForwarded
	}
	if o.method == "" {
		return o, errNoMethod
	}
	return o, nil
}

// serveForwardAuth answers whether a request is allowed: 200 with headers that
// say who the caller is, 401 with challenges, 403.
//
// A login must be complete in one request, as with Kerberos, Basic or a session:
// the connection is the proxy's, and the next request on it may be anybody's. So
// NTLM is not offered, and an identity never stays with the connection.
func (h *Handler) serveForwardAuth(w http.ResponseWriter, r *http.Request) {
	c := &call{Context: r.Context(), asked: &asked{}}
	forbid := func(cause error, hint string) {
		h.refuse(w, r, c, refusal{status: http.StatusForbidden, code: noForwardAuth, cause: cause, hint: hint})
	}
	if !h.forward.mayAsk(r) {
		forbid(errNotAsked, "")
		return
	}
	o, err := originalOf(r.Header)
	switch {
	case errors.Is(err, errTwoForms):
		forbid(err, hintTwoWays)
		return
	case err != nil:
		forbid(err, hintNGINX)
		return
	}
	c.asked.nginx = o.nginx
	client := h.forward.proxies.Client(r)
	c.req = authz.Request{Client: client, Host: o.host, Method: o.method, Path: o.url.Path}
	path, err := authz.CleanPath(o.url)
	switch {
	case err != nil:
	case strings.ToUpper(o.method) != o.method:
		err = authz.ErrMethod
	case path != o.url.Path && !(path == "/" && o.url.Path == ""):
		err = errNotClean
	}
	if err != nil {
		h.observe(r.Context(), c, err)
		f := refusalOf(err)
		if errors.Is(err, errNotClean) {
			f = refusal{status: http.StatusBadRequest, code: badPath, text: "bad path", cause: err}
		}
		h.refuse(w, r, c, f)
		return
	}
	s, n := h.table.find(o.host, path)
	if s == nil || s.describe == nil {
		trail.From(r.Context()).Service = "gateway"
		forbid(errNotForward, "host "+clip(o.host)+", path "+clip(path))
		return
	}
	if _, own := ownPath(path[n:], s.fold); own {
		forbid(errNotForward, "the gateway's own pages are not passed on: send requests for them to it")
		return
	}
	c.service, c.req.Path = s, path
	c.Context = authn.WithClient(c.Context, client)
	h.enter(w, h.askedRequest(r, &o, path), c)
}

// askedRequest returns the request that a proxy asks about, for the login.
func (h *Handler) askedRequest(r *http.Request, o *original, path string) *http.Request {
	q := *r
	q.Method, q.Host, q.Body, q.ContentLength, q.TransferEncoding = o.method, o.host, http.NoBody, 0, nil
	u := *o.url
	u.Scheme, u.Host, u.Path, u.RawPath = "", "", path, ""
	q.URL, q.RequestURI = &u, u.RequestURI()
	q.Header = r.Header.Clone()
	if len(q.Header["X-Forwarded-For"]) == 0 { // so that package iwa knows of the proxy, whatever it is
		q.Header.Set("X-Forwarded-For", authn.ClientAddr(r).String())
	}
	if scheme, token, ok := authn.Authorization(r); ok && manyLegs(scheme, token) {
		h.logger.Info("login not taken", "ref", authn.Ref(r.Context()), "scheme", clip(scheme), "user_agent", clip(r.UserAgent()),
			"cause", "NTLM needs several requests on one connection, and the connection here is the proxy's",
			"hint", "have the client use Kerberos, or Basic; or let the gateway pass requests on itself, without the other proxy")
		q.Header.Del("Authorization")
	}
	return &q
}

// defaultUserHeader is the header with the caller's name where none is configured.
const defaultUserHeader = "X-Remote-User"

// identityOf returns what a proxy is told of callers, with the name in any case.
func identityOf(c *config.Service) *config.Identity {
	id := config.Identity{}
	if c.Upstream != nil && c.Upstream.Identity != nil {
		id = *c.Upstream.Identity
	}
	if id.Header == "" {
		id.Header = defaultUserHeader
	}
	return &id
}

// oneLeg returns the logins that are complete in one request: not NTLM, which is
// then not taken inside Negotiate either. Nothing stays with the connection: what
// would be taken over from there is a login of another proxy's client.
func oneLeg(spec login.Spec) (login.Spec, error) {
	spec.AllowForwarded = false
	spec.Logins = slices.DeleteFunc(slices.Clone(spec.Logins), func(l config.Login) bool { return l.Method == config.NTLM })
	if len(spec.Logins) == 0 {
		return spec, errors.New("forward_auth: NTLM needs several requests on a connection of its own: want another login, such as negotiate, with Kerberos, or basic")
	}
	return spec, nil
}

// manyLegs reports whether a login needs more than one request: NTLM, alone or
// inside Negotiate.
func manyLegs(scheme, token string) bool {
	if strings.EqualFold(scheme, "NTLM") {
		return true
	}
	if !strings.EqualFold(scheme, "Negotiate") {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(token)
	return err == nil && bytes.Contains(b, []byte("NTLMSSP\x00"))
}

// allow tells the proxy that the request is allowed, and who the caller is.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, c *call) {
	hd := w.Header()
	hd.Set("Cache-Control", "no-store")
	if id := c.req.Identity; id != nil {
		headers, err := c.service.describe(r.Context(), id)
		if err != nil {
			h.refuse(w, r, c, refusal{status: http.StatusServiceUnavailable, code: backend.ReasonIdentity, cause: err})
			return
		}
		for name, values := range headers {
			hd[name] = values
		}
	}
	w.WriteHeader(http.StatusOK)
}
