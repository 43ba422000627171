package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/provision"
)

var bob = &admin.Caller{Name: `it\bob`, Role: admin.Administrator, Login: "it"}

// gateway serves areas to bob, and returns a client of it.
func gateway(t *testing.T, areas api.Areas) *client.Client {
	t.Helper()
	a := api.New(areas)
	a.Logger = slog.New(slog.DiscardHandler)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			a.ServeHTTP(w, r)
			return
		}
		a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), bob)))
	}))
	t.Cleanup(s.Close)
	return &client.Client{URL: s.URL, Token: func(context.Context, bool) (authn.Secret, error) { return authn.NewSecret("good"), nil }}
}

// plain is a value as it can be compared: secrets revealed, lists that are nil or
// empty alike, and errors by what they say.
func plain(t *testing.T, v any) string {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		var e *admin.Error
		if !errors.As(v, &e) {
			return "error " + v.Error()
		}
		same := *e
		same.Ref, same.Err = "", nil
		b, _ := json.Marshal(same)
		return "error " + string(b)
	case admin.NewUser:
		return plain(t, []any{v.Password.Reveal(), jsonOf(t, v)})
	case admin.UserImport:
		secrets := []any{jsonOf(t, v)}
		for _, u := range v.Users {
			secrets = append(secrets, u.PasswordHash.Reveal())
		}
		return plain(t, secrets)
	case admin.NewPassword:
		return plain(t, []any{v.Password.Reveal(), jsonOf(t, v)})
	case admin.Test:
		return plain(t, []any{v.Password.Reveal(), jsonOf(t, v)})
	}
	return jsonOf(t, v)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "null", "[]")
}

// arguments are those of a method, every field filled, and the context.
func arguments(m reflect.Method, progress *[]admin.SyncProgress) []reflect.Value {
	args := []reflect.Value{reflect.ValueOf(context.Background())}
	for i := 2; i < m.Type.NumIn(); i++ {
		t := m.Type.In(i)
		if t.Kind() == reflect.Func {
			args = append(args, reflect.ValueOf(func(p admin.SyncProgress) { *progress = append(*progress, p) }))
			continue
		}
		args = append(args, admintest.FillType(t))
	}
	return args
}

// TestConformance calls each method of package admin directly and over the
// network, with all that can be given and answered, and with each kind of error.
func TestConformance(t *testing.T) {
	t.Parallel()
	failures := map[string]error{
		"":             nil,
		"forbidden":    &admin.Error{Kind: admin.Forbidden, Text: "this needs the role operator"},
		"not_found":    &admin.Error{Kind: admin.NotFound, Text: "there is no such thing", Field: "name"},
		"exists":       &admin.Error{Kind: admin.Exists, Text: "taken"},
		"conflict":     &admin.Error{Kind: admin.Conflict, Text: "changed", Remedy: "read it again"},
		"invalid":      &admin.Error{Kind: admin.Invalid, Text: `no "name" <b>`, Field: "email", Remedy: "try"},
		"refused":      &admin.Error{Kind: admin.Refused, Text: "not now", Remedy: "later"},
		"unavailable":  &admin.Error{Kind: admin.Unavailable, Text: "the store does not answer"},
		"wrapped":      errors.Join(&admin.Error{Kind: admin.NotFound, Text: "inside", Err: errors.New("secret cause")}),
		"with a cause": &admin.Error{Kind: admin.Refused, Text: "not now", Err: errors.New("secret cause")},
	}
	areas := reflect.TypeFor[api.Areas]()
	if areas.NumMethod() < 28 {
		t.Fatalf("%d methods", areas.NumMethod())
	}
	for i := range areas.NumMethod() {
		name := areas.Method(i).Name
		for kind, failure := range failures {
			t.Run(strings.TrimSpace(name+" "+kind), func(t *testing.T) {
				t.Parallel()
				fake := &admintest.Fake{Err: failure}
				method, _ := reflect.TypeFor[*admintest.Fake]().MethodByName(name)
				var progressed [2][]admin.SyncProgress
				outcome := func(on any, n int) (results []string, calls []admintest.Call) {
					for _, v := range reflect.ValueOf(on).MethodByName(name).Call(arguments(method, &progressed[n])) {
						results = append(results, plain(t, v.Interface()))
					}
					return results, fake.Calls()
				}
				want, direct := outcome(fake, 0)
				got, remote := outcome(gateway(t, fake), 1)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("over the network: %s\ndirectly:         %s", got, want)
				}
				if len(direct) != 1 || len(remote) != 1 {
					t.Fatalf("%d calls, want one: %v", len(remote), remote)
				}
				for i := range direct[0].Args {
					if got, want := plain(t, remote[0].Args[i]), plain(t, direct[0].Args[i]); got != want {
						t.Errorf("argument %d over the network: %s\ndirectly: %s", i, got, want)
					}
				}
				if remote[0].Caller != bob {
					t.Errorf("the caller is %v", remote[0].Caller)
				}
				if a, b := progressed[0], progressed[1]; len(a) > 0 && (len(b) == 0 || b[len(b)-1] != a[len(a)-1]) {
					t.Errorf("progress %v, want the last of %v", b, a)
				}
			})
		}
	}
}

// What JSON has no field for comes over the network too.
func TestSummary(t *testing.T) {
	t.Parallel()
	sum, err := gateway(t, &admintest.Fake{}).Synchronise(t.Context(), "corp", admin.SyncOptions{}, nil)
	if err != nil || sum.Took != 90*time.Minute || sum.Total != 7 {
		t.Errorf("%+v, %v", sum, err)
	}
	fake := &admintest.Fake{Answer: func(_ context.Context, method string, _ []any) (any, error) {
		s := admintest.Fill[*provision.Summary]()
		return s, &admin.Error{Kind: admin.Refused, Text: "too many are gone"}
	}}
	sum, err = gateway(t, fake).Synchronise(t.Context(), "corp", admin.SyncOptions{}, nil)
	var e *admin.Error
	if !errors.As(err, &e) || e.Kind != admin.Refused || sum == nil || sum.Seen != 7 || e.Ref == "" {
		t.Errorf("%+v, %v; want both", sum, err)
	}
}

// Names stay one part of a path, whatever they are.
func TestNames(t *testing.T) {
	t.Parallel()
	fake := &admintest.Fake{}
	c := gateway(t, fake)
	for _, name := range []string{
		`CORP\alice`, "a/b", "/", "//", ".", "..", "...", "../users", "%2F", "%", "a b", "a+b", "?x=1", "#x", "Zoë", "名前", "a;b", "a:b",
		"\u202eevil", "password", "alice/password", "a\tb", "_", "~", "\u2028", `"`, "{name}", "@", "=", "&",
	} {
		if _, err := c.User(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if calls := fake.Calls(); len(calls) != 1 || calls[0].Method != "User" || calls[0].Args[0] != name {
			t.Errorf("%q: called %v", name, calls)
		}
		if _, err := c.EndSessions(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if calls := fake.Calls(); len(calls) != 1 || calls[0].Method != "EndSessions" || calls[0].Args[0] != name {
			t.Errorf("%q: called %v", name, calls)
		}
	}
	for name, call := range map[string]func() error{
		"user":     func() error { _, err := c.User(t.Context(), ""); return err },
		"change":   func() error { _, err := c.ChangeUser(t.Context(), "", admin.UserChange{}); return err },
		"delete":   func() error { return c.DeleteUser(t.Context(), "") },
		"password": func() error { _, err := c.SetPassword(t.Context(), "", admin.NewPassword{}); return err },
		"factor":   func() error { return c.ClearSecondFactor(t.Context(), "") },
		"session":  func() error { return c.EndSession(t.Context(), "") },
		"sessions": func() error { _, err := c.EndSessions(t.Context(), ""); return err },
		"block":    func() error { _, err := c.Unblock(t.Context(), ""); return err },
		"test":     func() error { _, err := c.Test(t.Context(), admin.Test{}); return err },
		"sync":     func() error { _, err := c.Synchronise(t.Context(), "", admin.SyncOptions{}, nil); return err },
	} {
		var e *admin.Error
		if err := call(); !errors.As(err, &e) || e.Kind != admin.Invalid || len(fake.Calls()) != 0 {
			t.Errorf("%s without a name: %v", name, err)
		}
	}
}
