package access

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// maxForm bounds the forms of the console, in which its token is looked for. A
// configuration as text is the largest.
const maxForm = 8 << 20

// Wrap returns next for requests of administrators. The request of a browser
// without one is led to the page for signing in, others get 401; requests that
// change something must carry the token of their session (see CSRF). The context of
// a request that only reads ends within seconds of the session, and of the role.
func (a *Access) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if serves(r.URL.Path) {
			a.ServeHTTP(w, r)
			return
		}
		r = withRef(r)
		c := a.core()
		if c == nil {
			a.unavailable(w, r, errNoStore)
			return
		}
		by := a.identify(w, r, c)
		if by == nil {
			return
		}
		ctx := admin.NewContext(r.Context(), by)
		if safe(r.Method) { // what changes something is not left half done
			var stop func()
			ctx, stop = a.watched(r, by)
			defer stop()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// CSRF returns what a form of the console puts into its hidden field "csrf".
func (a *Access) CSRF(r *http.Request) string {
	c := a.core()
	if c == nil {
		return ""
	}
	return c.sessions(r).Token(r)
}

// identify returns who sends r. It has answered if it returns nil.
func (a *Access) identify(w http.ResponseWriter, r *http.Request, c *core) *admin.Caller {
	if scheme, text, ok := authn.Authorization(r); ok && strings.EqualFold(scheme, "Bearer") {
		id, row, err := c.bearer(r.Context(), text)
		if err != nil {
			a.decided(r, mechToken, "", nil, err)
			a.apiRefused(w, r, err)
			return nil
		}
		return askingWith(row.ID, a.withRole(w, r, c, id, mechToken))
	}
	m := c.sessions(r)
	res, err := m.Authenticate(r)
	switch {
	case errors.Is(err, authn.ErrNoCredentials):
		a.askToSignIn(w, r)
		return nil
	case errors.Is(err, authn.ErrBadCredentials):
		a.forged(w, r, err)
		return nil
	case err != nil:
		a.unavailable(w, r, err)
		return nil
	}
	if isAPI(r) && !sameOrigin(r) {
		a.forged(w, r, errors.New("the API by cookie is for pages of the console"))
		return nil
	}
	if !safe(r.Method) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := m.CheckToken(r); err != nil {
			a.forged(w, r, err)
			return nil
		}
	}
	by := a.withRole(w, r, c, res.Identity, res.Identity.Mechanism)
	if id, ok := m.Present(r); ok {
		by = askingWith(id, by)
	}
	return by
}

// askingWith says by which session a caller asks, if he is let in.
func askingWith(id directory.SessionID, by *admin.Caller) *admin.Caller {
	if by != nil {
		by.Session = hex.EncodeToString(id[:])
	}
	return by
}

// withRole returns the caller, if he has a role now.
func (a *Access) withRole(w http.ResponseWriter, r *http.Request, c *core, id *authn.Identity, mechanism string) *admin.Caller {
	role, err := c.role(r.Context(), id)
	if err == nil {
		by := c.caller(id, role, peer(r))
		if mechanism == mechToken {
			by.Login = commandLine
		}
		return by
	}
	if errors.Is(err, errNoRole) && mechanism != mechToken {
		if eerr := c.sessions(r).End(w, r); eerr != nil {
			a.log.WarnContext(r.Context(), "a session without a role goes on", "ref", authn.Ref(r.Context()), "cause", eerr.Error())
		}
	}
	a.noRole(w, r, mechanism, id, err)
	return nil
}

// askToSignIn answers who is not signed in. What was posted is lost.
func (a *Access) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if isAPI(r) || !opensPage(r) {
		a.apiRefused(w, r, authn.ErrNoCredentials)
		return
	}
	to := home
	if safe(r.Method) {
		to = target(r.URL.RequestURI())
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, withReturn(loginPath, to), http.StatusSeeOther)
}

// forged refuses what a page of ours did not send.
func (a *Access) forged(w http.ResponseWriter, r *http.Request, err error) {
	a.log.WarnContext(r.Context(), "request of another page refused", "ref", authn.Ref(r.Context()), "peer", peer(r), "cause", err.Error())
	if isAPI(r) || !opensPage(r) {
		a.apiError(w, r, http.StatusForbidden, &admin.Error{
			Kind: admin.Forbidden, Text: "the request did not come from a page of the console", Remedy: "send the header X-CSRF-Token, or a bearer token",
		})
		return
	}
	a.expired(w, r, home)
}

// sameOrigin reports whether a page of the console sent r, or a person who typed
// the address.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// isAPI reports whether r is of a program.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, apiPrefix) }

// opensPage reports whether a person opens a page by r, or sends a form.
func opensPage(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (mode == "" || mode == "navigate") && strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// apiRefused answers a program that was not let in.
func (a *Access) apiRefused(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	status, text := judged(w, err, "")
	e := &admin.Error{Kind: wire.Unauthenticated}
	switch {
	case status == http.StatusTooManyRequests:
		e.Text = text
	case status == http.StatusServiceUnavailable:
		e.Kind, e.Text = admin.Unavailable, "nobody can say now who you are"
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "5")
		}
	case errors.Is(err, errNoRole):
		status, e.Kind, e.Text, e.Remedy = http.StatusForbidden, admin.Forbidden, "you have no role", "have admin.roles name a role of yours"
	case errors.Is(err, errNoFactor):
		status, e.Kind, e.Text, e.Remedy = http.StatusForbidden, admin.Refused, errNoFactor.Error(), "sign in to the console once, which sets one up"
	case errors.Is(err, authn.ErrNoCredentials):
		h.Set("WWW-Authenticate", `Bearer realm="soapward"`)
		e.Text, e.Remedy = "you are not signed in", "soapward login"
	default:
		h.Set("WWW-Authenticate", `Bearer realm="soapward", error="invalid_token"`) // RFC 6750 3.1
		e.Text, e.Remedy = "the login is not valid, or has ended", "soapward login"
	}
	a.apiError(w, r, status, e)
}

func errorOf(status int, text string) *admin.Error {
	e := &admin.Error{Kind: admin.Invalid, Text: text}
	if status == http.StatusNotFound {
		e.Kind = admin.NotFound
	}
	return e
}

func (a *Access) apiError(w http.ResponseWriter, r *http.Request, status int, e *admin.Error) {
	e.Ref = authn.Ref(r.Context())
	writeJSON(w, status, e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went away needs no answer
}
