package adtest

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// Password returns the password of a user, service or computer of the fixture.
func Password(tb testing.TB, account string) string {
	tb.Helper()
	for _, u := range content.Users {
		if u.Name == account {
			return u.Password
		}
	}
	for _, s := range content.Services {
		if s.Name == account {
			return s.Password
		}
	}
	for _, c := range content.Computers {
		if c.Name == account {
			return c.Password
		}
	}
	tb.Fatalf("adtest: no account %q in the fixture", account)
	return ""
}

// SID returns the SID of a user, group, service or computer.
func (dc *DC) SID(tb testing.TB, name string) string {
	tb.Helper()
	sid, ok := dc.sids.Load(name)
	if !ok {
		tb.Fatalf("adtest: no account %q", name)
	}
	return sid.(string)
}

// Keytab returns the path of a keytab with the keys of a service, under its
// account's name and under each SPN.
func (dc *DC) Keytab(service string) string { return dc.path("keytabs", service+".keytab") }

// Roots returns the authorities that the controller's certificate is verified
// with.
func (dc *DC) Roots(tb testing.TB) *x509.CertPool {
	tb.Helper()
	pem, err := os.ReadFile(dc.CAFile)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots
}

// Env returns the environment variables that let MIT Kerberos programs find
// the realm and nothing of the machine's own.
func (dc *DC) Env() []string {
	return []string{"KRB5_CONFIG=" + dc.Krb5Conf, "KRB5RCACHETYPE=none"}
}

// Kinit logs a user in with MIT's kinit and returns the path of the credential
// cache, which lives as long as the test. The ticket is forwardable where the
// account allows that.
func (dc *DC) Kinit(tb testing.TB, user string) string {
	tb.Helper()
	kinit := testenv.Need(tb, "kinit")
	cache := filepath.Join(tb.TempDir(), "krb5cc_"+user)
	testenv.Run(tb, dc.Env(), Password(tb, user)+"\n", kinit, "-f", "-c", "FILE:"+cache, user+"@"+Realm)
	return cache
}
