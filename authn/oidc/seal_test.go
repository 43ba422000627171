package oidc_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// still is a clock that stands, so that no machine is too slow for a test.
type still struct{ at atomic.Int64 }

func (c *still) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *still) advance(d time.Duration) { c.at.Add(int64(d)) }

// keyring is where nodes have their key.
type keyring struct {
	mu   sync.Mutex
	key  [32]byte
	err  error
	wait chan struct{} // nil: it answers at once
	told chan struct{} // gets one each time that somebody waits
	n    int           // how often it was asked
}

func newKeyring() *keyring {
	k := new(keyring)
	k.replace()
	return k
}

func (k *keyring) ask(ctx context.Context) (*[32]byte, error) {
	k.mu.Lock()
	k.n++
	key, err, wait := k.key, k.err, k.wait
	k.mu.Unlock()
	if wait != nil {
		k.told <- struct{}{}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &key, err
}

func (k *keyring) replace() {
	k.set(func() { _, _ = rand.Read(k.key[:]) })
}

func (k *keyring) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *keyring) asked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

const sealedName = "__Host-soapward-login.x"

func begunLogin() *oidc.Login {
	return &oidc.Login{
		Provider: "it", State: "Marked-state", Nonce: "Marked-nonce", Verifier: "Marked-verifier", Redirect: redirect, Return: "/a?b=1&c=ü",
		Begun: time.Now().UTC().Round(0), Consent: true,
	}
}

func mustSeal(t *testing.T, s *oidc.LoginSealer, l *oidc.Login) string {
	t.Helper()
	value, err := s.Seal(t.Context(), sealedName, l)
	if err != nil {
		t.Error(err)
	}
	return value
}

func mustOpen(t *testing.T, s *oidc.LoginSealer, value string) {
	t.Helper()
	if l, err := s.Open(t.Context(), sealedName, value); err != nil || l.State != "Marked-state" {
		t.Errorf("%+v, %v", l, err)
	}
}

func wantNotBegun(t *testing.T, s *oidc.LoginSealer, what, cookie, value string) {
	t.Helper()
	if l, err := s.Open(t.Context(), cookie, value); l != nil || !errors.Is(err, oidc.ErrNotBegun) || errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%s: %+v, %v", what, l, err)
	}
}

func TestLoginSealer(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*oidc.LoginSealer{"zero": {}, "shared": {Key: newKeyring().ask, Home: "/console/"}} {
		l := begunLogin()
		value := mustSeal(t, s, l)
		if got, err := s.Open(t.Context(), sealedName, value); err != nil || *got != *l {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, l)
		}
		if strings.Contains(value, "Marked") || mustSeal(t, s, l) == value {
			t.Errorf("%s: sealed as %s, or twice the same", name, value)
		}
		// Where somebody wants to go does not keep him from logging in.
		for _, to := range []string{"/" + strings.Repeat("x", 4000), "/" + strings.Repeat("&", 600)} {
			l.Return = to
			value = mustSeal(t, s, l)
			got, err := s.Open(t.Context(), sealedName, value)
			if want := map[string]string{"zero": "/", "shared": "/console/"}[name]; err != nil || got.Return != want || got.Verifier != l.Verifier || len(value) > 3500 || l.Return != to {
				t.Errorf("%s: %d bytes, %+v, %v", name, len(value), got, err)
			}
		}
		l.Redirect = "https://" + strings.Repeat("x", 4000)
		if value, err := s.Seal(t.Context(), sealedName, l); err == nil || strings.Contains(err.Error(), "Marked") {
			t.Errorf("%s: more than a cookie holds: %d bytes, %v", name, len(value), err)
		}
	}
}

// Nodes have one key. Whose key was replaced finds that out by what it cannot open,
// at most each five seconds.
func TestLoginSealerNodes(t *testing.T) {
	t.Parallel()
	keys, now := newKeyring(), new(still)
	a, b := &oidc.LoginSealer{Key: keys.ask, Now: now.now}, &oidc.LoginSealer{Key: keys.ask, Now: now.now}
	first := mustSeal(t, a, begunLogin())
	mustOpen(t, b, first)
	keys.replace() // as by a node that began at the same time
	c := &oidc.LoginSealer{Key: keys.ask, Now: now.now}
	second := mustSeal(t, c, begunLogin())
	mustOpen(t, a, first)
	wantNotBegun(t, c, "sealed with the key of before", sealedName, first)
	wantNotBegun(t, a, "a moment after the key was asked for", sealedName, second)
	now.advance(5 * time.Second)
	mustOpen(t, a, second)
	mustOpen(t, c, mustSeal(t, a, begunLogin()))
	wantNotBegun(t, a, "sealed with the key of before", sealedName, first)
	if n := keys.asked(); n != 4 { // a, b, c, and a once more
		t.Errorf("the key was asked for %d times", n)
	}
	// One of its own is nobody else's, and stays.
	d, e := new(oidc.LoginSealer), &oidc.LoginSealer{Now: now.now}
	own := mustSeal(t, e, begunLogin())
	wantNotBegun(t, d, "of another process", sealedName, own)
	wantNotBegun(t, e, "of another process", sealedName, mustSeal(t, d, begunLogin()))
	now.advance(time.Hour)
	wantNotBegun(t, e, "of another process", sealedName, first)
	mustOpen(t, e, own)
}

// Without a key nobody can say, and the next one who needs it is not kept waiting
// for long.
func TestLoginSealerWithoutKey(t *testing.T) {
	t.Parallel()
	keys, now := newKeyring(), new(still)
	s := &oidc.LoginSealer{Key: keys.ask, Now: now.now}
	away := errors.New("the store is away")
	keys.set(func() { keys.err = away })
	stranger := mustSeal(t, new(oidc.LoginSealer), begunLogin())
	for range 10 {
		if value, err := s.Seal(t.Context(), sealedName, begunLogin()); !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, away) {
			t.Errorf("%q, %v", value, err)
		}
		l, err := s.Open(t.Context(), sealedName, stranger)
		if l != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, oidc.ErrNotBegun) {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if n := keys.asked(); n != 1 {
		t.Errorf("the key was asked for %d times", n)
	}
	keys.set(func() { keys.err = nil })
	now.advance(time.Second)
	value := mustSeal(t, s, begunLogin())
	keys.set(func() { keys.err = away })
	now.advance(time.Hour)
	if l, err := s.Open(t.Context(), sealedName, stranger); l != nil || !errors.Is(err, away) {
		t.Errorf("it may be of the key of now: %+v, %v", l, err)
	}
	mustOpen(t, s, value)
	mustOpen(t, s, mustSeal(t, s, begunLogin()))
}

// TestAttackSealedLogin: what the browser keeps of a login is opened by who sealed
// it, as the cookie that it was sealed as.
func TestAttackSealedLogin(t *testing.T) {
	t.Parallel()
	keys := newKeyring()
	s := &oidc.LoginSealer{Key: keys.ask}
	value := mustSeal(t, s, begunLogin())
	for i := range value {
		other := map[bool]string{true: "B", false: "A"}[value[i] == 'A']
		wantNotBegun(t, s, "changed", sealedName, value[:i]+other+value[i+1:])
		wantNotBegun(t, s, "cut off", sealedName, value[:i])
		wantNotBegun(t, s, "without its beginning", sealedName, value[i+1:])
	}
	for what, cookie := range map[string]string{
		"of the console": "__Host-soapward-admin-login", "without the prefix": strings.TrimPrefix(sealedName, "__Host-"), "of another login": sealedName + "y", "of none": "",
	} {
		wantNotBegun(t, s, what, cookie, value)
	}
	for what, v := range map[string]string{
		"no base64": "!", "with what is no part of it": value + "=", "two": value + value, "long": strings.Repeat("A", 1<<20), "of a stranger": mustSeal(t, new(oidc.LoginSealer), begunLogin()),
	} {
		wantNotBegun(t, s, what, sealedName, v)
	}
	// Those of before this format, with the same key.
	block, err := aes.NewCipher(keys.key[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(begunLogin())
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{sealedName, "soapward admin login 1", ""} {
		wantNotBegun(t, s, "sealed by an older version", sealedName, base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, []byte(data))))
	}
	// And what is no login, though it was sealed here.
	wantNotBegun(t, s, "no login", sealedName, base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, []byte("x"), []byte("soapward login 2\x00"+sealedName))))
	mustOpen(t, s, value)
}

// TestAttackLoginKeyAskedFor: strangers' cookies without end have the key asked for
// once in five seconds, however many come at once.
func TestAttackLoginKeyAskedFor(t *testing.T) {
	t.Parallel()
	keys, now := newKeyring(), new(still)
	s := &oidc.LoginSealer{Key: keys.ask, Now: now.now}
	value := mustSeal(t, s, begunLogin())
	foreign := mustSeal(t, new(oidc.LoginSealer), begunLogin())
	for range 3 {
		now.advance(time.Minute)
		before := keys.asked()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					wantNotBegun(t, s, "of a stranger", sealedName, foreign)
					wantNotBegun(t, s, "too long", sealedName, strings.Repeat("A", 4000))
					mustOpen(t, s, value)
					mustOpen(t, s, mustSeal(t, s, begunLogin()))
				}
			})
		}
		wg.Wait()
		if n := keys.asked() - before; n != 1 {
			t.Errorf("the key was asked for %d times", n)
		}
	}
}

// TestAttackLoginKeySlow: while a stranger's cookie has the key asked for, and the
// store hangs, logins begin and end.
func TestAttackLoginKeySlow(t *testing.T) {
	t.Parallel()
	keys, now := newKeyring(), new(still)
	s := &oidc.LoginSealer{Key: keys.ask, Now: now.now}
	value := mustSeal(t, s, begunLogin())
	foreign := mustSeal(t, new(oidc.LoginSealer), begunLogin())
	now.advance(time.Minute)
	keys.set(func() { keys.wait, keys.told = make(chan struct{}), make(chan struct{}) })
	var wg sync.WaitGroup
	wg.Go(func() { wantNotBegun(t, s, "of a stranger", sealedName, foreign) })
	<-keys.told
	for range 100 {
		mustOpen(t, s, value)
		mustOpen(t, s, mustSeal(t, s, begunLogin()))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := s.Open(gone, sealedName, foreign); l != nil || !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("one who went away: %+v, %v", l, err)
	}
	close(keys.wait)
	wg.Wait()
	mustOpen(t, s, value)
	if n := keys.asked(); n != 2 {
		t.Errorf("the key was asked for %d times", n)
	}
}
