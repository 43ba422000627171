// Package admintest has a Fake of all areas of package admin, for tests of what
// is in front of them: it answers with values in which every field is filled, so
// that a field which gets lost on the way is seen.
package admintest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/provision"
)

// A Fake answers as Fill makes values. It is safe for concurrent use while its
// fields do not change.
type Fake struct {
	// Err is what each method returns, in place of an answer.
	Err error

	// Answer, if it is set, may give what a method returns, beside the error. Nil,
	// nil leaves it as it is.
	Answer func(ctx context.Context, method string, args []any) (any, error)

	mu    sync.Mutex
	calls []Call
}

// A Call is one of a method, without its context.
type Call struct {
	Method string
	Args   []any
	Caller *admin.Caller
}

// Calls returns what was called, and forgets it.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func answer[T any](ctx context.Context, f *Fake, method string, args ...any) (T, error) {
	f.mu.Lock()
	f.calls = append(f.calls, Call{method, args, admin.FromContext(ctx)})
	f.mu.Unlock()
	var zero T
	if f.Answer != nil {
		if v, err := f.Answer(ctx, method, args); err != nil {
			t, _ := v.(T)
			return t, err
		} else if v != nil {
			t, ok := v.(T)
			if !ok {
				panic(fmt.Sprintf("admintest: the answer of %s is a %T", method, v))
			}
			return t, nil
		}
	}
	if f.Err != nil {
		return zero, f.Err
	}
	return Fill[T](), nil
}

// Fill returns a value in which each field is something, the same each time.
func Fill[T any]() T { return FillType(reflect.TypeFor[T]()).Interface().(T) }

// Time is each one that Fill makes.
var Time = time.Date(2026, 11, 26, 8, 30, 15, 250_000_000, time.UTC)

// Text is each one that Fill makes: what has to be escaped is in it.
const Text = `Zoë "x" \ <b> & /.. +%`

// FillType is Fill for a type that is not known before.
func FillType(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = Time
		return v
	case *time.Duration:
		*p = 90 * time.Minute
		return v
	case *json.RawMessage:
		*p = json.RawMessage(`{"x":[1]}`)
		return v
	case *authn.Secret:
		*p = authn.NewSecret("marked " + Text)
		return v
	case *admin.Role:
		*p = admin.Operator
		return v
	case *admin.TestKind:
		*p = admin.TestTicket
		return v
	case *authz.Result:
		*p = authz.Depends
		return v
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(Text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(FillType(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 2, 2))
		for i := range 2 {
			v.Index(i).Set(FillType(t.Elem()))
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf("a value"))
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(FillType(t.Field(i).Type))
			}
		}
	default:
		panic("admintest: " + t.String())
	}
	return v
}

var _ interface {
	admin.Users
	admin.Sessions
	admin.Blocks
	admin.Audit
	admin.Gateway
	admin.Configuration
	admin.Sync
} = (*Fake)(nil)

// ListUsers implements admin.Users, as the next ones do.
func (f *Fake) ListUsers(ctx context.Context, q admin.UserQuery) (*admin.UserPage, error) {
	return answer[*admin.UserPage](ctx, f, "ListUsers", q)
}

// User is of admin.Users.
func (f *Fake) User(ctx context.Context, name string) (*admin.User, error) {
	return answer[*admin.User](ctx, f, "User", name)
}

// AddUser is of admin.Users.
func (f *Fake) AddUser(ctx context.Context, n admin.NewUser) (*admin.User, error) {
	return answer[*admin.User](ctx, f, "AddUser", n)
}

// ChangeUser is of admin.Users.
func (f *Fake) ChangeUser(ctx context.Context, name string, c admin.UserChange) (*admin.User, error) {
	return answer[*admin.User](ctx, f, "ChangeUser", name, c)
}

// DeleteUser is of admin.Users.
func (f *Fake) DeleteUser(ctx context.Context, name string) error {
	_, err := answer[bool](ctx, f, "DeleteUser", name)
	return err
}

// SetPassword is of admin.Users.
func (f *Fake) SetPassword(ctx context.Context, name string, p admin.NewPassword) (int, error) {
	return answer[int](ctx, f, "SetPassword", name, p)
}

// ClearPasswords is of admin.Users.
func (f *Fake) ClearPasswords(ctx context.Context) (int, error) {
	return answer[int](ctx, f, "ClearPasswords")
}

// ClearSecondFactor is of admin.Users.
func (f *Fake) ClearSecondFactor(ctx context.Context, name string) error {
	_, err := answer[bool](ctx, f, "ClearSecondFactor", name)
	return err
}

// ListSessions is of admin.Sessions.
func (f *Fake) ListSessions(ctx context.Context, q admin.SessionQuery) (*admin.SessionPage, error) {
	return answer[*admin.SessionPage](ctx, f, "ListSessions", q)
}

// EndSession is of admin.Sessions.
func (f *Fake) EndSession(ctx context.Context, id string) error {
	_, err := answer[bool](ctx, f, "EndSession", id)
	return err
}

// EndSessions is of admin.Sessions.
func (f *Fake) EndSessions(ctx context.Context, user string) (int, error) {
	return answer[int](ctx, f, "EndSessions", user)
}

// ListBlocks is of admin.Blocks.
func (f *Fake) ListBlocks(ctx context.Context) ([]admin.Block, error) {
	return answer[[]admin.Block](ctx, f, "ListBlocks")
}

// Unblock is of admin.Blocks.
func (f *Fake) Unblock(ctx context.Context, who string) ([]string, error) {
	return answer[[]string](ctx, f, "Unblock", who)
}

// Logins is of admin.Audit. There is one page.
func (f *Fake) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	return answer[*admin.LoginPage](ctx, f, "Logins", q)
}

// Changes is of admin.Audit.
func (f *Fake) Changes(ctx context.Context, q admin.ChangeQuery) (*admin.ChangePage, error) {
	return answer[*admin.ChangePage](ctx, f, "Changes", q)
}

// Overview is of admin.Gateway.
func (f *Fake) Overview(ctx context.Context, since time.Duration) (*admin.Overview, error) {
	return answer[*admin.Overview](ctx, f, "Overview", since)
}

// Services is of admin.Gateway.
func (f *Fake) Services(ctx context.Context) (*admin.Services, error) {
	return answer[*admin.Services](ctx, f, "Services")
}

// Explain is of admin.Gateway.
func (f *Fake) Explain(ctx context.Context, q admin.ExplainQuery) (*authz.Explanation, error) {
	return answer[*authz.Explanation](ctx, f, "Explain", q)
}

// Roles is of admin.Gateway.
func (f *Fake) Roles(ctx context.Context) ([]admin.RoleInfo, error) {
	return answer[[]admin.RoleInfo](ctx, f, "Roles")
}

// Realms is of admin.Gateway.
func (f *Fake) Realms(ctx context.Context) ([]admin.Realm, error) {
	return answer[[]admin.Realm](ctx, f, "Realms")
}

// Test is of admin.Gateway.
func (f *Fake) Test(ctx context.Context, t admin.Test) (*admin.TestResult, error) {
	return answer[*admin.TestResult](ctx, f, "Test", t)
}

// Files is of admin.Configuration.
func (f *Fake) Files(ctx context.Context) (*admin.ConfigSet, error) {
	return answer[*admin.ConfigSet](ctx, f, "Files")
}

// CheckFiles is of admin.Configuration.
func (f *Fake) CheckFiles(ctx context.Context, set admin.ConfigSet) (*admin.ConfigCheck, error) {
	return answer[*admin.ConfigCheck](ctx, f, "CheckFiles", set)
}

// ApplyFiles is of admin.Configuration.
func (f *Fake) ApplyFiles(ctx context.Context, set admin.ConfigSet, comment string) (*admin.ConfigVersion, error) {
	return answer[*admin.ConfigVersion](ctx, f, "ApplyFiles", set, comment)
}

// Versions is of admin.Configuration.
func (f *Fake) Versions(ctx context.Context, after int64, limit int) ([]admin.ConfigVersion, error) {
	return answer[[]admin.ConfigVersion](ctx, f, "Versions", after, limit)
}

// Version is of admin.Configuration.
func (f *Fake) Version(ctx context.Context, id int64) (*admin.ConfigVersion, error) {
	return answer[*admin.ConfigVersion](ctx, f, "Version", id)
}

// RollBack is of admin.Configuration.
func (f *Fake) RollBack(ctx context.Context, id int64, comment string, force bool) (*admin.ConfigVersion, error) {
	return answer[*admin.ConfigVersion](ctx, f, "RollBack", id, comment, force)
}

// Synchronise is of admin.Sync. It tells of its progress twice.
func (f *Fake) Synchronise(ctx context.Context, realm string, progress func(admin.SyncProgress)) (*provision.Summary, error) {
	sum, err := answer[*provision.Summary](ctx, f, "Synchronise", realm)
	if err == nil && progress != nil {
		progress(admin.SyncProgress{Done: 1, Total: 2})
		progress(admin.SyncProgress{Done: 2, Total: 2})
	}
	return sum, err
}
