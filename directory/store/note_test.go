package store_test

import "testing"

// TestSharedKey: nodes have one key by a name, another by another, and a new one
// where the note is none.
func TestSharedKey(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			a, b := open(t, c), open(t, c)
			first, err := a.SharedKey(t.Context(), "seal")
			if err != nil || *first == [32]byte{} {
				t.Fatalf("%x, %v", first, err)
			}
			if k, err := b.SharedKey(t.Context(), "seal"); err != nil || *k != *first {
				t.Errorf("the other node has another key, %v", err)
			}
			if k, err := b.SharedKey(t.Context(), "other"); err != nil || *k == *first {
				t.Errorf("the other name has the same key, %v", err)
			}
			if err := a.SetNote(t.Context(), "seal", "damaged"); err != nil {
				t.Fatal(err)
			}
			if k, err := b.SharedKey(t.Context(), "seal"); err != nil || *k == *first {
				t.Errorf("after damage: the same key, %v", err)
			}
		})
	}
}
