package kerberos

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

func digestOf(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func TestMemoryReplayCache(t *testing.T) {
	t.Parallel()
	now := fixedNow
	c := &MemoryReplayCache{Max: 2000, MaxPerClient: 2000, Now: func() time.Time { return now }}
	add := func(i int) bool {
		t.Helper()
		fresh, err := c.Add(t.Context(), "alice", digestOf(i), now.Add(10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	// One login a second for an hour: everything within ten minutes is known,
	// nothing older is kept.
	for i := range 3600 {
		if !add(i) {
			t.Fatalf("%d is new and called old", i)
		}
		for _, back := range []int{0, 1, 300, 600} {
			if i >= back && add(i-back) {
				t.Fatalf("%d was forgotten after %d s", i-back, back)
			}
		}
		now = now.Add(time.Second)
	}
	if n := len(c.seen); n > 602 {
		t.Errorf("%d entries kept for 600 s of one a second", n)
	}
	if n := len(c.ends); n > 602 {
		t.Errorf("entries of %d seconds", n)
	}
	now = now.Add(time.Hour)
	for i := range 602/(replaySweep-1) + 1 {
		if !add(i) {
			t.Errorf("%d is still known after an hour of rest", i)
		}
	}
	if n := len(c.seen); n != 602/(replaySweep-1)+1 || len(c.ends) != 1 || c.clients[maphash.String(c.seed, "alice")] != n {
		t.Errorf("%d entries of %d seconds and clients %v after an hour of rest", len(c.seen), len(c.ends), c.clients)
	}
}

func TestMemoryReplayCacheFull(t *testing.T) {
	t.Parallel()
	now := fixedNow
	c := &MemoryReplayCache{Max: 2, MaxPerClient: 2, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	for i := range 2 {
		if fresh, err := c.Add(t.Context(), "alice", digestOf(i), now.Add(time.Minute)); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
	}
	if fresh, err := c.Add(t.Context(), "alice", digestOf(2), now.Add(time.Minute)); fresh || !errors.Is(err, ErrReplayCacheFull) {
		t.Errorf("full: %v, %v", fresh, err)
	}
	if fresh, err := c.Add(t.Context(), "alice", digestOf(0), now.Add(time.Minute)); fresh || err != nil {
		t.Errorf("a known one when full: %v, %v", fresh, err)
	}
	now = now.Add(2 * time.Minute)
	if fresh, err := c.Add(t.Context(), "alice", digestOf(2), now.Add(time.Minute)); !fresh || err != nil {
		t.Errorf("room again: %v, %v", fresh, err)
	}
}

func TestMemoryReplayCacheZero(t *testing.T) {
	t.Parallel()
	var c MemoryReplayCache
	until := time.Now().Add(time.Minute)
	if fresh, err := c.Add(t.Context(), "alice", digestOf(0), until); !fresh || err != nil {
		t.Errorf("first: %v, %v", fresh, err)
	}
	if fresh, err := c.Add(t.Context(), "alice", digestOf(0), until); fresh || err != nil {
		t.Errorf("second: %v, %v", fresh, err)
	}
}

// Authenticators were remembered for twice the skew in a queue that one of
// them far in the future held up, so that the cache was full at half the rate.
func TestMemoryReplayCacheSteadyState(t *testing.T) {
	t.Parallel()
	const limit = 30_000
	const rate = limit * 95 / 100 / 302 // logins a second
	now := fixedNow
	c := &MemoryReplayCache{Max: limit, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	if _, err := c.Add(t.Context(), "eve", digestOf(-1), now.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i := range rate * 900 {
		at := fixedNow.Add(time.Duration(i) * time.Second / rate)
		// Clocks differ by up to two minutes in both directions.
		now = at
		made := at.Add(time.Duration(i%240-120) * time.Second)
		fresh, err := c.Add(t.Context(), fmt.Sprint("user", i%100), digestOf(i), made.Add(DefaultSkew+time.Second))
		if !fresh || err != nil {
			t.Fatalf("after %v: %v, %v", at.Sub(fixedNow), fresh, err)
		}
	}
}

// Any user of the domain could fill the cache and so lock out everybody.
func TestAttackReplayCacheShare(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	m.Keytab.replay.Max = 4 * replayShares
	for range 4 {
		if _, _, err := login1(m, authn.Exchange{}, o.token(t)); err != nil {
			t.Fatal(err)
		}
	}
	o.ticket = func(p *krb5.EncTicketPart) { p.CName.Components = []string{"ALICE"} } // whose SID is alice's
	o.pac = func(c *pac.Contents) { c.Client.Name = "ALICE" }
	_, id, err := login1(m, authn.Exchange{}, o.token(t))
	if id != nil || !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, ErrReplayCacheFull) || !strings.Contains(err.Error(), "ALICE@CORP.TEST") {
		t.Errorf("more than a share: %v, %v", id, err)
	}
	o.ticket = func(p *krb5.EncTicketPart) { p.CName.Components = []string{"bob"} }
	o.pac = func(c *pac.Contents) { c.Client.Name, c.Logon.UserID = "bob", 1105 }
	if _, _, err := login1(m, authn.Exchange{}, o.token(t)); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// A token was good once at each of several Mechanisms, such as those of two
// routes, that had one Keytab.
func TestAttackReplayAtAnotherMechanism(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	a := o.mechanism(t)
	b := &Mechanism{Keytab: a.Keytab, Now: a.Now}
	token := o.token(t)
	if _, _, err := login1(a, authn.Exchange{}, token); err != nil {
		t.Fatal(err)
	}
	_, id, err := login1(b, authn.Exchange{}, token)
	wantRefused(t, id, err, authn.ReasonReplay, "twice")
}

// When the clock is set back, what was forgotten is not new.
func TestAttackReplayByClock(t *testing.T) {
	t.Parallel()
	now := fixedNow
	c := &MemoryReplayCache{Now: func() time.Time { return now }}
	until := now.Add(time.Minute)
	if fresh, err := c.Add(t.Context(), "alice", digestOf(0), until); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	now = now.Add(time.Hour)
	if fresh, err := c.Add(t.Context(), "alice", digestOf(1), now.Add(time.Minute)); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	now = fixedNow
	if fresh, err := c.Add(t.Context(), "alice", digestOf(0), until); fresh || !errors.Is(err, errClockSetBack) {
		t.Errorf("%v, %v, want %v", fresh, err, errClockSetBack)
	}
}

func TestMemoryReplayCacheWarns(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := fixedNow
	c := &MemoryReplayCache{Max: 100, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for round := range 2 {
		for i := range 60 {
			if _, err := c.Add(t.Context(), fmt.Sprint(i), digestOf(100*round+i), now.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(log.String(), "level=WARN"); got != round && i < 50 || got != round+1 && i >= 50 {
				t.Fatalf("round %d: %d warnings after %d entries of 100:\n%s", round, got, i+1, &log)
			}
		}
		now = now.Add(2 * time.Minute)
	}
	if s := log.String(); !strings.Contains(s, "entries=51 max=100") {
		t.Errorf("log: %s", s)
	}
}
