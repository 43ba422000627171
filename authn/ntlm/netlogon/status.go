package netlogon

import (
	"errors"
	"fmt"
	"net"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// ErrAccount means that a controller refuses the computer account itself: its
// password is wrong, or there is no such account.
var ErrAccount = errors.New("netlogon: the domain refuses the computer account")

// A StatusError is what a controller answered in place of what was asked for
// (MS-ERREF 2.3).
type StatusError struct {
	Code uint32

	// judged says that this is the controller's word on a login, rather than
	// on our channel to it.
	judged bool
}

func (e *StatusError) Error() string {
	if s, ok := statuses[e.Code]; ok {
		return fmt.Sprintf("%s (0x%08X)", s.text, e.Code)
	}
	return fmt.Sprintf("status 0x%08X", e.Code)
}

// Is reports whether target is ErrAccount, and the controller meant that.
func (e *StatusError) Is(target error) bool {
	return target == ErrAccount && !e.judged && statuses[e.Code].account
}

// status is what is known of a code.
type status struct {
	text    string
	reason  authn.Reason // of a refused login; empty if the login was not judged
	hint    string       // what the operator can do
	account bool         // the computer account is refused, on opening a channel
}

const (
	hintJoin       = "run soapward join --reset to set the account's password anew; a copied or restored virtual machine has an old one"
	hintSpoofed    = "the domain controller takes the answer for one to another computer's challenge: each instance needs its own computer account, and its NetBIOS name in the challenge"
	hintRestricted = "members of Protected Users, and users without a password, cannot log in by NTLM: the user needs Kerberos"
	hintPorts      = "is it a domain controller, and are TCP port 135 and the one that Netlogon listens on (49152 to 65535) open?"
	hintDNS        = "have this host ask the domain's DNS server, or give the controller's address"
	hintTrust      = "the domain controller could not reach the user's domain; look at the trust between the two"
)

// statuses are the codes that a domain controller answers a logon with
// (MS-NRPC 3.5.4.5.1, MS-APDS 3.1.5). Without the right password it tells
// nothing of the account but that it is locked.
var statuses = map[uint32]status{
	0xC000006A: {text: "wrong password", reason: authn.ReasonWrongPassword},
	0xC0000064: {text: "no such user", reason: authn.ReasonUnknownUser},
	0xC0000072: {text: "account is disabled", reason: authn.ReasonDisabled},
	0xC0000071: {text: "password expired", reason: authn.ReasonPasswordExpired, hint: "the user must change the password, at a Windows machine or by kpasswd"},
	0xC0000224: {text: "password must be changed", reason: authn.ReasonPasswordExpired, hint: "the user must change the password before the first logon, at a Windows machine or by kpasswd"},
	0xC0000234: {text: "account is locked out", reason: authn.ReasonLockedOut, hint: "unlock it in the directory, or wait"},
	0xC0000193: {text: "account expired", reason: authn.ReasonAccountExpired},
	0xC000006F: {text: "outside of the account's logon hours", reason: authn.ReasonRestricted},
	0xC0000070: {text: "not from this workstation", reason: authn.ReasonRestricted, hint: "the account's \"Log On To\" list does not have the client's workstation"},
	0xC000006E: {text: "account restriction", reason: authn.ReasonRestricted, hint: hintRestricted},
	0xC000015B: {text: "logon type not granted", reason: authn.ReasonRestricted},
	0xC0000198: {text: "account of an interdomain trust", reason: authn.ReasonRestricted},
	0xC0000199: {text: "computer account", reason: authn.ReasonRestricted},
	0xC000019A: {text: "account of a domain controller", reason: authn.ReasonRestricted},
	0xC0000413: {text: "the authentication firewall of the trust forbids it", reason: authn.ReasonRestricted},
	0xC000006D: {text: "logon failure", reason: authn.ReasonWrongTarget, hint: hintSpoofed},
	0xC0000418: {text: "NTLM is blocked in the domain", reason: authn.ReasonPolicy, hint: "the domain's policy \"Restrict NTLM\" blocks this logon: use Kerberos, or add this server to its exceptions"},
	0xC0000022: {text: "access denied: the computer account's password is wrong", hint: hintJoin, account: true},
	0xC000018B: {text: "no such computer account, or it is disabled", hint: "look at the account's name, and at the account in the directory; soapward join makes one", account: true},
	0xC0000388: {text: "the domain controller does without AES, or somebody in between wants us to", hint: "AES is required; Windows Server 2008 R2 and Samba 4 have it"},
	0xC000005E: {text: "no logon server for the user's domain", hint: hintTrust},
	0xC000018A: {text: "no trust secret", hint: hintTrust},
	0xC000018C: {text: "trust between domains is broken", hint: hintTrust},
	0xC000018D: {text: "trust relationship failed", hint: hintTrust},
	0xC0000233: {text: "domain controller of the user's domain not found", hint: hintTrust},
	0xC00000DC: {text: "domain controller is not ready", hint: ""},
	0xC00000E5: {text: "internal error of the domain controller"},
	0xC000009A: {text: "domain controller is short of resources"},
	0xC0000017: {text: "domain controller is short of memory"},
	0xC00000B5: {text: "domain controller timed out"},
}

// explain adds the remedy to an error, for those that have no field for it.
func explain(err error) error {
	var status *StatusError
	var dns *net.DNSError
	var dial *net.OpError
	hint := ""
	switch {
	case errors.As(err, &status):
		hint = statuses[status.Code].hint
	case errors.As(err, &dns):
		hint = hintDNS
	case errors.As(err, &dial) && dial.Op == "dial":
		hint = hintPorts
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// logonError is what the mechanism is told of a login that gave no identity.
func logonError(err error, a *ntlm.Attempt) error {
	var e *StatusError
	if !errors.As(err, &e) || !e.judged {
		return err // that no controller answered
	}
	s, known := statuses[e.Code]
	if !known {
		// The names and the response are the client's, and so may be the cause.
		s = status{reason: authn.ReasonPolicy, hint: "look the status up in MS-ERREF"}
	}
	return refuse(s.reason, a, s.hint, e)
}

func refuse(r authn.Reason, a *ntlm.Attempt, hint string, err error) error {
	return &authn.RefusedError{Mechanism: authn.MechanismNTLM, Reason: r, User: claimed(a), Hint: hint, Err: err}
}

// claimed is the user as the client says.
func claimed(a *ntlm.Attempt) string {
	if a.Domain == "" {
		return a.User
	}
	return a.Domain + `\` + a.User
}
