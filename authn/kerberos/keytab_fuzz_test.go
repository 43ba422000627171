package kerberos

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/krb5"
)

// FuzzKeytab reads damaged keytab files: no panic, no key in the error.
func FuzzKeytab(f *testing.F) {
	key, err := krb5.NewKey(krb5.AES256SHA1, []byte("MARKEDsecretKEY!MARKEDsecretKEY!"))
	if err != nil {
		f.Fatal(err)
	}
	b := keytabBytes(f, testEntry{"svc-app", 2, key}, testEntry{"HTTP/app.corp.test", 2, key})
	f.Add(b)
	f.Add(b[:len(b)-5])
	f.Add([]byte{5, 2, 0x80, 0, 0, 0})
	f.Add([]byte{5, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKeytab(b)
		if (k == nil) == (err == nil) {
			t.Fatalf("keytab %v and error %v", k, err)
		}
		if err != nil && strings.Contains(err.Error(), "MARKED") {
			t.Errorf("the error shows the key: %v", err)
		}
		if k != nil {
			_ = k.Principals()
			_ = (&Mechanism{Keytab: k, SPNs: []string{"HTTP/app.corp.test"}}).Check()
		}
	})
}
