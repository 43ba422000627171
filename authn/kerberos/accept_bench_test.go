package kerberos

import (
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// BenchmarkAccept is a whole login with every check: ticket, authenticator,
// replay cache, PAC signature, 30 groups, AP-REP.
func BenchmarkAccept(b *testing.B) {
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES256SHA2} {
		b.Run(e.String(), func(b *testing.B) {
			o := newOrder(b, e)
			o.pac = func(c *pac.Contents) {
				for i := range uint32(30) {
					c.Logon.Groups = append(c.Logon.Groups, pac.GroupMembership{RID: 2000 + i, Attributes: pac.GroupDefault})
				}
			}
			m := o.mechanism(b)
			tokens := make([][]byte, 2000)
			for i := range tokens {
				tokens[i] = o.token(b)
			}
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
