package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/session"
)

const (
	loginCookie = CookieName + "-login"

	// beganFor is how long somebody may take at his provider.
	beganFor = 10 * time.Minute

	// askFor bounds what a browser waits for that is only nice to have.
	askFor = 2 * time.Second

	// askSoon is when the provider is asked again who somebody is who may go on.
	askSoon = time.Minute

	maxLogoutToken = 64 << 10
)

// provider returns that of the path.
func (a *Access) provider(w http.ResponseWriter, r *http.Request, c *core) (string, provider) {
	name := r.PathValue("provider")
	p := c.providers[name]
	if p == nil {
		a.problem(w, r, http.StatusNotFound, "There is no such provider")
	}
	return name, p
}

// begin leads a browser to a provider.
func (a *Access) begin(w http.ResponseWriter, r *http.Request, c *core) {
	name, p := a.provider(w, r, c)
	if p == nil {
		return
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case site != "" && site != "same-origin" && site != "none":
		// Another site must not begin a sign-in: the user decides on our page.
		http.Redirect(w, r, loginPath, http.StatusSeeOther)
		return
	case !c.sessions(r).Usable(r):
		a.insecure(w, r)
		return
	}
	err := a.lead(w, r, c, name, p)
	if err != nil {
		a.decided(r, mechOIDC, "", nil, err)
		a.refusedProvider(w, r, c, name, err)
	}
}

func (a *Access) lead(w http.ResponseWriter, r *http.Request, c *core, name string, p provider) error {
	base, err := c.base(r)
	if err != nil {
		return err
	}
	url, l, err := p.Begin(r.Context(), base+loginPath+"/"+name+callbackEnd, target(r.URL.Query().Get("return")))
	if err != nil {
		return fmt.Errorf("access: provider %s: %w", name, err)
	}
	l.Provider = name
	value, err := c.logins.Seal(r.Context(), c.cookieName(r, loginCookie), l)
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	// Lax, since the provider's site leads the browser back.
	c.setCookie(w, r, loginCookie, value, beganFor, http.SameSiteLaxMode)
	http.Redirect(w, r, url, http.StatusSeeOther)
	return nil
}

// callback ends a login that begin began.
func (a *Access) callback(w http.ResponseWriter, r *http.Request, c *core) {
	name, p := a.provider(w, r, c)
	if p == nil {
		return
	}
	l, id, t, err := c.finish(w, r, name, p)
	if errors.Is(err, errNoRole) {
		a.noRole(w, r, mechOIDC, id, err)
		return
	}
	if err != nil {
		user := ""
		if id != nil {
			user = id.String()
		}
		a.decided(r, mechOIDC, user, nil, err)
		a.refusedProvider(w, r, c, name, err)
		return
	}
	if _, err := c.role(r.Context(), id); err != nil { // asked again at each request
		a.noRole(w, r, mechOIDC, id, err)
		return
	}
	if err := c.sessions(r).StartGranted(w, r, id, false, grantOf(name, t)); err != nil {
		a.decided(r, mechOIDC, id.String(), nil, err)
		a.unavailable(w, r, err)
		return
	}
	a.decided(r, mechOIDC, "", id, nil)
	http.Redirect(w, r, target(l.Return), http.StatusSeeOther)
}

// finish returns who came back from a provider. The identity may be known also
// with an error.
func (c *core) finish(w http.ResponseWriter, r *http.Request, name string, p provider) (*oidc.Login, *authn.Identity, *oidc.Tokens, error) {
	ctx := r.Context()
	refuse := func(reason authn.Reason, text string) (*oidc.Login, *authn.Identity, *oidc.Tokens, error) {
		return nil, nil, nil, &authn.RefusedError{Mechanism: mechOIDC, Reason: reason, Err: errors.New(text)}
	}
	value := c.cookie(r, loginCookie)
	if value == "" {
		return refuse(authn.ReasonOutOfOrder, "this browser has begun no login, or cookies are blocked")
	}
	// Whatever comes of it, it was this login's only end.
	c.setCookie(w, r, loginCookie, "", 0, http.SameSiteLaxMode)
	l, err := c.logins.Open(ctx, c.cookieName(r, loginCookie), value)
	switch {
	case errors.Is(err, oidc.ErrNotBegun):
		return refuse(authn.ReasonIntegrity, err.Error())
	case err != nil:
		return nil, nil, nil, fmt.Errorf("access: %w", err)
	case l.Provider != name:
		return refuse(authn.ReasonWrongTarget, "the login was begun at the provider "+l.Provider+", and "+name+" ends it")
	case c.a.now().Sub(l.Begun) > beganFor || l.Begun.Sub(c.a.now()) > time.Minute:
		return refuse(authn.ReasonExpired, "the login was begun too long ago")
	}
	id, t, err := p.Callback(ctx, l, r)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("access: provider %s: %w", name, err)
	}
	// Not before: whoever makes up answers does not write into the store.
	fresh, err := c.once(ctx, "login", l.State)
	switch {
	case err != nil:
		return nil, nil, nil, err
	case !fresh:
		return refuse(authn.ReasonReplay, "the login has ended before")
	}
	id, err = c.admit(ctx, name, id, t)
	return l, id, t, err
}

// admit is provision for somebody who has a role. A provider may have millions of
// users who have none, and are not to fill the store by coming here.
func (c *core) admit(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error) {
	if id != nil {
		if _, err := c.role(ctx, id); errors.Is(err, errNoRole) {
			return id, err
		}
	}
	return c.provision(ctx, realm, id, t)
}

// provision makes the user, and returns the identity with its name here.
func (c *core) provision(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error) {
	if id == nil || t == nil {
		return nil, fmt.Errorf("access: provider %s returned neither an error nor somebody", realm)
	}
	if named, _ := c.providerOf(id); named != realm {
		return id, &authn.RefusedError{
			Mechanism: mechOIDC, Reason: authn.ReasonPolicy, User: id.String(), Err: errors.New("the provider " + realm + " names a user of another"),
		}
	}
	if c.a.o.Provision == nil {
		return id, nil
	}
	got, err := c.a.o.Provision(ctx, realm, id, t)
	if err != nil {
		return id, fmt.Errorf("access: %w", err)
	}
	if named, _ := c.providerOf(got); named != realm {
		return id, &authn.RefusedError{
			Mechanism: mechOIDC, Reason: authn.ReasonPolicy, User: got.String(), Err: errors.New("the user is of another realm than " + realm),
		}
	}
	return got, nil
}

func grantOf(name string, t *oidc.Tokens) *session.Grant {
	g := &session.Grant{Provider: name, Subject: t.Subject, SessionID: t.SessionID, Refresh: t.Refresh, IDToken: t.IDToken, Due: t.Expires}
	if t.Refresh.IsEmpty() {
		g.Due = time.Time{} // there is nothing to ask with
	}
	return g
}

func tokensOf(g *session.Grant) *oidc.Tokens {
	return &oidc.Tokens{Refresh: g.Refresh, IDToken: g.IDToken, Expires: g.Due, Subject: g.Subject, SessionID: g.SessionID}
}

// granter is session.Granter for the parts in force.
type granter struct{ a *Access }

var _ session.Granter = granter{}

// Refresh implements session.Granter. The role is not looked at: it is asked at
// each request.
func (g granter) Refresh(ctx context.Context, old *session.Grant) (*authn.Identity, *session.Grant, error) {
	c := g.a.core()
	if c == nil {
		return nil, nil, errNoStore
	}
	p := c.providers[old.Provider]
	if p == nil {
		return nil, nil, &authn.RefusedError{
			Mechanism: mechOIDC, Reason: authn.ReasonPolicy, Err: errors.New("the provider " + old.Provider + " is not in admin.login any more"),
		}
	}
	id, t, err := p.Refresh(ctx, tokensOf(old))
	if err == nil && id != nil { // else nothing is new
		id, err = c.provision(ctx, old.Provider, id, t)
	}
	switch {
	case err == nil:
		return id, grantOf(old.Provider, t), nil
	case t == nil || !errors.Is(err, authn.ErrUnavailable):
		return nil, nil, fmt.Errorf("access: provider %s: %w", old.Provider, err)
	}
	// The token that said that the user may go on is used up: the next one is kept.
	g.a.log.WarnContext(ctx, "a session goes on, but it is not known as who now",
		"ref", authn.Ref(ctx), "provider", old.Provider, "cause", err.Error())
	next := grantOf(old.Provider, t)
	if !next.Due.IsZero() {
		next.Due = g.a.now().Add(askSoon)
	}
	return nil, next, nil
}

// backchannel ends sessions that a provider says are over.
func (a *Access) backchannel(w http.ResponseWriter, r *http.Request, c *core) {
	name := r.PathValue("provider")
	p := c.providers[name]
	if p == nil {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutToken)
	ctx := r.Context()
	subject, sid, err := p.BackchannelLogout(ctx, r)
	if err == nil && subject == "" && sid == "" {
		err = &authn.RefusedError{Mechanism: mechOIDC, Reason: authn.ReasonMalformed, Err: errors.New("a logout of nobody")}
	}
	n := 0
	if err == nil {
		n, err = c.direct.EndGranted(ctx, name, subject, sid)
	}
	switch {
	case err == nil:
		a.log.InfoContext(ctx, "a provider ended sessions of administrators",
			"ref", authn.Ref(ctx), "peer", peer(r), "provider", name, "subject", subject, "sessions", n)
		w.WriteHeader(http.StatusOK)
		return
	case errors.Is(err, authn.ErrBadCredentials):
		a.decided(r, mechLogout, "", nil, err)
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"}) // Back-Channel Logout 2.8
	default:
		a.decided(r, mechLogout, "", nil, err)
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable"})
	}
}

// logout ends the session here, and then at the provider.
func (a *Access) logout(w http.ResponseWriter, r *http.Request, c *core) {
	m := c.sessions(r)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	res, err := m.Authenticate(r)
	switch {
	case errors.Is(err, authn.ErrNoCredentials):
		http.Redirect(w, r, loginPath, http.StatusSeeOther)
		return
	case errors.Is(err, authn.ErrBadCredentials):
		a.expired(w, r, home)
		return
	case err != nil:
		a.unavailable(w, r, err)
		return
	}
	if err := m.CheckLogout(r); err != nil {
		a.expired(w, r, home)
		return
	}
	grant, gerr := m.GrantOf(r)
	if gerr != nil {
		a.log.WarnContext(r.Context(), "no logout at the provider", "ref", authn.Ref(r.Context()), "cause", gerr.Error())
	}
	if err := m.End(w, r); err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.decided(r, mechLogout, "", res.Identity, nil)
	if grant != nil && c.providers[grant.Provider] != nil {
		c.providers[grant.Provider].RevokeLater(r.Context(), tokensOf(grant))
	}
	if url := c.logoutURL(r, grant); url != "" {
		// A form may not lead to other sites, and this is the answer to one.
		w.Header().Set("Refresh", "0; url="+url)
		a.showSignedOut(w, r, c.shown(grant.Provider), url)
		return
	}
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// logoutURL asks for where a session ends at the provider, for a moment.
func (c *core) logoutURL(r *http.Request, g *session.Grant) string {
	if g == nil {
		return ""
	}
	p, base := c.providers[g.Provider], ""
	if b, err := c.base(r); err == nil {
		base = b + loginPath
	}
	if p == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(r.Context(), askFor)
	defer cancel()
	return p.LogoutURL(ctx, tokensOf(g), base)
}
