package authn

import (
	"errors"
	"log/slog"
)

// Errors an Authenticator returns. Callers test them with errors.Is.
var (
	// ErrNoCredentials means the request carries nothing addressed to this
	// authenticator, so the next one may be asked.
	ErrNoCredentials = errors.New("authn: no credentials in request")

	// ErrBadCredentials means credentials were presented and are wrong. Every
	// *RefusedError is one.
	ErrBadCredentials = errors.New("authn: bad credentials")

	// ErrUnavailable means the credentials could not be judged because a
	// domain controller or another authority did not answer.
	ErrUnavailable = errors.New("authn: authority unavailable")

	// ErrOverloaded means that the request was not judged because its client
	// has too many logins in progress, or had too many that came to nothing.
	ErrOverloaded = errors.New("authn: too many logins in progress")

	// ErrConnState means that an exchange which spans requests was attempted
	// over HTTP/2, through a connection shared by several clients, or on a
	// server whose ConnContext is not set.
	ErrConnState = errors.New("authn: exchange needs a connection of its own over HTTP/1.1")
)

// Reason says in one word why credentials were refused. It is for logs and
// metrics and never reaches the client.
type Reason string

// Reasons shared by the mechanisms.
const (
	ReasonMalformed       Reason = "malformed-token"
	ReasonOutOfOrder      Reason = "out-of-order"
	ReasonMechanism       Reason = "mechanism-not-allowed"
	ReasonUnknownUser     Reason = "unknown-user"
	ReasonWrongPassword   Reason = "wrong-password"
	ReasonDisabled        Reason = "account-disabled"
	ReasonLockedOut       Reason = "account-locked"
	ReasonAccountExpired  Reason = "account-expired"
	ReasonPasswordExpired Reason = "password-expired"
	ReasonRestricted      Reason = "account-restricted"
	ReasonAnonymous       Reason = "anonymous"
	ReasonWeak            Reason = "weak-protocol" // NTLMv1, LM, DES, RC4
	ReasonExpired         Reason = "expired"       // ticket, challenge
	ReasonClockSkew       Reason = "clock-skew"
	ReasonReplay          Reason = "replay"
	ReasonWrongTarget     Reason = "wrong-target" // SPN, target info
	ReasonWrongKey        Reason = "wrong-key"    // no key decrypts it
	ReasonIntegrity       Reason = "integrity"    // MIC, checksum, signature
	ReasonChannelBinding  Reason = "channel-binding"
	ReasonPolicy          Reason = "policy"
	ReasonLoginMixedUp    Reason = "login-mixed-up"   // an OpenID Connect answer that belongs to another login
	ReasonProviderRefused Reason = "provider-refused" // an OpenID Connect provider says no
)

// A RefusedError says why credentials were refused, for the log. errors.Is
// reports it as ErrBadCredentials.
type RefusedError struct {
	Mechanism string // "Kerberos", "NTLM", ...
	Reason    Reason
	User      string // as the client claims, unverified; may be empty
	Hint      string // what the operator can do about it; may be empty
	Err       error  // detail; may be nil
}

func (e *RefusedError) Error() string {
	s := "authn: refused: " + string(e.Reason)
	if e.Mechanism != "" {
		s = "authn: " + e.Mechanism + " refused: " + string(e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the detail.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is ErrBadCredentials.
func (e *RefusedError) Is(target error) bool { return target == ErrBadCredentials }

// LogValue implements slog.LogValuer.
func (e *RefusedError) LogValue() slog.Value {
	as := make([]slog.Attr, 0, 5)
	as = append(as, slog.String("mech", e.Mechanism), slog.String("reason", string(e.Reason)))
	if e.User != "" {
		as = append(as, slog.String("claimed_user", clip(e.User)))
	}
	if e.Err != nil {
		as = append(as, slog.String("detail", e.Err.Error()))
	}
	if e.Hint != "" {
		as = append(as, slog.String("hint", e.Hint))
	}
	return slog.GroupValue(as...)
}
