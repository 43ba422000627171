package totp

import (
	"encoding/base32"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// rfcKey is that of the test values of both RFCs.
const rfcKey = "12345678901234567890"

// RFC 4226 appendix D.
func TestCodeRFC4226(t *testing.T) {
	t.Parallel()
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := Code([]byte(rfcKey), int64(i)); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

// RFC 6238 appendix B, the rows of SHA1, of which six digits are the last.
func TestAtRFC6238(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte(rfcKey))
	for _, tt := range []struct {
		at   int64
		want string
	}{
		{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"},
	} {
		if got, err := At(secret, time.Unix(tt.at, 0)); got != tt.want || err != nil {
			t.Errorf("at %d: %s, %v, want %s", tt.at, got, err, tt.want)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	now := time.Unix(1_800_000_010, 0)
	step := now.Unix() / 30
	at := func(steps int) string {
		code, err := At(secret, now.Add(time.Duration(steps)*Step))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	for _, tt := range []struct {
		name    string
		code    string
		last    int64
		counter int64 // zero: refused
	}{
		{"now", at(0), 0, step},
		{"with spaces", at(0)[:3] + " " + at(0)[3:], 0, step},
		{"the step before", at(-1), 0, step - 1},
		{"the step after", at(1), 0, step + 1},
		{"two before", at(-2), 0, 0},
		{"two after", at(2), 0, 0},
		{"used", at(0), step, 0},
		{"before the one used", at(-1), step, 0},
		{"after the one used", at(1), step, step + 1},
		{"empty", "", 0, 0},
		{"short", at(0)[:5], 0, 0},
		{"long", at(0) + "0", 0, 0},
		{"other digits", "٠٠٠٠٠٠", 0, 0},
	} {
		counter, ok, err := Verify(secret, tt.code, now, tt.last)
		if counter != tt.counter || ok != (tt.counter != 0) || err != nil {
			t.Errorf("%s: %d, %v, %v, want %d", tt.name, counter, ok, err, tt.counter)
		}
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	if len(secret) != 32 || secret == NewSecret() {
		t.Errorf("secret %q", secret)
	}
	now := time.Unix(1_800_000_000, 0)
	code, err := At(secret, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Verify(strings.ToLower(Groups(secret))+"==", code, now, 0); !ok || err != nil {
		t.Errorf("as people type it: %v, %v", ok, err)
	}
	for _, bad := range []string{"", "AAAA", "!!!!", strings.Repeat("A", 24), strings.Repeat("A", 300)} {
		if _, ok, err := Verify(bad, code, now, 0); ok || !errors.Is(err, ErrSecret) {
			t.Errorf("secret %q: %v, %v", bad, ok, err)
		}
	}
}

func TestURI(t *testing.T) {
	t.Parallel()
	text := URI("ABCD", "soapward gw:1 & co", `it\bob+x@example.com?secret=EVIL`)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != `/soapward gw 1 & co:it\bob+x@example.com?secret=EVIL` {
		t.Errorf("%s: %s", text, u.Path)
	}
	q := u.Query()
	want := url.Values{"secret": {"ABCD"}, "issuer": {"soapward gw 1 & co"}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	if q.Encode() != want.Encode() {
		t.Errorf("query %v, want %v", q, want)
	}
	if strings.Contains(text, "+") && !strings.Contains(text, "bob+x") {
		t.Errorf("%s has a plus sign for a space", text)
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	codes, hashes := NewRecovery()
	if len(codes) != RecoveryCodes || len(hashes) != RecoveryCodes || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != RecoveryCodes {
		t.Fatalf("codes %q", codes)
	}
	kept := hashes
	for i, code := range codes {
		if len(code) != 19 || strings.Contains(strings.Join(hashes, ""), strings.ReplaceAll(code, "-", "")) {
			t.Errorf("code %q", code)
		}
		typed := strings.ToLower(strings.ReplaceAll(code, "-", " "))
		rest, ok := Recover(kept, typed)
		if !ok || len(rest) != RecoveryCodes-1-i {
			t.Fatalf("%q: %v, %d left", typed, ok, len(rest))
		}
		if _, again := Recover(rest, code); again {
			t.Errorf("%q counts twice", code)
		}
		kept = rest
	}
	if len(hashes) != RecoveryCodes {
		t.Error("the hashes given were changed")
	}
	for _, bad := range []string{"", "123456", codes[0][:18], codes[0] + "A", strings.Repeat("-", 500), "ABCD-EFGH-IJKL-MNO!", hashes[0]} {
		if _, ok := Recover(hashes, bad); ok {
			t.Errorf("%q counts", bad)
		}
	}
	if IsRecovery("123456") || !IsRecovery(codes[3]) {
		t.Error("the form of a code is not known")
	}
	if _, ok := Recover(hashes, strings.NewReplacer("O", "0", "I", "1").Replace(codes[0])); !ok {
		t.Error("digits that base32 does not have are not letters")
	}
}
