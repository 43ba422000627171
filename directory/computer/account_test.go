package computer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
)

func TestAccountCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, domain, spn, want string }{
		{"GW01", "corp.test", "", ""},
		{"gw-01$", "corp.test", "HTTP/hr.corp.test", ""},
		{"A", "corp.test", "HTTP/hr:8080", ""},
		{"ABCDEFGHIJKLMNO", "a.corp.test", "MSSQLSvc/db.corp.test:1433", ""},
		{"", "corp.test", "", "no name"},
		{"$", "corp.test", "", "letters"},
		{"ABCDEFGHIJKLMNOP", "corp.test", "", "longer than the 15"},
		{"GW_01", "corp.test", "", "letters"},
		{"GW.01", "corp.test", "", "letters"},
		{"-GW", "corp.test", "", "letters"},
		{"GW-", "corp.test", "", "letters"},
		{"GW01$$", "corp.test", "", "letters"},
		{"GW*", "corp.test", "", "letters"},
		{"GÜ01", "corp.test", "", "letters"},
		{"1234", "corp.test", "", "digits only"},
		{"GW01", "CORP", "", "DNS name"},
		{"GW01", "corp..test", "", "DNS name"},
		{"GW01", "corp.test,DC=x", "", "DNS name"},
		{"GW01", "corp.test", "hr.corp.test", "service/host"},
		{"GW01", "corp.test", "HTTP/", "service/host"},
		{"GW01", "corp.test", "HTTP/a;rm", "service/host"},
		{"GW01", "corp.test", "HTTP/a/b", "service/host"},
		{"GW01", "corp.test", "HTTP/a:b", "service/host"},
	} {
		a := Account{Name: tt.name, Domain: tt.domain}
		if tt.spn != "" {
			a.SPNs = []string{tt.spn}
		}
		err := a.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q %q %q: %v, want %q", tt.name, tt.domain, tt.spn, err, tt.want)
		}
	}
}

func TestAccountNames(t *testing.T) {
	t.Parallel()
	a := Account{Name: "gw01$", Domain: "Corp.test", SPNs: []string{"HTTP/hr.corp.test", "http/GW01"}}
	got := fmt.Sprint(a.SAM(), a.UPN(), a.Realm(), a.Host(), a.ServiceNames())
	want := "GW01$GW01$@corp.testCORP.TESTgw01.corp.test[HOST/gw01 HOST/gw01.corp.test HTTP/gw01 HTTP/gw01.corp.test HTTP/hr.corp.test]"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s\nwant %s", got, want)
	}
	k := a.keys(authn.NewSecret("x"), 3, []string{"HTTP/later.corp.test"}, false)
	for _, p := range []string{"GW01$", "HTTP/gw01.corp.test", "HTTP/hr.corp.test", "HTTP/later.corp.test"} {
		if !slices.Contains(k.Principals, p) {
			t.Errorf("no keys for %s: %v", p, k.Principals)
		}
	}
	// A password that is not in force yet must not be logged in with.
	if k := a.keys(authn.NewSecret("x"), 3, nil, true); slices.Contains(k.Principals, "GW01$") {
		t.Error("the account's own key is announced")
	}
}

func TestNewPassword(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := NewPassword(Account{Name: "AB"}).Reveal()
		if len(s) != 64 || seen[s] || strings.Contains(strings.ToLower(s), "ab") ||
			!strings.ContainsAny(s, "0123456789") || strings.ToLower(s) == s || strings.ToUpper(s) == s {
			t.Fatalf("password %q", s)
		}
		seen[s] = true
	}
	if s := NewPassword(Account{}).Reveal(); len(s) != 64 { // whose account it is, Rotation need not know
		t.Errorf("password %q", s)
	}
}

func TestSecretFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		want          string // of the error; empty: read
	}{
		{"line", "secret\n", 0o600, ""},
		{"no newline", "secret", 0o600, ""},
		{"CRLF", "secret\r\n", 0o600, ""},
		{"group may read", "secret\n", 0o640, ""},
		{"empty", "", 0o600, "one line of text"},
		{"newline", "\n", 0o600, "one line of text"},
		{"two lines", "a\nb\n", 0o600, "one line of text"},
		{"long", strings.Repeat("x", 5000), 0o600, "one line of text"},
	} {
		f := SecretFile(filepath.Join(t.TempDir(), "s"))
		if err := os.WriteFile(string(f), []byte(tt.content), tt.mode); err != nil {
			t.Fatal(err)
		}
		got, err := f.Secrets()
		if tt.want == "" && (err != nil || len(got) != 1 || got[0].Reveal() != "secret") ||
			tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret\n") {
			t.Errorf("%s: the error has the content: %v", tt.name, err)
		}
	}
	if _, err := SecretFile(t.TempDir()).Secrets(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	if _, err := SecretFile(filepath.Join(t.TempDir(), "x")).Secrets(); !errors.Is(err, ErrNoSecret) || !strings.Contains(err.Error(), "soapward join") {
		t.Errorf("absent: %v", err)
	}
}

// Others who can read the password are the gateway.
func TestAttackComputerSecretMode(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", ".new", ".old"} {
		for _, mode := range []os.FileMode{0o604, 0o644, 0o660, 0o602, 0o777} {
			f := newFile(t, "m4rked")
			if suffix != "" {
				if err := f.write(string(f)+suffix, authn.NewSecret("m4rked2")); err != nil {
					t.Fatal(err)
				}
			}
			path := string(f) + suffix
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			_, err := f.Secrets()
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("run chmod %04o %s", mode&0o640, path)) || strings.Contains(err.Error(), "m4rked") {
				t.Errorf("%s mode %o: %v", suffix, mode, err)
			}
		}
	}
}

func TestChannelIsRedacted(t *testing.T) {
	t.Parallel()
	c := Netlogon(netlogon.Config{Account: "GW01$", Secrets: netlogon.Password(authn.NewSecret("m4rked")), Controllers: []string{"a", "b"}})
	for _, s := range []string{fmt.Sprintf("%v %+v", c, c), fmt.Sprintf("%+v", Made{Password: authn.NewSecret("m4rked")}), fmt.Sprintf("%#v", Outcome{Password: authn.NewSecret("m4rked")})} {
		if strings.Contains(s, "m4rked") {
			t.Error(s)
		}
	}
	if got := c.(channel).cfg.Controllers; len(got) != 1 {
		t.Errorf("controllers %v, want one", got)
	}
}

// resolver answers as a test wants.
type resolver func(name string) ([]*net.SRV, error)

func (r resolver) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	recs, err := r("_" + service + "._" + proto + "." + name)
	return "", recs, err
}

// Who answers for DNS must not decide who gets an administrator's password.
func TestAttackControllerFromDNS(t *testing.T) {
	t.Parallel()
	targets := func(names ...string) resolver {
		return func(name string) ([]*net.SRV, error) {
			if name != "_ldap._tcp.dc._msdcs.corp.test" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			var out []*net.SRV
			for _, n := range names {
				out = append(out, &net.SRV{Target: n, Port: 389})
			}
			return out, nil
		}
	}
	for _, tt := range []struct {
		name string
		r    resolver
		want string // the controllers, or the error
	}{
		{"controllers", targets("DC1.corp.test.", "dc2.site.corp.test."), "[dc1.corp.test dc2.site.corp.test]"},
		{"another domain", targets("dc1.evil.example."), `"dc1.evil.example" is a controller of corp.test, which its name does not bear out`},
		{"a similar one", targets("dc1.evilcorp.test."), "does not bear out"},
		{"the domain itself", targets("corp.test."), "does not bear out"},
		{"one of them", targets("dc1.evil.example.", "dc1.corp.test."), "[dc1.corp.test]"},
		{"no service", targets("."), "names no controller"},
		{"no names", targets("a b.corp.test", "-.corp.test"), "names no controller"},
		{"nothing", targets(), "names no controller"},
		{"no DNS", func(string) ([]*net.SRV, error) { return nil, errors.New("no such host") }, "no such host"},
	} {
		got, err := FindControllers(t.Context(), tt.r, "corp.test")
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
	if got, err := FindControllers(t.Context(), nil, "corp"); err == nil {
		t.Errorf("no DNS name: %v", got)
	}
}
