package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
)

// Outcome is how a login ended.
type Outcome string

// Outcomes of a Decision.
const (
	OutcomeAccepted    Outcome = "accepted"
	OutcomeRefused     Outcome = "refused"
	OutcomeBlocked     Outcome = "blocked"     // too many failures before, nobody was asked
	OutcomeUnavailable Outcome = "unavailable" // nobody could say
)

// MechanismLogout is the mechanism of a Decision that tells of the end of a session.
// It is recorded among the logins, and counts as none.
const MechanismLogout = "logout"

// A Decision is what became of one login. Whoever is told of it must not change
// it.
type Decision struct {
	Time      time.Time
	Ref       string // that the client and the log have too
	Outcome   Outcome
	Identity  *Identity // set if accepted
	User      string    // who it is if accepted, else who the client claims to be, if that is known
	Mechanism string    // Kerberos, NTLM, Basic, form, ...; empty if it is not known
	Peer      string    // address of the client
	UserAgent string    // shortened
	Reason    Reason    // empty if accepted
	Detail    string    // for operators; no secret

	// Duration is how long it took to decide, once the request that decided was
	// there. Zero means that nobody measured.
	Duration time.Duration
}

// NewDecision describes the end of the login that r brought, which is accepted
// if err is nil. The Middleware makes its own; a login form uses it to tell of
// its logins in the same way. Ref is a new one.
func NewDecision(r *http.Request, id *Identity, err error) *Decision {
	d := &Decision{
		Time: time.Now(), Ref: Ref(r.Context()),
		Peer: peer(r), UserAgent: clip(r.UserAgent()),
	}
	if err == nil {
		d.Outcome, d.Identity, d.User, d.Mechanism = OutcomeAccepted, id, id.String(), id.Mechanism
		return d
	}
	d.Outcome, d.Detail = outcome(err), clip(err.Error())
	if scheme, _, sent := Authorization(r); errors.Is(err, ErrNoCredentials) && sent {
		d.Reason, d.Detail = ReasonMechanism, schemeError(scheme).Error()
	}
	var blocked *BlockedError
	if errors.As(err, &blocked) {
		d.User, d.Mechanism, d.Detail = clip(blocked.User), blocked.Mechanism, blocked.Error()
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		d.User, d.Mechanism, d.Reason = clip(refused.User), refused.Mechanism, refused.Reason
		if d.Detail = ""; refused.Err != nil {
			d.Detail = clip(refused.Err.Error())
		}
	}
	return d
}

// outcome says how a login with that error ended.
func outcome(err error) Outcome {
	var blocked *BlockedError
	switch {
	case errors.As(err, &blocked):
		return OutcomeBlocked
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrOverloaded):
		return OutcomeUnavailable
	case errors.Is(err, ErrBadCredentials), errors.Is(err, ErrConnState), errors.Is(err, ErrNoCredentials):
		return OutcomeRefused
	}
	return OutcomeUnavailable
}

// observe tells of a decision, after the client may have gone.
func (m *Middleware) observe(r *http.Request, d *Decision) {
	if m.Observe != nil {
		m.Observe(context.WithoutCancel(r.Context()), d)
	}
}

func schemeError(scheme string) error {
	return fmt.Errorf("authn: nobody here takes credentials of the scheme %q", clip(scheme))
}

// clip bounds a text that a client chose.
func clip(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	n := maxLogged
	for n > maxLogged-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
