package admin_test

import (
	"sync"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// Nobody shuts out himself, or the last one who can sign in without a provider.
func TestLockout(t *testing.T) {
	t.Parallel()
	noPassword, disabled := localAdmin("chief"), localAdmin("chief")
	noPassword.Password = directory.PasswordHash{}
	disabled.State = directory.DisabledByOperator
	demote := func(s *admin.Service, t *testing.T, by, name string) error {
		_, err := s.ChangeUser(as(t, by, admin.Administrator), name, admin.UserChange{LocalAdmin: ptr(false)})
		return err
	}
	disable := func(s *admin.Service, t *testing.T, by, name string) error {
		_, err := s.ChangeUser(as(t, by, admin.Administrator), name, admin.UserChange{Disabled: ptr(true)})
		return err
	}
	remove := func(s *admin.Service, t *testing.T, by, name string) error {
		return s.DeleteUser(as(t, by, admin.Administrator), name)
	}
	unused := withLocal()
	unused.Admin.Local.Disabled = true
	for _, tt := range []struct {
		name   string
		users  []directory.User // beside root
		config *config.Config
		by     string
		user   string
		do     func(s *admin.Service, t *testing.T, by, name string) error
		kind   admin.Kind
	}{
		{"the last one is demoted", nil, withLocal(), "alice", "root", demote, admin.Refused},
		{"the last one is disabled", nil, withLocal(), "alice", "root", disable, admin.Refused},
		{"the last one is deleted", nil, withLocal(), "alice", "ROOT", remove, admin.Refused},
		{"the last one beside a provider", nil, withProvider(), "alice", "root", remove, admin.Refused},
		{"the other one has no password", []directory.User{noPassword}, withLocal(), "alice", "root", demote, admin.Refused},
		{"the other one is disabled", []directory.User{disabled}, withLocal(), "alice", "root", disable, admin.Refused},
		{"one who cannot sign in is deleted", []directory.User{disabled}, withLocal(), "alice", "chief", remove, ""},
		{"there is another one", []directory.User{localAdmin("chief")}, withLocal(), "alice", "root", demote, ""},
		{"another one is deleted", []directory.User{localAdmin("chief")}, withLocal(), "root", "chief", remove, ""},
		{"local administrators are not in use", nil, unused, "alice", "root", remove, ""},
		{"there is no configuration", nil, nil, "alice", "root", demote, ""},
		{"there is no console", nil, &config.Config{}, "alice", "root", disable, ""},
		{"demotes himself", []directory.User{localAdmin("chief")}, withLocal(), "Root", "root", demote, admin.Refused},
		{"disables himself", []directory.User{localAdmin("chief")}, withLocal(), "root", "ROOT", disable, admin.Refused},
		{"deletes himself", []directory.User{localAdmin("chief")}, unused, "root", "root", remove, admin.Refused},
		{"takes his own role", []directory.User{{Name: `it\eve`, Roles: []string{"Chiefs", "payroll"}}}, withProvider(), `IT\eve`, `it\eve`,
			func(s *admin.Service, t *testing.T, by, name string) error {
				_, err := s.ChangeUser(as(t, by, admin.Administrator), name, admin.UserChange{Roles: &[]string{"payroll"}})
				return err
			}, admin.Refused},
		{"takes another role of his", []directory.User{{Name: `it\eve`, Roles: []string{"chiefs", "payroll"}}}, withProvider(), `it\eve`, `it\eve`,
			func(s *admin.Service, t *testing.T, by, name string) error {
				_, err := s.ChangeUser(as(t, by, admin.Administrator), name, admin.UserChange{Roles: &[]string{"chiefs"}})
				return err
			}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := openSQLite(t)
			addUsers(t, st, localAdmin("root"))
			addUsers(t, st, tt.users...)
			before := *stored(t, st, tt.user)
			err := tt.do(newService(st, tt.config), t, tt.by, tt.user)
			if e := wantKind(t, tt.name, err, tt.kind); e != nil && e.Remedy == "" {
				t.Error("there is no remedy")
			}
			u, _ := st.User(t.Context(), tt.user) // or he is gone
			if changed := u == nil || u.Version != before.Version; changed != (tt.kind == "") || len(records(t, st)) > 0 != changed {
				t.Errorf("%+v, %d records; want changed: %v", u, len(records(t, st)), tt.kind == "")
			}
		})
	}
}

// Two who take one local administrator away each, at the same time at two nodes,
// leave one.
func TestAttackLastAdministratorsAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			here, there := openStore(t, c), openStore(t, c)
			for range 10 {
				addUsers(t, here, localAdmin("root"), localAdmin("chief"))
				var wg sync.WaitGroup
				errs := make([]error, 2)
				wg.Go(func() {
					_, errs[0] = newService(here, withLocal()).ChangeUser(as(t, "alice", admin.Administrator), "root", admin.UserChange{LocalAdmin: ptr(false)})
				})
				wg.Go(func() {
					errs[1] = newService(there, withLocal()).DeleteUser(as(t, "bob", admin.Administrator), "chief")
				})
				wg.Wait()
				if (errs[0] == nil) == (errs[1] == nil) {
					t.Fatalf("%v, and %v; want one of them refused", errs[0], errs[1])
				}
				for _, err := range errs {
					if err != nil {
						wantKind(t, "the later one", err, admin.Refused)
					}
				}
				for _, name := range []string{"root", "chief"} {
					if u, err := here.User(t.Context(), name); err == nil {
						if err := here.DeleteUser(t.Context(), u.ID); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		})
	}
}

// Of two administrators who change what they read, the later one is told.
func TestTwoAdministrators(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			here, there := openStore(t, c), openStore(t, c)
			addUsers(t, here, directory.User{Name: "bob"})
			version := stored(t, here, "bob").Version
			var wg sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				st, name := here, "alice"
				if i%2 == 1 {
					st, name = there, "eve"
				}
				wg.Go(func() {
					_, errs[i] = newService(st, withLocal()).ChangeUser(as(t, name, admin.Administrator), "bob",
						admin.UserChange{Version: version, DisplayName: ptr("Bob " + string(rune('A'+i)))})
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
					continue
				}
				wantKind(t, "one of those who were later", err, admin.Conflict)
			}
			if n := len(records(t, here)); won != 1 || n != 1 {
				t.Errorf("%d changes were made and %d recorded, want one", won, n)
			}

			// Who does not say what he read changes what is there.
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = newService(there, withLocal()).ChangeUser(as(t, "eve", admin.Administrator), "bob", admin.UserChange{Roles: &[]string{string(rune('a' + i))}})
				})
			}
			wg.Wait()
			for _, err := range errs {
				wantKind(t, "one of many", err, "")
			}
			if u := stored(t, here, "bob"); u.Version != version+1+int64(len(errs)) || len(records(t, here)) != 1+len(errs) {
				t.Errorf("version %d, %d records; want %d of each", u.Version, len(records(t, here)), 1+len(errs))
			}
		})
	}
}
