package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// Whoever can write a part of the configuration cannot wear the program out with
// aliases of aliases, depth or size.
func TestAttackConfigBomb(t *testing.T) {
	t.Parallel()
	laughs := "x: &a [" + strings.Repeat("l,", 9) + "l]\n"
	for i := 'b'; i < 'z'; i++ {
		laughs += fmt.Sprintf("%c: &%c [%s*%c]\n", i, i, strings.Repeat(fmt.Sprintf("*%c,", i-1), 9), i-1)
	}
	many := "services:\n  s0: &s\n    allow: [" + strings.Repeat("{path: /, roles: [any]}, ", 500) + "]\n"
	for i := 1; i < 1000; i++ {
		many += fmt.Sprintf("  s%d: *s\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"billion laughs", laughs, "unknown key"},
		{"aliases of much", many, "the configuration is too large"},
		{"depth", "listen: " + strings.Repeat("[", 9_000), ""},
		{"size", "store: {dsn: " + strings.Repeat("x", maxSize) + "}", "larger than 1024 KiB"},
		{"circle", "realms: &r {a: *r}", ""},
		{"circle of lists", "listen: &r [*r, *r]", ""},
		{"keys", "store: {" + strings.Repeat("x: 1, ", 20_000) + "}", "unknown key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := Parse("c.yaml", []byte(tt.text))
			took := time.Since(begin)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %.200v, want %q", err, tt.want)
			}
			if n := len(err.Error()); n > 10_000 {
				t.Errorf("an error of %d bytes", n)
			}
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A password that somebody wrote into the configuration, or into the wrong key,
// is not repeated in the error.
func TestAttackInlineSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-very-secret"
	for _, tt := range []struct{ name, text string }{
		{"text", "realms: {a: {ad: {domain: x.y, bind_user: u, bind_password: " + secret + "}}}"},
		{"list", "realms: {a: {ad: {domain: x.y, bind_user: u, bind_password: [" + secret + "]}}}"},
		{"as the variable", "realms: {a: {ad: {domain: x.y, bind_user: u, bind_password: {env: " + secret + "}}}}"},
		{"in a URL", "upstreams: {s: {listen: \":1\", act_as: [caller], url: \"https://u:" + secret + "@host\"}}"},
		{"in a proxy's URL", "realms: {a: {oidc: {issuer: \"https://i\", client_id: x, proxy: \"http://u:" + secret + "@host\"}}}"},
		{"in a proxy's URL that is none", "realms: {a: {oidc: {issuer: \"https://i\", client_id: x, proxy: \"http://u:" + secret + "%zz@host\"}}}"},
		{"in a directory's URL", "realms: {a: {ad: {url: \"ldaps://u:" + secret + "@host\"}}}"},
		{"in a DSN", "store: {driver: postgres, dsn: \"postgres://u:" + secret + "@host/db\"}"},
		{"in a DSN of words", "store: {driver: postgres, dsn: \"host=h Password = " + secret + "\"}"},
		{"as the store", "store: \"postgres://u:" + secret + "@host/db\""},
		{"as the driver", "store: {driver: \"postgres://u:" + secret + "@host/db\", dsn: x}"},
		{"as the driver, in words", "store: {driver: \"host=h password = " + secret + "\", dsn: x}"},
		{"as a number", "store: {keep_logins: \"https://u:" + secret + "@host\"}"},
		{"in a URL that is none", "upstreams: {s: {listen: \":1\", act_as: [caller], url: \"https://u:" + secret + "%zz@host\"}}"},
		{"in a directory's URL that is none", "realms: {a: {ad: {url: \"ldaps://u:" + secret + "%zz@host\"}}}"},
		{"in a DSN that is none", "store: {driver: postgres, dsn: \"postgres://u:" + secret + "%zz@host/db\"}"},
		{"in a DSN's query", "store: {driver: postgres, dsn: \"postgres://h/db?password=" + secret + "\"}"},
	} {
		_, err := Parse("c.yaml", []byte(tt.text))
		if err == nil {
			t.Errorf("%s: taken", tt.name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the secret is in the error: %v", tt.name, err)
		}
	}
}

// Files that others can read or change.
func TestAttackConfigMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "modes are those of Unix")
	}
	dir := t.TempDir()
	path, secret := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "s")
	for _, f := range []struct{ path, text string }{
		{path, "realms: {a: {ntlm: {verifier: netlogon, computer: GW$, secret: {file: s}}}}"}, {secret, "x"},
	} {
		if err := os.WriteFile(f.path, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file string
		mode os.FileMode
		want string
	}{
		{secret, 0o604, "chmod 0640 " + secret},
		{secret, 0o660, "chmod 0640 " + secret},
		{secret, 0o640, ""},
		{path, 0o602, "chmod 0644 " + path},
		{path, 0o644, ""},
	} {
		if err := os.Chmod(tt.file, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s with mode %o: %v, want %q", filepath.Base(tt.file), tt.mode, err, tt.want)
		}
		_ = os.Chmod(tt.file, 0o600)
	}
}

// TestAttackProviderNamedAsDomain: no provider gives names that are those of a
// domain, or of users whom another realm knows.
func TestAttackProviderNamedAsDomain(t *testing.T) {
	t.Parallel()
	const oidc = `oidc: {issuer: "https://id.example", client_id: x}`
	for _, tt := range []struct{ name, realms, want string }{
		{"alone", `partners: {` + oidc + `}, corp: {ad: {domain: corp.test, default_domain: CORP}}`, ""},
		{"with a directory", `corp: {ad: {domain: corp.test, default_domain: CORP}, ` + oidc + `}`, "want a realm of its own"},
		{"with tickets", `corp: {kerberos: {realm: CORP.TEST, keytab: k}, ` + oidc + `}`, "want a realm of its own"},
		{"with passwords", `corp: {internal: {}, ` + oidc + `}`, "want a realm of its own"},
		{"as a domain", `corp: {` + oidc + `}, windows: {ad: {domain: corp.test, default_domain: CORP}}`, `named corp\..., as those of realms.windows`},
		{"as a domain in full", `corp.test: {` + oidc + `}, windows: {ad: {domain: corp.test, default_domain: CORP}}`, "realms.windows"},
		{"as one of the domains", `sales: {` + oidc + `}, windows: {ad: {domain: corp.test, domains: [CORP, SALES]}}`, "realms.windows"},
		{"as a Kerberos realm", `Corp.Test: {` + oidc + `}, mit: {kerberos: {realm: CORP.TEST, keytab: k}}`, "realms.mit"},
		{"as an LDAP domain", `corp: {` + oidc + `}, l: {ldap: {url: "ldaps://l.test/dc=l", default_domain: CORP, filter: "(uid={user})"}}`, "realms.l"},
		{"as another realm", `Staff: {` + oidc + `}, staff: {internal: {}}`, "realms.staff"},
		{"by an alias", `id: {aliases: [CORP], ` + oidc + `}, windows: {ad: {domain: corp.test, default_domain: corp}}`, `named CORP\...`},
		{"by an alias of another", `old: {` + oidc + `}, staff: {aliases: [Old], internal: {}}`, "realms.staff"},
	} {
		_, err := Parse("/etc/soapward/gw.yaml", []byte("listen: [{addr: \":443\", tls: {cert: c, key: k}}]\nstore: {driver: sqlite, dsn: x.db}\nrealms: {"+tt.realms+"}\n"))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
