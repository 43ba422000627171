package authn

import (
	"log/slog"
	"strconv"
	"time"
)

// A BlockedError means that the credentials were not looked at, because there
// were too many failed logins before. errors.Is reports it as
// ErrBadCredentials. The Middleware answers it with 429 and no challenge.
type BlockedError struct {
	Mechanism string
	User      string        // as the client claims, unverified; may be empty
	Key       string        // who is blocked, as an operator unblocks it
	Block     time.Duration // how long the block is as a whole
	Left      time.Duration // what is left of it
}

// A block this long gets its length told.
const longBlock = time.Hour

func (e *BlockedError) Error() string {
	return "authn: " + e.Key + " is blocked after too many failed logins"
}

// Is reports whether target is ErrBadCredentials.
func (e *BlockedError) Is(target error) bool { return target == ErrBadCredentials }

// Text is what the user is told. It does not depend on whether the user exists,
// or on the password.
func (e *BlockedError) Text() string {
	when := "a few minutes"
	if e.Block >= longBlock {
		when = strconv.Itoa(int((e.Block+time.Minute-1)/time.Minute)) + " minutes"
	}
	return "Too many failed login attempts. Please try again in " + when + "."
}

// retryAfter is the value of the header Retry-After (RFC 9110 10.2.3).
func (e *BlockedError) retryAfter() string {
	return strconv.FormatInt(max(1, int64((e.Left+time.Second-1)/time.Second)), 10)
}

// LogValue implements slog.LogValuer.
func (e *BlockedError) LogValue() slog.Value {
	as := []slog.Attr{slog.String("mech", e.Mechanism), slog.String("reason", "blocked"),
		slog.String("key", e.Key), slog.Duration("left", e.Left.Round(time.Second)),
		slog.String("hint", "wait, or unblock it: soapward user unblock")}
	if e.User != "" {
		as = append(as, slog.String("claimed_user", clip(e.User)))
	}
	return slog.GroupValue(as...)
}
