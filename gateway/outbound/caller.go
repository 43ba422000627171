package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

// headerName finds a header in all spellings that a server may take for it.
type headerName string

func newHeaderName(name string) headerName { return headerName(foldHeader(name)) }

func foldHeader(name string) string {
	return textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// take removes the header, and returns its values.
func (n headerName) take(h http.Header) (values []string) {
	for name, vs := range h {
		if foldHeader(name) == string(n) {
			values = append(values, vs...)
			delete(h, name)
		}
	}
	return values
}

// ServeHTTP implements http.Handler: from where, who, whether he may, and then on
// to the server.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := trail.From(r.Context())
	t.Service = u.name
	x := &call{upstream: u, trail: t}
	ctx := context.WithValue(r.Context(), callKey{}, x)
	// A copy: the header is changed, and what is in front still reads it.
	r = r.Clone(authn.WithRef(ctx, authn.Ref(ctx)))
	if err := u.admit(r); err != nil {
		u.fail(w, r, err)
		return
	}
	target, local, err := u.destination(r)
	if err != nil {
		u.fail(w, r, err)
		return
	}
	x.target, x.local = target, local
	t.Backend = authclient.TargetOf(target).Host
	tokens := u.token.take(r.Header)
	u.token.take(r.Trailer)
	switch {
	case len(tokens) > 1:
		u.fail(w, r, &refusal{reasonToken, fmt.Errorf("%d headers %s: want one", len(tokens), u.token)})
	case len(tokens) == 1:
		id, err := u.issuer.IdentityFrom(ctx, strings.TrimSpace(tokens[0]), u.config.Services)
		if err != nil {
			u.fail(w, r, &refusal{reasonToken, err})
			return
		}
		u.withCaller(w, r, id)
	case u.login != nil:
		u.login.ServeHTTP(w, r)
	default:
		u.withCaller(w, r, nil)
	}
}

// admit refuses requests from where none are taken.
func (u *upstream) admit(r *http.Request) error {
	unix := u.isUnix(r)
	if addr := authn.ClientAddr(r); !unix && !u.isNear(addr) {
		return &refusal{reasonNetwork, fmt.Errorf("%v is not among the networks of the upstream", addr)}
	}
	if r.Method == http.MethodConnect {
		return &refusal{reasonConnect, errors.New("CONNECT would hide the requests, and the gateway could not log in")}
	}
	// Pages of other origins can have a browser on this machine send requests.
	// Programs do not say where they come from.
	var protection http.CrossOriginProtection
	if err := protection.Check(r); err != nil {
		return &refusal{reasonCrossSite, err}
	}
	if u.login != nil { // a browser may be meant, and has to log in
		return nil
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return &refusal{reasonCrossSite, errors.New("a page of another site has a browser send it")}
	}
	if u.config.Mode == config.ModeLocal && !unix && !u.isOurName(r.Host) {
		return &refusal{reasonHost, fmt.Errorf("host %.100q: want an address, localhost, or one of names", r.Host)}
	}
	return nil
}

// isUnix reports whether r came by a socket of Unix, whose file says who may
// connect.
func (u *upstream) isUnix(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return local.Network() == "unix"
	}
	_, unix := u.config.Listen.Unix()
	return unix
}

// isNear reports whether requests are taken from an address.
func (u *upstream) isNear(addr netip.Addr) bool {
	if len(u.config.Networks) == 0 {
		return addr.IsLoopback()
	}
	return slices.ContainsFunc(u.config.Networks, func(n config.Network) bool { return n.Contains(addr) })
}

// isOurName reports whether host is a name of the listener. Any other could be
// one that somebody's name server says is ours, so that pages from there are of
// one origin with us.
func (u *upstream) isOurName(host string) bool {
	name := strings.ToLower(hostname(host))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if network, addr := u.config.Listen.Split(); network == "tcp" && name != "" && strings.EqualFold(name, hostname(addr)) {
		return true
	}
	return slices.ContainsFunc(u.config.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// withLogin goes on with the caller who logged in here.
func (u *upstream) withLogin(w http.ResponseWriter, r *http.Request) {
	u.withCaller(w, r, authn.FromContext(r.Context()))
}

// withCaller goes on with a caller, nil for nobody.
func (u *upstream) withCaller(w http.ResponseWriter, r *http.Request, id *authn.Identity) {
	x := callOf(r.Context())
	x.id, x.trail.Identity = id, id
	if err := u.allowed(r.Context(), id); err != nil {
		u.fail(w, r, err)
		return
	}
	if err := x.decide(r.Context()); err != nil {
		u.fail(w, r, err)
		return
	}
	if r.Body == nil || r.Body == http.NoBody {
		u.proxy.ServeHTTP(w, r)
		return
	}
	u.withBody(w, r)
}

// withBody passes on a request with a body, which goes on coming while the answer
// goes out. Otherwise net/http would read past what is left of the request when
// the answer begins, and the server would get a body with a hole in it.
func (u *upstream) withBody(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // over HTTP/2 it is so anyway
	body := &watchedBody{ReadCloser: r.Body}
	r.Body = body
	u.proxy.ServeHTTP(w, r)
	if !body.ended.Load() {
		// net/http would look for the end of the request after it stopped
		// watching the connection, and then panic (Go 1.26).
		_ = control.Flush()
		_ = body.Close()
	}
}

// watchedBody knows whether it was read to its end.
type watchedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

// allowed says why a caller may not call the upstream.
func (u *upstream) allowed(ctx context.Context, id *authn.Identity) error {
	if len(u.config.AllowedRoles) == 0 {
		return nil
	}
	for _, name := range u.config.AllowedRoles {
		switch name {
		case authz.Anonymous:
			return nil
		case authz.Any:
			if id != nil {
				return nil
			}
			continue
		}
		has, err := u.roles.Has(ctx, id, name)
		if err != nil {
			return &refusal{reasonRoles, err}
		}
		if has {
			return nil
		}
	}
	return &refusal{reasonRole, fmt.Errorf("%v has none of the roles %v", id, u.config.AllowedRoles)}
}

// call is one request on its way. One goroutine at a time uses it.
type call struct {
	upstream *upstream
	trail    *trail.Trail
	id       *authn.Identity
	target   *url.URL // the server
	local    *url.URL // what the program calls it

	sent time.Time

	credential authclient.Credential
	decided    bool
	asCaller   bool
	principal  string // tells cookies apart
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	x, _ := ctx.Value(callKey{}).(*call)
	return x
}
