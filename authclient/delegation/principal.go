package delegation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
)

var (
	errNotOfDomain  = errors.New("delegation: the login does not say which domain account the caller has")
	errNoRealm      = errors.New("unknown realm")
	errOtherAccount = errors.New("delegation: the name means another account to the KDC")
	errNoSID        = errors.New("delegation: the KDC's ticket does not say which account it means by the name")
)

// domainSID begins the SIDs of what a domain or a machine has made itself.
const domainSID = "S-1-5-21-"

// principalError means that a caller has no name that a KDC knows.
type principalError struct{ error }

func (e *principalError) Unwrap() error { return e.error }

func (d *Delegator) principal(id *authn.Identity) (string, error) {
	if d.Principal != nil {
		return d.Principal(id)
	}
	name, err := DomainPrincipal(id, d.Domains)
	if err == nil || id.SID != "" {
		return name, err
	}
	user, suffix, _ := strings.Cut(id.UPN, "@")
	for _, allowed := range d.AllowUPN[id.Mechanism] {
		if suffix != "" && strings.EqualFold(suffix, allowed) {
			// S4U2Self takes a name with the realm's own spelling for that of an
			// account, which may be another than has the UPN.
			return user + "@" + strings.ToLower(suffix), nil
		}
	}
	return "", err
}

// DomainPrincipal returns the name, account@REALM, of a caller whom a domain
// controller vouched for: one with the SID of a domain account. Others are
// refused, because an account of our own called alice is not the domain's.
// domains maps NetBIOS names to realms; a domain with a dot is a realm itself.
func DomainPrincipal(id *authn.Identity, domains map[string]string) (string, error) {
	if !strings.HasPrefix(string(id.SID), domainSID) {
		return "", fmt.Errorf("%w: no SID from a domain controller", errNotOfDomain)
	}
	realm := ""
	for netbios, r := range domains {
		if strings.EqualFold(netbios, id.Domain) {
			realm = r
		}
	}
	if realm == "" && strings.Contains(id.Domain, ".") {
		realm = strings.ToUpper(id.Domain)
	}
	if realm != "" && id.Account != "" {
		return id.Account + "@" + realm, nil
	}
	if id.UPN != "" {
		return id.UPN, nil
	}
	return "", fmt.Errorf("%w: %w of domain %q", errNotOfDomain, errNoRealm, id.Domain)
}

// isProtected reports whether the caller is a member of Protected Users, by
// its RID, 525 (MS-ADTS 6.1.1.6.15). Not every KDC refuses to delegate them.
func isProtected(id *authn.Identity) bool {
	for _, g := range id.Groups {
		if s := string(g.SID); strings.HasPrefix(s, domainSID) && strings.HasSuffix(s, "-525") {
			return true
		}
	}
	return false
}
