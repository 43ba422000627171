package delegation

import (
	"context"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Reason says in one word why a caller was not passed on as himself. It is for
// programs that branch, for logs and for metrics; clients never see it.
type Reason string

// The reasons.
const (
	// Of the configuration here.
	ReasonNotListed     Reason = "not-listed"         // the upstream is not in Upstreams
	ReasonDoubleHop     Reason = "double-hop"         // login by NTLM, and no transition configured
	ReasonNoEvidence    Reason = "no-evidence"        // another login that leaves nothing, or none
	ReasonMethod        Reason = "method-not-allowed" // what the login left is no method of the upstream
	ReasonConfiguration Reason = "configuration"      // no account of our own, or no key of it
	ReasonNoPrincipal   Reason = "no-principal"       // the login does not say which domain account it was
	ReasonOtherAccount  Reason = "other-account"      // the name is another account's to the KDC

	// Of the login.
	ReasonLoginExpired   Reason = "login-expired"
	ReasonNotForwardable Reason = "not-forwardable" // the caller's client asked for such a ticket
	ReasonWrongPassword  Reason = "wrong-password"  // the one the caller typed is not the domain's

	// Of the caller's account.
	ReasonSensitive       Reason = "sensitive" // and cannot be delegated
	ReasonProtectedUser   Reason = "protected-user"
	ReasonUnknownUser     Reason = "unknown-user"
	ReasonAccountDisabled Reason = "account-disabled" // or locked out: KDCs do not tell them apart
	ReasonAccountExpired  Reason = "account-expired"
	ReasonPasswordExpired Reason = "password-expired"

	// Of our own account and of the upstream's.
	ReasonServiceAccount    Reason = "service-account" // cannot log in, or is sensitive itself
	ReasonNoTransitionRight Reason = "no-transition-right"
	ReasonNotDelegable      Reason = "not-delegable"      // sensitive, or no-transition-right: the KDC's tickets do not tell
	ReasonNotAllowedTarget  Reason = "not-allowed-target" // neither listed for us, nor does it list us
	ReasonUnknownTarget     Reason = "unknown-target"     // no account has the SPN

	// Of the KDC.
	ReasonUnavailable Reason = "unavailable"
	ReasonPolicy      Reason = "policy"   // logon hours, workstations, authentication policy
	ReasonCanceled    Reason = "canceled" // the caller went away
	ReasonRefused     Reason = "refused"  // anything else: Cause has what it said
)

// refusal is a method's failure, with what its tickets tell about the cause.
type refusal struct {
	reason  Reason
	account string // the caller's, as our own KDC knows it; empty: not known
	err     error
}

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

// reasonOf says what a method's error means.
func reasonOf(m Method, err error) Reason {
	var r *refusal
	var noName *principalError
	var ke *kerberos.KDCError
	switch {
	case errors.As(err, &r):
		return r.reason
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	case errors.Is(err, authn.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return ReasonUnavailable
	case errors.Is(err, errOtherAccount):
		return ReasonOtherAccount
	case errors.As(err, &noName):
		return ReasonNoPrincipal
	case errors.Is(err, errNoSID), errors.Is(err, kerberos.ErrNoServiceKey):
		return ReasonConfiguration
	case errors.Is(err, kerberos.ErrProtectedUser):
		return ReasonProtectedUser
	case errors.Is(err, kerberos.ErrLimitedClient):
		return ReasonServiceAccount
	case errors.As(err, &ke):
		return reasonOfKDC(m, ke)
	}
	return ReasonRefused
}

// reasonOfKDC says what a KDC's refusal means.
func reasonOfKDC(m Method, e *kerberos.KDCError) Reason {
	if e.Op == opLogin && m != Password {
		return ReasonServiceAccount // it was our own account that logged in
	}
	switch e.Name {
	case "KDC_ERR_C_PRINCIPAL_UNKNOWN":
		return ReasonUnknownUser
	case "KDC_ERR_CLIENT_REVOKED":
		return ReasonAccountDisabled
	case "KDC_ERR_NAME_EXP":
		return ReasonAccountExpired
	case "KDC_ERR_KEY_EXPIRED":
		return ReasonPasswordExpired
	case "KDC_ERR_PREAUTH_FAILED":
		return ReasonWrongPassword
	case "KDC_ERR_POLICY":
		if e.Op == opSelf || e.Op == opProxy {
			return ReasonAccountDisabled // Samba 4.17 says so of those
		}
		return ReasonPolicy
	case "KDC_ERR_S_PRINCIPAL_UNKNOWN":
		if e.Op == opSelf {
			return ReasonServiceAccount
		}
		return ReasonUnknownTarget
	case badOption:
		if e.Op == opProxy {
			return ReasonNotAllowedTarget
		}
	}
	return ReasonRefused
}

// What is tried, as kerberos.KDCError names it, and its one answer to all that
// is not allowed (MS-SFU 3.2.5.2).
const (
	opLogin   = "log in"
	opSelf    = "S4U2Self"
	opProxy   = "S4U2Proxy"
	badOption = "KDC_ERR_BADOPTION"
)

func isBadOption(err error) bool {
	var e *kerberos.KDCError
	return errors.As(err, &e) && e.Op == opProxy && e.Name == badOption
}

// constrained exchanges the caller's own ticket.
func (d *Delegator) constrained(ctx context.Context, ev *kerberos.Evidence, spn string) (*kerberos.Ticket, error) {
	t, err := d.Client.S4U2Proxy(ctx, ev, spn)
	if !isBadOption(err) {
		return t, err
	}
	reason, why := d.whyNow(ctx, ev)
	if why != nil {
		err = fmt.Errorf("%w; the caller's account now: %w", err, why)
	}
	return nil, &refusal{reason: reason, err: err} // the account may be of another domain
}

// whyNow says why a KDC does not exchange a forwardable ticket. Where that lies
// with the caller's account, which is as it is now and not as it was when the
// caller logged in, a ticket of S4U2Self tells, which Client keeps for a quarter
// of an hour. It is asked for words only: nothing is granted by it.
func (d *Delegator) whyNow(ctx context.Context, ev *kerberos.Evidence) (Reason, error) {
	if realmOf(ev.Client()) != realmOf(d.Client.Principal()) {
		return ReasonNotAllowedTarget, nil // our KDC would take the name for a UPN of its own
	}
	self, err := d.Client.S4U2Self(ctx, ev.Client())
	if err != nil {
		switch r := reasonOf(Transition, err); r {
		case ReasonProtectedUser, ReasonUnknownUser, ReasonAccountDisabled, ReasonAccountExpired:
			return r, err
		}
		return ReasonNotAllowedTarget, nil
	}
	if sensitive, _ := self.Sensitive(); sensitive && self.SID() == ev.SID() {
		return ReasonSensitive, nil
	}
	return ReasonNotAllowedTarget, nil
}

// whyRefused says why a KDC does not exchange a ticket of S4U2Self: such a
// ticket is forwardable if we have the right and the user may be delegated
// (MS-SFU 3.2.5.1.2).
func whyRefused(self *kerberos.Evidence) Reason {
	switch sensitive, known := self.Sensitive(); {
	case self.Forwardable():
		return ReasonNotAllowedTarget
	case sensitive:
		return ReasonSensitive
	case known:
		return ReasonNoTransitionRight
	}
	return ReasonNotDelegable
}
