package delegation

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

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
	Err    error
}

// Error says why a caller could not be passed on. Its text is for the log; what
// a client may learn is in SOAPFault and Problem.
type Error struct {
	Identity *authn.Identity // nil: anonymous
	Target   authclient.Target
	Tried    []Attempt
	Cause    string // in words
	Remedy   string // what an administrator can do, with the commands
	Err      error  // ErrDoubleHop, ErrNoEvidence, ErrNotListed or what a KDC said
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
		slog.String("upstream", e.Target.SPN), slog.Any("tried", tried),
		slog.String("cause", e.Cause), slog.String("remedy", e.Remedy), slog.Any("error", e.Err))
}

func (e *Error) mechanism() string {
	if e.Identity == nil {
		return "no login"
	}
	return e.Identity.Mechanism
}

// because completes the error.
func (e *Error) because(err error, cause, remedy string) *Error {
	e.Err, e.Cause, e.Remedy = err, cause, remedy
	return e
}

// decidedHere reports that no message from the network had a part in the
// error, except for tickets that our own key opened.
func (e *Error) decidedHere() bool {
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

// explain finds words for what asCaller tried.
func (d *Delegator) explain(e *Error) *Error {
	if n := len(e.Tried); n > 0 {
		return d.explainAttempt(e, e.Tried[n-1])
	}
	account := d.account()
	ev, _ := e.Identity.Evidence.(*kerberos.Evidence)
	if _, ok := e.Identity.Evidence.(passwordEvidence); ok && d.knowsKDC() {
		if _, err := d.principal(e.Identity); err != nil {
			return d.explainAttempt(e, Attempt{Password, err})
		}
	}
	switch {
	case ev == nil && e.Identity.Mechanism == authn.MechanismNTLM:
		return e.because(ErrDoubleHop,
			"the caller logged in by NTLM, which leaves nothing that could be shown to a second server (double hop)",
			"accept Kerberos only on the route, or switch on protocol transition for the upstream and "+d.transitionCommands(account, e.Target.SPN)+
				", or list a service account for the upstream")
	case ev == nil:
		return e.because(ErrNoEvidence,
			fmt.Sprintf("a login by %s leaves nothing that could be shown to a second server", e.Identity.Mechanism),
			"switch on protocol transition for the upstream and "+d.transitionCommands(account, e.Target.SPN)+", or list a service account for the upstream")
	case !d.now().Before(ev.Expires()):
		return e.because(ErrNoEvidence, "the caller's ticket has ended", "the caller has to log in again")
	case !ev.Forwardable():
		user := e.Identity.Account
		return e.because(kerberos.ErrNotDelegable,
			"the caller's ticket is not forwardable: the account is sensitive, or its client asked for such a ticket",
			fmt.Sprintf("if the account may be delegated, run Set-ADAccountControl %s -AccountNotDelegated $false "+
				"(Samba: samba-tool user sensitive %s off); clients of MIT Kerberos need kinit -f, or forwardable = true in krb5.conf; then log in again", user, user))
	}
	return e.because(ErrNoEvidence, "no service account is configured that could ask a KDC for a ticket in the caller's name",
		"configure the principal and keytab of the account callers log in to")
}

// explainAttempt finds words for a method's failure.
func (d *Delegator) explainAttempt(e *Error, a Attempt) *Error {
	account, spn := d.account(), e.Target.SPN
	var ke *kerberos.KDCError
	switch {
	case errors.Is(a.Err, authn.ErrUnavailable):
		return e.because(a.Err, "no KDC answered: "+a.Err.Error(), "check that the domain controllers can be reached on port 88")
	case errors.Is(a.Err, errNotOfDomain):
		return e.because(a.Err, a.Err.Error(), "callers of this kind need a rule that names their domain account (Principal), or the realm of their domain (Domains)")
	case errors.Is(a.Err, errOtherAccount):
		return e.because(a.Err, a.Err.Error(), "the account was made anew, or the name belongs to another domain: check Domains")
	case errors.Is(a.Err, errNoSID):
		return e.because(a.Err, a.Err.Error(), fmt.Sprintf("tickets to %s need a PAC: clear NA_AUTH_DATA_REQUIRED in userAccountControl of the account", account))
	case errors.Is(a.Err, kerberos.ErrNoServiceKey):
		return e.because(a.Err, a.Err.Error(), fmt.Sprintf("configure a new keytab of %s, with keys of all encryption types, or its password; a credential cache is not enough", account))
	case errors.Is(a.Err, kerberos.ErrNotDelegable):
		return e.because(a.Err, "the KDC does not let the caller be passed on",
			"the user is sensitive or in Protected Users, or the account lacks the right: "+d.commands(a.Method, account, spn))
	case errors.As(a.Err, &ke) && ke.Hint != "":
		return e.because(a.Err, "the KDC refused: "+ke.Hint, d.commands(a.Method, account, spn))
	}
	return e.because(a.Err, a.Err.Error(), d.commands(a.Method, account, spn))
}

// account returns our account's name to put into a command.
func (d *Delegator) account() string {
	if d.Client == nil {
		return "ACCOUNT"
	}
	name, _, _ := strings.Cut(d.Client.Principal(), "@")
	return name
}

// commands returns what gives our account the rights a method needs.
func (d *Delegator) commands(m Method, account, spn string) string {
	switch m {
	case Forwarded, Password:
		return fmt.Sprintf("check that %s is registered (setspn -Q %s)", spn, spn)
	case Transition:
		return d.transitionCommands(account, spn)
	}
	return "run " + listCommand(account, spn)
}

func (d *Delegator) transitionCommands(account, spn string) string {
	return fmt.Sprintf("run Set-ADAccountControl %s -TrustedToAuthForDelegation $true (Samba: samba-tool delegation for-any-protocol %s on) and %s",
		account, account, listCommand(account, spn))
}

func listCommand(account, spn string) string {
	return fmt.Sprintf("Set-ADUser %s -Add @{'msDS-AllowedToDelegateTo'='%s'} (Samba: samba-tool delegation add-service %s %s)",
		account, spn, account, spn)
}
