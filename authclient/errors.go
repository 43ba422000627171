package authclient

import (
	"errors"
	"fmt"
	"strings"
)

// ErrServerUnverified means that the server accepted the login without proving
// who it is, although the credential asked for that.
var ErrServerUnverified = errors.New("authclient: server did not prove its identity")

// ErrBodyNotReplayable means that the server asked for a login after the
// request's body was consumed. Set http.Request.GetBody, or
// Transport.MaxReplayBody.
var ErrBodyNotReplayable = errors.New("authclient: request body cannot be sent again for the login; set GetBody")

// A RefusedError reports that a server refused the credential.
type RefusedError struct {
	Target  Target
	Offered []string // schemes the server offered last
	Scheme  string   // scheme tried; empty if none fitted
}

func (e *RefusedError) Error() string {
	offered := "nothing"
	if len(e.Offered) > 0 {
		offered = strings.Join(e.Offered, ", ")
	}
	if e.Scheme == "" {
		return fmt.Sprintf("authclient: %s asks for a login by %s, which the credential cannot do", e.Target.Origin(), offered)
	}
	return fmt.Sprintf("authclient: %s refused the %s login (offers %s)", e.Target.Origin(), e.Scheme, offered)
}
