package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authz"
)

var _ interface {
	admin.Users
	admin.Sessions
	admin.Blocks
	admin.Audit
	admin.Gateway
	admin.Configuration
	admin.Sync
} = (*Client)(nil)

// path joins the parts of a path. An argument is escaped, so that it stays one
// part whatever is in it.
func path(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.WriteString("/" + p)
		case arg:
			b.WriteString("/" + p.escape())
		case int64:
			b.WriteString("/" + strconv.FormatInt(p, 10))
		}
	}
	return b.String()
}

// arg is a part of a path that somebody chose.
type arg string

func (a arg) escape() string {
	switch a {
	case ".", "..": // are steps to whoever reads a path
		return strings.ReplaceAll(string(a), ".", "%2E")
	}
	return url.PathEscape(string(a))
}

// query makes one of a struct, by the names of its JSON. What is zero is left
// out.
func query(q any) url.Values {
	values := url.Values{}
	v := reflect.ValueOf(q)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f := v.Field(i); name != "-" && !f.IsZero() {
			text := fmt.Sprint(f.Interface())
			if t, is := f.Interface().(time.Time); is {
				text = t.Format(time.RFC3339Nano)
			}
			values.Set(name, text)
		}
	}
	return values
}

// get asks for a T.
func get[T any](ctx context.Context, c *Client, path string, q url.Values) (*T, error) {
	return exchange[T](ctx, c, request{method: http.MethodGet, path: path, query: q})
}

func exchange[T any](ctx context.Context, c *Client, q request) (*T, error) {
	out := new(T)
	if err := c.do(ctx, q, out); err != nil {
		return nil, err
	}
	return out, nil
}

// nameless is what a name that is empty would lead to: another path.
func nameless(what, field string) error {
	return &admin.Error{Kind: admin.Invalid, Text: what + " is missing", Field: field}
}

// ListUsers implements admin.Users.
func (c *Client) ListUsers(ctx context.Context, q admin.UserQuery) (*admin.UserPage, error) {
	return get[admin.UserPage](ctx, c, "/users", query(q))
}

// User implements admin.Users.
func (c *Client) User(ctx context.Context, name string) (*admin.User, error) {
	if name == "" {
		return nil, nameless("the name", "name")
	}
	return get[admin.User](ctx, c, path("users", arg(name)), nil)
}

// AddUser implements admin.Users.
func (c *Client) AddUser(ctx context.Context, n admin.NewUser) (*admin.User, error) {
	return exchange[admin.User](ctx, c, request{
		method: http.MethodPost, path: "/users", body: wire.NewUser{NewUser: n, Password: wire.Password{Secret: n.Password}},
	})
}

// ChangeUser implements admin.Users.
func (c *Client) ChangeUser(ctx context.Context, name string, change admin.UserChange) (*admin.User, error) {
	if name == "" {
		return nil, nameless("the name", "name")
	}
	return exchange[admin.User](ctx, c, request{method: http.MethodPatch, path: path("users", arg(name)), body: change})
}

// DeleteUser implements admin.Users.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	if name == "" {
		return nameless("the name", "name")
	}
	return c.do(ctx, request{method: http.MethodDelete, path: path("users", arg(name))}, nil)
}

// SetPassword implements admin.Users.
func (c *Client) SetPassword(ctx context.Context, name string, p admin.NewPassword) (int, error) {
	if name == "" {
		return 0, nameless("the name", "name")
	}
	return ended(exchange[wire.Ended](ctx, c, request{
		method: http.MethodPut, path: path("users", arg(name), "password"),
		body: wire.NewPassword{NewPassword: p, Password: wire.Password{Secret: p.Password}},
	}))
}

func ended(e *wire.Ended, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return e.Ended, nil
}

// ClearPasswords implements admin.Users.
func (c *Client) ClearPasswords(ctx context.Context) (int, error) {
	out, err := exchange[wire.Cleared](ctx, c, request{method: http.MethodPost, path: "/passwords/clear", head: maxClear})
	if err != nil {
		return 0, err
	}
	return out.Cleared, nil
}

// ClearSecondFactor implements admin.Users.
func (c *Client) ClearSecondFactor(ctx context.Context, name string) error {
	if name == "" {
		return nameless("the name", "name")
	}
	return c.do(ctx, request{method: http.MethodDelete, path: path("users", arg(name), "second-factor")}, nil)
}

// ListSessions implements admin.Sessions.
func (c *Client) ListSessions(ctx context.Context, q admin.SessionQuery) (*admin.SessionPage, error) {
	return get[admin.SessionPage](ctx, c, "/sessions", query(q))
}

// EndSession implements admin.Sessions.
func (c *Client) EndSession(ctx context.Context, id string) error {
	if id == "" {
		return nameless("the session", "id")
	}
	return c.do(ctx, request{method: http.MethodDelete, path: path("sessions", arg(id))}, nil)
}

// EndSessions implements admin.Sessions.
func (c *Client) EndSessions(ctx context.Context, user string) (int, error) {
	if user == "" {
		return 0, nameless("the name", "user")
	}
	return ended(exchange[wire.Ended](ctx, c, request{method: http.MethodDelete, path: path("users", arg(user), "sessions")}))
}

// ListBlocks implements admin.Blocks.
func (c *Client) ListBlocks(ctx context.Context) ([]admin.Block, error) {
	out, err := get[wire.Blocks](ctx, c, "/blocks", nil)
	if err != nil {
		return nil, err
	}
	return out.Blocks, nil
}

// Unblock implements admin.Blocks.
func (c *Client) Unblock(ctx context.Context, who string) ([]string, error) {
	if who == "" {
		return nil, nameless("the user or address", "who")
	}
	out, err := exchange[wire.Lifted](ctx, c, request{method: http.MethodDelete, path: path("blocks", arg(who))})
	if err != nil {
		return nil, err
	}
	return out.Lifted, nil
}

// Logins implements admin.Audit.
func (c *Client) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	return get[admin.LoginPage](ctx, c, "/logins", query(q))
}

// Changes implements admin.Audit.
func (c *Client) Changes(ctx context.Context, q admin.ChangeQuery) (*admin.ChangePage, error) {
	return get[admin.ChangePage](ctx, c, "/changes", query(q))
}

// Overview implements admin.Gateway.
func (c *Client) Overview(ctx context.Context, since time.Duration) (*admin.Overview, error) {
	return get[admin.Overview](ctx, c, "/overview", url.Values{"since": {since.String()}})
}

// Services implements admin.Gateway.
func (c *Client) Services(ctx context.Context) (*admin.Services, error) {
	return get[admin.Services](ctx, c, "/services", nil)
}

// Explain implements admin.Gateway.
func (c *Client) Explain(ctx context.Context, q admin.ExplainQuery) (*authz.Explanation, error) {
	return exchange[authz.Explanation](ctx, c, request{method: http.MethodPost, path: "/explain", body: q})
}

// Roles implements admin.Gateway.
func (c *Client) Roles(ctx context.Context) ([]admin.RoleInfo, error) {
	out, err := get[wire.Roles](ctx, c, "/roles", nil)
	if err != nil {
		return nil, err
	}
	return out.Roles, nil
}

// Realms implements admin.Gateway.
func (c *Client) Realms(ctx context.Context) ([]admin.Realm, error) {
	out, err := get[wire.Realms](ctx, c, "/realms", nil)
	if err != nil {
		return nil, err
	}
	return out.Realms, nil
}

// Test implements admin.Gateway.
func (c *Client) Test(ctx context.Context, t admin.Test) (*admin.TestResult, error) {
	if t.Realm == "" {
		return nil, nameless("the realm", "realm")
	}
	return exchange[admin.TestResult](ctx, c, request{
		method: http.MethodPost, path: path("realms", arg(t.Realm), "test"),
		body: wire.Test{Kind: t.Kind, User: t.User, Password: wire.Password{Secret: t.Password}},
	})
}

// Files implements admin.Configuration.
func (c *Client) Files(ctx context.Context) (*admin.ConfigSet, error) {
	return get[admin.ConfigSet](ctx, c, "/config", nil)
}

// CheckFiles implements admin.Configuration.
func (c *Client) CheckFiles(ctx context.Context, set admin.ConfigSet) (*admin.ConfigCheck, error) {
	return exchange[admin.ConfigCheck](ctx, c, request{method: http.MethodPost, path: "/config/check", body: set})
}

// ApplyFiles implements admin.Configuration.
func (c *Client) ApplyFiles(ctx context.Context, set admin.ConfigSet, comment string) (*admin.ConfigVersion, error) {
	return exchange[admin.ConfigVersion](ctx, c, request{
		method: http.MethodPut, path: "/config", body: wire.Apply{ConfigSet: set, Comment: comment},
	})
}

// Versions implements admin.Configuration.
func (c *Client) Versions(ctx context.Context, after int64, limit int) ([]admin.ConfigVersion, error) {
	q := url.Values{}
	if after != 0 {
		q.Set("after", strconv.FormatInt(after, 10))
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	out, err := get[wire.Versions](ctx, c, "/config/versions", q)
	if err != nil {
		return nil, err
	}
	return out.Versions, nil
}

// Version implements admin.Configuration.
func (c *Client) Version(ctx context.Context, id int64) (*admin.ConfigVersion, error) {
	return get[admin.ConfigVersion](ctx, c, path("config", "versions", id), nil)
}

// RollBack implements admin.Configuration.
func (c *Client) RollBack(ctx context.Context, id int64, comment string, force bool) (*admin.ConfigVersion, error) {
	return exchange[admin.ConfigVersion](ctx, c, request{
		method: http.MethodPost, path: path("config", "versions", id, "apply"), body: wire.RollBack{Comment: comment, Force: force},
	})
}

// Me returns who the server says that the token is of.
func (c *Client) Me(ctx context.Context) (*wire.Me, error) {
	return get[wire.Me](ctx, c, "/me", nil)
}
