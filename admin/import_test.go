package admin_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

func TestImportUsers(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob", DisplayName: "Bob", Roles: []string{"auditor"}})
	s := newService(st, withLocal())
	ctx := as(t, "alice", admin.Administrator)
	in := admin.UserImport{Source: "users.csv", Users: []admin.ImportUser{
		{Name: "BOB", DisplayName: "Another"},
		{
			Name: " carol ", Realm: "staff", DisplayName: "Carol", Email: "carol@example.com", Phone: "12",
			Roles: []string{"payroll", "auditor", "Payroll"}, PasswordHash: authn.NewSecret(markedHash),
		},
		{Name: "dave", Realm: "others"},
	}, DryRun: true}
	done, err := s.ImportUsers(ctx, in)
	if err != nil || *done != (admin.Imported{}) {
		t.Fatalf("dry run: %+v, %v", done, err)
	}
	if n, err := st.CountUsers(t.Context()); err != nil || n != 1 || len(records(t, st)) != 0 {
		t.Errorf("a dry run wrote something: %d users, %v, %+v", n, err, records(t, st))
	}
	in.DryRun = false
	for _, want := range []admin.Imported{{Created: 2, Existed: 1}, {Existed: 3}} {
		if done, err = s.ImportUsers(ctx, in); err != nil || *done != want {
			t.Fatalf("%+v, %v, want %+v", done, err, want)
		}
	}
	if u := stored(t, st, "bob"); u.DisplayName != "Bob" || len(u.Roles) != 1 {
		t.Errorf("one who existed is %+v", u)
	}
	u := stored(t, st, "carol")
	if u.Name != "carol" || u.Realm != "staff" || u.DisplayName != "Carol" || u.Email != "carol@example.com" || u.Phone != "12" ||
		!slices.Equal(u.Roles, []string{"auditor", "payroll"}) || u.Password.Reveal() != markedHash || u.LocalAdmin || u.State != directory.Active {
		t.Errorf("carol is %+v", u)
	}
	if all := records(t, st); len(all) != 1 || all[0].Action != "user.import" || all[0].Target != "users.csv" || all[0].Actor != "alice" || all[0].After != `{"created":2,"existed":1}` {
		t.Errorf("recorded %+v", all)
	}
	if done, err = s.ImportUsers(ctx, admin.UserImport{Source: "none.csv"}); err != nil || *done != (admin.Imported{}) {
		t.Errorf("nobody: %+v, %v", done, err)
	}
}

// An import is no way around the rules for new users, and is done wholly or not at
// all. What is wrong with it is told without what is secret in it.
func TestAttackImport(t *testing.T) {
	t.Parallel()
	hash := authn.NewSecret(markedHash)
	many := func(n int) (users []admin.ImportUser) {
		for i := range n {
			users = append(users, admin.ImportUser{Name: fmt.Sprint("user", i)})
		}
		return users
	}
	with := func(u admin.ImportUser) []admin.ImportUser { return append(many(6000), u) } // more than one transaction takes
	for _, tt := range []struct {
		name   string
		config *config.Config
		source string
		users  []admin.ImportUser
		kind   admin.Kind
		field  string
		text   string
	}{
		{"a password beside a provider", withProvider(), "x", with(admin.ImportUser{Name: "eve", PasswordHash: hash}), admin.Refused, "users[6000]", `user "eve": only local administrators`},
		{"another hash", withLocal(), "x", with(admin.ImportUser{Name: "eve", PasswordHash: authn.NewSecret("$2y$MARKED")}), admin.Invalid, "users[6000].password_hash", "argon2id"},
		{"a hash that is cut short", withLocal(), "x", with(admin.ImportUser{Name: "eve", PasswordHash: authn.NewSecret("$argon2id$v=19$m=19456,t=2,p=1$...")}), admin.Invalid, "users[6000].password_hash", "cannot be used"},
		{"a hash that nobody computes", withLocal(), "x", with(admin.ImportUser{Name: "eve", PasswordHash: authn.NewSecret(strings.Replace(markedHash, "m=19456", "m=4294967295", 1))}), admin.Invalid, "users[6000].password_hash", "out of bounds"},
		{"a hash that is too long", withLocal(), "x", with(admin.ImportUser{Name: "eve", PasswordHash: authn.NewSecret(markedHash + strings.Repeat("x", 1024))}), admin.Invalid, "users[6000].password_hash", "at most 1024"},
		{"a realm that is none", withLocal(), "x", with(admin.ImportUser{Name: "eve", Realm: "nowhere"}), admin.Invalid, "users[6000].realm", "no such realm"},
		{"a role without a name", withLocal(), "x", with(admin.ImportUser{Name: "eve", Roles: []string{" "}}), admin.Invalid, "users[6000].roles", "no name"},
		{"no name", withLocal(), "x", with(admin.ImportUser{}), admin.Invalid, "users[6000].name", `user "": name is empty`},
		{"a name that steers a terminal", withLocal(), "x", with(admin.ImportUser{Name: "\x1b[2J"}), admin.Invalid, "users[6000].name", `user "\x1b[2J": `},
		{"a name twice", withLocal(), "x", with(admin.ImportUser{Name: " USER7"}), admin.Invalid, "users[6000].name", "twice"},
		{"an e-mail that is no text", withLocal(), "x", with(admin.ImportUser{Name: "eve", Email: "\xff"}), admin.Invalid, "users[6000].email", "UTF-8"},
		{"too many", withLocal(), "x", many(admin.MaxImport + 1), admin.Invalid, "users", "10000"},
		{"from nowhere", withLocal(), "", many(1), admin.Invalid, "source", "255"},
		{"from too far", withLocal(), strings.Repeat("x", 256), many(1), admin.Invalid, "source", "255"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st, log := openSQLite(t), &testenv.Log{}
			s := admin.New(admin.Options{
				Store: func() *store.Store { return st }, Config: func() *config.Config { return tt.config }, Logger: slog.New(slog.NewTextHandler(log, nil)),
			})
			for _, dry := range []bool{true, false} {
				done, err := s.ImportUsers(as(t, "alice", admin.Administrator), admin.UserImport{Source: tt.source, Users: tt.users, DryRun: dry})
				e := wantKind(t, tt.name, err, tt.kind)
				if done != nil || e.Field != tt.field || !strings.Contains(e.Text, tt.text) || strings.Contains(e.Text+e.Remedy+log.String(), "MARKED") || strings.Contains(e.Text, "TUFSS0VE") {
					t.Errorf("%+v, %+v; the log: %s", done, e, log)
				}
			}
			if n, err := st.CountUsers(t.Context()); err != nil || n != 0 || len(records(t, st)) != 0 {
				t.Errorf("%d users, %v, %+v", n, err, records(t, st))
			}
		})
	}
}
