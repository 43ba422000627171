package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
)

// maxCredentials bounds the decoded name and password.
const maxCredentials = 4 << 10

// Basic is HTTP Basic authentication (RFC 7617). Verifier must be set. It works
// over TLS only. The fields must not change after the first request. It is safe
// for concurrent use.
type Basic struct {
	Verifier Verifier

	// Realm is shown to people who are asked for a password. Empty means
	// "soapward".
	Realm string

	// AllowInsecureHTTP offers and takes passwords over plain HTTP, where
	// everybody on the way can read them. It is for development, and for
	// servers behind a proxy that ends TLS on the same machine.
	AllowInsecureHTTP bool

	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

var _ authn.Authenticator = (*Basic)(nil)

// Challenges implements authn.Authenticator. Nothing is offered where a
// password must not be sent.
func (b *Basic) Challenges(r *http.Request) []authn.Challenge {
	if !b.usable(r) {
		return nil
	}
	realm := b.Realm
	if realm == "" {
		realm = "soapward"
	}
	// RFC 7617 2.1: the charset parameter asks for UTF-8.
	return []authn.Challenge{{Scheme: "Basic", Param: "realm=" + quote(realm) + `, charset="UTF-8"`}}
}

// Authenticate implements authn.Authenticator. The identity it returns carries
// a *Secret.
func (b *Basic) Authenticate(r *http.Request) (*authn.Result, error) {
	scheme, token, ok := authn.Authorization(r)
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return nil, authn.ErrNoCredentials
	}
	if !b.usable(r) {
		return nil, refuse(authn.ReasonPolicy, "", "the client sent a password over plain HTTP, where it can be read: "+
			"use https, or set AllowInsecureHTTP if this connection is protected in another way",
			errors.New("password over plain HTTP"))
	}
	user, pw, err := parse(token)
	if err != nil {
		return nil, err
	}
	id, err := b.Verifier.VerifyPassword(r.Context(), user, pw)
	if err != nil {
		return nil, verifierError(err, user)
	}
	if id == nil {
		return nil, errors.New("password: verifier returned neither an identity nor an error")
	}
	c := *id // an Identity is never modified after it was made
	c.Mechanism, c.AuthTime = mechName, b.now()
	c.Evidence = &Secret{User: user, Password: authn.NewSecret(pw)}
	return &authn.Result{Identity: &c, Fresh: true}, nil
}

// usable reports whether a password may be sent in answer to r.
func (b *Basic) usable(r *http.Request) bool { return r.TLS != nil || b.AllowInsecureHTTP }

func (b *Basic) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// parse decodes user-id and password (RFC 7617 2).
func parse(token string) (user, pw string, err error) {
	if base64.StdEncoding.DecodedLen(len(token)) > maxCredentials {
		return "", "", refuse(authn.ReasonMalformed, "", "", fmt.Errorf("credentials of %d characters", len(token)))
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", "", refuse(authn.ReasonMalformed, "", "", errors.New("not base64"))
	}
	s := string(raw)
	if !utf8.ValidString(s) {
		return "", "", refuse(authn.ReasonMalformed, "", "the client must send UTF-8, as the challenge asks it to", errors.New("not UTF-8"))
	}
	// RFC 7617 2: a user-id and password must not contain control characters.
	if strings.ContainsFunc(s, isControl) {
		return "", "", refuse(authn.ReasonMalformed, "", "", errors.New("control character"))
	}
	user, pw, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return "", "", refuse(authn.ReasonMalformed, "", "", errors.New("no colon between user and password"))
	case user == "":
		return "", "", refuse(authn.ReasonAnonymous, "", "", errors.New("empty user name"))
	case pw == "":
		// Not a guess that counts, but what LDAP takes for an anonymous login
		// (RFC 4513 5.1.2).
		return "", "", refuse(authn.ReasonAnonymous, user, "", errors.New("empty password"))
	}
	return user, pw, nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f || 0x80 <= r && r < 0xa0 }

// quote writes a quoted-string (RFC 9110 5.6.4) without the characters that a
// header cannot carry.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case isControl(r):
			continue
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

func refuse(reason authn.Reason, user, hint string, err error) *authn.RefusedError {
	return &authn.RefusedError{Mechanism: mechName, Reason: reason, User: user, Hint: hint, Err: err}
}

// verifierError completes a refusal with what the verifier need not know, and
// keeps other errors, such as authn.ErrUnavailable, apart from refusals.
func verifierError(err error, user string) error {
	var re *authn.RefusedError
	if !errors.As(err, &re) {
		var be *authn.BlockedError
		if errors.As(err, &be) && be.Mechanism == "" {
			c := *be
			c.Mechanism = mechName
			return &c
		}
		if errors.Is(err, authn.ErrNoCredentials) {
			// There were credentials, so no other authenticator may be asked.
			return refuse(authn.ReasonUnknownUser, user, "", nil)
		}
		return fmt.Errorf("password: verify: %w", err)
	}
	if errors.As(err, new(*authn.ResponseError)) { // the verifier chose the answer
		return err
	}
	c := *re // the verifier may hold on to its own
	c.Mechanism = mechName
	if c.User == "" {
		c.User = user
	}
	return &c
}
