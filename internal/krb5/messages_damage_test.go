package krb5

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestDamage: an error says where reading stopped and has what was read before.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(filepath.Join("testdata", "mit", "02-error.der"))
	if err != nil {
		t.Fatal(err)
	}
	damage := func(b []byte) *DamageError {
		t.Helper()
		m, err := ParseErrorMessage(b)
		var d *DamageError
		if m != nil || !errors.As(err, &d) || !errors.Is(err, ErrMalformed) || d.Message != "KRB-ERROR" {
			t.Fatalf("%v, %v", m, err)
		}
		return d
	}
	// The text's tag becomes another one.
	at := bytes.Index(whole, []byte("NEEDED_PREAUTH")) - 2
	b := append(bytes.Clone(whole), 1, 2, 3)[:len(whole)] // with room behind, as in a larger buffer
	b[at] ^= 0x40
	d := damage(b)
	if m := d.Partial.(*ErrorMessage); d.Offset != at || m.Code != CodePreauthRequired || m.Realm != "A.TEST" || m.Text != "" {
		t.Errorf("stopped at %d, want %d: %+v", d.Offset, at, m)
	}
	// An impossible number: microseconds of seven digits.
	at = bytes.Index(whole, []byte{0xa5, 0x05, 0x02, 0x03})
	b = bytes.Clone(whole)
	b[at+4] = 0x7f
	if d := damage(b); d.Offset != at+2 || d.Partial.(*ErrorMessage).STime.IsZero() {
		t.Errorf("stopped at %d, want %d: %+v", d.Offset, at+2, d.Partial)
	}
	for n := range whole {
		if d := damage(whole[:n]); d.Offset != 0 {
			t.Errorf("first %d bytes: stopped at %d, want 0: nothing of a message that is cut is read", n, d.Offset)
		}
	}
}

func TestKerbErrorData(t *testing.T) {
	t.Parallel()
	b := []byte{0x30, 0x15, 0xa1, 3, 2, 1, 3, 0xa2, 14, 4, 12, 0x34, 2, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0}
	d, err := ParseKerbErrorData(b)
	if err != nil {
		t.Fatal(err)
	}
	if status, ok := d.Status(); d.Type != KerbErrorExtended || !ok || status != 0xc0000234 {
		t.Errorf("%+v, status %#x, %v", d, status, ok)
	}
	b[6] = KerbErrorSkewRecovery
	if d, err = ParseKerbErrorData(b); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Status(); ok {
		t.Error("a status in the data of another type")
	}
	if _, err := ParseKerbErrorData(b[:20]); err == nil {
		t.Error("cut short and accepted")
	}
}
