package computer

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// An Account is the name of a computer account and the names of the services
// it answers for. Name and Domain must be set.
type Account struct {
	Name   string   // NetBIOS name, GW01 or GW01$; case does not matter
	Domain string   // DNS name of the domain, corp.test
	SPNs   []string // besides HOST and HTTP of the account's own names: "HTTP/hr.corp.test"
}

var (
	computerName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?$`)
	digitsOnly   = regexp.MustCompile(`^[0-9]+$`)
	dnsLabel     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	serviceClass = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,30}$`)
)

// Check refuses names that Active Directory, NetBIOS or DNS do not take.
func (a Account) Check() error {
	name := a.short()
	switch {
	case a.Name == "":
		return errors.New("computer: the account has no name")
	case len(name) > 15:
		return fmt.Errorf("computer: account name %q is longer than the 15 characters of a NetBIOS name", name)
	case !computerName.MatchString(name):
		return fmt.Errorf("computer: account name %q: want letters, digits and hyphens, such as GW01", name)
	case digitsOnly.MatchString(name):
		return fmt.Errorf("computer: account name %q has digits only", name)
	case !isDomain(a.Domain):
		return fmt.Errorf("computer: domain %q: want its DNS name, such as corp.test", a.Domain)
	}
	for _, s := range a.SPNs {
		if err := checkSPN(s); err != nil {
			return err
		}
	}
	return nil
}

// isDomain reports whether s is a DNS name of two labels or more.
func isDomain(s string) bool { return strings.Contains(s, ".") && isHost(s) }

func isHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !dnsLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// checkSPN takes class/host and class/host:port (MS-ADTS 3.1.1.3.2.31).
func checkSPN(s string) error {
	class, host, _ := strings.Cut(s, "/")
	if h, port, err := net.SplitHostPort(host); err == nil && digitsOnly.MatchString(port) {
		host = h
	}
	if !serviceClass.MatchString(class) || !isHost(host) {
		return fmt.Errorf("computer: service name %q: want service/host, such as HTTP/hr.corp.test", s)
	}
	return nil
}

// short is the name without the $.
func (a Account) short() string { return strings.TrimSuffix(a.Name, "$") }

// SAM returns the name that the directory and Kerberos know: GW01$.
func (a Account) SAM() string { return strings.ToUpper(a.short()) + "$" }

// UPN returns the name to log in to LDAP with: GW01$@corp.test.
func (a Account) UPN() string { return a.SAM() + "@" + strings.ToLower(a.Domain) }

// Realm returns the Kerberos realm: CORP.TEST.
func (a Account) Realm() string { return strings.ToUpper(a.Domain) }

// Host returns the DNS name of the computer: gw01.corp.test.
func (a Account) Host() string { return strings.ToLower(a.short() + "." + a.Domain) }

// ServiceNames returns the service principal names that the account is to have:
// HOST and HTTP of its own names first, then SPNs.
func (a Account) ServiceNames() []string {
	short := strings.ToLower(a.short())
	own := []string{"HOST/" + short, "HOST/" + a.Host(), "HTTP/" + short, "HTTP/" + a.Host()}
	return union(own, a.SPNs)
}

// union returns list with those of more that it lacks, without regard to case,
// as the directory compares service names.
func union(list, more []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range [][]string{list, more} {
		for _, s := range l {
			if k := strings.ToLower(s); !seen[k] {
				seen[k] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// keys returns the Kerberos keys that follow from a password. With announced
// they are those of a password that is not in force yet: for service names
// only, so that nobody logs in with them.
func (a Account) keys(password authn.Secret, kvno uint32, spns []string, announced bool) kerberos.AccountKeys {
	k := kerberos.AccountKeys{
		Realm: a.Realm(), Salt: kerberos.ComputerSalt(a.Domain, a.short()), KVNO: kvno, Password: password,
		Principals: union(a.ServiceNames(), spns),
	}
	if !announced {
		k.Principals = append(k.Principals, a.SAM())
	}
	return k
}
