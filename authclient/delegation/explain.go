package delegation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// explain finds words for what asCaller tried, the last of it, or for why there
// was nothing to try.
func (d *Delegator) explain(e *Error, u *Upstream) *Error {
	if n := len(e.Tried); n > 0 {
		return d.explainAttempt(e, u, e.Tried[n-1])
	}
	id := e.Identity
	ev, _ := id.Evidence.(*kerberos.Evidence)
	_, isPassword := id.Evidence.(passwordEvidence)
	if isPassword && d.knowsKDC() {
		if _, err := d.principal(id); err != nil {
			return d.explainAttempt(e, u, Attempt{Password, ReasonNoPrincipal, err})
		}
	}
	transition := d.offerTransition(u)
	service := words("list a service account for the upstream, which then acts in place of the caller")
	switch {
	case ev == nil && id.Mechanism == authn.MechanismNTLM:
		return e.because(ReasonDoubleHop, ErrDoubleHop,
			"the caller logged in by NTLM, which leaves nothing that could be shown to a second server (double hop)",
			words("accept Kerberos only on the route"), transition, service)
	case ev == nil && !isPassword:
		return e.because(ReasonNoEvidence, ErrNoEvidence,
			fmt.Sprintf("a login by %s leaves nothing that could be shown to a second server", id.Mechanism), transition, service)
	case ev != nil && !ev.Forwardable() && !(ev.HasForwardedTGT() && d.knowsKDC()):
		return d.explainNotForwardable(e, u, ev)
	}
	for _, m := range d.left(id) {
		if !u.allows(m) {
			return e.because(ReasonMethod, ErrNoEvidence,
				fmt.Sprintf("the caller could be passed on by %s, which is not among the methods of the upstream", m),
				words("add %s to the upstream's methods", m), transition)
		}
	}
	if ev == nil {
		return e.because(ReasonConfiguration, ErrNoEvidence, "no realm and no KDC is configured that could be given the caller's "+id.Evidence.EvidenceKind(),
			words("configure Kerberos: the realm of the callers and its KDCs"), transition)
	}
	return e.because(ReasonConfiguration, ErrNoEvidence, "no service account is configured that could ask a KDC for a ticket in the caller's name",
		words("configure the principal and keytab of the account callers log in to"))
}

// offerTransition is the remedy for callers who left nothing.
func (d *Delegator) offerTransition(u *Upstream) Remedy {
	r := words("switch on protocol transition for the upstream, which needs two rights")
	if d.Client == nil {
		r.What = "configure the principal and keytab of a service account, switch on protocol transition for the upstream and give the account two rights"
	}
	for _, right := range []Remedy{allowTransition(d.account()), allowTarget(d.account(), u.SPN)} {
		r.Samba, r.PowerShell = append(r.Samba, right.Samba...), append(r.PowerShell, right.PowerShell...)
	}
	return r
}

// explainNotForwardable is for a caller's own ticket.
func (d *Delegator) explainNotForwardable(e *Error, u *Upstream, ev *kerberos.Evidence) *Error {
	again := words("the caller's client has to ask for a forwardable ticket (MIT Kerberos: kinit -f, or forwardable = true in krb5.conf) and log in again")
	if _, known := ev.Sensitive(); known { // and it is not
		return e.because(ReasonNotForwardable, kerberos.ErrNotDelegable,
			"the caller's ticket is not forwardable, because its client asked for such a ticket: the account is not sensitive", again, d.offerTransition(u))
	}
	return e.because(ReasonNotForwardable, kerberos.ErrNotDelegable,
		"the caller's ticket is not forwardable: the account is sensitive, or its client asked for such a ticket", again, clearSensitive(d.callerAccount(e, nil)))
}

// sensitive is for a caller whose account may not be delegated.
func (d *Delegator) sensitive(e *Error, err error, said string) *Error {
	r := clearSensitive(d.callerAccount(e, err))
	if _, ok := e.Identity.Evidence.(*kerberos.Evidence); ok {
		r.What += ", after which the caller has to log in anew (kinit, or at Windows)"
	}
	return e.because(ReasonSensitive, err, fmt.Sprintf("the account of %v is marked as sensitive and cannot be delegated%s", e.Identity, said), r)
}

// protected is for a member of Protected Users.
func (d *Delegator) protected(e *Error, err error) *Error {
	return e.because(ReasonProtectedUser, err,
		fmt.Sprintf("%v is a member of Protected Users, whose identity is never passed on", e.Identity),
		words("list a service account for the upstream, which then acts in place of the caller"), leaveProtectedUsers(d.callerAccount(e, err)))
}

// explainAttempt finds words for a method's failure.
func (d *Delegator) explainAttempt(e *Error, u *Upstream, a Attempt) *Error {
	ours, user, spn := d.account(), d.callerAccount(e, a.Err), e.Target.SPN
	said := kdcSaid(a.Err)
	because := func(cause string, remedies ...Remedy) *Error { return e.because(a.Reason, a.Err, cause, remedies...) }
	switch a.Reason {
	case ReasonUnavailable:
		return because("no KDC answered: "+a.Err.Error(), words("check that the domain controllers can be reached on port 88"))
	case ReasonCanceled:
		return because("the caller went away while a KDC was asked")
	case ReasonNoPrincipal:
		if errors.Is(a.Err, errNoRealm) {
			return because(a.Err.Error(), words("set Domains in the settings of the Delegator: the short name of the domain, %q, and its realm", e.Identity.Domain))
		}
		return because(a.Err.Error(), words("callers of this kind need a rule that names their domain account (Principal, or AllowUPN for the mechanism), or the realm of their domain (Domains)"))
	case ReasonOtherAccount:
		return because(a.Err.Error(), words("the account was made anew, or the name belongs to another domain: check Domains"))
	case ReasonConfiguration:
		if errors.Is(a.Err, errNoSID) {
			return because(a.Err.Error(), words("tickets to %s need a PAC: clear NA_AUTH_DATA_REQUIRED in userAccountControl of the account", ours))
		}
		return because(a.Err.Error(), words("configure a new keytab of %s, with keys of all encryption types, or its password; a credential cache is not enough", ours))
	case ReasonProtectedUser:
		return d.protected(e, a.Err)
	case ReasonSensitive:
		return d.sensitive(e, a.Err, said)
	case ReasonServiceAccount:
		return d.explainService(e, a)
	case ReasonNoTransitionRight:
		r := allowTransition(ours)
		r.What += "; it takes effect at once"
		return because(fmt.Sprintf("%s has no right to act for callers who did not come by Kerberos: "+
			"the ticket it got in the name of %v is not forwardable, and the account of the caller is not sensitive%s", ours, e.Identity, said),
			r, allowByTarget(ours, spn, u.Account))
	case ReasonNotDelegable:
		return because(fmt.Sprintf("the ticket that %s got in the name of %v is not forwardable: "+
			"%s has no right to act for callers who did not come by Kerberos, or the account of the caller is sensitive, and the ticket does not tell which%s", ours, e.Identity, ours, said),
			allowTransition(ours), clearSensitive(user), allowByTarget(ours, spn, u.Account))
	case ReasonNotAllowedTarget:
		return because(fmt.Sprintf("%s may not act for callers at %s: msDS-AllowedToDelegateTo of the account does not list it, "+
			"and the account of the back end does not list %s, or this KDC does not support that (resource-based delegation)%s", ours, spn, ours, said),
			allowTarget(ours, spn), allowByTarget(ours, spn, u.Account))
	case ReasonUnknownTarget:
		return because(fmt.Sprintf("no account of the domain has the name %s%s", spn, said), addSPN(spn, u.Account),
			words("check the name in the settings: it is made of the host in the upstream's URL"))
	}
	return e.explainAccount(a, user, said)
}

// explainAccount finds words for what is wrong with the caller's account.
func (e *Error) explainAccount(a Attempt, user, said string) *Error {
	because := func(cause string, remedies ...Remedy) *Error {
		return e.because(a.Reason, a.Err, fmt.Sprintf("%v: %s%s", e.Identity, cause, said), remedies...)
	}
	switch a.Reason {
	case ReasonUnknownUser:
		return because("the domain does not know the account, or not any more", words("if it should exist, check its spelling and Domains"))
	case ReasonAccountDisabled:
		var ke *kerberos.KDCError
		if errors.As(a.Err, &ke) && ke.Name == "KDC_ERR_POLICY" {
			return because("the account is disabled, or an authentication policy forbids it", enable(user))
		}
		return because("the account is disabled or locked out", enable(user), unlock(user))
	case ReasonAccountExpired:
		return because("the account has expired", extend(user))
	case ReasonPasswordExpired:
		return because("the password has expired, or must be changed before the next login", words("the user has to change the password"))
	case ReasonWrongPassword:
		return because("the password that the caller typed is not that of the domain's account of this name", words("the caller has to log in again with the password of the domain"))
	case ReasonPolicy:
		return because("logon hours, workstations or an authentication policy of the account forbid it", words("check these settings of the account"))
	}
	return e.because(a.Reason, a.Err, a.Err.Error(), words("look the error up in the KDC's log"))
}

// explainService finds words for what is wrong with our own account.
func (d *Delegator) explainService(e *Error, a Attempt) *Error {
	ours := d.account()
	if errors.Is(a.Err, kerberos.ErrLimitedClient) {
		return e.because(a.Reason, a.Err,
			fmt.Sprintf("%s, which acts for callers, is itself marked as sensitive or in Protected Users: its tickets are not forwardable%s", ours, kdcSaid(a.Err)),
			clearSensitive(ours), leaveProtectedUsers(ours))
	}
	var ke *kerberos.KDCError
	errors.As(a.Err, &ke)
	cause := fmt.Sprintf("%s, which acts for callers, cannot log in%s", ours, kdcSaid(a.Err))
	switch ke.Reason() {
	case authn.ReasonWrongPassword:
		return e.because(a.Reason, a.Err, cause, words("its password was changed since its keytab was written: export it again"))
	case authn.ReasonDisabled:
		return e.because(a.Reason, a.Err, cause, enable(ours), unlock(ours))
	case authn.ReasonAccountExpired:
		return e.because(a.Reason, a.Err, cause, extend(ours))
	}
	return e.because(a.Reason, a.Err, cause, words("check the account %s", ours))
}

// kdcSaid returns a KDC's own words, in brackets, or "".
func kdcSaid(err error) string {
	var ke *kerberos.KDCError
	if !errors.As(err, &ke) {
		return ""
	}
	name := ke.Name
	if name == "" {
		name = fmt.Sprintf("error %d", ke.Code)
	}
	if ke.Text != "" {
		name += fmt.Sprintf(", %q", ke.Text)
	}
	return fmt.Sprintf(" (%s: the KDC of %s says %s)", ke.Op, ke.Realm, name)
}

// callerAccount returns the name of the caller's account to put into a command,
// or "" if all that is known is a name that may be an alias, or another
// domain's: the commands run in that of our own account, which may have one of
// the same name.
func (d *Delegator) callerAccount(e *Error, err error) string {
	var r *refusal
	if errors.As(err, &r) && r.account != "" {
		return r.account
	}
	if strings.HasPrefix(string(e.Identity.SID), domainSID) && d.isOfOurDomain(e.Identity) {
		return e.Identity.Account
	}
	return ""
}

// isOfOurDomain reports whether a caller is known to have an account in the
// domain of our own.
func (d *Delegator) isOfOurDomain(id *authn.Identity) bool {
	ours := d.Kerberos.DefaultRealm
	if d.Client != nil {
		ours = realmOf(d.Client.Principal())
	}
	name := ""
	if ev, ok := id.Evidence.(*kerberos.Evidence); ok {
		name = ev.Client()
	} else if n, err := DomainPrincipal(id, d.Domains); err == nil {
		name = n
	}
	return ours != "" && strings.EqualFold(realmOf(name), ours)
}

// realmOf returns what is behind the last @ of a name.
func realmOf(name string) string { return name[strings.LastIndexByte(name, '@')+1:] }

// account returns our account's name to put into a command.
func (d *Delegator) account() string {
	if d.Client == nil {
		return "ACCOUNT"
	}
	name, _, _ := strings.Cut(d.Client.Principal(), "@")
	return name
}
