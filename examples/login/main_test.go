package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/slapdtest"
)

// people are in the LDAP server.
const people = `dn: uid=lena,%[1]s
objectClass: inetOrgPerson
uid: lena
cn: Lena Lang
sn: Lang
mail: lena@corp.test
userPassword: seven green boats

dn: cn=staff,%[1]s
objectClass: groupOfNames
cn: staff
member: uid=lena,%[1]s

`

// A browser, as far as the login needs one.
type browser struct {
	*http.Client
	url string
}

var token = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// logIn types a name and a password into the page and returns what comes then.
func (b *browser) logIn(t *testing.T, user, pw string) string {
	t.Helper()
	b.Jar, _ = cookiejar.New(nil) // there is no error
	found := token.FindStringSubmatch(b.do(t, http.MethodGet, "/login", nil))
	if found == nil {
		t.Fatal("the page has no token")
	}
	return b.do(t, http.MethodPost, "/login", url.Values{"user": {user}, "password": {pw}, "csrf": found[1:]})
}

func (b *browser) do(t *testing.T, method, path string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestLogin runs the program with users of a store and of a real LDAP server,
// while an operator works in the same store.
func TestLogin(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: fmt.Sprintf(people, slapdtest.BaseDN)})
	t.Setenv("SSL_CERT_FILE", srv.CAFile())
	file := filepath.Join(t.TempDir(), "users.db")
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	hash, err := new(password.Hasher).Hash(t.Context(), "quiet lamp under the river")
	if err != nil {
		t.Fatal(err)
	}
	carol := &directory.User{Name: "carol", Password: hash}
	if err := db.CreateUser(t.Context(), carol); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0", "-store", file, "-insecure-http", "-ldap", srv.URL, "-base", slapdtest.BaseDN}, w)
		_ = w.CloseWithError(err)
		done <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{new(http.Client), "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))}
	for _, tt := range []struct{ name, user, password, want string }{
		{"of the store", "carol", "quiet lamp under the river", "hello carol, staff: true"},
		{"of the LDAP server", "lena", "seven green boats", `hello LDAP\lena, staff: true`},
		{"wrong", "lena", "seven green goats", "Invalid username or password"},
		{"unknown", "mallory", "seven green boats", "Invalid username or password"},
		{"wrong again", "carol", "1", "Invalid username or password"},
		{"and again", "carol", "2", "Invalid username or password"},
		{"once more", "carol", "3", "Invalid username or password"},
		{"blocked", "carol", "quiet lamp under the river", "Too many failed login attempts"},
	} {
		if got := b.logIn(t, tt.user, tt.password); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %q", tt.name, got, tt.want)
		}
	}

	// An operator disables somebody who has a session.
	if got := b.logIn(t, "lena", "seven green boats"); !strings.Contains(got, "hello") {
		t.Error(got)
	}
	lena, err := db.User(t.Context(), `LDAP\lena`)
	if err != nil {
		t.Fatal(err)
	}
	lena.State = directory.DisabledByOperator
	if err := db.UpdateUser(t.Context(), lena); err != nil {
		t.Fatal(err)
	}
	if got := b.do(t, http.MethodGet, "/", nil); strings.Contains(got, "hello") {
		t.Errorf("a disabled user sees %s", got)
	}

	cancel()
	b.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Errorf("login: %v", err)
	}
	logins, err := db.Logins(t.Context(), directory.LoginQuery{Limit: 100})
	if err != nil || len(logins) < 9 || logins[0].Peer != "127.0.0.1" {
		t.Errorf("history %+v, %v", logins, err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-store", "x"}, {"-cert", "none.pem"}, {"-insecure-http", "-ldap", "ldaps://x", "-base", ""}} {
		if err := run(t.Context(), append(args, "-store", filepath.Join(t.TempDir(), "u.db"), "-addr", "127.0.0.1:0"), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
