package oidctest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authenticate finds the client of a request to the token endpoint (RFC 6749 2.3.1).
func (p *Provider) authenticate(r *http.Request) (Client, bool) {
	s := p.switches()
	if id, secret, ok := r.BasicAuth(); ok {
		id, err1 := url.QueryUnescape(id)
		secret, err2 := url.QueryUnescape(secret)
		c, known := p.client(id)
		return c, known && err1 == nil && err2 == nil && c.Secret == secret && !s.PostSecret && r.PostForm.Get("client_secret") == ""
	}
	c, known := p.client(r.PostForm.Get("client_id"))
	secret := r.PostForm.Get("client_secret")
	if c.Secret != "" && !s.PostSecret {
		return c, false
	}
	return c, known && c.Secret == secret
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, "invalid_request", "no form")
		return
	}
	c, ok := p.authenticate(r)
	if !ok {
		refuse(w, "invalid_client", "wrong client, or in the wrong way")
		return
	}
	s := p.switches()
	f := r.PostForm
	switch f.Get("grant_type") {
	case "authorization_code":
		p.mu.Lock()
		g := p.codes[f.Get("code")]
		if !s.KeepCodes {
			delete(p.codes, f.Get("code"))
		}
		p.mu.Unlock()
		if g == nil || g.client != c.ID || g.redirect != f.Get("redirect_uri") || g.challenge != pkce(f.Get("code_verifier")) {
			refuse(w, "invalid_grant", "no such code")
			return
		}
		p.give(w, s, g, true)
	case "refresh_token":
		p.mu.Lock()
		g := p.refresh[f.Get("refresh_token")]
		if !s.KeepRefresh {
			delete(p.refresh, f.Get("refresh_token"))
		}
		if g != nil {
			g.user, _ = p.user(g.user.Username) // as of now
		}
		p.mu.Unlock()
		if g == nil || g.client != c.ID {
			refuse(w, "invalid_grant", "no such refresh token")
			return
		}
		p.give(w, s, g, false)
	case "urn:ietf:params:oauth:grant-type:device_code":
		p.giveDevice(w, s, c, f.Get("device_code"))
	default:
		refuse(w, "unsupported_grant_type", "")
	}
}

func (s Switches) lifetime() time.Duration {
	if s.Lifetime != 0 {
		return s.Lifetime
	}
	return 5 * time.Minute
}

// give answers with tokens.
func (p *Provider) give(w http.ResponseWriter, s Switches, g *grant, first bool) {
	access := "access-" + random()
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(s.lifetime() / time.Second), "scope": g.scope}
	p.mu.Lock()
	p.access[access] = g
	if g.offline && (first || !s.KeepRefresh) {
		next := "refresh-" + random()
		p.refresh[next] = g
		out["refresh_token"] = next
	}
	p.mu.Unlock()
	if first || !s.NoIDTokenAgain {
		nonce := ""
		if first {
			nonce = g.nonce
		}
		out["id_token"] = p.idToken(s, g, nonce, access)
	}
	if s.Answer != nil {
		s.Answer(out)
	}
	answer(w, http.StatusOK, out)
}

// serveRevoke is the revocation endpoint (RFC 7009 2). A token of another client is
// none, and one that is none is no error.
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("token") == "" {
		refuse(w, "invalid_request", "no token")
		return
	}
	c, ok := p.authenticate(r)
	if !ok || p.switches().NoRevocation {
		refuse(w, "invalid_client", "wrong client, or in the wrong way")
		return
	}
	whose := ""
	p.mu.Lock()
	if g := p.refresh[r.PostForm.Get("token")]; g != nil && g.client == c.ID {
		whose = g.user.Username
		delete(p.refresh, r.PostForm.Get("token"))
		maps.DeleteFunc(p.access, func(_ string, other *grant) bool { return other == g })
	}
	p.mu.Unlock()
	select {
	case p.back <- whose:
	default: // nobody awaits so many
	}
}

func (p *Provider) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	s := p.switches()
	p.mu.Lock()
	g := p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	p.mu.Unlock()
	if g == nil || s.NoUserinfo {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := map[string]any{"sub": g.user.Subject}
	g.user.claims(claims)
	if s.Userinfo != nil {
		s.Userinfo(claims)
	}
	answer(w, http.StatusOK, claims)
}

// serveDevice is the device authorization endpoint (RFC 8628 3.1).
func (p *Provider) serveDevice(w http.ResponseWriter, r *http.Request) {
	s := p.switches()
	c, known := p.client(r.FormValue("client_id"))
	if !known || s.NoDevice {
		refuse(w, "invalid_client", "")
		return
	}
	d := &device{code: random(), userCode: "CODE-" + strings.ToUpper(random()[:4]), expires: p.o.Now().Add(s.lifetime()), client: c.ID, scope: r.FormValue("scope")}
	p.mu.Lock()
	p.devices[d.code] = d
	p.mu.Unlock()
	out := map[string]any{
		"device_code": d.code, "user_code": d.userCode, "expires_in": int(s.lifetime() / time.Second), "interval": max(s.Interval, 1),
		"verification_uri": p.Issuer + "/activate", "verification_uri_complete": p.Issuer + "/activate?code=" + d.userCode,
	}
	if s.Answer != nil {
		s.Answer(out)
	}
	answer(w, http.StatusOK, out)
}

// ApproveDevice says yes for a user to the device that shows a code. It reports
// whether there is one.
func (p *Provider) ApproveDevice(userCode, username string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, known := p.user(username)
	for _, d := range p.devices {
		if d.userCode == userCode && known {
			d.g = &grant{client: d.client, scope: d.scope, sid: "sid-" + random(), user: u, authTime: p.o.Now(), offline: p.offline(p.s, d.scope)}
			return true
		}
	}
	return false
}

// DenyDevice says no.
func (p *Provider) DenyDevice(userCode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.devices {
		if d.userCode == userCode {
			d.denied = true
		}
	}
}

func (p *Provider) giveDevice(w http.ResponseWriter, s Switches, c Client, code string) {
	p.mu.Lock()
	d := p.devices[code]
	if p.s.SlowDown > 0 {
		p.s.SlowDown--
	}
	refusal := ""
	switch {
	case d == nil || d.client != c.ID:
		refusal = "invalid_grant"
	case !p.o.Now().Before(d.expires):
		refusal = "expired_token"
	case s.SlowDown > 0:
		refusal = "slow_down"
	case d.denied:
		refusal = "access_denied"
	case d.g == nil:
		refusal = "authorization_pending"
	default:
		delete(p.devices, code)
	}
	p.mu.Unlock()
	if refusal != "" {
		refuse(w, refusal, "")
		return
	}
	p.give(w, s, d.g, true)
}

func (u User) claims(c map[string]any) {
	for k, v := range u.Claims {
		c[k] = v
	}
	set := func(name, v string) {
		if v != "" {
			c[name] = v
		}
	}
	set("preferred_username", u.Username)
	set("name", u.Name)
	set("email", u.Email)
	if u.Email != "" {
		c["email_verified"] = u.EmailVerified
	}
	if u.Groups != nil {
		c["groups"] = slices.Clone(u.Groups)
	}
}
