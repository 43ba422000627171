package delegation

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A Remedy is one thing that an administrator can do. The commands are complete
// and quoted, each a line to be run as it stands: those of Samba on a domain
// controller, in a POSIX shell; those of PowerShell where Microsoft's module
// ActiveDirectory is installed. There are none where a name in them is not
// known, or is one that no command should contain.
type Remedy struct {
	What       string // in words
	Samba      []string
	PowerShell []string
}

// String returns all of it as one line of text.
func (r Remedy) String() string {
	s := r.What
	if len(r.Samba) > 0 {
		s += ": " + strings.Join(r.Samba, " && ")
	}
	if len(r.PowerShell) > 0 {
		s += " (PowerShell: " + strings.Join(r.PowerShell, "; ") + ")"
	}
	return s
}

func joinRemedies(rs []Remedy) string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = r.String()
	}
	return strings.Join(texts, "; or ")
}

// words is a remedy without commands.
func words(format string, args ...any) Remedy { return Remedy{What: fmt.Sprintf(format, args...)} }

// command adds a command to r, in both forms, with the names filled in for %s.
// One that cannot be filled in takes all commands of r away.
func (r Remedy) command(samba, powershell string, names ...string) Remedy {
	var sh, ps []any
	for _, n := range names {
		if !canQuote(n) {
			return Remedy{What: r.What}
		}
		sh, ps = append(sh, quoteShell(n)), append(ps, quotePowerShell(n))
	}
	r.Samba = append(r.Samba, fmt.Sprintf(samba, sh...))
	r.PowerShell = append(r.PowerShell, fmt.Sprintf(powershell, ps...))
	return r
}

// canQuote reports whether a name can be put into a command. One that begins
// with a hyphen would be an option, however it is quoted, and one with control
// characters would not be one line.
func canQuote(name string) bool {
	return name != "" && len(name) <= 256 && name[0] != '-' &&
		strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@:=+,-]+$`)

// quoteShell quotes for a POSIX shell (XCU 2.2.2).
func quoteShell(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// singleQuotes doubles what ends a string in PowerShell, where typographic
// quotes count as well.
var singleQuotes = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛")

func quotePowerShell(s string) string { return "'" + singleQuotes.Replace(s) + "'" }

// set returns the cmdlet that changes an account: computers have their own.
func set(account string) string {
	if strings.HasSuffix(account, "$") {
		return "Set-ADComputer"
	}
	return "Set-ADUser"
}

func get(account string) string { return "Get" + strings.TrimPrefix(set(account), "Set") }

// allowTransition gives account the right to vouch for callers.
func allowTransition(account string) Remedy {
	return words("let %s act for callers who did not come by Kerberos (TrustedToAuthForDelegation)", account).
		command("samba-tool delegation for-any-protocol %s on",
			"Set-ADAccountControl -Identity %s -TrustedToAuthForDelegation $true", account)
}

// allowTarget lists spn for account.
func allowTarget(account, spn string) Remedy {
	return words("list %s for %s (msDS-AllowedToDelegateTo)", spn, account).
		command("samba-tool delegation add-service %s %s",
			set(account)+" -Identity %s -Add @{'msDS-AllowedToDelegateTo'=%s}", account, spn)
}

// allowByTarget has the account of the back end list ours instead.
func allowByTarget(account, spn, backend string) Remedy {
	what := fmt.Sprintf("let the account of %s list %s (resource-based: PrincipalsAllowedToDelegateToAccount, "+
		"which Windows has since Server 2012 and Samba 4.17 does not have)", spn, account)
	if backend == "" {
		return words("%s; setspn -Q %s tells which account that is", what, spn)
	}
	if !canQuote(account) || !canQuote(backend) {
		return Remedy{What: what}
	}
	b, a := quotePowerShell(backend), quotePowerShell(account)
	return Remedy{
		What:  what,
		Samba: []string{fmt.Sprintf("samba-tool delegation add-principal %s %s", quoteShell(backend), quoteShell(account))},
		// The cmdlet replaces the list.
		PowerShell: []string{fmt.Sprintf("%s -Identity %s -PrincipalsAllowedToDelegateToAccount (@((%s %s -Properties PrincipalsAllowedToDelegateToAccount)"+
			".PrincipalsAllowedToDelegateToAccount) + @((%s %s).DistinguishedName))", set(backend), b, get(backend), b, get(account), a)},
	}
}

// clearSensitive lets others act for account.
func clearSensitive(account string) Remedy {
	return words("if %s may be delegated, clear \"account is sensitive and cannot be delegated\"", named(account)).
		command("samba-tool user sensitive %s off", "Set-ADAccountControl -Identity %s -AccountNotDelegated $false", account)
}

func leaveProtectedUsers(account string) Remedy {
	return words("take %s out of the group Protected Users", named(account)).
		command("samba-tool group removemembers 'Protected Users' %s", "Remove-ADGroupMember -Identity 'Protected Users' -Members %s", account)
}

func enable(account string) Remedy {
	return words("enable %s, if it is to be used again", named(account)).
		command("samba-tool user enable %s", "Enable-ADAccount -Identity %s", account)
}

func unlock(account string) Remedy {
	return words("unlock %s, if it is locked out", named(account)).
		command("samba-tool user unlock %s", "Unlock-ADAccount -Identity %s", account)
}

func extend(account string) Remedy {
	return words("let %s not expire, or later", named(account)).
		command("samba-tool user setexpiry %s --noexpiry", "Clear-ADAccountExpiration -Identity %s", account)
}

// addSPN registers the back end's name.
func addSPN(spn, backend string) Remedy {
	r := words("register %s with the account that the back end runs as", spn)
	if backend == "" || !canQuote(spn) || !canQuote(backend) {
		return r
	}
	r.Samba = []string{fmt.Sprintf("samba-tool spn add %s %s", quoteShell(spn), quoteShell(backend))}
	r.PowerShell = []string{fmt.Sprintf("setspn -S %s %s", quotePowerShell(spn), quotePowerShell(backend))}
	return r
}

// named is an account for words.
func named(account string) string {
	if account == "" {
		return "the account"
	}
	return account
}
