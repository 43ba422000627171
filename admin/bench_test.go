package admin_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
)

// BenchmarkClearPasswords takes the passwords of 20,000 users. What it needs in
// memory does not grow with their number.
func BenchmarkClearPasswords(b *testing.B) {
	const n = 20_000
	for _, d := range drivers {
		b.Run(d.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				st := openStore(b, d.make(b))
				if _, err := st.Import(b.Context(), func(yield func(*directory.User, error) bool) {
					for i := range n {
						if !yield(&directory.User{Name: fmt.Sprintf("user%07d", i), Password: directory.NewPasswordHash(markedHash)}, nil) {
							return
						}
					}
				}, nil); err != nil {
					b.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.StartTimer()
				done, err := newService(st, withProvider()).ClearPasswords(as(b, "alice", admin.Administrator))
				b.StopTimer()
				if err != nil || done != n {
					b.Fatalf("%d, %v", done, err)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024, "KiB-kept")
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/user")
		})
	}
}
