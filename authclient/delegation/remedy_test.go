package delegation

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Threat 22. Whoever chooses an account's name does not choose what the
// administrator runs who copies the remedy from the log.
func TestAttackCommandInAccountName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Prints its arguments, each on a line.
	tool := "#!/bin/sh\nfor a; do printf '[%s]\\n' \"$a\"; done\n"
	if err := os.WriteFile(filepath.Join(dir, "samba-tool"), []byte(tool), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"alice", "GW01$", "o'brien", "a b", "x;touch pwned", "$(touch pwned)", "`touch pwned`", "a\\b", `a"b`, "''", "*", "~", "#x", "zoë", "a'$(touch pwned)'b",
	} {
		r := clearSensitive(name)
		if len(r.Samba) != 1 {
			t.Fatalf("%q: %+v", name, r)
		}
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", r.Samba[0])
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		if want := "[user]\n[sensitive]\n[" + name + "]\n[off]\n"; err != nil || string(out) != want {
			t.Errorf("%s\nprints %q (%v), want %q", r.Samba[0], out, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "pwned*")); len(left) > 0 {
		t.Errorf("a name was run: %v", left)
	}

	for _, name := range []string{"", "-H", "--url=ldap://evil", "a\nb", "a\x00b", "a\u2028b", "a\u202eb", "\xff", strings.Repeat("x", 300)} {
		for _, r := range []Remedy{clearSensitive(name), allowTarget("front", name), allowByTarget(name, backSPN, "back"), addSPN(backSPN, name)} {
			if r.Samba != nil || r.PowerShell != nil || r.What == "" {
				t.Errorf("%q: %+v, want words only", name, r)
			}
		}
	}
}

// Typographic quotes end a string in PowerShell as well.
func TestAttackCommandInPowerShellName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"alice":    "'alice'",
		"o'brien":  "'o''brien'",
		"a’; rm x": "'a’’; rm x'",
		"a‘b‚c‛d":  "'a‘‘b‚‚c‛‛d'",
		"$(x)`y":   "'$(x)`y'",
	} {
		if got := quotePowerShell(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestRemedies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		r                 Remedy
		samba, powershell string
	}{
		{allowTarget("GW01$", backSPN), "samba-tool delegation add-service 'GW01$' HTTP/back.corp.test",
			"Set-ADComputer -Identity 'GW01$' -Add @{'msDS-AllowedToDelegateTo'='HTTP/back.corp.test'}"},
		{allowTransition("front"), "samba-tool delegation for-any-protocol front on", "Set-ADAccountControl -Identity 'front' -TrustedToAuthForDelegation $true"},
		{allowByTarget("front", backSPN, "BACK$"), "samba-tool delegation add-principal 'BACK$' front",
			"Set-ADComputer -Identity 'BACK$' -PrincipalsAllowedToDelegateToAccount (@((Get-ADComputer 'BACK$' -Properties PrincipalsAllowedToDelegateToAccount)" +
				".PrincipalsAllowedToDelegateToAccount) + @((Get-ADUser 'front').DistinguishedName))"},
		{addSPN(backSPN, "back"), "samba-tool spn add HTTP/back.corp.test back", "setspn -S 'HTTP/back.corp.test' 'back'"},
		{extend("erin"), "samba-tool user setexpiry erin --noexpiry", "Clear-ADAccountExpiration -Identity 'erin'"},
		{unlock("locke"), "samba-tool user unlock locke", "Unlock-ADAccount -Identity 'locke'"},
		{allowByTarget("front", backSPN, ""), "", ""},
	} {
		if got := strings.Join(tc.r.Samba, "\n"); got != tc.samba {
			t.Errorf("%s: Samba\n got %s\nwant %s", tc.r.What, got, tc.samba)
		}
		if got := strings.Join(tc.r.PowerShell, "\n"); got != tc.powershell {
			t.Errorf("%s: PowerShell\n got %s\nwant %s", tc.r.What, got, tc.powershell)
		}
	}
}

// The name in a command is the account's, and not what the caller was called
// by, which may be another account's.
func TestRemedyNamesAccount(t *testing.T) {
	t.Parallel()
	const sid = domainSID + "1-2-3-1104"
	for _, tc := range []struct {
		name string
		id   authn.Identity
		err  error
		want string
	}{
		{"of the domain", authn.Identity{Account: "alice", Domain: "CORP", SID: sid}, nil, "alice"},
		{"of a domain we do not know", authn.Identity{Account: "alice", SID: sid}, nil, ""},
		{"UPN only", authn.Identity{Account: "bob", UPN: "alice@corp.test"}, nil, ""},
		{"UPN, known to the KDC", authn.Identity{Account: "bob", UPN: "alice@corp.test"}, &refusal{ReasonSensitive, "al1", kerberos.ErrNotDelegable}, "al1"},
		{"of a service", authn.Identity{Account: "alice", SID: "S-1-5-18"}, nil, ""},
	} {
		d := &Delegator{Kerberos: kerberos.Config{DefaultRealm: "CORP.TEST"}, Domains: map[string]string{"CORP": "CORP.TEST"}}
		if got := d.callerAccount(&Error{Identity: &tc.id}, tc.err); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Threat 22. The commands for a caller of another domain changed the account
// that has his name in ours: whoever calls himself Administrator there had the
// protection taken from ours.
func TestAttackRemedyForAnotherDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	d.Domains["OTHER"] = "OTHER.TEST"
	id := *w.ntlmLogin("pru") // of Protected Users
	for domain, commands := range map[string]bool{"CORP": true, "OTHER": false, "ELSEWHERE": false} {
		id.Domain = domain
		_, _, err := d.Delegate(t.Context(), &id, target(backSPN))
		var de *Error
		if !errors.As(err, &de) || de.Reason != ReasonProtectedUser {
			t.Fatal(err)
		}
		if got := strings.Contains(de.Remedy, "removemembers"); got != commands {
			t.Errorf("%s: remedy %q, want commands %t", domain, de.Remedy, commands)
		}
	}
}

// What a right needs was tried, refused, given and tried again.
func TestRefusalIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: otherSPN, ProtocolTransition: true})
	now := time.Now()
	d.testOnlyNow = func() time.Time { return now }
	id := w.ntlmLogin("alice")
	var first error
	for range 5 {
		_, _, err := d.Delegate(t.Context(), id, target(otherSPN))
		if first == nil {
			first = err
		}
		if err == nil || err.Error() != first.Error() {
			t.Fatalf("%v, then %v", first, err)
		}
	}
	if s := w.Stats(); s.TGS != 2+1 { // the login of the caller to front, then a pair
		t.Errorf("%d TGS requests, want 3", s.TGS)
	}
	// Refused logins of others are their own.
	if _, _, err := d.Delegate(t.Context(), w.ntlmLogin("bob"), target(otherSPN)); err == nil {
		t.Error("bob is passed on")
	}
	if err := w.giveTarget("front", otherSPN); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Delegate(t.Context(), id, target(otherSPN)); err == nil {
		t.Error("the KDC was asked again at once")
	}
	now = now.Add(refusedFor)
	c, _, err := d.Delegate(t.Context(), id, target(otherSPN))
	if err != nil {
		t.Fatal(err)
	}
	if seen := w.seenBy("other", otherSPN, c); seen.SID != id.SID {
		t.Errorf("the back end sees %v", seen)
	}
}
