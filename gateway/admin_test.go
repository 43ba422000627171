package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
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
	}{{"/admin/v1/users", 1 << 20}, {"/console/users/add", 1 << 20}, {"/admin/v1/config/check", 8 << 20}, {"/console/configuration", 8 << 20}, {"/admin/v1/import", 8 << 20}, {"/admin/v1/imports", 1 << 20}} {
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
