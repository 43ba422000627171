package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportAtGateway imports at a gateway as at a store: the same is said, the same
// is checked, and all is checked before anything is written.
func TestImportAtGateway(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("login", "--server", o.server)
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(o.home, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	hash := "$argon2id$v=19$m=19456,t=2,p=1$TUFSS0VEU0FMVA$TUFSS0VESEFTSE1BUktFREhBU0g"
	var many strings.Builder
	many.WriteString("name,display,roles\n")
	for i := range partUsers + 3 {
		fmt.Fprintf(&many, "user%d,\"User %d, \"\"of\"\" <many>\",payroll staff\n", i, i)
	}
	three := file("three.csv", "name,display,email,phone,realm,roles\ncarol,Carol,carol@example.com,12,,payroll staff\ndave,,,,staff,\nuser7,,,,,\n")
	var heavy strings.Builder // of which JSON makes six times as much
	heavy.WriteString("name,display\n")
	for i := range 2200 {
		fmt.Fprintf(&heavy, "heavy%d,%s\n", i, strings.Repeat("\x01", 1000))
	}
	late := file("late.csv", many.String()+"eve,,\n")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"a line that is wrong by itself", []string{file("wrong.csv", "name\ncarol\nCAROL\n")}, 1, []string{"wrong.csv:3: CAROL is on line 2 already", "nothing was written"}},
		{"a realm that is none", []string{"--realm", "nowhere", three}, 1, []string{`three.csv:2: user "carol": the configuration has no such realm`, "try: one of it, staff; nothing was written"}},
		{"a realm that is none, in the last part", []string{file("last.csv", strings.NewReplacer("roles", "realm", "payroll staff", "staff").Replace(many.String())+"eve,,nowhere\n")}, 1, []string{fmt.Sprintf(`last.csv:%d: user "eve"`, partUsers+5), "nothing was written"}},
		{"a password beside a provider", []string{file("hash.csv", "name,password-hash\ncarol,\neve,\""+hash+"\"\n")}, 1, []string{`hash.csv:3: user "eve": only local administrators`, "nothing was written"}},
		{"a dry run", []string{"--dry-run", three}, 0, []string{"3 users in the file, nothing wrong with it; nothing was written\n"}},
		{"as JSON", []string{"--dry-run", "--json", three}, 0, []string{`"users": 3`, `"created": 0`, `"dry_run": true`}},
	} {
		code, out, errs := o.run(append([]string{"user", "import", "--server", o.server}, tt.args...)...)
		if code != tt.code || strings.Contains(out+errs, "TUFSS0VE") {
			t.Errorf("%s: exit code %d\n%s%s", tt.name, code, out, errs)
		}
		for _, w := range tt.want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%s does not say %q:\n%s%s", tt.name, w, out, errs)
			}
		}
	}
	if out := o.must("user", "list", "-c", o.file); strings.Contains(out, "carol") || strings.Contains(out, "user0") {
		t.Errorf("something was written:\n%s", out)
	}
	for _, tt := range []struct{ file, want string }{
		{three, "3 users were added, 0 existed\n"},
		{late, "5003 users were added, 1 existed\n"},
		{late, "0 users were added, 5004 existed\n"},
		{file("heavy.csv", heavy.String()), "2200 users were added, 0 existed\n"},
	} {
		if out := o.must("user", "import", "--realm", "staff", tt.file, "--server", o.server); out != tt.want {
			t.Errorf("%s: %q, want %q", tt.file, out, tt.want)
		}
		if out := o.must("user", "import", "--realm", "staff", tt.file, "-c", o.file); !strings.HasPrefix(out, "0 users were added, ") {
			t.Errorf("%s, at the store: %q", tt.file, out)
		}
	}
	for user, want := range map[string][]string{
		"carol": {`"realm": "staff"`, `"display": "Carol"`, `"email": "carol@example.com"`, `"phone": "12"`, `"payroll",`},
		"user5": {`"display": "User 5, \"of\" <many>"`},
	} {
		out := o.must("user", "list", user, "-c", o.file, "--json", "--limit", "1")
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s is without %s:\n%s", user, w, out)
			}
		}
	}
	changes := o.must("audit", "changes", "--action", "user.import", "--json", "--server", o.server)
	for _, w := range []string{`"target": "three.csv"`, `"created": 3`, `"created": 4999`, `"created": 4`, `"actor": "it\\alice@example.com"`} {
		if !strings.Contains(changes, w) {
			t.Errorf("the record is without %s:\n%s", w, changes)
		}
	}
	if n := strings.Count(changes, `"action"`); n != 6 {
		t.Errorf("%d records, want one of three.csv, two of late.csv and three of heavy.csv:\n%s", n, changes)
	}
	if strings.Contains(o.log.String()+changes, "TUFSS0VE") {
		t.Error("the log or the record has a hash")
	}
}
