package kerberos

import (
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kdc"
)

// BenchmarkInitiator measures the token for a service whose ticket is in the
// cache, and a ticket that has to come from the KDC in this process.
func BenchmarkInitiator(b *testing.B) {
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range []kdc.Account{{Name: "alice", Password: "pw"}, {Name: "svc", Password: "pw", SPNs: []string{appSPN}}} {
		if err := k.Add(a); err != nil {
			b.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	cfg := Config{DefaultRealm: "CORP.TEST", Realms: map[string]Realm{"CORP.TEST": {KDCs: []string{k.Addr()}}}}
	c, err := NewPasswordClient(cfg, "alice", authn.NewSecret("pw"))
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Login(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := c.NewInitiator(appSPN, InitiatorConfig{}).Step(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ticket from the KDC", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, err := c.Ticket(b.Context(), appSPN)
			if err != nil {
				b.Fatal(err)
			}
			c.c.forgetService(appSPN, t.open())
		}
	})
}
