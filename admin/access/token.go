package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

const (
	// tokenLasts is a day's work. There is no idle limit: a program that runs each
	// hour is not to be asked for a browser.
	tokenLasts = 8 * time.Hour

	// idTokenAge is how old an ID token may be that is exchanged: it was just made.
	idTokenAge = 5 * time.Minute

	// tokenPrefix lets programs find tokens where they should not be.
	tokenPrefix = "swa_"
	tokenBytes  = 32

	maxTokenBody = 80 << 10
	seenEvery    = time.Minute
)

// ways tells the command line how administrators log in.
func (a *Access) ways(w http.ResponseWriter, _ *http.Request, c *core) {
	answer := wire.Providers{Providers: []wire.Provider{}, Local: !c.admin.Local.Disabled}
	for _, name := range c.names() {
		realm := c.Config.Realms[name]
		if realm == nil || realm.OIDC == nil {
			continue
		}
		o := realm.OIDC
		answer.Providers = append(answer.Providers, wire.Provider{
			Name: name, Title: o.Title, Issuer: o.Issuer.String(), ClientID: cmp.Or(o.DesktopClientID, o.ClientID), Scopes: o.Scopes,
		})
	}
	writeJSON(w, http.StatusOK, answer)
}

// names returns the providers in the order of the configuration.
func (c *core) names() []string {
	var names []string
	for _, name := range c.admin.Login {
		if c.providers[name] != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// giveToken exchanges what proves a login for a token.
func (a *Access) giveToken(w http.ResponseWriter, r *http.Request, c *core) {
	var q wire.TokenRequest
	if err := readTokenRequest(w, r, &q); err != nil {
		a.apiError(w, r, http.StatusBadRequest, &admin.Error{Kind: wire.Malformed, Text: err.Error()})
		return
	}
	id, grant, err := c.exchange(r, &q)
	user := q.User
	if id != nil {
		user = id.String()
	}
	if err != nil {
		if id != nil && errors.Is(err, errNoRole) {
			err = noRoleError(id)
		}
		a.decided(r, mechToken, user, nil, err)
		a.apiRefused(w, r, err)
		return
	}
	role, err := c.role(r.Context(), id)
	if err == nil {
		var text string
		var expires time.Time
		if text, expires, err = c.newToken(r, id, grant); err == nil {
			a.decided(r, mechToken, user, id, nil)
			writeJSON(w, http.StatusOK, wire.Token{Token: wire.Password{Secret: authn.NewSecret(text)}, Expires: expires, Name: id.String(), Role: role})
			return
		}
	}
	if errors.Is(err, errNoRole) {
		err = noRoleError(id)
	}
	a.decided(r, mechToken, user, nil, err)
	a.apiRefused(w, r, err)
}

// readTokenRequest reads the body. Its errors may be told.
func readTokenRequest(w http.ResponseWriter, r *http.Request, q *wire.TokenRequest) error {
	// A page of another site cannot send JSON without asking first (CORS).
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the body must be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTokenBody))
	d.DisallowUnknownFields()
	if err := d.Decode(q); err != nil {
		return errors.New("the body is not the JSON object that is expected, or too long")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON object")
	}
	if (q.Provider == "") == (q.User == "") {
		return errors.New("want provider with id_token and nonce, or user with password and code")
	}
	return nil
}

// exchange returns who proved a login. The identity may be known also with an
// error.
func (c *core) exchange(r *http.Request, q *wire.TokenRequest) (*authn.Identity, *directory.Grant, error) {
	if q.User != "" {
		id, err := c.exchangePassword(r, q)
		return id, nil, err
	}
	p := c.providers[q.Provider]
	if p == nil {
		return nil, nil, &authn.RefusedError{Mechanism: mechToken, Reason: authn.ReasonPolicy, Err: errors.New("the provider is not in admin.login")}
	}
	ctx := r.Context()
	id, t, err := p.VerifyIDToken(ctx, q.IDToken.Secret, q.Nonce, idTokenAge)
	if err != nil {
		return nil, nil, fmt.Errorf("access: provider %s: %w", q.Provider, err)
	}
	// An ID token lies in files and logs of the program that got it.
	fresh, err := c.once(ctx, "id token", q.IDToken.Reveal())
	switch {
	case err != nil:
		return id, nil, err
	case !fresh:
		return id, nil, &authn.RefusedError{
			Mechanism: mechToken, Reason: authn.ReasonReplay, User: id.String(), Err: errors.New("the ID token was exchanged before"),
		}
	}
	if id, err = c.admit(ctx, q.Provider, id, t); err != nil {
		return id, nil, err
	}
	// It ends with the session there, if the provider tells.
	return id, &directory.Grant{Provider: q.Provider, Subject: t.Subject, SessionID: t.SessionID}, nil
}

// exchangePassword judges password and code in one. Who has no code is told
// nothing else than who has no password.
func (c *core) exchangePassword(r *http.Request, q *wire.TokenRequest) (*authn.Identity, error) {
	if c.admin.Local.Disabled {
		return nil, &authn.RefusedError{Mechanism: mechToken, Reason: authn.ReasonPolicy, User: q.User, Err: errors.New("admin.local.disabled")}
	}
	u, err := c.judgePassword(r, strings.TrimSpace(q.User), q.Password.Reveal())
	if err != nil {
		return nil, err
	}
	switch {
	case !u.SecondFactor.IsEmpty():
		if err := c.judgeCode(r, u, q.Code.Reveal()); err != nil {
			return nil, err
		}
	case !c.admin.Local.AllowWithoutSecondFactor:
		return nil, &authn.RefusedError{
			Mechanism: mechToken, Reason: authn.ReasonPolicy, User: u.Name, Err: errNoFactor,
			Hint: "sign in to the console once, which sets one up",
		}
	}
	return localIdentity(u, c.a), nil
}

// errNoFactor is told only to who had the right password.
var errNoFactor = errors.New("the user has no second factor yet")

// A token is a session like others: it is listed, it ends, and every node knows it.
// The store has its hash.

func tokenID(secret []byte) directory.SessionID {
	return sha256.Sum256(append([]byte("soapward admin token 1\x00"), secret...))
}

func (c *core) newToken(r *http.Request, id *authn.Identity, g *directory.Grant) (text string, expires time.Time, err error) {
	raw, now := randomBytes(tokenBytes), c.a.now()
	kept := *id
	kept.AuthTime = now // of the login here: the user may have been made after that at the provider
	data, err := json.Marshal(&kept)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("access: %w", err)
	}
	row := &directory.Session{
		ID: tokenID(raw), User: id.String(), Data: data, Created: now, Seen: now, Expires: now.Add(tokenLasts),
		Peer: peer(r), UserAgent: clip(strings.ToValidUTF8(r.UserAgent(), "")), Grant: g,
	}
	if err := c.Store.PutSession(r.Context(), row); err != nil {
		return "", time.Time{}, fmt.Errorf("access: %w", err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw), row.Expires.UTC(), nil
}

// bearer returns whose token r carries.
func (c *core) bearer(ctx context.Context, text string) (*authn.Identity, *directory.Session, error) {
	refuse := func(reason authn.Reason, why string) (*authn.Identity, *directory.Session, error) {
		return nil, nil, &authn.RefusedError{Mechanism: mechToken, Reason: reason, Err: errors.New(why)}
	}
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(raw) != tokenBytes {
		return refuse(authn.ReasonMalformed, "the bearer token is none that was given here")
	}
	row, err := c.Store.Session(ctx, tokenID(raw))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return refuse(authn.ReasonExpired, "the bearer token has ended, or was never given")
	case err != nil:
		return nil, nil, fmt.Errorf("access: %w", err)
	case !row.Live(c.a.now()):
		return refuse(authn.ReasonExpired, "the bearer token has expired")
	}
	id := new(authn.Identity)
	if err := json.Unmarshal(row.Data, id); err != nil {
		return refuse(authn.ReasonExpired, "the bearer token is of another version")
	}
	checked, err := c.check(ctx, id)
	if errors.Is(err, authn.ErrBadCredentials) {
		if derr := c.Store.DeleteSession(ctx, row.ID); derr != nil && !errors.Is(derr, directory.ErrNotFound) {
			return nil, nil, fmt.Errorf("access: %w", derr)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if now := c.a.now(); now.Sub(row.Seen) >= seenEvery {
		if err := c.Store.TouchSession(ctx, row.ID, now); err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, nil, fmt.Errorf("access: %w", err)
		}
	}
	return checked, row, nil
}

// takeToken ends the token that r carries.
func (a *Access) takeToken(w http.ResponseWriter, r *http.Request, c *core) {
	scheme, text, _ := authn.Authorization(r)
	if !strings.EqualFold(scheme, "Bearer") {
		a.apiRefused(w, r, authn.ErrNoCredentials)
		return
	}
	id, row, err := c.bearer(r.Context(), text)
	if err == nil {
		if err = c.Store.DeleteSession(r.Context(), row.ID); errors.Is(err, directory.ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		a.decided(r, mechLogout, "", nil, err)
		a.apiRefused(w, r, err)
		return
	}
	a.decided(r, mechLogout, "", id, nil)
	w.WriteHeader(http.StatusNoContent)
}
