package computer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/ldap"
)

// finish gives the account what it lacks, and makes the new password that of
// the file. If it is interrupted, the next run does it again.
func (j *Joiner) finish(ctx context.Context, m *Made) (*Made, error) {
	var err error
	if m.Left, err = j.complete(ctx, m.Password); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	if m.Entry, err = j.Plan.Domain.Find(ctx, j.Directory, j.Plan.Account); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	if err := j.step("completed"); err != nil {
		return nil, err
	}
	if err := j.File.keepOld(); err != nil {
		return nil, err
	}
	if err := j.step("kept"); err != nil {
		return nil, err
	}
	if err := j.File.adopt(); err != nil {
		return nil, err
	}
	return m, j.step("adopted")
}

// complete writes what the account lacks, first as whoever is logged in, then
// as the account itself, and returns what neither may.
func (j *Joiner) complete(ctx context.Context, password authn.Secret) ([]Left, error) {
	e, err := j.Plan.Domain.Find(ctx, j.Directory, j.Plan.Account)
	if err != nil {
		return nil, err
	}
	left := j.write(ctx, j.Directory, j.missing(e))
	if !slices.ContainsFunc(left, func(l Left) bool { return len(l.changes) > 0 }) {
		return left, nil
	}
	self, err := j.LogIn(ctx, password)
	if err != nil {
		return left, nil // with the reasons of the one who is logged in
	}
	defer func() { _ = self.Close() }()
	return j.write(ctx, self, left), nil
}

// missing returns what the account should have and has not.
func (j *Joiner) missing(e *Entry) []Left {
	a := j.Plan.Account
	name := strings.TrimSuffix(a.SAM(), "$")
	var out []Left
	if e.Disabled { // by an administrator, who had a reason
		out = append(out, Left{
			What: "the account is disabled", Why: errDisabled,
			Windows: "Enable-ADAccount '" + a.SAM() + "'", Samba: "samba-tool user enable '" + a.SAM() + "'",
		})
	}
	if e.Host == "" {
		out = append(out, Left{
			What: "DNS host name " + a.Host(), changes: []ldap.Change{ldap.Replace(attrHost, a.Host())},
			Windows: "Set-ADComputer " + name + " -DNSHostName " + a.Host(), Samba: editCommand(e.DN, attrHost, a.Host()),
		})
	}
	if e.EncTypes&encAES != encAES {
		types := encTypes(e.EncTypes)
		out = append(out, Left{
			What: "Kerberos with AES", changes: []ldap.Change{ldap.Replace(attrEncTypes, types)},
			Windows: "Set-ADComputer " + name + " -KerberosEncryptionType AES128,AES256", Samba: editCommand(e.DN, attrEncTypes, types),
		})
	}
	for _, spn := range a.ServiceNames() {
		if slices.ContainsFunc(e.SPNs, func(s string) bool { return strings.EqualFold(s, spn) }) {
			continue
		}
		out = append(out, Left{
			What: "service name " + spn, changes: []ldap.Change{ldap.Insert(attrSPN, spn)},
			Windows: "setspn -S " + spn + " " + name, Samba: "samba-tool spn add " + spn + " '" + a.SAM() + "'",
		})
	}
	return out
}

var errDisabled = errors.New("computer: whether it may be used is for an administrator to decide")

// editCommand sets an attribute in the files of a Samba domain controller.
func editCommand(dn, attribute, value string) string {
	var lines []string
	for _, l := range []string{"dn: " + dn, "changetype: modify", "replace: " + attribute, attribute + ": " + value} {
		lines = append(lines, "'"+strings.ReplaceAll(l, "'", `'\''`)+"'")
	}
	return `printf '%s\n' ` + strings.Join(lines, " ") + " | ldbmodify -H /var/lib/samba/private/sam.ldb"
}

// write tries each and returns those that were refused.
func (j *Joiner) write(ctx context.Context, dir Directory, missing []Left) []Left {
	var left []Left
	for _, l := range missing {
		if len(l.changes) > 0 {
			if l.Why = dir.Modify(ctx, j.Plan.DN, l.changes...); l.Why == nil {
				continue
			}
		}
		left = append(left, l)
	}
	return left
}
