package authn

import (
	"net/http"
	"strings"
)

// A Challenge is one WWW-Authenticate value (RFC 9110 11.6.1).
type Challenge struct {
	Scheme string // "Negotiate", "NTLM", "Basic"
	Param  string // token68 or auth-params, without the scheme
}

// String returns the header value.
func (c Challenge) String() string {
	if c.Param == "" {
		return c.Scheme
	}
	return c.Scheme + " " + c.Param
}

// Result is what became of one request. Exactly one of Identity and Continue
// is set.
type Result struct {
	Identity *Identity
	Continue *Challenge // another leg is needed: 401 with only this
	Final    *Challenge // token for the response to an identified caller, such as an AP-REP

	// Fresh reports that this request brought a new caller, as opposed to riding
	// on a login that its connection made earlier or repeating that. It gets a
	// line in the log.
	Fresh bool

	// Persistent reports that the connection stays logged in, so that the
	// client need not send credentials again (MS-N2HT 2.2.3).
	Persistent bool
}

// An Authenticator decides who sent a request. It never writes the response.
// It must be safe for concurrent use.
type Authenticator interface {
	// Authenticate returns ErrNoCredentials to pass the request on to the next
	// authenticator, and any other error to refuse it.
	Authenticate(r *http.Request) (*Result, error)

	// Challenges lists what to offer a client that sent no credentials, in
	// order of preference.
	Challenges(r *http.Request) []Challenge
}

// Authorization splits the Authorization header into scheme and the rest. It
// reports false if there is no header. A request that carries the header twice
// has a scheme no authenticator knows, so that it is refused.
func Authorization(r *http.Request) (scheme, rest string, ok bool) {
	hs := r.Header["Authorization"]
	switch len(hs) {
	case 0:
		return "", "", false
	case 1:
	default:
		return "ambiguous", "", true
	}
	scheme, rest, _ = strings.Cut(strings.TrimSpace(hs[0]), " ")
	return scheme, strings.TrimSpace(rest), true
}
