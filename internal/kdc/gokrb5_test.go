package kdc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/soapward/soapward/internal/krb5"
)

// gokrb5Keytab reads with gokrb5 what we write.
func gokrb5Keytab(t *testing.T, k *KDC, principal string) *keytab.Keytab {
	t.Helper()
	b, err := k.Keytab(principal)
	if err != nil {
		t.Fatal(err)
	}
	kt := keytab.New()
	if err := kt.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	return kt
}

// gokrb5 as the client, with password and keytab, over TCP and UDP, with each
// type of key; and as the service that opens the ticket.
func TestGokrb5(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2, krb5.RC4HMAC} {
		for _, udpLimit := range []int{1, 4096} {
			t.Run(fmt.Sprintf("%v,udp=%d", e, udpLimit), func(t *testing.T) {
				t.Parallel()
				k := startKDC(t, Config{})
				one := []krb5.EType{e}
				mustAdd(t, k, Account{Name: "alice", Password: "pw", ETypes: one},
					Account{Name: "svc", Password: "pw", ETypes: one, SPNs: []string{"HTTP/svc.corp.test"}})
				conf, err := config.NewFromString(strings.Replace(k.Krb5Conf(), "[libdefaults]", fmt.Sprintf(
					"[libdefaults]\nudp_preference_limit = %d\ndefault_tkt_enctypes = %[2]v\ndefault_tgs_enctypes = %[2]v\npermitted_enctypes = %[2]v\nallow_weak_crypto = true",
					udpLimit, e), 1))
				if err != nil {
					t.Fatal(err)
				}
				for name, cl := range map[string]*client.Client{
					"password": client.NewWithPassword("alice", "CORP.TEST", "pw", conf, client.DisablePAFXFAST(true)),
					"keytab":   client.NewWithKeytab("alice", "CORP.TEST", gokrb5Keytab(t, k, "alice"), conf, client.DisablePAFXFAST(true)),
				} {
					if err := cl.Login(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					ticket, _, err := cl.GetServiceTicket("HTTP/svc.corp.test")
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if err := ticket.DecryptEncPart(gokrb5Keytab(t, k, "HTTP/svc.corp.test"), nil); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if n := ticket.DecryptedEncPart.CName.PrincipalNameString(); n != "alice" || ticket.EncPart.EType != int32(e) {
						t.Errorf("%s: ticket of type %d names %s", name, ticket.EncPart.EType, n)
					}
					cl.Destroy()
				}
				if s := k.Stats(); udpLimit == 1 && s.UDP != 0 || udpLimit > 1 && s.UDP == 0 {
					t.Errorf("transport: %+v", s)
				}
			})
		}
	}
}
