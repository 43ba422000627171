package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/adtest"
)

// runSync runs soapward sync and returns its exit code and what it wrote.
func runSync(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	root := newRootCommand()
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	code = execute(t.Context(), root, append([]string{"sync"}, args...))
	return code, stdout.String(), stderr.String()
}

// The users of a store, brought up to date with Active Directory.
func TestSyncActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	names := []string{"sync-new", "sync-off", "sync-gone", "sync-moved", "sync-back", "sync-op"}
	var accounts []adtest.User
	for _, name := range names {
		accounts = append(accounts, adtest.User{Name: name, Password: "S0me-passw0rd", GivenName: "Sy", Surname: name, Disabled: name == "sync-off"})
	}
	dc.Add(t, accounts, nil)

	dir := t.TempDir()
	file := filepath.Join(dir, "soapward.db")
	st, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for _, name := range names {
		u := directory.User{Realm: "corp", Name: `CORP\` + name, SID: authn.SID(dc.SID(t, name)), Roles: []string{"payroll"}}
		switch name {
		case "sync-back":
			u.State = directory.DisabledByDirectory
		case "sync-op":
			u.State = directory.DisabledByOperator
		}
		if err := st.CreateUser(t.Context(), &u); err != nil {
			t.Fatal(err)
		}
	}
	dc.Administer(t, "samba-tool user delete sync-gone && samba-tool user rename sync-moved --samaccountname=sync-new-name")

	conf := filepath.Join(dir, "soapward.yaml")
	text := fmt.Sprintf(`store: {driver: sqlite, dsn: soapward.db}
realms:
  corp:
    ad: {url: "ldaps://%s", default_domain: CORP, bind_user: Administrator@corp.test, bind_password: {file: admin}, ca_file: %q}
`, dc.IP, dc.CAFile)
	for name, content := range map[string]string{conf: text, filepath.Join(dir, "admin"): adtest.AdminPassword + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(out string, want provision.Summary) {
		t.Helper()
		var got struct{ Realms []syncReport }
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Realms) != 1 {
			t.Fatalf("%v in %s", err, out)
		}
		s := got.Realms[0].Summary
		if !slices.Equal(s.Domains, []string{"CORP"}) {
			t.Errorf("of the domains %q", s.Domains)
		}
		counts := func(s provision.Summary) string {
			return fmt.Sprint(s.DryRun, s.Seen, s.Refreshed, s.Unchanged, s.Deactivated, s.Reactivated, s.Gone, s.Conflicts, s.Failed, s.Complete)
		}
		if counts(s) != counts(want) {
			t.Errorf("summary %+v\nwant    %+v", s, want)
		}
	}
	want := provision.Summary{Seen: 6, Refreshed: 3, Deactivated: 1, Reactivated: 1, Gone: 1, Complete: true, DryRun: true}
	code, out, errOut := runSync(t, "-c", conf, "--dry-run", "--json")
	if code != exitDone {
		t.Fatalf("code %d: %s", code, errOut)
	}
	check(out, want)

	code, out, errOut = runSync(t, "-c", conf)
	if code != exitDone || errOut != "" {
		t.Fatalf("code %d: %s", code, errOut)
	}
	for _, line := range []string{"corp: done, 6 users in ", "\n        3  refreshed\n", "\n        1  disabled, as in the directory\n",
		"\n        1  enabled again\n", "\n        1  not in the directory, disabled now\n", "\n  not in the directory: CORP\\sync-gone\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	for name, state := range map[string]directory.State{
		"sync-new": directory.Active, "sync-off": directory.DisabledByDirectory, "sync-gone": directory.DisabledByDirectory,
		"sync-new-name": directory.Active, "sync-back": directory.Active, "sync-op": directory.DisabledByOperator,
	} {
		u, err := st.User(t.Context(), `CORP\`+name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if u.State != state || len(u.Roles) != 1 || u.DN == "" && name != "sync-gone" {
			t.Errorf("%s is %+v, want it %v", name, u, state)
		}
	}
	u, err := st.User(t.Context(), `CORP\sync-new`)
	if err != nil || u.DisplayName != "Sy sync-new" || !hasGroup(u, `CORP\Domain Users`) {
		t.Errorf("sync-new is %+v, %v", u, err)
	}

	dc.Administer(t, "samba-tool user enable sync-off")
	if code, out, errOut = runSync(t, "-c", conf, "--json"); code != exitDone {
		t.Fatalf("code %d: %s", code, errOut)
	}
	check(out, provision.Summary{Seen: 6, Unchanged: 5, Reactivated: 1, Complete: true})

	// The wrong base: whoever is not found may be there all the same.
	text = strings.Replace(text, "bind_user", "base: \"CN=Builtin,DC=corp,DC=test\", bind_user", 1)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 51 {
		if err := st.CreateUser(t.Context(), &directory.User{Realm: "corp", Name: fmt.Sprintf(`CORP\many%d`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut = runSync(t, "-c", conf)
	if code != exitFailed || !strings.Contains(errOut, "too many users are not in the directory: 55 of 57") || !strings.Contains(errOut, "--force") ||
		!strings.Contains(out, "too many, NOT disabled") {
		t.Errorf("code %d\n%s%s", code, out, errOut)
	}
	if u, err := st.User(t.Context(), `CORP\sync-new`); err != nil || u.State != directory.Active {
		t.Errorf("sync-new is %+v, %v", u, err)
	}
}

func hasGroup(u *directory.User, name string) bool {
	for _, g := range u.Groups {
		if g.Name == name {
			return true
		}
	}
	return false
}

// TestSyncTriedAtGateway tries the job of each realm of a gateway, and says what came
// of it as it does of one that was tried here.
func TestSyncTriedAtGateway(t *testing.T) {
	fake := &admintest.Fake{Answer: func(_ context.Context, method string, args []any) (any, error) {
		switch method {
		case "Realms":
			return []admin.Realm{{Name: "corp", Sync: &admin.SyncState{}}, {Name: "staff"}}, nil
		case "Synchronise":
			return &provision.Summary{Realm: "corp", Domains: []string{"CORP"}, DryRun: args[1] == admin.SyncOptions{DryRun: true}, Complete: true, Seen: 3, Refreshed: 1, Unchanged: 2}, nil
		}
		return nil, nil
	}}
	o := officeAt(t, apiFor(&admin.Caller{Name: "op", Role: admin.Operator}, fake))
	t.Setenv("XDG_CONFIG_HOME", o.home)
	t.Setenv(serverVariable, "")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--dry-run"}, []string{"corp: tried, nothing written, 3 users in ", "        1  refreshed\n"}},
		{[]string{"--dry-run", "--json", "--realm", "corp"}, []string{`"dry_run": true`, `"refreshed": 1`, `"CORP"`}},
		{nil, []string{"corp: done, 3 users in "}},
	} {
		code, out, errs := runSync(t, append([]string{"--server", o.server}, tt.args...)...)
		if code != exitDone || errs != "" {
			t.Errorf("%q: exit code %d, %s", tt.args, code, errs)
		}
		for _, w := range tt.want {
			if !strings.Contains(out, w) {
				t.Errorf("%q does not say %q:\n%s", tt.args, w, out)
			}
		}
	}
}

// A lease counts as left behind only if its process ran here and is no more.
func TestOwnerDead(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(provision.Owner(), " process ")
	for _, tt := range []struct {
		owner string
		want  bool
	}{
		{provision.Owner(), false},
		{fmt.Sprintf("%s process %d", host, cmd.Process.Pid), true},
		{fmt.Sprintf("other%s process %d", host, cmd.Process.Pid), false},
		{host + " process x", false}, {"", false}, {"somebody", false},
	} {
		if got := ownerDead(tt.owner); got != tt.want {
			t.Errorf("ownerDead(%q) = %v, want %v", tt.owner, got, tt.want)
		}
	}
}

func TestSyncProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sum  provision.Summary
		want string
	}{
		{provision.Summary{Realm: "corp", Seen: 500}, "corp: 500 users"},
		{provision.Summary{Realm: "corp", Seen: 500, Total: 1000, Took: 2e9}, "corp: [===============               ]  50 %  500 of 1000 users, 250 a second"},
		{provision.Summary{Realm: "corp", Seen: 1100, Total: 1000}, "corp: [==============================] 100 %  1100 of 1100 users"},
	} {
		if got := syncProgress(&tt.sum); got != tt.want {
			t.Errorf("progress is %q, want %q", got, tt.want)
		}
	}
}
