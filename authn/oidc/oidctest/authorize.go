package oidctest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (p *Provider) user(username string) (User, bool) {
	i := slices.IndexFunc(p.o.Users, func(u User) bool { return u.Username == username })
	if i < 0 {
		return User{}, false
	}
	return p.o.Users[i], true
}

func (p *Provider) client(id string) (Client, bool) {
	i := slices.IndexFunc(p.o.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return p.o.Clients[i], true
}

// serveAuthorize is the authorization endpoint. A user who is not signed in gets a
// page, whose links have the parameter login.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := p.switches()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if _, known := p.client(q.Get("client_id")); err != nil || !known || redirect.Host == "" {
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	who := p.signedIn
	p.mu.Unlock()
	if l := q.Get("login"); l != "" {
		who = l
	}
	if who == "" {
		p.page(w, r)
		return
	}
	out := map[string]string{"state": q.Get("state")}
	if !s.NoIssuerInAnswer {
		out["iss"] = p.Issuer
	}
	p.mu.Lock()
	u, known := p.user(who)
	p.mu.Unlock()
	switch {
	case s.Deny != "":
		out["error"], out["error_description"] = s.Deny, "the test says so"
	case !known:
		out["error"], out["error_description"] = "access_denied", "no such user"
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		out["error"], out["error_description"] = "invalid_request", "want response_type=code and scope=openid"
	case q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "":
		out["error"], out["error_description"] = "invalid_request", "want PKCE with S256"
	default:
		code := random()
		out["code"] = code
		g := &grant{
			client: q.Get("client_id"), redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
			nonce: q.Get("nonce"), scope: q.Get("scope"), sid: "sid-" + random(), user: u, authTime: p.o.Now(),
		}
		g.offline = p.offline(s, g.scope) && (!s.ConsentOffline || q.Get("prompt") == "consent")
		p.mu.Lock()
		p.codes[code] = g
		p.mu.Unlock()
	}
	if s.Callback != nil {
		s.Callback(out)
	}
	back := redirect.Query()
	for k, v := range out {
		back.Set(k, v)
	}
	redirect.RawQuery = back.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

func (p *Provider) offline(s Switches, scope string) bool {
	return !s.NoOffline && slices.Contains(strings.Fields(scope), "offline_access")
}

func (p *Provider) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>Test provider</title><h1>Test provider</h1><form method="get">`)
	for name, values := range r.URL.Query() {
		for _, v := range values {
			fmt.Fprintf(w, `<input type="hidden" name="%s" value="%s">`, html.EscapeString(name), html.EscapeString(v))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.o.Users {
		fmt.Fprintf(w, `<p><button name="login" value="%s">%s</button>`, html.EscapeString(u.Username), html.EscapeString(u.Name))
	}
	fmt.Fprint(w, `</form></html>`)
}

// serveEnd is the place to log out at.
func (p *Provider) serveEnd(w http.ResponseWriter, r *http.Request) {
	p.SignIn("")
	if to := r.URL.Query().Get("post_logout_redirect_uri"); to != "" {
		http.Redirect(w, r, to, http.StatusFound)
		return
	}
	fmt.Fprintln(w, "logged out")
}

func pkce(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
