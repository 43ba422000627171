package doctor

import (
	"fmt"
	"regexp"
	"strings"
)

// plainName is what a shell and PowerShell take for a word and nothing else. The
// names are those of a file that anybody may have made, and people paste the
// commands.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/:-]*$`)

// word is a name to be pasted, or a placeholder where that is not safe.
func word(name, placeholder string) string {
	if plainName.MatchString(strings.TrimSuffix(name, "$")) { // the $ of computers, at the end
		return name
	}
	return placeholder
}

// SPNWord is a service name to be pasted into a shell, or a placeholder where it
// is none that is safe there.
func SPNWord(spn string) string { return spnWord(spn) }

func accountWord(account string) string { return word(account, "ACCOUNT") }
func spnWord(spn string) string         { return word(spn, "HTTP/HOST") }
func realmWord(realm string) string     { return word(realm, "REALM") }

// isComputer reports whether an account is one of a computer.
func isComputer(account string) bool { return strings.HasSuffix(account, "$") }

// exportCommands make a new keytab for an account with its service names, whose
// password they leave as it is where that can be.
func exportCommands(account, realm string, spns []string) (windows, samba []string) {
	if isComputer(account) {
		join := fmt.Sprintf("soapward join --computer %s --domain %s -u USER --keytab NEW.keytab --reset",
			word(strings.TrimSuffix(account, "$"), "NAME"), strings.ToLower(realmWord(realm)))
		return []string{join}, []string{join}
	}
	for i, s := range spns {
		if i == 3 {
			break
		}
		if i == 0 {
			windows = append(windows, fmt.Sprintf("ktpass /princ %s@%s /mapuser %s@%s /crypto AES256-SHA1 /ptype KRB5_NT_PRINCIPAL /pass * /out NEW.keytab",
				spnWord(s), realmWord(realm), accountWord(account), realmWord(realm)))
		}
		samba = append(samba, fmt.Sprintf("samba-tool domain exportkeytab NEW.keytab --principal=%s", spnWord(s)))
	}
	return windows, append(samba, "samba-tool domain exportkeytab NEW.keytab --principal="+accountWord(account))
}

// aesCommands give an account AES keys. Keys are made when a password is set, so
// that a new password comes after the types.
func aesCommands(account, realm string, spns []string) (windows, samba []string) {
	name := accountWord(account)
	windows, samba = exportCommands(account, realm, spns)
	if isComputer(account) {
		return append([]string{"Set-ADComputer " + name + " -KerberosEncryptionType AES128,AES256"}, windows...),
			append([]string{"net ads enctypes set " + name + " 24 -U Administrator"}, samba...)
	}
	return append([]string{"Set-ADUser " + name + " -KerberosEncryptionType AES128,AES256", "Set-ADAccountPassword " + name + " -Reset"}, windows...),
		append([]string{"net ads enctypes set " + name + " 24 -U Administrator", "samba-tool user setpassword " + name}, samba...)
}

// registerCommands give an account a service name.
func registerCommands(spn, account string) (windows, samba []string) {
	return []string{"setspn -S " + spnWord(spn) + " " + accountWord(account)},
		[]string{"samba-tool spn add " + spnWord(spn) + " " + accountWord(account)}
}

// lookCommands find who has a service name.
func lookCommands(spn string) (windows, samba []string) {
	return []string{"setspn -Q " + spnWord(spn)},
		[]string{"ldbsearch -H ldap://DC -U Administrator '(servicePrincipalName=" + spnWord(spn) + ")' sAMAccountName"}
}
