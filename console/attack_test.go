package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authz"
)

// markup is what every text is, that pages show, in TestAttackConsoleMarkup. It
// leaves elements, attributes in any quotes, addresses, text areas and titles.
const markup = `javascript:alert(1)//"'` + "`" + `></textarea></title></script></svg><img src=x onerror=alert(1)><script>alert(2)</script>{{.CSRF}}&lt;` + "\u202e\n"

// poisoned has all texts of what a fake returns replaced.
type poisoned struct{ *fake }

func poison[T any](v T, err error) (T, error) {
	if err == nil {
		rv := reflect.New(reflect.TypeFor[T]()).Elem()
		rv.Set(reflect.ValueOf(&v).Elem())
		poisonValue(rv)
		v = rv.Interface().(T)
	}
	return v, err
}

func poisonValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(markup)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fresh := reflect.New(v.Type().Elem())
			fresh.Elem().Set(v.Elem())
			poisonValue(fresh.Elem())
			v.Set(fresh)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(markup))
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			b, _ := json.Marshal(map[string]string{markup: markup})
			v.SetBytes(b)
			return
		}
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		for i := range fresh.Len() {
			poisonValue(fresh.Index(i))
		}
		v.Set(fresh)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poisonValue(v.Field(i))
			}
		}
	}
}

func (p poisoned) ListUsers(ctx context.Context, q admin.UserQuery) (*admin.UserPage, error) {
	return poison(p.fake.ListUsers(ctx, admin.UserQuery{}))
}

func (p poisoned) User(ctx context.Context, _ string) (*admin.User, error) {
	return poison(p.fake.User(ctx, "admin"))
}

func (p poisoned) ListSessions(ctx context.Context, _ admin.SessionQuery) (*admin.SessionPage, error) {
	return poison(p.fake.ListSessions(ctx, admin.SessionQuery{}))
}

func (p poisoned) ListBlocks(ctx context.Context) ([]admin.Block, error) {
	return poison(p.fake.ListBlocks(ctx))
}

func (p poisoned) Logins(ctx context.Context, _ admin.LoginQuery) (*admin.LoginPage, error) {
	return poison(p.fake.Logins(ctx, admin.LoginQuery{}))
}

func (p poisoned) Changes(ctx context.Context, _ admin.ChangeQuery) (*admin.ChangePage, error) {
	return poison(p.fake.Changes(ctx, admin.ChangeQuery{}))
}

func (p poisoned) Overview(ctx context.Context, d time.Duration) (*admin.Overview, error) {
	return poison(p.fake.Overview(ctx, d))
}

func (p poisoned) Services(ctx context.Context) (*admin.Services, error) {
	return poison(p.fake.Services(ctx))
}

func (p poisoned) Explain(ctx context.Context, q admin.ExplainQuery) (*authz.Explanation, error) {
	return poison(p.fake.Explain(ctx, q))
}

func (p poisoned) Roles(ctx context.Context) ([]admin.RoleInfo, error) {
	return poison(p.fake.Roles(ctx))
}

func (p poisoned) Realms(ctx context.Context) ([]admin.Realm, error) {
	all, err := poison(p.fake.Realms(ctx))
	for i := range all {
		all[i].Methods = []string{"oidc", markup} // so that the page of providers has it
	}
	return all, err
}

func (p poisoned) Test(ctx context.Context, t admin.Test) (*admin.TestResult, error) {
	return poison(p.fake.Test(ctx, t))
}

func (p poisoned) Files(ctx context.Context) (*admin.ConfigSet, error) {
	return poison(p.fake.Files(ctx))
}

func (p poisoned) CheckFiles(ctx context.Context, _ admin.ConfigSet) (*admin.ConfigCheck, error) {
	set := admin.ConfigSet{Files: []admin.ConfigFile{{Path: "x", Text: "nonsense"}}}
	return poison(p.fake.CheckFiles(ctx, set))
}

func (p poisoned) Versions(ctx context.Context, after int64, limit int) ([]admin.ConfigVersion, error) {
	return poison(p.fake.Versions(ctx, after, limit))
}

func (p poisoned) Version(ctx context.Context, id int64) (*admin.ConfigVersion, error) {
	return poison(p.fake.Version(ctx, id))
}

// TestAttackConsoleMarkup: whoever chooses a name, a comment, a user agent or the
// text of an error cannot put anything else onto a page. Every text of every page
// is one that tries.
func TestAttackConsoleMarkup(t *testing.T) {
	t.Parallel()
	name := url.Values{"name": {markup}, "id": {"41"}, "url": {markup}, "service": {markup}, "since": {"24h"}, "user": {markup}, "search": {markup}, "state": {markup}, "target": {markup}, "who": {"user"}, "after": {"100"}}.Encode()
	h := siteOf(poisoned{newFake()}, &admin.Caller{Name: markup, Role: admin.Administrator, Login: markup, Peer: markup}, nil)
	seen := 0
	for _, path := range []string{
		"/console/", "/console/services", "/console/service", "/console/explain", "/console/users", "/console/users/add", "/console/user", "/console/user/edit",
		"/console/user/password", "/console/user/second-factor", "/console/user/delete", "/console/roles", "/console/sessions", "/console/blocks", "/console/realms",
		"/console/realm", "/console/providers", "/console/logins", "/console/changes", "/console/configuration", "/console/configuration/versions",
		"/console/configuration/version", "/console/account", "/console/none",
	} {
		q := name
		if path == "/console/logins" || path == "/console/changes" {
			q = url.Values{"user": {markup}, "ref": {markup}, "peer": {markup}, "target": {markup}, "actor": {markup}, "action": {markup}}.Encode()
		}
		w := get(t, h, path+"?"+q)
		if w.Code != http.StatusOK && path != "/console/none" {
			t.Errorf("%s: got %d: %s", path, w.Code, w.Body)
		}
		seen += strings.Count(w.Body.String(), "alert(1)")
		checkMarkup(t, path, w.Body.String())
		checkPage(t, path, w, admin.Administrator)
	}
	for path, form := range map[string]url.Values{
		"/console/realm/test":       {"name": {markup}, "kind": {markup}, "user": {markup}},
		"/console/configuration":    {"do": {"check"}, "comment": {markup}, "digest": {markup}},
		"/console/users/add":        {"name": {markup}, "role": {markup}, "password": {"x"}, "email": {markup}, "realm": {markup}},
		"/console/user/edit":        {"name": {markup}, "role": {markup}, "version": {"1"}, "display_name": {markup}},
		"/console/sessions/end":     {"id": {markup}},
		"/console/user/state":       {"state": {markup}},
		"/console/no/such/\"><img>": {},
	} {
		w := post(t, h, strings.ReplaceAll(path, `"><img>`, "%22%3E%3Cimg%3E"), form)
		if w.Code == http.StatusSeeOther {
			t.Errorf("%s leads to %s", path, w.Header().Get("Location"))
			continue
		}
		checkMarkup(t, path, w.Body.String())
		checkPage(t, path, w, admin.Administrator)
	}
	if seen < 500 {
		t.Errorf("the text is there %d times: is it still shown?", seen)
	}
}

func checkMarkup(t *testing.T, path, body string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "img" {
			t.Errorf("%s: an element of the attacker: %v", path, n.Attr)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") && (a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "data-follow") {
				t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
			}
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data == "bdi" && strings.ContainsRune(n.Data, '\u202e') {
			t.Errorf("%s: a name turns text round: %q", path, n.Data)
		}
	}
}
