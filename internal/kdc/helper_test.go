package kdc

import (
	"testing"

	"github.com/soapward/soapward/internal/krb5"
)

// newKDC returns a KDC of CORP.TEST unless c says otherwise.
func newKDC(t testing.TB, c Config) *KDC {
	t.Helper()
	if c.Realm == "" {
		c.Realm = "CORP.TEST"
	}
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func startKDC(t testing.TB, c Config) *KDC {
	t.Helper()
	k := newKDC(t, c)
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func mustAdd(t testing.TB, k *KDC, l ...Account) {
	t.Helper()
	for _, a := range l {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
}

// addPeople fills a domain: alice may be delegated, sam is sensitive, pru is in
// Protected Users, dora is disabled. front may call back in their names.
func addPeople(t testing.TB, k *KDC) {
	t.Helper()
	one := []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1}
	mustAdd(t, k,
		Account{Name: "alice", Password: "pw", FullName: "Alice Example", UPN: "alice@corp.test", Groups: []uint32{1200, 1201}, ETypes: one},
		Account{Name: "sam", Password: "pw", Sensitive: true},
		Account{Name: "pru", Password: "pw", Groups: []uint32{ridProtectedUsers}},
		Account{Name: "dora", Password: "pw", Disabled: true},
		Account{Name: "exa", Password: "pw", PasswordExpired: true},
		Account{Name: "front", Password: "f", SPNs: []string{"HTTP/front.corp.test"}, TrustedToAuth: true, DelegateTo: []string{"http/BACK.corp.test"}},
		Account{Name: "plain", Password: "f", SPNs: []string{"HTTP/plain.corp.test"}, DelegateTo: []string{"HTTP/back.corp.test"}},
		Account{Name: "guest", Password: "f", SPNs: []string{"HTTP/guest.corp.test"}},
		Account{Name: "back", Password: "b", SPNs: []string{"HTTP/back.corp.test"}, ActFor: []string{"guest"}},
		Account{Name: "other", Password: "b", SPNs: []string{"HTTP/other.corp.test", "HOST/other.corp.test"}},
	)
}
