package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// Administrators sign in at a provider, as users of its realm who are made then;
// what their roles let them do holds for pages and for what they do there.
func TestAdministratorsOfProvider(t *testing.T) {
	t.Parallel()
	g := govern(t)
	p := oidctest.New(t, oidctest.Options{Users: []oidctest.User{
		{Subject: "1", Username: "alice", Email: "alice@example.com", EmailVerified: true, Claims: map[string]any{"groups": []string{"chiefs"}}},
		{Subject: "2", Username: "bob", Email: "bob@example.com", EmailVerified: true, Claims: map[string]any{"groups": []string{"helpdesk"}}},
	}})
	if err := os.WriteFile(filepath.Join(g.dir, "client.secret"), []byte("web-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
listen: [{addr: %q}]
admin: {addr: %q, url: "http://%s", login: [it], roles: {viewer: [watchers], administrator: [chiefs]}, local: {allow_without_second_factor: true}}
store: {driver: sqlite, dsn: s.db}
passwords: {memory_kib: 8192, passes: 1}
realms: {it: {oidc: {issuer: %q, client_id: web, client_secret: {file: client.secret}}}}
roles: {chiefs: {claims: [{name: groups, value: chiefs}]}, watchers: {claims: [{name: groups, value: helpdesk}]}}
`, g.addr, g.admin, g.admin, p.Issuer)
	g.write(g.file, text)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	res, err := g.service.Test(g.as(admin.Operator), admin.Test{Realm: "it", Kind: admin.TestProvider})
	if err != nil || !res.OK || res.Steps[0].Name != "provider" {
		t.Errorf("%+v, %v", res, err)
	}

	p.SignIn("bob")
	bob := g.newBrowser()
	if res, text := bob.get("/console/login/it"); res.StatusCode != 200 || res.Request.URL.Path != "/console/" {
		t.Fatalf("bob ends at %s: %s\n%.500s", res.Request.URL, res.Status, text)
	}
	p.SignIn("alice")
	alice := g.newBrowser()
	_, page := alice.get("/console/login/it?return=" + "/console/configuration")
	if !strings.Contains(page, "chiefs") {
		t.Errorf("alice does not see the configuration:\n%.500s", page)
	}
	if u, err := g.service.User(g.as(admin.Viewer), `it\alice@example.com`); err != nil || u.Realm != "it" || u.HasPassword {
		t.Errorf("%+v, %v", u, err)
	}

	// What would keep alice out is refused to her, in the page that she uses.
	set, err := g.service.Files(g.as(admin.Viewer))
	if err != nil {
		t.Fatal(err)
	}
	gone := strings.Replace(text, "administrator: [chiefs]", "administrator: [watchers]", 1)
	form := []string{"path", set.Files[0].Path, "text", gone, "digest", set.Digest, "do", "apply"}
	if res, answer := alice.post("/console/configuration", page, form...); !strings.Contains(answer, "you have none of the roles in admin.roles.administrator") || g.read(g.file) != text {
		t.Errorf("%s: %s", res.Status, answer)
	}
	if res, _ := bob.post("/console/configuration", page, form...); res.StatusCode != 403 || g.read(g.file) != text {
		t.Errorf("bob, with another's token: %s", res.Status)
	}
	check, err := g.service.Changes(g.as(admin.Viewer), admin.ChangeQuery{Action: "config."})
	if err != nil || len(check.Changes) != 0 {
		t.Errorf("%+v, %v", check, err)
	}

	// The provider is down: nobody comes in there, and local administrators do.
	p.Set(func(s *oidctest.Switches) { s.Down = true })
	if res, _ := g.newBrowser().get("/console/login/it"); res.StatusCode == 200 && res.Request.URL.Path == "/console/" {
		t.Error("somebody came in")
	}
	g.browse()
}
