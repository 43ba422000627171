package dirtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

const (
	userKey    = `user corp\müller from 192.0.2.7`
	addressKey = "address 192.0.2.7"
)

func failures(t *testing.T, a, b Store) {
	since := func(at time.Time) time.Time { return at.Add(-time.Hour) }
	add := func(s Store, at time.Time, want []int, keys ...string) {
		t.Helper()
		got, err := s.AddFailure(t.Context(), at, since(at), keys...)
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("at %v: %v of %q, want %v", at, got, keys, want)
		}
	}
	add(a, start, []int{1, 1}, userKey, addressKey)
	add(b, start.Add(time.Second), []int{2, 2}, addressKey, userKey)
	add(a, start.Add(2*time.Second), []int{3}, addressKey)
	add(b, start.Add(2*time.Second), []int{3, 4, 3}, userKey, addressKey, userKey) // the same one twice counts once
	add(a, start.Add(2*time.Second), []int{1}, "user CORP\\müller from 192.0.2.7") // keys are not folded
	add(a, start.Add(2*time.Second), nil)
	// The first is an hour old to the microsecond, the second is not.
	add(a, start.Add(time.Hour), []int{3}, userKey)
	add(a, start.Add(time.Hour+time.Second-time.Microsecond), []int{4}, userKey)
	must(t, b.ForgetFailures(t.Context(), userKey))
	add(a, start.Add(time.Hour+time.Second), []int{1, 3}, userKey, addressKey)
	must(t, a.ForgetFailures(t.Context(), "nobody"))
}

// failuresAtOnce: none of many at the same time is lost, and each count is told
// to one caller.
func failuresAtOnce(t *testing.T, a, b Store) {
	const callers, each = 16, 10
	var mu sync.Mutex
	var told []int
	var wg sync.WaitGroup
	for i := range callers {
		st := []Store{a, b}[i%2]
		keys := []string{userKey, addressKey}
		if i%4 < 2 {
			slices.Reverse(keys) // who locks them one by one may lock himself out
		}
		wg.Go(func() {
			for n := range each {
				counts, err := st.AddFailure(t.Context(), start.Add(time.Duration(n)), start.Add(-time.Hour), keys...)
				if err != nil {
					t.Error(err)
					return
				}
				if counts[0] != counts[1] {
					t.Errorf("counts %v of keys that fail together", counts)
				}
				mu.Lock()
				told = append(told, counts[0])
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(told)
	for i, n := range told {
		if n != i+1 {
			t.Fatalf("counts %v, want 1 to %d", told, callers*each)
		}
	}
}

// failuresOfClocks: a node whose clock is behind counts what others have seen.
func failuresOfClocks(t *testing.T, a, b Store) {
	for i := range 5 {
		at, st := start.Add(-time.Duration(i)*time.Second), []Store{a, b}[i%2]
		got, err := st.AddFailure(t.Context(), at, at.Add(-time.Hour), userKey)
		must(t, err)
		if got[0] != i+1 {
			t.Errorf("failure %d, by a clock %d seconds behind: %d counted", i+1, i, got[0])
		}
	}
}

// failuresOfAnyKey: part of a key is what a client sent, and counts whatever
// that is.
func failuresOfAnyKey(t *testing.T, a, b Store) {
	long := strings.Repeat("x", 100_000)
	for _, key := range []string{"", "nul \x00", "not UTF-8 \xff", "not UTF-8 \xfe", long, long + "y", "'); DROP TABLE failures; --"} {
		for want := 1; want <= 2; want++ {
			got, err := a.AddFailure(t.Context(), start, start.Add(-time.Hour), key)
			must(t, err)
			if got[0] != want {
				t.Errorf("%.20q: %d, want %d", key, got[0], want)
			}
		}
		block := directory.Block{Key: key, From: start, Until: start.Add(time.Minute)}
		must(t, a.SetBlock(t.Context(), block))
		found, err := b.BlockOf(t.Context(), start, key)
		must(t, err)
		if found == nil {
			t.Fatalf("%.20q is not blocked", key)
		}
		if ok, err := b.Unblock(t.Context(), found.Key); !ok || err != nil { // as it is listed
			t.Errorf("%.20q is not unblocked by %q: %v", key, found.Key, err)
		}
	}
}

func sameBlock(t *testing.T, got, want *directory.Block) {
	t.Helper()
	if got == nil || want == nil {
		if got != want {
			t.Errorf("block %v, want %v", got, want)
		}
		return
	}
	if got.Key != want.Key || got.Failures != want.Failures || !got.From.Equal(want.From) || !got.Until.Equal(want.Until) {
		t.Errorf("block %+v, want %+v", got, want)
	}
}

func blocks(t *testing.T, a, b Store) {
	short := &directory.Block{Key: userKey, Failures: 3, From: start, Until: start.Add(30 * time.Second)}
	long := &directory.Block{Key: addressKey, Failures: 20, From: start, Until: start.Add(300 * time.Second)}
	must(t, a.SetBlock(t.Context(), *short))
	check := func(s Store, at time.Time, want *directory.Block, keys ...string) {
		t.Helper()
		got, err := s.BlockOf(t.Context(), at, keys...)
		must(t, err)
		sameBlock(t, got, want)
	}
	check(b, start, short, userKey, addressKey) // at once
	must(t, b.SetBlock(t.Context(), *long))
	check(a, start, long, userKey, addressKey)
	check(a, start, long, addressKey, userKey)
	check(a, start, short, userKey)
	check(a, start, nil)
	check(a, start, nil, "address 192.0.2.8")
	check(a, short.Until.Add(-time.Microsecond), short, userKey)
	check(a, short.Until, nil, userKey)

	longer := &directory.Block{Key: userKey, Failures: 6, From: start.Add(time.Minute), Until: start.Add(1800 * time.Second)}
	must(t, a.SetBlock(t.Context(), *longer))
	must(t, b.SetBlock(t.Context(), *short)) // a slow node does not shorten it
	check(a, start, longer, userKey, addressKey)

	all, err := b.Blocks(t.Context(), start)
	must(t, err)
	if len(all) != 2 {
		t.Fatalf("blocks %+v, want two", all)
	}
	sameBlock(t, &all[0], longer)
	sameBlock(t, &all[1], long)
	all, err = b.Blocks(t.Context(), long.Until)
	must(t, err)
	if len(all) != 1 {
		t.Errorf("blocks %+v, want one", all)
	}
}

func unblock(t *testing.T, a, b Store) {
	_, err := a.AddFailure(t.Context(), start, start.Add(-time.Hour), userKey, addressKey)
	must(t, err)
	must(t, a.SetBlock(t.Context(), directory.Block{Key: userKey, From: start, Until: start.Add(time.Hour)}))
	for want := range []int{1, 0} {
		ok, err := b.Unblock(t.Context(), userKey)
		must(t, err)
		if ok != (want == 0) {
			t.Errorf("call %d: there was a block: %v", want, ok)
		}
	}
	got, err := a.BlockOf(t.Context(), start, userKey)
	must(t, err)
	sameBlock(t, got, nil)
	counts, err := a.AddFailure(t.Context(), start, start.Add(-time.Hour), userKey, addressKey)
	must(t, err)
	if !slices.Equal(counts, []int{1, 2}) {
		t.Errorf("failures %v after unblocking the first, want [1 2]", counts)
	}
}

func notes(t *testing.T, a, b Store) {
	for _, value := range []string{"", "2026-11-26 ü \U0001F600", strings.Repeat("x", 100_000), "x", ""} {
		must(t, a.SetNote(t.Context(), "sync corp", value))
		got, err := b.Note(t.Context(), "sync corp")
		must(t, err)
		if got != value {
			t.Errorf("note %.40q, want %.40q", got, value)
		}
	}
}

func pruned(t *testing.T, a, b Store) {
	put := func(id string, expires, idle time.Duration) {
		must(t, a.PutSession(t.Context(), &directory.Session{
			ID: sessionID(id), User: "alice", Created: start, Seen: start, Expires: start.Add(expires), Idle: idle,
		}))
	}
	put("over", 30*time.Minute, 0)
	put("idle", 12*time.Hour, 30*time.Minute)
	put("at the limit", time.Hour, 0)
	put("live", 12*time.Hour, time.Hour+time.Microsecond)
	put("no idle limit", 12*time.Hour, 0)
	for i, d := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		must(t, a.SetBlock(t.Context(), directory.Block{Key: fmt.Sprint("address 192.0.2.", i), From: start, Until: start.Add(d)}))
	}
	for _, d := range []time.Duration{-48 * time.Hour, 0} {
		_, err := a.AddFailure(t.Context(), start.Add(d), start.Add(d-time.Hour), fmt.Sprint("at ", d))
		must(t, err)
	}
	for _, d := range []time.Duration{-91 * 24 * time.Hour, -89 * 24 * time.Hour, 0} {
		must(t, a.AddLogin(t.Context(), &directory.Login{Time: start.Add(d), User: "alice"}))
	}
	got, err := b.Prune(t.Context(), start.Add(time.Hour))
	must(t, err)
	got.Replays = 0
	if want := (directory.Pruned{Sessions: 3, Failures: 1, Blocks: 2, Logins: 1}); got != want {
		t.Errorf("pruned %+v, want %+v", got, want)
	}
	for id, there := range map[string]bool{"over": false, "idle": false, "at the limit": false, "live": true, "no idle limit": true} {
		if _, err := a.Session(t.Context(), sessionID(id)); (err == nil) != there {
			t.Errorf("session %q: %v, want there: %v", id, err, there)
		}
	}
	if got, err = b.Prune(t.Context(), start.Add(time.Hour)); err != nil || got != (directory.Pruned{}) {
		t.Errorf("again: %+v, %v", got, err)
	}
}

// contextEnded: the answer is an error that is no decision, and it is quick.
func contextEnded(t *testing.T, a, _ Store) {
	u := &directory.User{Name: "alice"}
	must(t, a.CreateUser(t.Context(), u))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		call func() error
	}{
		{"User", func() error { _, err := a.User(ctx, "alice"); return err }},
		{"User nobody", func() error { _, err := a.User(ctx, "nobody"); return err }},
		{"Users", func() error { _, err := a.Users(ctx, directory.UserQuery{}); return err }},
		{"CreateUser", func() error { return a.CreateUser(ctx, &directory.User{Name: "alice"}) }},
		{"UpdateUser", func() error { c := *u; return a.UpdateUser(ctx, &c) }},
		{"DeleteUser", func() error { return a.DeleteUser(ctx, u.ID) }},
		{"Session", func() error { _, err := a.Session(ctx, sessionID("none")); return err }},
		{"DeleteSession", func() error { return a.DeleteSession(ctx, sessionID("none")) }},
		{"AddFailure", func() error { _, err := a.AddFailure(ctx, start, start, userKey); return err }},
		{"BlockOf", func() error { _, err := a.BlockOf(ctx, start, userKey); return err }},
		{"Logins", func() error { _, err := a.Logins(ctx, directory.LoginQuery{}); return err }},
		{"Prune", func() error { _, err := a.Prune(ctx, start); return err }},
	} {
		err := tt.call()
		if !errors.Is(err, context.Canceled) || !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v; want context.Canceled, as authn.ErrUnavailable", tt.name, err)
		}
		if errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: %v is a decision", tt.name, err)
		}
	}
	got, err := a.User(t.Context(), "alice")
	must(t, err)
	sameUser(t, got, u)
}
