package dirtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
)

func audited(t *testing.T, a, b Store) {
	u := &directory.User{Name: `CORP\alice`, Roles: []string{"r"}}
	c := &directory.Change{Time: start, Ref: "7f3a", Actor: `IT\Bob`, Peer: "192.0.2.7", Action: "user.add", Target: "", After: `{"name":"x"}`}
	must(t, a.Audited(t.Context(), c, func(ctx context.Context) error {
		if err := a.CreateUser(ctx, u); err != nil {
			return err
		}
		c.Target = u.Name // is known only now
		if _, err := b.User(t.Context(), u.Name); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("seen before the end: %v", err)
		}
		got, err := a.User(ctx, u.Name) // by who writes it
		if err != nil || got.ID != u.ID {
			t.Errorf("not seen by who wrote it: %v", err)
		}
		u.DisplayName = "Alice"
		return a.UpdateUser(ctx, u)
	}))
	if c.ID == 0 {
		t.Error("the change has no ID")
	}
	got, err := b.User(t.Context(), u.Name)
	must(t, err)
	sameUser(t, got, u)
	all, err := b.Changes(t.Context(), directory.ChangeQuery{})
	must(t, err)
	if len(all) != 1 || !all[0].Time.Equal(start) {
		t.Fatalf("changes %+v, want one at %v", all, start)
	}
	all[0].Time = c.Time
	if all[0] != *c {
		t.Errorf("change\n got %+v\nwant %+v", all[0], *c)
	}

	now := &directory.Change{Action: "config.apply"}
	must(t, a.Audited(t.Context(), now, func(context.Context) error { return nil }))
	if d := time.Since(now.Time); d < -time.Minute || d > time.Hour {
		t.Errorf("a change without time is of %v", now.Time)
	}
	for name, c := range map[string]directory.Change{
		"no action": {}, "NUL": {Action: "x", Before: "\x00"}, "no text": {Action: "x", After: "\xff"}, "endless": {Action: "x", After: strings.Repeat("x", 17<<20)},
	} {
		if err := a.Audited(t.Context(), &c, func(ctx context.Context) error { return a.SetNote(ctx, "k", "v") }); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := b.Note(t.Context(), "k"); v != "" || err != nil {
			t.Errorf("%s: what was not recorded was done: %q, %v", name, v, err)
		}
	}
}

// auditedUndone: of what fails nothing is kept, neither in the store nor in what the
// caller has, and the error is the caller's.
func auditedUndone(t *testing.T, a, b Store) {
	old := &directory.User{Name: "old", Roles: []string{"r"}}
	must(t, a.CreateUser(t.Context(), old))
	own := errors.New("own")
	made := &directory.User{Name: "made"}
	v := &directory.ConfigVersion{Node: "n"}
	c := &directory.Change{Action: "x"}
	err := a.Audited(t.Context(), c, func(ctx context.Context) error {
		must(t, a.CreateUser(ctx, made))
		old.DisplayName = "changed"
		must(t, a.UpdateUser(ctx, old))
		must(t, a.UpdateUser(ctx, old))
		must(t, a.UpdateUsers(ctx, []*directory.User{old}))
		must(t, a.AddConfig(ctx, v))
		return own
	})
	if err != own { //nolint:errorlint // as it is
		t.Errorf("error %v, want that of the function itself", err)
	}
	if made.ID != 0 || made.Version != 0 || !made.Created.IsZero() || old.Version != 1 || v.ID != 0 || c.ID != 0 {
		t.Errorf("made %+v, old %+v, configuration %d, change %d: not as before", made, old, v.ID, c.ID)
	}
	if _, err := b.User(t.Context(), "made"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("what was undone is there: %v", err)
	}
	if all, err := b.Changes(t.Context(), directory.ChangeQuery{}); err != nil || len(all) != 0 {
		t.Errorf("changes %+v, %v", all, err)
	}
	must(t, a.UpdateUser(t.Context(), old)) // no conflict

	// A part that fails is undone by itself, and the rest goes on.
	must(t, a.Audited(t.Context(), c, func(ctx context.Context) error {
		if err := a.CreateUser(ctx, &directory.User{Name: "OLD", Roles: []string{"r"}}); !errors.Is(err, directory.ErrExists) {
			t.Errorf("made again: %v", err)
		}
		if _, err := a.User(ctx, "nobody"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		stale := *old
		stale.Version--
		if err := a.UpdateUser(ctx, &stale); !errors.Is(err, directory.ErrConflict) {
			t.Errorf("stale: %v", err)
		}
		return a.CreateUser(ctx, made)
	}))
	if got, err := b.User(t.Context(), "made"); err != nil || got.ID != made.ID {
		t.Errorf("after a part that failed: %v", err)
	}

	// A panic frees what others wait for.
	func() {
		defer func() { _ = recover() }()
		_ = a.Audited(t.Context(), &directory.Change{Action: "x"}, func(ctx context.Context) error {
			_ = a.SetNote(ctx, "k", "v")
			panic("of the caller")
		})
	}()
	must(t, a.SetNote(t.Context(), "other", "v"))
	if v, err := b.Note(t.Context(), "k"); v != "" || err != nil {
		t.Errorf("after a panic: %q, %v", v, err)
	}
}

// auditedEveryWrite: all that writes takes part.
func auditedEveryWrite(t *testing.T, a, b Store) {
	u := &directory.User{Name: "u"}
	must(t, a.CreateUser(t.Context(), u))
	s := newSession("s", "u", start)
	s.Grant = newGrant("it", "sub", "sid")
	must(t, a.PutSession(t.Context(), s))
	must(t, a.SetBlock(t.Context(), directory.Block{Key: "k", From: start, Until: start.Add(time.Hour)}))
	for _, tt := range []struct {
		name  string
		write func(ctx context.Context) error
		done  func() bool
	}{
		{"TouchLogin", func(ctx context.Context) error { return a.TouchLogin(ctx, u.ID, start) }, func() bool {
			got, err := b.User(t.Context(), "u")
			must(t, err)
			return !got.LastLogin.IsZero()
		}},
		{"PutGrant", func(ctx context.Context) error { return a.PutGrant(ctx, s.ID, newGrant("new", "", ""), nil) }, func() bool {
			got, err := b.Session(t.Context(), s.ID)
			must(t, err)
			return got.Grant.Provider == "new"
		}},
		{"TouchSession", func(ctx context.Context) error { return a.TouchSession(ctx, s.ID, start.Add(time.Hour)) }, func() bool {
			got, err := b.Session(t.Context(), s.ID)
			must(t, err)
			return got.Seen.Equal(start.Add(time.Hour))
		}},
		{"DeleteSessionsOf", func(ctx context.Context) error { _, err := a.DeleteSessionsOf(ctx, "u"); return err }, func() bool {
			_, err := b.Session(t.Context(), s.ID)
			return errors.Is(err, directory.ErrNotFound)
		}},
		{"PutSession", func(ctx context.Context) error { return a.PutSession(ctx, s) }, func() bool {
			_, err := b.Session(t.Context(), s.ID)
			return err == nil
		}},
		{"DeleteSessionsOfGrant", func(ctx context.Context) error { _, err := a.DeleteSessionsOfGrant(ctx, "it", "sub", ""); return err }, func() bool {
			_, err := b.Session(t.Context(), s.ID)
			return errors.Is(err, directory.ErrNotFound)
		}},
		{"Unblock", func(ctx context.Context) error { _, err := a.Unblock(ctx, "k"); return err }, func() bool {
			all, err := b.Blocks(t.Context(), start)
			must(t, err)
			return len(all) == 0
		}},
		{"SetBlock", func(ctx context.Context) error {
			return a.SetBlock(ctx, directory.Block{Key: "k", From: start, Until: start.Add(time.Hour)})
		}, func() bool {
			all, err := b.Blocks(t.Context(), start)
			must(t, err)
			return len(all) == 1
		}},
		{"AddFailure", func(ctx context.Context) error {
			_, err := a.AddFailure(ctx, start, start.Add(-time.Hour), "f", "g")
			return err
		}, func() bool {
			n, err := b.AddFailure(t.Context(), start, start.Add(-time.Hour), "f")
			must(t, err)
			defer func() { must(t, b.ForgetFailures(t.Context(), "f")) }()
			return n[0] == 2
		}},
		{"SetNote", func(ctx context.Context) error { return a.SetNote(ctx, "n", "v") }, func() bool {
			v, err := b.Note(t.Context(), "n")
			must(t, err)
			return v == "v"
		}},
		{"AddLogin", func(ctx context.Context) error { return a.AddLogin(ctx, &directory.Login{Time: start}) }, func() bool {
			all, err := b.Logins(t.Context(), directory.LoginQuery{})
			must(t, err)
			return len(all) == 1
		}},
		{"AddCounts", func(ctx context.Context) error {
			return a.AddCounts(ctx, []directory.Count{{Time: start, Kind: "k", N: 1}})
		}, func() bool {
			all, err := b.Counts(t.Context(), directory.CountQuery{})
			must(t, err)
			return len(all) == 1
		}},
		{"AddConfig", func(ctx context.Context) error { return a.AddConfig(ctx, &directory.ConfigVersion{Node: "n"}) }, func() bool {
			all, err := b.Configs(t.Context(), 0, 0)
			must(t, err)
			return len(all) == 1
		}},
		{"Prune", func(ctx context.Context) error { _, err := a.Prune(ctx, start.Add(1000*24*time.Hour)); return err }, func() bool {
			all, err := b.Logins(t.Context(), directory.LoginQuery{})
			must(t, err)
			return len(all) == 0
		}},
		{"DeleteUser", func(ctx context.Context) error { return a.DeleteUser(ctx, u.ID) }, func() bool {
			_, err := b.User(t.Context(), "u")
			return errors.Is(err, directory.ErrNotFound)
		}},
	} {
		own := errors.New("own")
		for _, fails := range []error{own, nil} {
			err := a.Audited(t.Context(), &directory.Change{Action: "x"}, func(ctx context.Context) error {
				if err := tt.write(ctx); err != nil {
					return fmt.Errorf("the write itself: %w", err)
				}
				return fails
			})
			if !errors.Is(err, fails) {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if done := tt.done(); done != (fails == nil) {
				t.Errorf("%s: done is %v after %v", tt.name, done, fails)
			}
		}
	}
}

func auditedNested(t *testing.T, a, b Store) {
	var after context.Context
	must(t, a.Audited(t.Context(), &directory.Change{Action: "all", Time: start}, func(ctx context.Context) error {
		after = ctx
		must(t, a.Audited(ctx, &directory.Change{Action: "part.one", Time: start.Add(1)}, func(ctx context.Context) error {
			return a.SetNote(ctx, "one", "v")
		}))
		if err := a.Audited(ctx, &directory.Change{Action: "part.two", Time: start.Add(2)}, func(ctx context.Context) error {
			must(t, a.SetNote(ctx, "two", "v"))
			return directory.ErrConflict
		}); !errors.Is(err, directory.ErrConflict) {
			t.Errorf("part two: %v", err)
		}
		return a.SetNote(ctx, "three", "v")
	}))
	for key, want := range map[string]string{"one": "v", "two": "", "three": "v"} {
		if v, err := b.Note(t.Context(), key); v != want || err != nil {
			t.Errorf("note %s is %q, %v; want %q", key, v, err, want)
		}
	}
	all, err := b.Changes(t.Context(), directory.ChangeQuery{})
	must(t, err)
	if len(all) != 2 || all[0].Action != "all" || all[1].Action != "part.one" {
		t.Errorf("changes %+v", all)
	}
	must(t, a.SetNote(context.WithoutCancel(after), "later", "v")) // on its own again
	if v, err := b.Note(t.Context(), "later"); v != "v" || err != nil {
		t.Errorf("what was written after the end: %q, %v", v, err)
	}
}

// auditedAtOnce: of many who change the same users, in transactions of several, each
// change that is not refused is in the end result and in the record.
func auditedAtOnce(t *testing.T, a, b Store) {
	first, second := &directory.User{Name: "one"}, &directory.User{Name: "two"}
	must(t, a.CreateUser(t.Context(), first))
	must(t, a.CreateUser(t.Context(), second))
	const each = 10
	var wg sync.WaitGroup
	for i := range 4 {
		st := []Store{a, b}[i%2]
		ids := []int64{first.ID, second.ID}
		if i >= 2 {
			ids[0], ids[1] = ids[1], ids[0] // crosswise
		}
		wg.Go(func() {
			for done := 0; done < each; {
				err := st.Audited(t.Context(), &directory.Change{Action: "user.change", Target: "both"}, func(ctx context.Context) error {
					for _, id := range ids {
						u, err := st.UserByID(ctx, id)
						if err != nil {
							return err
						}
						if err := st.UpdateUser(ctx, u); err != nil {
							return err
						}
					}
					return nil
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, directory.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, id := range []int64{first.ID, second.ID} {
		got, err := b.UserByID(t.Context(), id)
		must(t, err)
		if got.Version != 1+4*each {
			t.Errorf("%s has version %d after %d changes", got.Name, got.Version, 4*each)
		}
	}
	all, err := a.Changes(t.Context(), directory.ChangeQuery{Target: "BOTH"})
	must(t, err)
	if len(all) != 4*each {
		t.Errorf("%d changes are recorded, want %d", len(all), 4*each)
	}
}

func changes(t *testing.T, a, b Store) {
	for i, c := range []directory.Change{
		{Actor: `IT\Bob`, Action: "user.add", Target: `CORP\MÜLLER`},
		{Actor: `IT\Bob`, Action: "user.roles.add", Target: `CORP\alice`},
		{Actor: "admin", Action: "users", Target: "all"},
		{Actor: "admin", Action: "config.apply", Target: "gw1"},
		{Actor: "a\x00\xff" + strings.Repeat("ü", 100_000), Action: "user.disable", Target: strings.Repeat("x", 100_000), Ref: "\x00", Peer: "\xff"},
	} {
		c.Time = start.Add(time.Duration(i/2) * time.Second)
		if c.Ref == "" {
			c.Ref = fmt.Sprint(i)
		}
		must(t, a.Audited(t.Context(), &c, func(context.Context) error { return nil }))
	}
	for _, tt := range []struct {
		q    directory.ChangeQuery
		want string
	}{
		{directory.ChangeQuery{}, "\uFFFD 3 2 1 0"},
		{directory.ChangeQuery{Limit: 2}, "\uFFFD 3"},
		{directory.ChangeQuery{Actor: ` it\BOB`}, "1 0"},
		{directory.ChangeQuery{Actor: "it"}, ""},
		{directory.ChangeQuery{Action: "user.add"}, "0"},
		{directory.ChangeQuery{Action: "user."}, "\uFFFD 1 0"},
		{directory.ChangeQuery{Action: "user.roles."}, "1"},
		{directory.ChangeQuery{Action: "user"}, ""},
		{directory.ChangeQuery{Action: "."}, ""},
		{directory.ChangeQuery{Target: `corp\müller`}, "0"},
		{directory.ChangeQuery{Since: start.Add(time.Second)}, "\uFFFD 3 2"},
		{directory.ChangeQuery{Before: start.Add(time.Second)}, "1 0"},
		{directory.ChangeQuery{Action: "user.", Actor: `it\bob`, Target: `corp\alice`, Since: start, Before: start.Add(time.Second), Limit: 5}, "1"},
		{directory.ChangeQuery{Actor: "\x00", Action: "\xff", Target: "\x00"}, ""},
	} {
		got, err := b.Changes(t.Context(), tt.q)
		must(t, err)
		var all []string
		for _, c := range got {
			all = append(all, c.Ref)
		}
		if s := strings.Join(all, " "); s != tt.want {
			t.Errorf("%+v: %q, want %q", tt.q, s, tt.want)
		}
	}
	var all []string
	q := directory.ChangeQuery{Limit: 1}
	for range 10 {
		page, err := b.Changes(t.Context(), q)
		must(t, err)
		if len(page) == 0 {
			break
		}
		all = append(all, page[0].Ref)
		q.Before, q.BeforeID = page[0].Time, page[0].ID
	}
	if s := strings.Join(all, " "); s != "\uFFFD 3 2 1 0" {
		t.Errorf("pages gave %q", s)
	}
}
