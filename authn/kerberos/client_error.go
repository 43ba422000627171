package kerberos

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// A KDCError is the refusal of a KDC. Refusals of a login for reasons that lie
// with the account or its password are authn.ErrBadCredentials to errors.Is.
// It is not protected on its way, as none in Kerberos is: anybody between us
// and the KDC can have made it up.
type KDCError struct {
	Op      string // what was tried: "log in", "get ticket", "S4U2Self", "S4U2Proxy"
	Code    int32  // RFC 4120 7.5.9
	Name    string // "KDC_ERR_C_PRINCIPAL_UNKNOWN", or "" if the code is not known
	Realm   string // of the KDC
	Client  string // who asked
	Service string // what for
	Text    string // what the KDC adds; may be empty
	Hint    string // what to do about it; may be empty

	clientRealm string        // where a KDC refers the client to
	offset      time.Duration // of the KDC's clock from ours
}

func newKDCError(op, realm string, req *krb5.KDCReqBody, client string, m *krb5.ErrorMessage, now time.Time) *KDCError {
	e := &KDCError{
		Op: op, Code: int32(m.Code), Name: m.Code.Name(), Realm: realm, Client: client,
		Service: req.SName.String(), Text: clip(m.Text), clientRealm: m.CRealm,
		offset: m.STime.Sub(now).Truncate(time.Second),
	}
	e.Hint = e.hint(m.Code, req)
	return e
}

// clip bounds what a KDC adds, which comes from the network and goes to logs.
func clip(s string) string {
	const limit = 256
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

func (e *KDCError) Error() string {
	s := fmt.Sprintf("kerberos: %s for %s at KDC of %s: %v", e.Op, e.Client, e.Realm, krb5.ErrorCode(e.Code))
	if e.Op != opLogin {
		s = fmt.Sprintf("kerberos: %s of %s for %s at KDC of %s: %v", e.Op, e.Client, e.Service, e.Realm, krb5.ErrorCode(e.Code))
	}
	if e.Text != "" {
		s += fmt.Sprintf(", KDC says %q", e.Text)
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Is reports whether target is authn.ErrBadCredentials and the KDC refused the
// client's own login.
func (e *KDCError) Is(target error) bool {
	return target == authn.ErrBadCredentials && e.Reason() != ""
}

// Reason says why the KDC refused a login, and is empty if that does not lie
// with the account or its password.
func (e *KDCError) Reason() authn.Reason {
	if e.Op != opLogin {
		return ""
	}
	switch krb5.ErrorCode(e.Code) {
	case krb5.CodeClientUnknown:
		return authn.ReasonUnknownUser
	case krb5.CodePreauthFailed:
		return authn.ReasonWrongPassword
	case krb5.CodeClientRevoked:
		return authn.ReasonDisabled // or locked: the KDC does not tell them apart
	case krb5.CodeClientExpired, krb5.CodeClientNotYet:
		return authn.ReasonAccountExpired
	case krb5.CodeKeyExpired:
		return authn.ReasonPasswordExpired
	case krb5.CodePolicy:
		return authn.ReasonRestricted
	}
	return ""
}

// LogValue implements slog.LogValuer.
func (e *KDCError) LogValue() slog.Value {
	as := []slog.Attr{
		slog.String("op", e.Op), slog.Int("code", int(e.Code)), slog.String("name", e.Name),
		slog.String("realm", e.Realm), slog.String("client", e.Client), slog.String("service", e.Service),
	}
	if e.Text != "" {
		as = append(as, slog.String("text", e.Text))
	}
	if e.Hint != "" {
		as = append(as, slog.String("hint", e.Hint))
	}
	return slog.GroupValue(as...)
}

// isStale reports whether err is a KDC's refusal that another TGT may help
// against.
func isStale(err error) bool {
	var e *KDCError
	if !errors.As(err, &e) {
		return false
	}
	switch krb5.ErrorCode(e.Code) {
	case krb5.CodeTicketExpired, krb5.CodeTicketNotYet, krb5.CodeTGTRevoked, krb5.CodeBadIntegrity,
		krb5.CodeModified, krb5.CodeBadKeyVersion, krb5.CodeServerNoKey, krb5.CodeNotUs:
		return true
	}
	return false
}

const (
	opLogin   = "log in"
	opTicket  = "get ticket"
	opRenew   = "renew ticket"
	opForward = "forward ticket"
	opSelf    = "S4U2Self"
	opProxy   = "S4U2Proxy"
)

// hint says what the operator can do.
func (e *KDCError) hint(code krb5.ErrorCode, req *krb5.KDCReqBody) string {
	switch code {
	case krb5.CodeServerUnknown:
		if _, ok := req.SName.IsTGS(); ok {
			return "the realm is misspelt, there is no trust between the realms, or the KDC does not know the way there and needs the path (capaths) here or in its own configuration"
		}
		return fmt.Sprintf("no account has this service name; register it with setspn -S %s ACCOUNT, or samba-tool spn add %s ACCOUNT; "+
			"if the service is in another realm, map its host in DomainRealm", e.Service, e.Service)
	case krb5.CodeClientUnknown:
		if e.Op == opSelf {
			return "the user to act for does not exist in this realm"
		}
		if e.Op == opProxy {
			return "the user's account does not exist any more"
		}
		return "check spelling and realm; an account logs in by its own name, not by a service name"
	case krb5.CodePrincipalNotUnique:
		return "two accounts have the same service name; find them with setspn -X"
	case krb5.CodeETypeNoSupport:
		var names []string
		for _, t := range req.ETypes {
			names = append(names, t.String())
		}
		return "we offered " + strings.Join(names, ", ") +
			"; give the account AES keys (set msDS-SupportedEncryptionTypes to 24, then its password anew), or, for as long as that cannot be, set AllowRC4"
	case krb5.CodeSkew:
		who := "behind"
		off := e.offset
		if off < 0 {
			who, off = "ahead of", -off
		}
		return fmt.Sprintf("this machine's clock is %v %s the KDC's; synchronise it (NTP)", off, who)
	case krb5.CodeClientExpired:
		return "the account has expired: extend it"
	case krb5.CodeKeyExpired:
		return "the password must be changed first"
	case krb5.CodePreauthFailed:
		return "for a keytab: the account's password was changed since it was written; export it again"
	case krb5.CodeClientRevoked:
		return "unlock or enable the account"
	case krb5.CodeBadOption:
		switch e.Op {
		case opProxy:
			return fmt.Sprintf("either the service account may not delegate to %s (add it to msDS-AllowedToDelegateTo, "+
				"or the account to the target's msDS-AllowedToActOnBehalfOfOtherIdentity), "+
				"or the user may not be delegated (account is sensitive, member of Protected Users, or the ticket is not forwardable)", e.Service)
		case opSelf:
			return "the KDC does not offer protocol transition to this account"
		case opRenew:
			return "the ticket cannot be renewed any more; log in again"
		}
	case krb5.CodePolicy:
		if e.Op == opSelf || e.Op == opProxy {
			return "the user's account is disabled, or policy forbids delegation"
		}
		if e.Op == opTicket && !strings.HasSuffix(strings.ToLower(e.Client), "@"+strings.ToLower(e.Realm)) {
			return fmt.Sprintf("the KDC of %s does not take clients that come this way: configure the path between the realms there (capaths), "+
				"or, in Active Directory, look at the trust's selective authentication", e.Realm)
		}
		return "logon hours, workstation or authentication policy of the account"
	}
	return ""
}
