package throttle

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/directory/store"
)

// BenchmarkLogin is what the Limiter adds to a login that succeeds, with a table
// that is full.
func BenchmarkLogin(b *testing.B) {
	r := newRig(b)
	for i := range defaultMemory {
		if _, err := r.memory.AddFailure(b.Context(), start, start.Add(-1), fmt.Sprint("user ", i)); err != nil {
			b.Fatal(err)
		}
	}
	ctx := from("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.password.VerifyPassword(ctx, `CORP\alice`, "right"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBlocked is a guess of who is blocked.
func BenchmarkBlocked(b *testing.B) {
	r := newRig(b)
	r.wrong("192.0.2.7", "alice", 3)
	ctx := from("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.password.VerifyPassword(ctx, `CORP\alice`, "wrong"); err == nil {
			b.Fatal("not blocked")
		}
	}
}

// BenchmarkLoginInSQLite is the same with a database: two statements.
func BenchmarkLoginInSQLite(b *testing.B) {
	s, err := store.Open(b.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(b.TempDir(), "soapward.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	r := newRig(b, func(l *Limiter) { l.Store = s })
	ctx := from("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.password.VerifyPassword(ctx, `CORP\alice`, "right"); err != nil {
			b.Fatal(err)
		}
	}
}
