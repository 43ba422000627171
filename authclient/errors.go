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

// ErrSharedConnection means that a login which belongs to a connection, as NTLM
// does, would pass an HTTP proxy that shares its connections between clients:
// others could end up logged in as us.
var ErrSharedConnection = errors.New("authclient: login of a connection through a plain HTTP proxy; use https, or exclude the host from the proxy (NO_PROXY)")

// A RefusedError reports that a server refused the credential.
type RefusedError struct {
	Target  Target
	Offered []string // schemes the server offered last
	Scheme  string   // scheme tried; empty if none fitted
}

func (e *RefusedError) Error() string {
	offered := strings.Join(e.Offered, ", ")
	switch {
	case e.Scheme == "" && offered == "":
		return fmt.Sprintf("authclient: %s answered 401 and offers no way to log in (no WWW-Authenticate)", e.Target.Origin())
	case e.Scheme == "":
		return fmt.Sprintf("authclient: %s asks for a login by %s, which the credential cannot do", e.Target.Origin(), offered)
	case offered == "":
		return fmt.Sprintf("authclient: %s refused the %s login", e.Target.Origin(), e.Scheme)
	}
	return fmt.Sprintf("authclient: %s refused the %s login (offers %s)", e.Target.Origin(), e.Scheme, offered)
}
