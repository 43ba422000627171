package admin_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// rights say who may call a method, whatever its arguments.
var rights = map[string]admin.Role{
	"ListUsers": admin.Viewer, "User": admin.Viewer,
	"AddUser": admin.Administrator, "ImportUsers": admin.Administrator, "DeleteUser": admin.Administrator,
	"ChangeUser":  admin.Operator, // to disable and enable; see TestAttackOperatorChangesUsers
	"SetPassword": admin.Administrator, "ClearPasswords": admin.Administrator, "ClearSecondFactor": admin.Administrator,

	"ListSessions": admin.Viewer, "EndSession": admin.Operator, "EndSessions": admin.Operator,
	"ListBlocks": admin.Viewer, "Unblock": admin.Operator,
	"Logins": admin.Viewer, "Changes": admin.Viewer,

	"Overview": admin.Viewer, "Services": admin.Viewer, "Explain": admin.Viewer, "Roles": admin.Viewer, "Realms": admin.Viewer,
	"Test":        admin.Operator,
	"Synchronise": admin.Operator,

	"Files": admin.Viewer, "Versions": admin.Viewer, "Version": admin.Viewer,
	"CheckFiles": admin.Viewer, // but see TestAttackCheckOpensFiles of package gateway
	"ApplyFiles": admin.Administrator, "RollBack": admin.Administrator,
}

// Each method looks at who asks before it looks at anything else.
func TestAttackRights(t *testing.T) {
	t.Parallel()
	s := newService(openSQLite(t), withProvider())
	typ := reflect.TypeOf(s)
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		least, ok := rights[m.Name]
		if !ok {
			t.Errorf("nobody says who may call %s", m.Name)
			continue
		}
		for role := admin.NoRole; role <= admin.Administrator; role++ {
			check(t, s, m, as(t, "somebody", role), fmt.Sprint(role), role < least)
		}
		check(t, s, m, t.Context(), "nobody", true)
	}
	if len(rights) != typ.NumMethod() {
		t.Errorf("%d rights for %d methods", len(rights), typ.NumMethod())
	}
}

// check calls a method with nothing but a context.
func check(t *testing.T, s *admin.Service, m reflect.Method, ctx context.Context, who string, forbidden bool) {
	t.Helper()
	args := []reflect.Value{reflect.ValueOf(s), reflect.ValueOf(ctx)}
	for i := 2; i < m.Type.NumIn(); i++ {
		args = append(args, reflect.Zero(m.Type.In(i)))
	}
	out := m.Func.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	var e *admin.Error
	if got := errors.As(err, &e) && e.Kind == admin.Forbidden; got != forbidden {
		t.Errorf("%s as %s: %v; forbidden: %v, want %v", m.Name, who, err, got, forbidden)
	}
}

// An operator keeps things running, and is not to become more, nor to put those
// out who can stop him.
func TestAttackOperatorChangesUsers(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob"}, localAdmin("root"), localAdmin("chief"),
		directory.User{Name: "former", LocalAdmin: true, State: directory.DisabledByOperator, Password: directory.NewPasswordHash(markedHash)})
	addUsers(t, st, directory.User{Name: `it\alice`, Realm: "it"}, directory.User{Name: `it\eve`, Realm: "it"},
		directory.User{Name: `it\gone`, Realm: "it", State: directory.DisabledByOperator})
	c := withProvider()
	c.Roles = map[string]*config.Role{"chiefs": {Users: []string{`it\Alice`, `it\gone`}}}
	c.Admin.Roles.Administrator = []string{"chiefs"}
	s := newService(st, c)
	for _, tt := range []struct {
		name   string
		user   string
		change admin.UserChange
		kind   admin.Kind
	}{
		{"disables", "bob", admin.UserChange{Disabled: ptr(true)}, ""},
		{"enables", "bob", admin.UserChange{Disabled: ptr(false)}, ""},
		{"gives a role", "bob", admin.UserChange{Roles: &[]string{"chiefs"}}, admin.Forbidden},
		{"gives a role and disables", "bob", admin.UserChange{Roles: &[]string{"chiefs"}, Disabled: ptr(true)}, admin.Forbidden},
		{"makes an administrator", "bob", admin.UserChange{LocalAdmin: ptr(true)}, admin.Forbidden},
		{"changes the realm", "bob", admin.UserChange{Realm: ptr("it")}, admin.Forbidden},
		{"changes the address that passwords are not to be like", "bob", admin.UserChange{Email: ptr("x@example.com")}, admin.Forbidden},
		{"changes the name to people", "bob", admin.UserChange{DisplayName: ptr("Root")}, admin.Forbidden},
		{"changes the telephone", "bob", admin.UserChange{Phone: ptr("1")}, admin.Forbidden},
		{"disables an administrator", "root", admin.UserChange{Disabled: ptr(true)}, admin.Forbidden},
		{"disables an administrator of a provider", `it\alice`, admin.UserChange{Disabled: ptr(true)}, admin.Forbidden},
		{"enables one of a provider", `it\gone`, admin.UserChange{Disabled: ptr(false)}, admin.Forbidden},
		{"disables another one of the provider", `it\eve`, admin.UserChange{Disabled: ptr(true)}, ""},
		{"enables one who was disabled", "former", admin.UserChange{Disabled: ptr(false)}, admin.Forbidden},
	} {
		_, err := s.ChangeUser(as(t, "op", admin.Operator), tt.user, tt.change)
		wantKind(t, tt.name, err, tt.kind)
	}
	if n := len(records(t, st)); n != 3 {
		t.Errorf("%d changes are recorded, want 3", n)
	}
}
