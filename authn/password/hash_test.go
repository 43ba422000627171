package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// quick is for tests that are not about time.
var quick = Params{Memory: 64, Time: 1}

func hashOf(t testing.TB, h *Hasher, password string) directory.PasswordHash {
	t.Helper()
	hash, err := h.Hash(context.Background(), password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestHash(t *testing.T) {
	t.Parallel()
	h := new(Hasher)
	hash := hashOf(t, h, secretPassword)
	if !strings.HasPrefix(hash.Reveal(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s has not the parameters of OWASP", hash.Reveal())
	}
	if hashOf(t, h, secretPassword).Reveal() == hash.Reveal() {
		t.Error("two hashes of one password are the same")
	}
	for _, tt := range []struct {
		password string
		want     bool
	}{{secretPassword, true}, {secretPassword + "x", false}, {strings.ToUpper(secretPassword), false}, {"", false}} {
		if match, outdated, err := h.Verify(context.Background(), hash, tt.password); match != tt.want || outdated || err != nil {
			t.Errorf("%q: Verify = %v, %v, %v", tt.password, match, outdated, err)
		}
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", hash, hash, hash, hash, hash), fmt.Sprint(hash)} {
		if strings.Contains(text, "argon2id") {
			t.Errorf("the hash is in %s", text)
		}
	}
}

// TestReferenceHash: hashes of the reference implementation of argon2, from its
// own tests (src/test.c).
func TestReferenceHash(t *testing.T) {
	t.Parallel()
	h := &Hasher{Params: quick}
	for _, encoded := range []string{
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	} {
		match, outdated, err := h.Verify(context.Background(), directory.NewPasswordHash(encoded), "password")
		if !match || !outdated || err != nil {
			t.Errorf("%s: Verify = %v, %v, %v", encoded, match, outdated, err)
		}
	}
}

// TestNormalization: how a keyboard composes letters does not matter.
func TestNormalization(t *testing.T) {
	t.Parallel()
	h := &Hasher{Params: quick}
	hash := hashOf(t, h, "gr\u00fcn\u00a0Haus")
	for password, want := range map[string]bool{"gru\u0308n Haus": true, "gr\u00fcn\u2003Haus": true, "grun Haus": false, "gr\u00fcn haus": false} {
		if match, _, err := h.Verify(context.Background(), hash, password); match != want || err != nil {
			t.Errorf("%q: %v, %v", password, match, err)
		}
	}
	for _, bad := range []string{"", "tab\there", "nul\x00", "\xff\xfe", strings.Repeat("x", maxPassword+1)} {
		if _, err := h.Hash(context.Background(), bad); err == nil {
			t.Errorf("%.10q has a hash", bad)
		}
		if match, _, err := h.Verify(context.Background(), hash, bad); match || err != nil {
			t.Errorf("%.10q: Verify = %v, %v", bad, match, err)
		}
	}
	if _, err := h.Hash(context.Background(), strings.Repeat("x", maxPassword)); err != nil {
		t.Errorf("longest password: %v", err)
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	old := hashOf(t, &Hasher{Params: quick}, secretPassword)
	for _, tt := range []struct {
		name string
		p    Params
		want bool
	}{
		{"the same", quick, false},
		{"more memory", Params{Memory: 128, Time: 1}, true},
		{"more passes", Params{Memory: 64, Time: 2}, true},
		{"other threads", Params{Memory: 64, Time: 1, Threads: 2}, true},
		{"less", Params{Memory: 32, Time: 1}, true},
	} {
		if match, outdated, err := (&Hasher{Params: tt.p}).Verify(context.Background(), old, secretPassword); !match || outdated != tt.want || err != nil {
			t.Errorf("%s: %v, outdated %v, %v", tt.name, match, outdated, err)
		}
	}
	if err := (&Hasher{Params: Params{Memory: maxMemory + 1}}).Check(); err == nil {
		t.Error("parameters that no hash may have pass")
	}
	if _, err := (&Hasher{Params: Params{Memory: 8, Threads: 2}}).Hash(context.Background(), "x"); err == nil {
		t.Error("a hash with parameters that no hash may have")
	}
}

// TestAttackHostileHash: a hash that somebody put into the store takes neither
// memory nor time, and its text is in no error.
func TestAttackHostileHash(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := &Hasher{Params: quick}
	good := "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key
	if err := CheckHash(directory.NewPasswordHash(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "$", "plaintext", "$2b$12$abcdefghijklmnopqrstuv", good + "$", "x" + good, good + "\n", " " + good,
		"$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=99999999999999999999,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=65537,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=17,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=256$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=257$" + salt + "$" + key,
		"$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=0,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=064,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=+64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1,data=x$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$c2hvcnQ$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$c2hvcnQ",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 88),
		"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 1<<20) + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHR$" + key, // stray bits
	} {
		if err := CheckHash(directory.NewPasswordHash(bad)); !errors.Is(err, ErrBadHash) || strings.Contains(err.Error(), salt) {
			t.Errorf("CheckHash of %.100q is %v", bad, err)
		}
		match, _, err := h.Verify(context.Background(), directory.NewPasswordHash(bad), "password")
		if match || !errors.Is(err, ErrBadHash) {
			t.Errorf("%.60q: %v, %v", bad, match, err)
		} else if strings.Contains(err.Error(), key) || len(err.Error()) > 100 {
			t.Errorf("%.60q: the error has the hash: %v", bad, err)
		}
	}
}

// TestAttackManyHashes: so many at once take bounded memory; the others wait,
// and are turned away when they are too many or it takes too long.
func TestAttackManyHashes(t *testing.T) {
	t.Parallel()
	h := &Hasher{Params: quick, MaxConcurrent: 1, MaxWait: 50 * time.Millisecond}
	leave, err := h.enter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Hash(context.Background(), secretPassword); !errors.Is(err, authn.ErrOverloaded) {
		t.Errorf("waited too long: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.burn(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("client gone: %v", err)
	}
	h.MaxWait = time.Minute
	var wg sync.WaitGroup
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	for range waitPerSlot {
		wg.Go(func() { _ = h.burn(ctx, "x") })
	}
	for h.waiting.Load() < waitPerSlot {
		time.Sleep(time.Millisecond)
	}
	if err := h.burn(ctx, "x"); !errors.Is(err, authn.ErrOverloaded) || !strings.Contains(err.Error(), "too many") {
		t.Errorf("one too many: %v", err)
	}
	leave()
	wg.Wait()
	if h.waiting.Load() != 0 || len(h.slots) != 0 {
		t.Errorf("%d wait, %d compute", h.waiting.Load(), len(h.slots))
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseHash(s)
		if err != nil {
			return
		}
		if e.String() != s || !e.params.ok() {
			t.Errorf("%q became %q", s, e)
		}
	})
}

// TestLess: what is left of the work adds up to the whole, and takes no more
// memory.
func TestLess(t *testing.T) {
	t.Parallel()
	all := (&Hasher{}).params()
	for memory := uint32(8); memory <= maxMemory; memory += 97 {
		for passes := uint32(1); passes <= maxTime; passes++ {
			done := Params{Memory: memory, Time: passes, Threads: 1}
			left := all.less(done)
			sum := uint64(left.Memory)*uint64(left.Time) + uint64(memory)*uint64(passes)
			whole := uint64(all.Memory) * uint64(all.Time)
			if left.Time == 0 && sum >= whole {
				continue
			}
			if !left.ok() || left.Memory > all.Memory || sum < whole*99/100 || sum > whole*101/100 {
				t.Fatalf("after %+v: %+v is left", done, left)
			}
		}
	}
}

// TestPasswordsDoNotPrint: a login with marked secrets leaves none of them.
func TestPasswordsDoNotPrint(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	users := newUsers()
	in := &Internal{Users: users, Hasher: Hasher{Params: quick}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	hash := hashOf(t, &in.Hasher, secretPassword)
	users.add(directory.User{Name: "alice", Password: hash})
	users.add(directory.User{Name: "broken", Password: directory.NewPasswordHash("$argon2id$" + secretPassword)})
	c := &Chain{Internal: in, RefusalTime: -1}
	for _, name := range []string{"alice", "broken", "nobody"} {
		for _, pw := range []string{secretPassword, secretPassword + "x"} {
			_, err := c.VerifyPassword(context.Background(), name, pw)
			fmt.Fprintf(&log, "%v %+v %#v\n", err, err, err)
		}
	}
	err := in.SetPassword(context.Background(), &directory.User{Name: secretPassword}, secretPassword)
	fmt.Fprintf(&log, "%v %+v %#v\n%v\n", err, err, err, hash)
	if strings.Contains(log.String(), secretPassword) || strings.Contains(log.String(), strings.Split(hash.Reveal(), "$")[5]) {
		t.Errorf("a secret is in %s", &log)
	}
	if !strings.Contains(log.String(), "soapward user passwd") {
		t.Errorf("the log has no remedy for a hash that cannot be used: %s", &log)
	}
}

// BenchmarkVerify is one login with the default parameters.
func BenchmarkVerify(b *testing.B) {
	h := new(Hasher)
	hash := hashOf(b, h, secretPassword)
	b.ReportAllocs()
	for b.Loop() {
		if match, _, err := h.Verify(context.Background(), hash, secretPassword); !match || err != nil {
			b.Fatal(match, err)
		}
	}
}
