package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
)

// BenchmarkAddLogin is what writing down a login takes, with 16 logins at once. It
// is with all indexes that pages of the record need.
func BenchmarkAddLogin(b *testing.B) {
	for _, d := range drivers {
		b.Run(d.name, func(b *testing.B) {
			s := open(b, d.make(b))
			var n atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					l := directory.Login{
						Time: time.Now(), Ref: fmt.Sprintf("%010x", uint64(i)*2654435761%1099511627776), Realm: "corp", User: fmt.Sprintf(`CORP\user%d`, i*7919%100_000),
						Mechanism: "Kerberos", Peer: fmt.Sprintf("10.0.%d.%d", i*31%200, i*37%250), UserAgent: "Mozilla/5.0", Outcome: directory.Accepted,
					}
					if i%10 == 0 {
						l.Outcome, l.Reason = directory.Refused, "wrong-password"
					}
					if err := s.AddLogin(b.Context(), &l); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
		})
	}
}
