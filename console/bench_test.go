package console_test

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
)

// BenchmarkPages is the time of each page without that of a store.
func BenchmarkPages(b *testing.B) {
	h := site(newFake(), admin.Administrator, nil)
	for _, p := range allPages() {
		if strings.Contains(p.path, "?") && !strings.Contains(p.path, "name=CORP%5Calice") && !strings.Contains(p.path, "since=") {
			continue
		}
		b.Run(strings.TrimPrefix(p.path, "/console"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get(b, h, p.path)
			}
		})
	}
}
