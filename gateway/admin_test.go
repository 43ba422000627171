package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// governed is a gateway with a store and an admin listener.
type governed struct {
	*running
	addr, admin string
	service     *admin.Service
}

// adminText is its configuration. more stands at the end.
func adminText(addr, adminAddr, more string) string {
	return fmt.Sprintf(`include: [services/*.yaml]
listen: [{addr: %q}]
admin: {addr: %q, local: {allow_without_second_factor: true}}
store: {driver: sqlite, dsn: s.db}
passwords: {memory_kib: 8192, passes: 1}
realms: {staff: {internal: {}}}
roles: {payroll: {users: [alice]}, auditors: {roles: [payroll]}}
services:
  hr: {match: {path: /hr/}, login: [staff/basic], allow: [{path: /hr/, roles: [payroll]}], upstream: {url: "http://127.0.0.1:1"}}
%s`, addr, adminAddr, more)
}

func govern(t *testing.T) *governed {
	t.Helper()
	g := &governed{addr: freeAddr(t), admin: freeAddr(t)}
	g.running = whole(t, adminText(g.addr, g.admin, ""), nil)
	g.service = g.parts.(*composer).admin.service
	if err := os.Mkdir(filepath.Join(g.dir, "services"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := g.service.AddUser(g.as(admin.Administrator), admin.NewUser{Name: "root", LocalAdmin: true, Password: authn.NewSecret(rootPassword)})
	if err == nil {
		_, err = g.service.AddUser(g.as(admin.Administrator), admin.NewUser{Name: "alice", Realm: "staff", Password: authn.NewSecret(rootPassword)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const rootPassword = "correct horse battery staple"

// as is somebody with a role, who is asked about at this machine.
func (g *governed) as(role admin.Role) context.Context {
	return admin.NewContext(g.t.Context(), &admin.Caller{Name: "root", Role: role, Local: true, Login: "local", Peer: "127.0.0.1"})
}

// token signs in as root for the API.
func (g *governed) token() string {
	g.t.Helper()
	status, _, body := g.do("POST", "http://"+g.admin+"/admin/v1/token", `{"user": "root", "password": "`+rootPassword+`"}`, "Content-Type", "application/json")
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Token == "" {
		g.t.Fatalf("%d %s", status, body)
	}
	return answer.Token
}

// files is what is in force, with the main one changed.
func (g *governed) files(more string, others ...admin.ConfigFile) admin.ConfigSet {
	g.t.Helper()
	set, err := g.service.Files(g.as(admin.Viewer))
	if err != nil {
		g.t.Fatal(err)
	}
	out := admin.ConfigSet{Digest: set.Digest, Files: []admin.ConfigFile{{Path: g.file, Text: adminText(g.addr, g.admin, more)}}}
	out.Files = append(out.Files, others...)
	return out
}

func (g *governed) read(file string) string {
	g.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

func wantKind(t *testing.T, what string, err error, kind admin.Kind, text string) {
	t.Helper()
	var e *admin.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Text, text) {
		t.Errorf("%s: got %v (%T), want %s: %s", what, err, err, kind, text)
	}
}

const serviceMore = "services: {%s: {match: {path: /%[1]s/}, login: [none], upstream: {url: \"http://127.0.0.1:1\"}}}\n"

func TestAdminListener(t *testing.T) {
	t.Parallel()
	g := govern(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path string, header ...string) (*http.Response, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+g.admin+path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, _ := io.ReadAll(res.Body)
		return res, string(b)
	}
	if res, _ := get("/"); res.StatusCode != 302 || res.Header.Get("Location") != "/console/" {
		t.Errorf("/: %d %s", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if res, _ := get(path); res.StatusCode != 200 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if res, _ := get("/console/", "Accept", "text/html"); res.StatusCode != 303 && res.StatusCode != 302 || !strings.HasPrefix(res.Header.Get("Location"), "/console/login") {
		t.Errorf("/console/ of a stranger: %s, %v", res.Status, res.Header)
	}
	if res, body := get("/admin/v1/config"); res.StatusCode != 401 {
		t.Errorf("API of a stranger: %s, %s", res.Status, body)
	}
	if res, _ := get("/admin/v1/openapi.json"); res.StatusCode != 200 {
		t.Errorf("document: %s", res.Status)
	}
	bearer := "Bearer " + g.token()
	res, body := get("/admin/v1/config", "Authorization", bearer)
	if res.StatusCode != 200 || !strings.Contains(body, "allow_without_second_factor") {
		t.Errorf("config: %s %s", res.Status, body)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("policy %q", res.Header.Get("Content-Security-Policy"))
	}
	for _, path := range []string{"/admin/v1/overview", "/admin/v1/services", "/admin/v1/realms", "/admin/v1/roles"} {
		if res, body := get(path, "Authorization", bearer); res.StatusCode != 200 {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
	}
}

// Without a store there is no console, and the page stays.
func TestAdminWithoutStore(t *testing.T) {
	t.Parallel()
	a := freeAddr(t)
	r := whole(t, "admin: {addr: \""+a+"\"}\n", nil)
	if status, _, body := r.do("GET", "http://"+a+"/", ""); status != 200 || !strings.Contains(body, "soapward") {
		t.Errorf("%d %s", status, body)
	}
	for path, want := range map[string]string{
		"/console/": "add store", "/console/login": "add store", "/admin/v1/token": `"kind":"no_endpoint"`, "/admin/v1/config": `"remedy":"add store`, "/other": "not found",
	} {
		if status, _, body := r.do("GET", "http://"+a+path, ""); status != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// Whatever answers, it cannot be made to read more.
func TestAttackAdminBody(t *testing.T) {
	t.Parallel()
	g := govern(t)
	g.parts.(*composer).admin.pages = func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n, err)
		})
	}
	for _, tt := range []struct {
		path string
		most int
	}{{"/admin/v1/users", 1 << 20}, {"/console/users/add", 1 << 20}, {"/admin/v1/config/check", 8 << 20}, {"/console/configuration", 8 << 20}} {
		for size, want := range map[int]string{tt.most: fmt.Sprint(tt.most, " <nil>"), tt.most + 1: fmt.Sprint(tt.most, " http: request body too large")} {
			if _, _, got := g.do("POST", "http://"+g.admin+tt.path, strings.Repeat("x", size)); got != want {
				t.Errorf("%s, %d bytes: %s, want %s", tt.path, size, got, want)
			}
		}
	}
}

// A body has to arrive in time, and what is done with it may take longer.
func TestAdminBodyTime(t *testing.T) {
	t.Parallel()
	g := govern(t)
	a := g.parts.(*composer).admin
	a.bodyTime = 200 * time.Millisecond
	a.pages = func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			if err == nil {
				select {
				case <-r.Context().Done():
				case <-time.After(3 * a.bodyTime):
				}
			}
			_, _ = fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded), r.Context().Err())
		})
	}
	if _, _, got := g.do("POST", "http://"+g.admin+"/console/realms/passwords", "token=x"); got != "false <nil>" {
		t.Errorf("a long request: %s", got)
	}
	body, w := io.Pipe()
	defer func() { _ = w.Close() }()
	go func() { _, _ = w.Write([]byte("x")) }()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+g.admin+"/admin/v1/users", body)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, _ := io.ReadAll(res.Body); !strings.HasPrefix(string(b), "true ") {
		t.Errorf("a body that does not end: %s", b)
	}
}

// Who follows logins does not hold up the end, sees that it is over, and while he
// does, reloads end what they have replaced as soon as he leaves.
func TestFollowersAndTheEnd(t *testing.T) {
	t.Parallel()
	g := govern(t)
	bearer := "Bearer " + g.token()
	follow := func() *http.Response {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+g.admin+"/admin/v1/logins/follow", nil)
		req.Header.Set("Authorization", bearer)
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	first := follow()
	old := g.current.Load()
	for range 20 {
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-old.drained:
		t.Error("a generation with a follower was ended")
	default:
	}
	g.reloading.Lock()
	closed := g.lastClosed
	g.reloading.Unlock()
	_ = first.Body.Close()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("generations stay when their follower has left")
	}
	last := follow()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, last.Body)
		ended <- err
	}()
	begun := time.Now()
	g.stop()
	<-g.done
	if took := time.Since(begun); g.err != nil || took > closeTimeout {
		t.Errorf("the end took %s: %v", took, g.err)
	}
	<-ended
}

func TestConfigRights(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	for _, tt := range []struct {
		name string
		need admin.Role
		do   func(ctx context.Context) error
	}{
		{"Files", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Files(ctx); return err }},
		{"CheckFiles", admin.Viewer, func(ctx context.Context) error { _, err := g.service.CheckFiles(ctx, set); return err }},
		{"ApplyFiles", admin.Administrator, func(ctx context.Context) error { _, err := g.service.ApplyFiles(ctx, set, ""); return err }},
		{"Versions", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Versions(ctx, 0, 0); return err }},
		{"Version", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Version(ctx, 1); return err }},
		{"RollBack", admin.Administrator, func(ctx context.Context) error { _, err := g.service.RollBack(ctx, 1, "", false); return err }},
		{"Synchronise", admin.Operator, func(ctx context.Context) error { _, err := g.service.Synchronise(ctx, "staff", nil); return err }},
		{"Overview", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Overview(ctx, 0); return err }},
		{"Services", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Services(ctx); return err }},
		{"Roles", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Roles(ctx); return err }},
		{"Realms", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Realms(ctx); return err }},
		{"Explain", admin.Viewer, func(ctx context.Context) error {
			_, err := g.service.Explain(ctx, admin.ExplainQuery{URL: "/hr/"})
			return err
		}},
		{"Test", admin.Operator, func(ctx context.Context) error {
			_, err := g.service.Test(ctx, admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret("x")})
			return err
		}},
	} {
		for role := admin.NoRole; role <= admin.Administrator; role++ {
			err := tt.do(g.as(role))
			var e *admin.Error
			forbidden := errors.As(err, &e) && e.Kind == admin.Forbidden
			if forbidden != (role < tt.need) {
				t.Errorf("%s as %s: %v", tt.name, role, err)
			}
		}
		wantKind(t, tt.name+" of nobody", tt.do(t.Context()), admin.Forbidden, "")
	}
}

func TestApplyAndRollBack(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	eventually(t, "no version of the start", func() bool {
		v, err := g.service.Versions(ctx, 0, 0)
		return err == nil && len(v) == 1 && v[0].Actor == ""
	})
	extra := admin.ConfigFile{Path: filepath.Join(g.dir, "services", "shop.yaml"), Text: fmt.Sprintf(serviceMore, "shop")}
	set := g.files("# a comment\n", extra)
	check, err := g.service.CheckFiles(ctx, set)
	if err != nil || !check.OK || len(check.Diff) != 2 || check.Diff[0].Path != g.file {
		t.Fatalf("check %+v, %v", check, err)
	}
	if g.read(g.file) != adminText(g.addr, g.admin, "") {
		t.Error("a check wrote something")
	}
	v, err := g.service.ApplyFiles(ctx, set, "a shop")
	if err != nil {
		t.Fatal(err)
	}
	if v.Actor != "root" || v.Comment != "a shop" || len(v.Files) != 2 || g.Config().Services["shop"] == nil || g.read(extra.Path) != extra.Text {
		t.Errorf("version %+v", v)
	}
	if info, err := os.Stat(extra.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if d := g.changed(); d != nothingChanged {
		t.Errorf("who looks at the files would reload once more: %v", d)
	}
	changes, err := g.service.Changes(ctx, admin.ChangeQuery{Action: "config."})
	if err != nil || len(changes.Changes) != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if c := changes.Changes[0]; c.Action != "config.apply" || c.Actor != "root" || c.Peer != "127.0.0.1" ||
		!strings.Contains(string(c.After), "+# a comment") || !strings.Contains(string(c.After), "shop.yaml") || !strings.Contains(string(c.Before), set.Digest) {
		t.Errorf("audit %+v: %s", c, c.After)
	}

	// Somebody edits by hand: what was read before does not count any more.
	g.write(g.file, adminText(g.addr, g.admin, "# by hand\n"))
	_, err = g.service.ApplyFiles(ctx, admin.ConfigSet{Files: set.Files, Digest: v.Digest}, "")
	wantKind(t, "after an edit", err, admin.Conflict, "changed by somebody else")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no version of an edit by hand", func() bool {
		list, err := g.service.Versions(ctx, 0, 0)
		return err == nil && len(list) == 3 && list[0].Actor == "" && list[1].Actor == "root"
	})

	list, err := g.service.Versions(ctx, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := list[len(list)-1]
	back, err := g.service.RollBack(ctx, first.ID, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if back.Digest != first.Digest || back.Comment != fmt.Sprintf("back to version %d", first.ID) || g.Config().Services["shop"] != nil {
		t.Errorf("%+v", back)
	}
	if g.read(g.file) != adminText(g.addr, g.admin, "") {
		t.Errorf("file\n%s", g.read(g.file))
	}
	if _, err := os.Stat(extra.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that a pattern finds is still there: %v", err)
	}
	if _, err := g.service.RollBack(ctx, v.ID, "", false); err != nil || g.Config().Services["shop"] == nil || g.read(extra.Path) != extra.Text {
		t.Errorf("forth again: %v", err)
	}
	_, err = g.service.RollBack(ctx, 999, "", false)
	wantKind(t, "no such version", err, admin.NotFound, "")
}

// Whatever is wrong with files, all is as it was.
func TestAttackApplyRefused(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	before := adminText(g.addr, g.admin, "")
	outside := filepath.Join(t.TempDir(), "x.yaml")
	secret := filepath.Join(g.dir, "keep.yaml")
	if err := os.WriteFile(secret, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(g.dir, "link")); err != nil {
		t.Fatal(err)
	}
	with := func(line string, others ...admin.ConfigFile) admin.ConfigSet {
		set := g.files("", others...)
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "include: [services/*.yaml]", line, 1)
		return set
	}
	file := func(path, text string) admin.ConfigFile { return admin.ConfigFile{Path: path, Text: text} }
	for _, tt := range []struct {
		name string
		set  admin.ConfigSet
		kind admin.Kind
		want string
	}{
		{"mistake", g.files("nonsense: 1\n"), admin.Invalid, `gw.yaml:10:1: unknown key "nonsense"`},
		{"a part that cannot be made", g.files("realms: {b: {kerberos: {realm: X, keytab: none.keytab}}}\n"), admin.Invalid, `"realms" is there twice`},
		{"no keytab", with("include: [services/*.yaml]", file(filepath.Join(g.dir, "services/k.yaml"), "realms: {b: {kerberos: {realm: X, keytab: none.keytab}}}\n")), admin.Invalid, "none.keytab"},
		{"no certificate", with("include: [services/*.yaml]", file(filepath.Join(g.dir, "services/k.yaml"), "listen: [{addr: \"127.0.0.1:1\", tls: {cert: none.pem, key: none.key}}]\n")), admin.Invalid, "none.pem"},
		{"an address of another machine", g.files("upstreams: {u: {listen: \"192.0.2.1:1\", url: \"http://x\", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}\n"), admin.Invalid, "could not be put into force"},
		{"no main file", admin.ConfigSet{Digest: g.files("").Digest, Files: []admin.ConfigFile{file(secret, "")}}, admin.Invalid, "main file is missing"},
		{"elsewhere", with("include: ["+outside+"]", file(outside, fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "only where files of the configuration are"},
		{"elsewhere, by a link", with("include: [link/x.yaml]", file(filepath.Join(g.dir, "link/x.yaml"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "only where files of the configuration are"},
		{"up", with("include: ["+g.dir+"/services/../../x.yaml]", file(g.dir+"/services/../../x.yaml", "")), admin.Invalid, "is no name for a file"},
		{"another's file", with("include: [keep.yaml]", file(secret, fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "there is a file of that name"},
		{"not included", g.files("", file(filepath.Join(g.dir, "other.yaml"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "is not included"},
		{"no yaml", with("include: [gw.keytab]", file(filepath.Join(g.dir, "gw.keytab"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "is no name for a file"},
		{"twice", g.files("", file(g.file, "")), admin.Invalid, "there twice"},
		{"binary", g.files("", file(filepath.Join(g.dir, "services/a.yaml"), "\x00")), admin.Invalid, "that is no text"},
		{"too large", g.files("", file(filepath.Join(g.dir, "services/a.yaml"), strings.Repeat("#", 1<<20))), admin.Invalid, "too large"},
		{"old", admin.ConfigSet{Digest: "x", Files: g.files("").Files}, admin.Conflict, "changed by somebody else"},
	} {
		_, err := g.service.ApplyFiles(ctx, tt.set, "")
		wantKind(t, tt.name, err, tt.kind, tt.want)
		if g.read(g.file) != before || g.read(secret) != "keep me" || g.Config().Services["x"] != nil {
			t.Fatalf("%s: something was changed", tt.name)
		}
		for _, dir := range []string{g.dir, filepath.Join(g.dir, "services"), filepath.Dir(outside)} {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if strings.Contains(e.Name(), ".tmp-") || e.Name() == "x.yaml" || dir != g.dir {
					t.Errorf("%s: %s is left", tt.name, e.Name())
				}
			}
		}
	}
	if _, refused := g.parts.(*composer).Loaded(); refused != nil {
		t.Errorf("the last reload was refused: %v", refused)
	}
}

// A configuration that keeps out who applies it is refused, unless that is meant.
func TestAttackApplyKeepsOut(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	swap := func(old, text string) admin.ConfigSet {
		set := g.files("")
		set.Files[0].Text = strings.Replace(set.Files[0].Text, old, text, 1)
		return set
	}
	listener := fmt.Sprintf("admin: {addr: %q, local: {allow_without_second_factor: true}}", g.admin)
	for _, tt := range []struct {
		name string
		set  admin.ConfigSet
		want string
	}{
		{"no listener", swap(listener, ""), "no admin listener"},
		{"local ones are kept out", swap("local: {", "local: {disabled: true, "), "admin.local.disabled"},
		{"no store", swap("store: {driver: sqlite, dsn: s.db}", ""), ""}, // internal wants it
	} {
		_, err := g.service.ApplyFiles(ctx, tt.set, "")
		var e *admin.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, tt.want) || e.Kind != admin.Refused && tt.want != "" {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	check, err := g.service.CheckFiles(ctx, swap("local: {", "local: {disabled: true, "))
	if err != nil || !check.OK || !slices.ContainsFunc(check.Warnings, func(w string) bool { return strings.Contains(w, "keep you out: admin.local.disabled") }) {
		t.Errorf("%+v, %v", check, err)
	}
	forced := swap("local: {", "local: {disabled: true, ")
	forced.Force = true
	v, err := g.service.ApplyFiles(ctx, forced, "")
	if err != nil || !g.Config().Admin.Local.Disabled {
		t.Fatalf("with force: %v", err)
	}
	if _, err := g.service.ApplyFiles(ctx, g.files(""), ""); err != nil {
		t.Fatal(err)
	}
	_, err = g.service.RollBack(ctx, v.ID, "", false)
	wantKind(t, "rolling back to it", err, admin.Refused, "keep you out: admin.local.disabled")
	if _, err := g.service.RollBack(ctx, v.ID, "", true); err != nil || !g.Config().Admin.Local.Disabled {
		t.Errorf("rolling back to it with force: %v", err)
	}
}

// A viewer cannot have files opened by naming them.
func TestAttackCheckOpensFiles(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("tracing: {otlp: \"http://127.0.0.1:1\"}\n")
	set.Files[0].Text = strings.Replace(set.Files[0].Text, "realms: {", `realms: {b: {kerberos: {realm: X, keytab: /etc/shadow}, ldap: {url: "ldaps://x/dc=x", bind_user: u, bind_password: {file: /etc/shadow}}}, `, 1)
	check, err := g.service.CheckFiles(g.as(admin.Viewer), set)
	if err != nil || !check.OK {
		t.Errorf("as a viewer: %+v, %v", check, err)
	}
	check, err = g.service.CheckFiles(g.as(admin.Administrator), set)
	if err != nil || check.OK || !strings.Contains(check.Problems[0].Text, "/etc/shadow") || check.Problems[0].Line == 0 {
		t.Errorf("as an administrator: %+v, %v", check, err)
	}
}

// 37g. A viewer has a difference made of a million lines, each many times as long as
// what was sent.
func TestAttackCheckFloods(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	set.Files[0].Text += strings.Repeat("\n", 900_000)
	_, err := g.service.CheckFiles(g.as(admin.Viewer), set)
	var e *admin.Error
	if !errors.As(err, &e) || e.Kind != admin.Invalid || !strings.Contains(e.Text, "too many lines") {
		t.Errorf("%v", err)
	}
}

// Many apply at once: each sees what it began with, or is told that it is not so
// any more.
func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for n := range 6 {
		wg.Go(func() {
			mine := admin.ConfigSet{Digest: set.Digest, Files: []admin.ConfigFile{{Path: g.file, Text: adminText(g.addr, g.admin, fmt.Sprintf("# %d\n", n))}}}
			v, err := g.service.ApplyFiles(g.as(admin.Administrator), mine, "")
			var e *admin.Error
			switch {
			case err == nil:
				mu.Lock()
				applied = append(applied, v.Digest)
				mu.Unlock()
			case !errors.As(err, &e) || e.Kind != admin.Conflict:
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := g.Reload(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	now := g.files("")
	if len(applied) != 1 || applied[0] != now.Digest {
		t.Errorf("applied %v, in place %s", applied, now.Digest)
	}
}

// What only one of several files can be written of is not begun.
func TestApplyPartly(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	extra := admin.ConfigFile{Path: filepath.Join(g.dir, "services", "shop.yaml"), Text: fmt.Sprintf(serviceMore, "shop")}
	if _, err := g.service.ApplyFiles(ctx, g.files("", extra), ""); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(extra.Path)
	if err := os.Chmod(dir, 0o777); err != nil { // also root is refused then
		t.Fatal(err)
	}
	set, err := g.service.Files(ctx)
	if err != nil || len(set.Files) != 2 || !set.Files[0].Writable || set.Files[1].Writable {
		t.Fatalf("%+v, %v", set, err)
	}
	changed := admin.ConfigFile{Path: extra.Path, Text: extra.Text + "# changed\n"}
	next := g.files("# changed\n", changed)
	_, err = g.service.ApplyFiles(ctx, next, "")
	wantKind(t, "directory of everybody", err, admin.Refused, "cannot write "+extra.Path)
	if g.read(g.file) != adminText(g.addr, g.admin, "") || g.read(extra.Path) != extra.Text {
		t.Error("a part was written")
	}
}

// What is looked at leaves nothing behind, and changes nothing.
func TestBuildLeavesNothing(t *testing.T) {
	g := govern(t)
	ctx := g.as(admin.Administrator)
	round := func(n int) {
		t.Helper()
		set := g.files(fmt.Sprintf(`upstreams: {u: {listen: "127.0.0.1:%d", url: "http://127.0.0.1:1", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}
`, 40000+n))
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "dsn: s.db", fmt.Sprintf("dsn: other%d.db", n), 1)
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "realms: {", fmt.Sprintf(`realms: {people: {ldap: {url: "ldaps://127.0.0.1:1/dc=x", timeout: %ds}}, `, n+1), 1)
		check, err := g.service.CheckFiles(ctx, set)
		if err != nil || !check.OK || !slices.ContainsFunc(check.Warnings, func(w string) bool { return strings.Contains(w, "the store is another one") }) {
			t.Fatalf("%+v, %v", check, err)
		}
	}
	for n := range 3 {
		round(n)
	}
	before := g.current.Load()
	files, goroutines := count(t)
	for n := range 30 {
		round(n)
	}
	eventually(t, "goroutines or files are left", func() bool {
		f, n := count(t)
		return f <= files+1 && n <= goroutines+2
	})
	if g.current.Load() != before {
		t.Error("another generation is in force")
	}
	if found, _ := filepath.Glob(filepath.Join(g.dir, "other*")); len(found) > 0 {
		t.Errorf("a store was made: %v", found)
	}
	if status, _, _ := g.do("GET", "http://"+g.addr+"/hr/", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("alice:"+rootPassword))); status == 0 {
		t.Error("the gateway does not answer")
	}
}

func TestOverviewAndRealms(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Viewer)
	st := g.parts.(*composer).admin.store()
	now := g.parts.(*composer).Started().Truncate(directory.CountStep)
	if err := st.AddCounts(t.Context(), []directory.Count{
		{Time: now, Kind: directory.CountLogin, Mechanism: "Basic", Outcome: "accepted", N: 3},
		{Time: now.Add(-3 * directory.CountStep), Kind: directory.CountLogin, Mechanism: "Basic", Outcome: "refused", N: 2},
		{Time: now, Kind: directory.CountDoubleHop, N: 4},
		{Time: now, Kind: directory.CountRC4, N: 5},
	}); err != nil {
		t.Fatal(err)
	}
	o, err := g.service.Overview(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	var accepted, refused int64
	for _, c := range o.Logins {
		switch c.Outcome {
		case "accepted":
			accepted += c.N
		case "refused":
			refused += c.N
		}
	}
	if o.Users != 2 || accepted != 3 || refused != 2 || o.DoubleHops != 4 || o.RC4 != 5 || o.Step != 900 || len(o.Listens) != 2 || o.Version == "" || o.Loaded.IsZero() {
		t.Errorf("%+v", o)
	}
	g.write(g.file, "nonsense: 1\n")
	if err := g.Reload(); err == nil {
		t.Fatal("nonsense was taken")
	}
	after, err := g.service.Overview(ctx, 0)
	if err != nil || !strings.Contains(after.Refused, "nonsense") || !after.Loaded.Equal(o.Loaded) {
		t.Errorf("after a refused reload: %+v, %v", after, err)
	}
	if set, err := g.service.Files(ctx); err != nil || set.Files[0].Text != "nonsense: 1\n" {
		t.Errorf("files %+v, %v", set, err)
	}
	realms, err := g.service.Realms(ctx)
	if err != nil || len(realms) != 1 || realms[0].Name != "staff" || !slices.Equal(realms[0].Tests, []admin.TestKind{admin.TestInternal}) {
		t.Errorf("%+v, %v", realms, err)
	}
	roles, err := g.service.Roles(ctx)
	if err != nil || len(roles) != 2 || !slices.Equal(roles[1].UsedBy, []string{"service hr", "role auditors"}) || !strings.HasSuffix(roles[1].Source, "gw.yaml:7") {
		t.Errorf("%+v, %v", roles, err)
	}
}

func TestInternalTest(t *testing.T) {
	t.Parallel()
	g := govern(t)
	try := func(user, password string) (*admin.TestResult, error) {
		return g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestInternal, User: user, Password: authn.NewSecret(password)})
	}
	if res, err := try("alice", rootPassword); err != nil || !res.OK {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := try("alice", "MARKED-SECRET"); err != nil || res.OK || res.Steps[0].Remedy == "" {
		t.Errorf("a wrong password: %+v, %v", res, err)
	}
	if res, err := try("nobody", "x"); err != nil || res.OK {
		t.Errorf("nobody: %+v, %v", res, err)
	}
	changes, err := g.service.Changes(g.as(admin.Viewer), admin.ChangeQuery{Action: "realm.test"})
	if err != nil || len(changes.Changes) != 3 {
		t.Fatalf("%+v, %v", changes, err)
	}
	b, _ := json.Marshal(changes)
	if !bytes.Contains(b, []byte("alice")) || bytes.Contains(b, []byte("MARKED")) || strings.Contains(g.log.String(), "MARKED") {
		t.Errorf("record %s", b)
	}
	_, err = g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestBind, User: "a", Password: authn.NewSecret("b")})
	wantKind(t, "another kind", err, admin.Invalid, "cannot be tried")
	_, err = g.service.Test(g.as(admin.Operator), admin.Test{Realm: "sales", Kind: admin.TestBind})
	wantKind(t, "no realm", err, admin.NotFound, "")
}

// A test is of no use for guessing: an administrator has ten a minute, and wrong
// passwords count as those of logins do.
func TestAttackTestGuesses(t *testing.T) {
	t.Parallel()
	g := govern(t)
	var results []string
	for n := range 12 {
		res, err := g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret(fmt.Sprint("guess", n))})
		var e *admin.Error
		switch {
		case errors.As(err, &e) && e.Kind == admin.Refused && n >= 10:
			results = append(results, "too many")
		case err != nil || res.OK:
			t.Fatalf("%d: %+v, %v", n, res, err)
		default:
			results = append(results, res.Steps[0].Text)
		}
	}
	if results[10] != "too many" || results[11] != "too many" || results[9] == "too many" {
		t.Errorf("%q", results)
	}
	// The right one is not taken any more, so that the guesses after the third told
	// nothing.
	other := admin.NewContext(t.Context(), &admin.Caller{Name: "other", Role: admin.Operator, Peer: "127.0.0.1"})
	res, err := g.service.Test(other, admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret(rootPassword)})
	if err != nil || res.OK {
		t.Errorf("%+v, %v", res, err)
	}
}

// browser is at the console. That of browse has signed in as root.
type browser struct {
	*governed
	client *http.Client
}

func (g *governed) newBrowser() *browser {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &browser{g, &http.Client{Jar: jar}}
}

func (g *governed) browse() *browser {
	g.t.Helper()
	b := g.newBrowser()
	_, page := b.get("/console/login/local")
	b.post("/console/login/local", page, "user", "root", "password", rootPassword)
	_, page = b.get("/console/login/local/setup")
	if res, text := b.post("/console/login/local/setup", page, "skip", "yes"); res.StatusCode != 200 || res.Request.URL.Path != "/console/" {
		g.t.Fatalf("signing in ends at %s: %s\n%s", res.Request.URL, res.Status, text)
	}
	return b
}

func (b *browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", "http://"+b.admin+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	return b.send(req)
}

var hidden = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// post sends a form with the token of a page.
func (b *browser) post(path, page string, values ...string) (*http.Response, string) {
	b.t.Helper()
	form := url.Values{}
	if m := hidden.FindStringSubmatch(page); m != nil {
		form.Set("csrf", m[1])
	}
	for i := 0; i+1 < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	req, err := http.NewRequestWithContext(b.t.Context(), "POST", "http://"+b.admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Origin", "http://"+b.admin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(req)
}

func (b *browser) send(req *http.Request) (*http.Response, string) {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(text)
}

var links = regexp.MustCompile(`(?:href|src)="(/console/[^"#]*)"`)

// Everything that pages of the console lead to is there, and signing out ends the
// session.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	g := govern(t)
	b := g.browse()
	_, home := b.get("/console/")
	todo, seen := []string{"/console/"}, map[string]bool{"/console/": true}
	for len(todo) > 0 && len(seen) < 200 {
		path := html.UnescapeString(todo[0])
		todo = todo[1:]
		res, text := b.get(path)
		if res.StatusCode != 200 && res.StatusCode != 405 { // what only takes forms
			t.Errorf("%s: %s\n%.300s", path, res.Status, text)
		}
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				todo = append(todo, m[1])
			}
		}
	}
	if len(seen) < 15 || strings.Contains(g.log.String(), "a request of an administrator failed") {
		t.Errorf("%d pages: %v\n%s", len(seen), seen, grep(g.log.String(), "failed"))
	}
	out := regexp.MustCompile(`action="(/console/log[^"]*)"`).FindStringSubmatch(home)
	if out == nil {
		t.Fatalf("no way to sign out in\n%s", home)
	}
	if res, text := b.post(out[1], home); res.StatusCode != 200 {
		t.Errorf("signing out at %s: %s\n%.300s", out[1], res.Status, text)
	}
	if res, _ := b.get("/console/users"); !strings.HasPrefix(res.Request.URL.Path, "/console/login") {
		t.Errorf("after signing out: %s", res.Request.URL)
	}
}

// A bug in what answers administrators ends one request, and the log tells which.
func TestAttackAdminPanic(t *testing.T) {
	t.Parallel()
	g := govern(t)
	a := g.parts.(*composer).admin
	a.pages = func() http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("MARKED cause") })
	}
	status, header, body := g.do("GET", "http://"+g.admin+"/console/", "")
	_, ref, _ := strings.Cut(strings.TrimSpace(body), "reference ")
	if status != 500 || strings.Contains(body, "MARKED") || ref == "" || !strings.Contains(grep(g.log.String(), "MARKED"), "ref="+ref) || header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q, log\n%s", status, body, g.log)
	}
	if status, _, _ := g.do("GET", "http://"+g.admin+"/healthz", ""); status != 200 {
		t.Errorf("afterwards %d", status)
	}
}

// Who comes by a proxy that is trusted is written down with the own address, and
// nobody makes one up.
func TestAdminBehindProxy(t *testing.T) {
	t.Parallel()
	g := govern(t)
	text := strings.Replace(adminText(g.addr, g.admin, "trusted_proxies: [127.0.0.1]\n"), "admin: {", `admin: {url: "https://console.corp.test", networks: [127.0.0.1], `, 1)
	ask := func(header ...string) int {
		t.Helper()
		status, _, _ := g.do("POST", "http://"+g.admin+"/admin/v1/token", `{"user": "root", "password": "wrong password"}`,
			append(header, "Content-Type", "application/json")...)
		return status
	}
	if status := ask("X-Forwarded-For", "203.0.113.7"); status != 403 {
		t.Errorf("by a proxy that nobody trusts: %d", status)
	}
	g.write(g.file, text)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if status := ask("X-Forwarded-For", "203.0.113.7"); status != 401 {
		t.Errorf("by the proxy: %d", status)
	}
	eventually(t, "no login from there", func() bool {
		page, err := g.service.Logins(g.as(admin.Viewer), admin.LoginQuery{Peer: "203.0.113.7"})
		return err == nil && len(page.Logins) == 1
	})
}
