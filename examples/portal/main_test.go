package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/slapdtest"
	"github.com/soapward/soapward/soapclient"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

const carolsPassword = "violet tractor lagoon"

// start runs the program with a store in which carol has a password and a role,
// and returns its address and the store.
func start(t *testing.T, args ...string) (base string, users *store.Store) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "portal.db")
	users, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: db, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })
	carol := directory.User{Name: "carol", Roles: []string{"payroll"}}
	if err := users.CreateUser(t.Context(), &carol); err != nil {
		t.Fatal(err)
	}
	if err := (&password.Internal{Users: users}).SetPassword(t.Context(), &carol, carolsPassword); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0", "-db", db}, args...), w)
		_ = w.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("portal: %v", err)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), "/"), users
}

// browser is a person in front of the portal.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

// open returns status and text of a page.
func (b *browser) open(path string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) do(r *http.Request) (int, string) {
	b.t.Helper()
	r.Header.Set("Accept", "text/html")
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, html.UnescapeString(string(body))
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends the form of a page that is open.
func (b *browser) post(page, path string, fields url.Values) (int, string) {
	b.t.Helper()
	m := tokenField.FindStringSubmatch(page)
	if m == nil {
		b.t.Fatalf("no form in %s", page)
	}
	fields.Set("csrf", m[1])
	r, err := http.NewRequest(http.MethodPost, b.base+path, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

func newBrowser(t *testing.T, base string, tr http.RoundTripper) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, base, &http.Client{Jar: jar, Transport: tr}}
}

// signIn is what somebody does who opens the portal.
func signIn(t *testing.T, base, user, pw string) (b *browser, status int, page string) {
	t.Helper()
	b = newBrowser(t, base, nil)
	_, page = b.open("/")
	status, page = b.post(page, "/login", url.Values{"user": {user}, "password": {pw}})
	return b, status, page
}

// soapCaller lists expenses over tr.
func soapCaller(base string, tr http.RoundTripper) *expenses.ExpensesClient {
	return expenses.NewExpensesClient(&soapclient.Client{URL: base + "/soap", HTTP: &http.Client{Transport: tr}})
}

// TestPortal runs the program with a real domain.
func TestPortal(t *testing.T) {
	dc := adtest.Start(t)
	t.Setenv("PORTAL_READER_PASSWORD", adtest.Password(t, adtest.Jill))
	base, users := start(t, "-domain", "corp.test", "-ldap", "ldaps://"+dc.IP, "-ca", dc.CAFile,
		"-reader", "jill@corp.test", "-keytab", dc.Keytab(adtest.Web))

	t.Run("form", func(t *testing.T) {
		for _, tt := range []struct {
			user, pw, who string
			payroll       int
		}{
			{adtest.Alice, adtest.Password(t, adtest.Alice), `CORP\alice`, 200}, // by her group
			{`corp.test\BOB`, adtest.Password(t, adtest.Bob), `CORP\bob`, 403},
			{"carol", carolsPassword, "carol", 200}, // by an operator
		} {
			b, status, page := signIn(t, base, tt.user, tt.pw)
			if status != 200 || !strings.Contains(page, tt.who+" by form") {
				t.Fatalf("%s: %d %s", tt.user, status, page)
			}
			if status, _ := b.open("/payroll/"); status != tt.payroll {
				t.Errorf("%s: payroll %d, want %d", tt.user, status, tt.payroll)
			}
			if _, out := b.post(page, "/login/out", url.Values{}); !strings.Contains(out, "signed out") {
				t.Errorf("%s: %s", tt.user, out)
			}
			if _, page := b.open("/"); strings.Contains(page, tt.who) {
				t.Errorf("%s is still in", tt.user)
			}
		}
	})

	t.Run("Kerberos", func(t *testing.T) {
		cfg, err := kerberos.LoadConfig(dc.Krb5Conf)
		if err != nil {
			t.Fatal(err)
		}
		client, err := kerberos.NewPasswordClient(*cfg, adtest.Alice, authn.NewSecret(adtest.Password(t, adtest.Alice)))
		if err != nil {
			t.Fatal(err)
		}
		tr := &authclient.Transport{
			Source: authclient.Static(&authclient.Kerberos{Client: client}), SPN: func(authclient.Target) string { return adtest.WebSPN },
		}
		defer tr.CloseIdleConnections()
		if status, page := newBrowser(t, base, tr).open("/"); status != 200 || !strings.Contains(page, `CORP\alice by Kerberos`) || !strings.Contains(page, "payroll") {
			t.Errorf("%d %s", status, page)
		}
		if _, err := soapCaller(base, tr).ListExpenses(t.Context(), &expenses.ListExpenses{}); err != nil {
			t.Errorf("SOAP: %v", err)
		}
	})

	t.Run("guesses", func(t *testing.T) {
		for range 3 {
			if _, status, page := signIn(t, base, "peggy", "wrong"); status != 401 || !strings.Contains(page, "Invalid username or password") {
				t.Errorf("%d %s", status, page)
			}
		}
		if _, status, page := signIn(t, base, `CORP\Peggy`, adtest.Password(t, adtest.Peggy)); status != 429 || !strings.Contains(page, "Too many failed login attempts") {
			t.Errorf("%d %s", status, page)
		}
	})

	// What the store knows now.
	alice, err := users.User(t.Context(), `CORP\alice`)
	if err != nil || alice.Realm != realm || string(alice.SID) != dc.SID(t, adtest.Alice) || len(alice.Groups) == 0 {
		t.Errorf("alice is %+v, %v", alice, err)
	}
	if carol, err := users.User(t.Context(), "carol"); err != nil || carol.LastLogin.IsZero() {
		t.Errorf("carol is %+v, %v", carol, err)
	}
	if blocks, err := users.Blocks(t.Context(), alice.Refreshed); err != nil || len(blocks) != 1 || !strings.Contains(blocks[0].Key, `corp\peggy`) {
		t.Errorf("blocks %+v, %v", blocks, err)
	}
}

// TestPortalLDAP runs the program with an LDAP server, over TLS.
func TestPortalLDAP(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Config{LDIF: `dn: uid=alice,dc=corp,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice Liddell
sn: Liddell
userPassword: alice-s3cret

dn: cn=Payroll,dc=corp,dc=test
objectClass: groupOfNames
cn: Payroll
member: uid=alice,dc=corp,dc=test
`})
	cert, key, trust := certificate(t)
	t.Setenv("PORTAL_READER_PASSWORD", slapdtest.AdminPassword)
	base, users := start(t, "-cert", cert, "-key", key, "-ldap", s.URL, "-ca", s.CAFile(),
		"-people", slapdtest.BaseDN, "-reader", slapdtest.AdminDN)

	basic := func(user, pw string) http.RoundTripper {
		return &authclient.Transport{Base: trust, Source: authclient.Static(&authclient.Basic{User: user, Password: authn.NewSecret(pw)})}
	}
	who, err := (&http.Client{Transport: basic("alice", "alice-s3cret")}).Get(base + "/.soapward/whoami")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = who.Body.Close() }()
	var me struct {
		Username    string `json:"username"`
		DisplayName string `json:"display_name"`
		Mechanism   string `json:"mechanism"`
	}
	if err := json.NewDecoder(who.Body).Decode(&me); err != nil || me.Username != `CORP\alice` || me.DisplayName != "Alice Liddell" || me.Mechanism != "Basic" {
		t.Errorf("%+v, %v", me, err)
	}
	for user, pw := range map[string]string{"alice": "alice-s3cret", "carol": carolsPassword} {
		if _, err := soapCaller(base, basic(user, pw)).ListExpenses(t.Context(), &expenses.ListExpenses{}); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		if _, err := soapCaller(base, basic(user, "wrong")).ListExpenses(t.Context(), &expenses.ListExpenses{}); err == nil {
			t.Errorf("%s has a wrong password, and is let in", user)
		}
	}
	if u, err := users.User(t.Context(), `CORP\alice`); err != nil || u.Realm != realm {
		t.Errorf("alice is %+v, %v", u, err)
	}
}

// certificate returns files with the certificate of httptest and its key, and
// who trusts it.
func certificate(t *testing.T) (cert, key string, trust *http.Transport) {
	t.Helper()
	like := httptest.NewTLSServer(nil)
	defer like.Close()
	raw, err := x509.MarshalPKCS8PrivateKey(like.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: like.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, like.Client().Transport.(*http.Transport)
}

// Passwords do not go over plain HTTP to other machines.
func TestAttackPlainHTTP(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-addr", net.JoinHostPort("0.0.0.0", "0"), "-db", filepath.Join(t.TempDir(), "portal.db")}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-cert") {
		t.Errorf("got %v, want the remedy", err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-h"}, io.Discard); err != nil {
		t.Error(err)
	}
}
