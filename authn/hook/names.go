package hook

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxNameLength bounds the names of users and groups, in bytes.
const maxNameLength = 1024

// checkNames refuses names of a user that pose as somebody of a domain for which
// the authority does not speak, and those that cannot be names.
func checkNames(domains []string, domain, account, upn string) error {
	switch {
	case account == "":
		return errors.New("it names no account")
	case strings.Contains(account, `\`):
		return errors.New("the account has a backslash in it: a domain belongs into the field domain")
	case domain != "" && !listed(domains, domain):
		return fmt.Errorf("it names the domain %.64q, for which it may not speak: list it if it may", domain)
	}
	if _, suffix, ok := strings.Cut(upn, "@"); upn != "" && (!ok || !listed(domains, suffix)) {
		return fmt.Errorf("it names the UPN suffix %.64q, for which it may not speak: list it if it may", suffix)
	}
	for _, s := range []string{domain, account, upn} {
		if err := checkText(s); err != nil {
			return err
		}
	}
	return nil
}

// checkGroup does the same for a group.
func checkGroup(domains []string, name string) error {
	if domain, _, ok := strings.Cut(name, `\`); ok && !listed(domains, domain) {
		return fmt.Errorf("it names a group of the domain %.64q, for which it may not speak: list it if it may", domain)
	}
	if strings.Contains(name, "=") {
		return errors.New("it names a group by a distinguished name, which belongs to a directory")
	}
	return checkText(name)
}

func listed(domains []string, domain string) bool {
	for _, d := range domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}

func checkText(s string) error {
	if len(s) > maxNameLength {
		return fmt.Errorf("a name has %d bytes", len(s))
	}
	if strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsRune(s, unicode.ReplacementChar) {
		return errors.New("a name has characters that no name has")
	}
	if s != strings.TrimSpace(s) { // where names are compared it does not count
		return errors.New("a name has space around it")
	}
	return nil
}
