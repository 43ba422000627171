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

// A RefusedError reports that a server, or the proxy on the way to it, refused
// the credential.
type RefusedError struct {
	Target    Target   // the server, or the proxy
	Proxy     bool     // it was the proxy
	Anonymous bool     // there was no credential for it
	Offered   []string // schemes it offered last
	Scheme    string   // scheme tried; empty if none fitted
}

func (e *RefusedError) Error() string {
	p := party{target: e.Target, proxy: e.Proxy}
	offered := strings.Join(e.Offered, ", ")
	switch {
	case e.Anonymous:
		return fmt.Sprintf("authclient: %s wants a login by %s; set Transport.Proxy to the credential for it", &p, offered)
	case e.Scheme == "" && offered == "":
		return fmt.Sprintf("authclient: %s answered %d and offers no way to log in (no %s)", &p, p.status(), p.challenges())
	case e.Scheme == "":
		return fmt.Sprintf("authclient: %s asks for a login by %s, which the credential cannot do", &p, offered)
	case offered == "":
		return fmt.Sprintf("authclient: %s refused the %s login", &p, e.Scheme)
	}
	return fmt.Sprintf("authclient: %s refused the %s login (offers %s)", &p, e.Scheme, offered)
}
