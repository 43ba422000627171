package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/directory"
)

// An administrator signs in at a provider: as the user that services would have of
// him, with the role of the configuration in force, until he is disabled.
func TestAdministratorOfProvider(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("web-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, adminAddr := freeAddr(t), freeAddr(t)
	text := func(role string) string {
		return fmt.Sprintf(`listen: [{addr: %q}]
admin: {addr: %q, url: "http://%[2]s", login: [it], roles: {%s: [gw]}}
store: {driver: sqlite, dsn: s.db}
realms: {it: {oidc: {issuer: %q, client_id: web, desktop_client_id: desktop, client_secret: {file: %q}}}}
roles: {gw: {users: ['it\alice@example.com']}}
services:
  hr: {match: {path: /hr/}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
`, addr, adminAddr, role, p.Issuer, secret)
	}
	g := &governed{admin: adminAddr}
	g.running = whole(t, text("administrator"), nil)
	g.service = g.parts.(*composer).admin.service

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/console/" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+adminAddr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		res, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	me := func() (role admin.Role, status int) {
		t.Helper()
		status, body := get("/admin/v1/me")
		var who struct{ Role admin.Role }
		if status == 200 {
			if err := json.Unmarshal([]byte(body), &who); err != nil {
				t.Fatal(err)
			}
		}
		return who.Role, status
	}

	p.SignIn("bob")
	if status, body := get("/console/login/it"); status != 403 || !strings.Contains(body, `it\bob@example.com`) {
		t.Errorf("bob: %d %s", status, body)
	}
	p.SignIn("alice")
	if status, body := get("/console/login/it"); status != 303 {
		t.Fatalf("alice: %d %s", status, body)
	}
	if role, status := me(); role != admin.Administrator || status != 200 {
		t.Errorf("alice is %v, %d", role, status)
	}
	u, err := g.service.User(g.as(admin.Viewer), `it\alice@example.com`)
	if err != nil || u.Realm != "it" || u.DisplayName != "Alice Adams" {
		t.Fatalf("user %+v, %v", u, err)
	}

	g.write(g.file, text("viewer"))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if role, status := me(); role != admin.Viewer || status != 200 {
		t.Errorf("alice is %v, %d", role, status)
	}

	// The command line.
	body := fmt.Sprintf(`{"provider": "it", "id_token": %q, "nonce": "n"}`, p.IDToken("desktop", "alice", "n"))
	if status, _, answer := g.do("POST", "http://"+adminAddr+"/admin/v1/token", body, "Content-Type", "application/json"); status != 200 || !strings.Contains(answer, `"role":"viewer"`) {
		t.Errorf("token: %d %s", status, answer)
	}

	off := true
	if _, err := g.service.ChangeUser(g.as(admin.Administrator), u.Name, admin.UserChange{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	if _, status := me(); status != 401 {
		t.Errorf("a disabled administrator gets %d", status)
	}
	if status, _ := get("/console/login/it"); status != 403 {
		t.Errorf("a disabled administrator signs in: %d", status)
	}
	page, err := g.service.Logins(g.as(admin.Viewer), admin.LoginQuery{Mechanism: "oidc", Outcome: string(directory.Accepted)})
	if err != nil || len(page.Logins) != 1 || page.Logins[0].User != u.Name {
		t.Errorf("record: %+v, %v", page, err)
	}
}
