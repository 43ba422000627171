package store_test

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"
)

// BenchmarkReplays is what remembering an authenticator adds to a login by
// Kerberos.
func BenchmarkReplays(b *testing.B) {
	for _, d := range drivers {
		b.Run(d.name, func(b *testing.B) {
			r := open(b, d.make(b)).Replays()
			i := uint64(0)
			for b.Loop() {
				i++
				digest := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
				if fresh, err := r.Add(b.Context(), "alice", digest, time.Now().Add(5*time.Minute)); !fresh || err != nil {
					b.Fatal(fresh, err)
				}
			}
		})
	}
}
