package ldap

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
)

// Errors that callers branch on. An *Error is one of them by its code.
var (
	ErrNotFound  = errors.New("ldap: no such entry")
	ErrExists    = errors.New("ldap: entry exists")
	ErrDenied    = errors.New("ldap: insufficient access rights")
	ErrUnwilling = errors.New("ldap: the server is unwilling, or a rule of it forbids")
	ErrTooMany   = errors.New("ldap: more entries than asked for")
)

var errEmptyDN = errors.New("it is empty")

// An Error is what the server answered in place of what was asked for.
type Error struct {
	Op     string // "add", "bind", "delete", "modify", "search", "StartTLS"
	DN     string // of the entry, or who binds; may be empty
	Code   int    // RFC 4511 4.1.9
	Name   string // of the code
	Detail string // the server's words; may be empty
}

func (e *Error) Error() string {
	s := "ldap: " + e.Op
	if e.DN != "" {
		s += " " + e.DN
	}
	s += fmt.Sprintf(": %s (%d)", strings.ToLower(e.Name), e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is reports whether target is the sentinel for the code.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case goldap.LDAPResultNoSuchObject:
		return target == ErrNotFound
	case goldap.LDAPResultEntryAlreadyExists:
		return target == ErrExists
	case goldap.LDAPResultInsufficientAccessRights:
		return target == ErrDenied
	case goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultConstraintViolation:
		return target == ErrUnwilling
	case goldap.LDAPResultSizeLimitExceeded:
		return target == ErrTooMany
	}
	return false
}

// Status returns the Windows error code that Active Directory begins its words
// with (MS-ADTS 3.1.1.3.1.9), 0 if there is none.
func (e *Error) Status() uint32 {
	var n uint32
	if m := windowsCode.FindStringSubmatch(e.Detail); m != nil {
		_, _ = fmt.Sscanf(m[1], "%x", &n) // eight hexadecimal digits
	}
	return n
}

var windowsCode = regexp.MustCompile(`^([0-9A-Fa-f]{8}):`)

func wrap(op, dn string, err error) error {
	if dn != "" {
		op += " " + dn
	}
	return fmt.Errorf("ldap: %s: %w", op, err)
}

// plainError makes our error of one of go-ldap's.
func plainError(op, dn string, err error) error {
	var e *goldap.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return wrap(op, dn, err)
	case e.ResultCode >= goldap.ErrorNetwork: // not of the server
		return wrap(op, dn, e.Err)
	}
	out := &Error{Op: op, DN: dn, Code: int(e.ResultCode), Name: goldap.LDAPResultCodeMap[e.ResultCode]}
	if e.Err != nil {
		out.Detail = printable(e.Err.Error())
	}
	if out.Code == goldap.LDAPResultReferral {
		out.Detail = "the server refers to another one, which is not followed; name that one"
	}
	return out
}

// A foreignError is one whose text has words of somebody who did not prove who
// he is, such as the names in a certificate.
type foreignError struct{ error }

func (e foreignError) Error() string { return printable(e.error.Error()) }
func (e foreignError) Unwrap() error { return e.error }

// maxDetail bounds how much of the server's words an error has.
const maxDetail = 300

// printable makes text of the server fit for a log.
func printable(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?")))
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "..."
	}
	return s
}

// refusal makes an *authn.RefusedError of a login that the server refused.
func refusal(user string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != goldap.LDAPResultInvalidCredentials {
		return err
	}
	r := &authn.RefusedError{Mechanism: mechanism, Reason: authn.ReasonWrongPassword, User: user, Err: e}
	if m := logonCode.FindStringSubmatch(e.Detail); m != nil {
		if known, ok := logonCodes[strings.ToLower(m[1])]; ok {
			r.Reason, r.Hint = known.reason, known.hint
		}
	}
	return r
}

// mechanism is that of the identities and refusals of this package.
const mechanism = "LDAP"

// What an operator can do about a refused login.
const (
	hintHours       = "the account's logon hours do not allow the login now: change them, or log in later"
	hintWorkstation = "the account may log on from some workstations only (userWorkstations): add the domain controller's, or clear the list"
	hintExpired     = "the user's password is too old: the user must change it, in Windows or at the directory's own page"
	hintMustChange  = "the user must change the password first, in Windows or at the directory's own page"
	hintLocked      = "the account is locked after too many wrong passwords: unlock it, or wait"
	hintDisabled    = "enable the account in the directory"
	hintAccount     = "the account has expired: set a later date in the directory"
)

// logonCode is where Active Directory puts the cause: "AcceptSecurityContext
// error, data 52e". It is a Windows error code (MS-ERREF 2.2).
var logonCode = regexp.MustCompile(`\bdata ([0-9A-Fa-f]{3,8})\b`)

var logonCodes = map[string]struct {
	reason authn.Reason
	hint   string
}{
	"525": {authn.ReasonUnknownUser, ""},
	"52e": {authn.ReasonWrongPassword, ""},
	"52f": {authn.ReasonRestricted, ""},
	"530": {authn.ReasonRestricted, hintHours},
	"531": {authn.ReasonRestricted, hintWorkstation},
	"532": {authn.ReasonPasswordExpired, hintExpired},
	"533": {authn.ReasonDisabled, hintDisabled},
	"569": {authn.ReasonRestricted, ""}, // logon type not granted
	"701": {authn.ReasonAccountExpired, hintAccount},
	"773": {authn.ReasonPasswordExpired, hintMustChange},
	"775": {authn.ReasonLockedOut, hintLocked},
}

// policyError is the error of a bind, with what a password policy says of it.
// Whoever must change the password first is not logged in.
func policyError(user string, policy *goldap.ControlBeheraPasswordPolicy, err error) error {
	if policy == nil || policy.Error < 0 {
		return err
	}
	r := &authn.RefusedError{Mechanism: mechanism, User: user, Err: err}
	switch policy.Error {
	case goldap.BeheraPasswordExpired:
		r.Reason, r.Hint = authn.ReasonPasswordExpired, hintExpired
	case goldap.BeheraAccountLocked:
		r.Reason, r.Hint = authn.ReasonLockedOut, hintLocked
	case goldap.BeheraChangeAfterReset:
		r.Reason, r.Hint = authn.ReasonPasswordExpired, hintMustChange
	default:
		return err
	}
	return r
}
