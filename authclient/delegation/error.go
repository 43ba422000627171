package delegation

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Errors that callers branch on. Delegate wraps them in an *Error.
var (
	// ErrDoubleHop means that the caller logged in by NTLM, which leaves
	// nothing that could be shown to a second server.
	ErrDoubleHop = errors.New("delegation: an NTLM login cannot be passed on (double hop)")

	// ErrNoEvidence means that the caller's login left nothing that could be
	// shown to a second server, or that there was no login.
	ErrNoEvidence = errors.New("delegation: the caller left nothing to pass on")

	// ErrNotListed means that the upstream is not one callers are passed on to.
	ErrNotListed = errors.New("delegation: upstream is not listed")
)

// Namespace is that of the subcodes of faults.
const Namespace = "urn:soapward:delegation"

// An Attempt is one method that was tried and failed.
type Attempt struct {
	Method Method
	Reason Reason
	Err    error
}

// Error says why a caller could not be passed on. Programs branch on Reason.
// Its text is for the log; what a client may learn is in SOAPFault and Problem.
type Error struct {
	Identity *authn.Identity // nil: anonymous
	Target   authclient.Target
	Tried    []Attempt
	Reason   Reason
	Cause    string   // in words
	Remedies []Remedy // what an administrator can do: any of them, in the order of preference
	Remedy   string   // all of Remedies in one line, for a log
	Err      error    // ErrDoubleHop, ErrNoEvidence, ErrNotListed or what a KDC said
}

func (e *Error) Error() string {
	return fmt.Sprintf("delegation: act for %v (%s) at %s: %s", e.Identity, e.mechanism(), e.Target.SPN, e.Cause)
}

// Unwrap returns Err and the errors of the methods that were tried.
func (e *Error) Unwrap() []error {
	errs := []error{e.Err}
	for _, a := range e.Tried {
		if a.Err != e.Err {
			errs = append(errs, a.Err)
		}
	}
	return errs
}

// LogValue implements slog.LogValuer.
func (e *Error) LogValue() slog.Value {
	tried := make([]string, len(e.Tried))
	for i, a := range e.Tried {
		tried[i] = string(a.Method) + ": " + a.Err.Error()
	}
	return slog.GroupValue(
		slog.Any("user", e.Identity), slog.String("mech", e.mechanism()),
		slog.String("upstream", e.Target.SPN), slog.String("reason", string(e.Reason)), slog.Any("tried", tried),
		slog.String("cause", e.Cause), slog.String("remedy", e.Remedy), slog.Any("error", e.Err))
}

func (e *Error) mechanism() string {
	if e.Identity == nil {
		return "no login"
	}
	return e.Identity.Mechanism
}

// because completes the error.
func (e *Error) because(r Reason, err error, cause string, remedies ...Remedy) *Error {
	e.Reason, e.Err, e.Cause, e.Remedies, e.Remedy = r, err, cause, remedies, joinRemedies(remedies)
	return e
}

// DecidedHere reports that no message from the network had a part in the
// error, except for tickets that our own key opened.
func (e *Error) DecidedHere() bool {
	for _, a := range e.Tried {
		var noName *principalError
		var refusal *kerberos.KDCError
		local := errors.As(a.Err, &noName) || errors.Is(a.Err, kerberos.ErrNotDelegable) && !errors.As(a.Err, &refusal)
		if !local {
			return false
		}
	}
	return true
}

// kind is the name of the error for programs, and the words a client may see.
func (e *Error) kind() (name, title string) {
	switch {
	case errors.Is(e, authn.ErrUnavailable):
		return "Unavailable", "the caller's identity could not be passed on, because no domain controller answered"
	case errors.Is(e, ErrDoubleHop):
		return "DoubleHop", "the caller's identity cannot be passed on to another server, because the caller logged in by NTLM"
	}
	return "NotDelegated", "the caller's identity could not be passed on to another server"
}

// SOAPFault returns the subcode and the text of the fault a SOAP client gets.
// Package soap finds it by its interface FaultChooser.
func (e *Error) SOAPFault() (subcode xml.Name, reason string) {
	name, title := e.kind()
	return xml.Name{Space: Namespace, Local: name}, title
}

// Problem returns what a REST client gets. ref is the reference number that
// the log line carries too.
func (e *Error) Problem(ref string) *Problem {
	name, title := e.kind()
	return &Problem{Type: Namespace + ":" + name, Title: title, Status: http.StatusBadGateway, Ref: ref}
}

// A Problem tells a REST client of an error (RFC 9457). It contains nothing
// internal.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Ref    string `json:"ref,omitempty"` // an extension member
}

// ServeHTTP answers a request with the problem.
func (p *Problem) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	b, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b) // the client is gone
}
