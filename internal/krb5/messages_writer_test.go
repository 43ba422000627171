package krb5

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A writer writes what cryptobyte.Builder does, at every number of bytes that
// a length can take.
func TestWriterLengths(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 126, 127, 128, 129, 253, 254, 255, 256, 257, 65_533, 65_534, 65_535, 65_536, 1 << 20, 1<<24 - 1, 1 << 24} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			content := bytes.Repeat([]byte{0x5a}, n)
			var want cryptobyte.Builder
			want.AddASN1(appTag(14), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(content)
					b.AddASN1OctetString(nil)
				})
				b.AddBytes([]byte("after"))
			})
			got := writer{b: []byte("before")}
			got.AddASN1(appTag(14), func(w *writer) {
				w.AddASN1(asn1.SEQUENCE, func(w *writer) {
					w.AddASN1OctetString(content)
					w.AddASN1OctetString(nil)
				})
				w.AddBytes([]byte("after"))
			})
			if !bytes.Equal(got.b, append([]byte("before"), want.BytesOrPanic()...)) {
				t.Error("differs from cryptobyte.Builder")
			}
		})
	}
}

func TestWriterIntegers(t *testing.T) {
	t.Parallel()
	values := []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64}
	for bit := range 63 {
		for d := int64(-2); d <= 2; d++ {
			values = append(values, 1<<bit+d, -1<<bit+d)
		}
	}
	for _, v := range values {
		var want cryptobyte.Builder
		want.AddASN1Int64(v)
		var got writer
		got.AddASN1Int64(v)
		if !bytes.Equal(got.b, want.BytesOrPanic()) {
			t.Errorf("%d: %x, want %x", v, got.b, want.BytesOrPanic())
		}
	}
}

// The first failure is kept and nothing is returned.
func TestWriterError(t *testing.T) {
	t.Parallel()
	first := errors.New("first")
	b, err := marshalSeq("thing", func(w *writer) {
		w.SetError(first)
		w.SetError(errors.New("second"))
		w.AddASN1Int64(1)
	})
	if b != nil || !errors.Is(err, first) || err.Error() != "krb5: marshal thing: first" {
		t.Errorf("%x, %v", b, err)
	}
}
