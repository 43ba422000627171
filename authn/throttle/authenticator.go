package throttle

import (
	"context"
	"errors"
	"net/http"

	"github.com/soapward/soapward/authn"
)

// Authenticator is an authn.Authenticator that keeps the credentials of blocked
// addresses from another one. Limiter.Authenticator makes it.
type Authenticator struct {
	limiter *Limiter
	authn.Authenticator
}

var _ authn.Authenticator = (*Authenticator)(nil)

// Authenticator returns a behind l. Requests with credentials, first legs
// included, are refused while their address is blocked. Refusals that
// Limiter.Password and Limiter.NTLM have not seen are counted: a user's, where
// the refusal says that an account was judged, and for the address those that
// show a forged or repeated token as well. An authenticator that judges
// passwords by itself is asked about users who are blocked, up to the rules for
// the address, unless it has its judge behind Limiter.Password.
//
// Requests without an Authorization header are judged first, since they may ride
// on a login of their connection or session, which passes. If they turn out to
// have brought credentials elsewhere, what came of it is told to nobody whose
// address is blocked.
func (l *Limiter) Authenticator(a authn.Authenticator) *Authenticator {
	return &Authenticator{l, a}
}

// Authenticate implements authn.Authenticator.
func (a *Authenticator) Authenticate(r *http.Request) (*authn.Result, error) {
	l := a.limiter
	if l.Store == nil {
		return nil, unavailable("look for blocks", errNoStore)
	}
	scheme, _, sent := authn.Authorization(r)
	addr := authn.ClientAddr(r)
	c := clientOf(addr)
	before := l.gate.failures.Load()
	look := func() error {
		return l.blocked(r.Context(), subject{mechanism: mechanismOf(scheme), client: c}, c.key(), "")
	}
	if sent {
		if err := look(); err != nil {
			return nil, err
		}
	}
	seen := new(seen)
	ctx := context.WithValue(authn.WithClient(r.Context(), addr), seenKey{}, seen)
	res, err := a.Authenticator.Authenticate(r.WithContext(ctx))
	if seen.judged {
		return res, err
	}
	user, count := guessed(err)
	proved := err == nil && res.Identity != nil && res.Fresh
	if (proved || count) && (!sent || l.gate.failures.Load() != before) {
		if err := look(); err != nil {
			return nil, err
		}
	}
	if !count {
		return res, err
	}
	address, key := l.keys(subject{user: user, client: c})
	if cerr := l.count(address, key); cerr != nil {
		return nil, cerr
	}
	return nil, err
}

// guessed reports whether a refusal counts, and for which user.
func guessed(err error) (user string, ok bool) {
	var refused *authn.RefusedError
	if !isGuess(err) || !errors.As(err, &refused) {
		return "", false
	}
	switch refused.Reason {
	case authn.ReasonUnknownUser, authn.ReasonWrongPassword, authn.ReasonDisabled, authn.ReasonLockedOut,
		authn.ReasonAccountExpired, authn.ReasonPasswordExpired, authn.ReasonRestricted:
		return refused.User, true
	case authn.ReasonReplay, authn.ReasonIntegrity:
		return "", true
	}
	// The others are states of networks and settings, such as a wrong clock, a
	// keytab that was replaced, or a proxy between the legs of a handshake. They
	// come from everybody behind an address at once.
	return "", false
}

// mechanismOf names the login that a scheme of HTTP brings, as far as it does.
func mechanismOf(scheme string) string {
	for _, known := range []string{"Basic", "NTLM", "Negotiate", "Bearer"} {
		if http.CanonicalHeaderKey(scheme) == http.CanonicalHeaderKey(known) {
			return known
		}
	}
	return ""
}

// seen is what one request's verifiers leave for the Authenticator in front.
type seen struct{ judged bool }

type seenKey struct{}

// markJudged says that a Limiter counts what comes of this request.
func markJudged(ctx context.Context) {
	if s, ok := ctx.Value(seenKey{}).(*seen); ok {
		s.judged = true
	}
}
