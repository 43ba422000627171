package access

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// TestAttackAdminStoreRead: what the store has lets nobody in.
func TestAttackAdminStoreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin")
	s := w.site()
	b := s.browser()
	b.password("admin", secretPassword).expect(303, codePath)
	token := s.token(map[string]string{"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce"})
	c := s.browser()
	c.signIn(w.it, "alice@example.com").expect(303)
	for _, have := range []string{valueOf(b, "__Host-"+pendingCookie), token.Token, valueOf(c, "__Host-"+CookieName)} {
		if have == "" {
			t.Fatal("nothing to look for")
		}
		rows, err := w.store.SessionsOf(t.Context(), `it\alice@example.com`)
		if err != nil {
			t.Fatal(err)
		}
		pendingRows, err := w.store.SessionsOf(t.Context(), pendingRows)
		if err != nil || len(rows)+len(pendingRows) != 3 {
			t.Fatalf("%d and %d rows, %v", len(rows), len(pendingRows), err)
		}
		for _, r := range append(rows, pendingRows...) {
			if text := fmt.Sprintf("%+v %s %s", r, r.Data, r.ID[:]); strings.Contains(text, strings.TrimPrefix(have, tokenPrefix)[:32]) {
				t.Errorf("the store has %q", have)
			}
		}
	}
	for _, r := range rowsOf(t, w, `it\alice@example.com`) {
		if r.Grant != nil && strings.Contains(string(r.Grant.Sealed), "Marked") {
			t.Error("the store has a refresh token")
		}
	}
}

func rowsOf(t *testing.T, w *world, user string) []directory.Session {
	t.Helper()
	rows, err := w.store.SessionsOf(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestAttackAdminSecretsInLog: passwords, codes, recovery codes, tokens and cookies
// are in no log and no record.
func TestAttackAdminSecretsInLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin", func(u *directory.User) { u.SecondFactor = authn.Secret{} })
	s := w.site()
	b := s.browser()
	b.password("admin", wrongSecret).expect(401)
	b.password("admin", secretPassword).expect(303, setupPath)
	pending := valueOf(b, "__Host-"+pendingCookie)
	page := b.get(setupPath)
	factor := strings.ReplaceAll(between(page.text, "<code>", "</code>"), " ", "")
	used := w.code(factor)
	got := b.do(http.MethodPost, setupPath, page.fields("code", used)).expect(200)
	codes := strings.Fields(between(got.text, "<pre>", "</pre>"))
	cookie := valueOf(b, "__Host-"+CookieName)
	b = s.browser()
	b.password("admin", secretPassword).expect(303)
	wrong := "A"
	if strings.HasSuffix(codes[0], wrong) {
		wrong = "B"
	}
	b.second(codes[0][:len(codes[0])-1] + wrong).expect(401)
	b.second(codes[0]).expect(303)
	idToken := "Marked-id-token of alice@example.com 1"
	token := s.token(map[string]string{"provider": "it", "id_token": idToken, "nonce": "nonce"})
	s.program(http.MethodPost, tokenPath, "", map[string]string{"provider": "it", "id_token": idToken, "nonce": "nonce"}).expect(401)
	s.program(http.MethodGet, "/admin/v1/me", token.Token+"x", nil).expect(401)
	s.program(http.MethodPost, tokenPath, "", map[string]string{"user": "admin", "password": wrongSecret, "code": used}).expect(401)
	b.signIn(w.it, "alice@example.com").expect(303)
	w.it.set(func(p *fakeProvider) { p.err = fmt.Errorf("connection refused") })
	b.get(loginPath + "/it").expect(503)

	var record strings.Builder
	w.mu.Lock()
	for _, d := range w.seen {
		fmt.Fprintf(&record, "%+v %+v\n", *d, d.Identity)
	}
	w.mu.Unlock()
	changes, err := w.store.Changes(t.Context(), directory.ChangeQuery{})
	if err != nil {
		t.Fatal(err)
	}
	text := w.log.String() + record.String() + fmt.Sprintf("%+v", changes)
	if !strings.Contains(text, "administrator signed in") {
		t.Fatal("the log has nothing")
	}
	for name, secret := range map[string]string{
		"password": secretPassword, "what was typed": wrongSecret, "secret": factor, "code": used, "recovery code": codes[0],
		"pending": pending, "cookie": cookie, "token": strings.TrimPrefix(token.Token, tokenPrefix), "marked": "Marked-",
	} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the log or the record has the %s, or there is none", name)
		}
	}
}

// TestAttackAdminPlainHTTP: no form and no session where they could be read.
func TestAttackAdminPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(c *config.Config)
		host   string
		status int
		cookie string
	}{
		{"everybody's address", func(c *config.Config) { c.Admin.Addr = ":9090" }, "gw.test", 403, ""},
		{"the same, for development", func(c *config.Config) { c.Admin.Addr = ":9090"; c.Sessions.AllowInsecureHTTP = true }, "gw.test", 200, "soapward-admin-form"},
		{"this machine", func(*config.Config) {}, "127.0.0.1:9090", 200, "soapward-admin-form"},
		{"a socket", func(c *config.Config) { c.Admin.Addr = "unix:/run/gw.sock" }, "gw.test", 200, "soapward-admin-form"},
		{"TLS at a proxy", func(c *config.Config) {
			c.Admin.Addr = ":9090"
			c.Admin.URL = config.URL{URL: mustURL("https://gw.test")}
		}, "gw.test", 200, "__Host-soapward-admin-form"},
		{"past the proxy", func(c *config.Config) {
			c.Admin.Addr = ":9090"
			c.Admin.URL = config.URL{URL: mustURL("https://gw.test")}
		}, "192.0.2.1:9090", 403, ""},
	} {
		w := newWorld(t, tt.change)
		r := newRequest(http.MethodGet, "http://"+tt.host+localPath)
		rw := record(w, r)
		cookie := ""
		for _, c := range rw.Result().Cookies() {
			cookie = c.Name
			if c.Secure != strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly {
				t.Errorf("%s: cookie %v", tt.name, c)
			}
		}
		if rw.Code != tt.status || cookie != tt.cookie || tt.status == 403 && strings.Contains(rw.Body.String(), `type="password"`) {
			t.Errorf("%s: %d, cookie %q, want %d, %q", tt.name, rw.Code, cookie, tt.status, tt.cookie)
		}
	}
}
