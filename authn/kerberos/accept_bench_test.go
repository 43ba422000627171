package kerberos

import (
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// ordinaryLogins returns an acceptor and n tokens of a user with 33 groups, who
// wants the service to prove itself too.
func ordinaryLogins(tb testing.TB, e krb5.EType, n int) (*Mechanism, [][]byte) {
	tb.Helper()
	o := newOrder(tb, e)
	o.pac = func(c *pac.Contents) {
		for i := range uint32(30) {
			c.Logon.Groups = append(c.Logon.Groups, pac.GroupMembership{RID: 2000 + i, Attributes: pac.GroupDefault})
		}
	}
	tokens := make([][]byte, n)
	for i := range tokens {
		tokens[i] = o.token(tb)
	}
	return o.mechanism(tb), tokens
}

// maxAllocations is how often a login may ask for memory. It asks 109 times;
// collecting that is a third of a login's time.
const maxAllocations = 122

func TestAcceptAllocations(t *testing.T) { // not parallel: others' memory would count
	const logins = 200
	m, tokens := ordinaryLogins(t, krb5.AES256SHA1, logins+1)
	next := 0
	got := testing.AllocsPerRun(logins, func() {
		if _, id, err := login1(m, authn.Exchange{}, tokens[next]); err != nil || len(id.Groups) < 30 {
			t.Fatal(id, err)
		}
		next++
	})
	if got > maxAllocations {
		t.Errorf("a login takes %.0f allocations, want at most %d", got, maxAllocations)
	}
	if got < maxAllocations-25 {
		t.Errorf("a login takes %.0f allocations only: lower maxAllocations, so that it still notices 30 more", got)
	}
}

// BenchmarkAccept is a whole login with every check: ticket, authenticator,
// replay cache, PAC signature, 30 groups, AP-REP.
func BenchmarkAccept(b *testing.B) {
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES256SHA2} {
		b.Run(e.String(), func(b *testing.B) {
			m, tokens := ordinaryLogins(b, e, 2000)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%len(tokens) == 0 {
					m.Keytab.replay = MemoryReplayCache{MaxPerClient: len(tokens)} // the tokens are used again
				}
				if _, _, err := login1(m, authn.Exchange{}, tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
