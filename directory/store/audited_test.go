package store_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// TestAuditedTold: nodes are told of a change once it is there, and of none that was
// undone.
func TestAuditedTold(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			a, b := open(t, c), open(t, c)
			hearing(t, a, store.Users)
			hearing(t, b, store.Users)
			settled := func(s *store.Store) uint64 { // what was told before has arrived
				v := hearing(t, s, store.Users)
				for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					if w := hearing(t, s, store.Users); w != v {
						v, end = w, time.Now().Add(300*time.Millisecond)
					}
				}
				return v
			}
			beforeA, beforeB := settled(a), settled(b)
			own := errors.New("own")
			write := func(name string, err error) error {
				return a.Audited(t.Context(), &directory.Change{Action: "user.add"}, func(ctx context.Context) error {
					if err := a.CreateUser(ctx, &directory.User{Name: name}); err != nil {
						return err
					}
					if settled(a) != beforeA || settled(b) != beforeB {
						t.Error("told before the end")
					}
					return err
				})
			}
			if err := write("undone", own); !errors.Is(err, own) {
				t.Fatal(err)
			}
			if settled(b) != beforeB {
				t.Error("the other handle was told of what was undone")
			}
			beforeA, beforeB = settled(a), settled(b)
			if err := write("kept", nil); err != nil {
				t.Fatal(err)
			}
			if v, _ := a.Version(store.Users); v == beforeA {
				t.Error("its own change does not count at once")
			}
			if settled(b) == beforeB {
				t.Error("the other handle was not told")
			}
		})
	}
}

// TestAuditedWaits: who writes beside a change waits for its end, and both are kept.
func TestAuditedWaits(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			u := &directory.User{Name: "u"}
			if err := s.CreateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			other := make(chan error, 1)
			if err := s.Audited(t.Context(), &directory.Change{Action: "x"}, func(ctx context.Context) error {
				if err := s.UpdateUser(ctx, u); err != nil {
					return err
				}
				go func() { other <- s.TouchLogin(t.Context(), u.ID, time.Now()) }()
				for range 20 { // reads beside it do not wait
					if _, err := s.User(t.Context(), "u"); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := <-other; err != nil {
				t.Error(err)
			}
			got, err := s.User(t.Context(), "u")
			if err != nil || got.Version != 2 || got.LastLogin.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestAuditedImport: an import within a change is a part of it.
func TestAuditedImport(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			own := errors.New("own")
			for _, fails := range []error{own, nil} {
				err := s.Audited(t.Context(), &directory.Change{Action: "user.import"}, func(ctx context.Context) error {
					done, err := s.Import(ctx, manyUsers(50, nil), nil)
					if err != nil || done.Created != 50 {
						t.Errorf("%+v, %v", done, err)
					}
					return fails
				})
				if !errors.Is(err, fails) {
					t.Fatal(err)
				}
				want := 0
				if fails == nil {
					want = 50
				}
				if n, err := s.CountUsers(t.Context()); err != nil || n != int64(want) {
					t.Errorf("%d users, %v; want %d", n, err, want)
				}
			}
		})
	}
}

// TestFollowGap: a login whose number is less, and which comes later, is not missed
// by who follows.
func TestFollowGap(t *testing.T) {
	t.Parallel()
	c := drivers[1].make(t)
	var ahead atomic.Int64
	c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := open(t, c)
	add := func(ref string) {
		t.Helper()
		if err := s.AddLogin(t.Context(), &directory.Login{Time: time.Now(), Ref: ref}); err != nil {
			t.Fatal(err)
		}
	}
	follow := func(last int64, want string) {
		t.Helper()
		got, err := s.Logins(t.Context(), directory.LoginQuery{NewerID: last})
		var refs []string
		for _, l := range got {
			refs = append(refs, l.Ref)
		}
		if all := strings.Join(refs, " "); err != nil || all != want {
			t.Errorf("%q, %v; want %q", all, err, want)
		}
	}
	add("first")
	first, err := s.Logins(t.Context(), directory.LoginQuery{})
	if err != nil {
		t.Fatal(err)
	}
	last := first[0].ID
	slow := func() interface {
		Commit() error
		Rollback() error
	} {
		tx, err := raw(t, c).BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO logins (at, ref, realm, user_name, user_fold, sid, mechanism, peer, user_agent, outcome, reason, detail)
			VALUES (0, 'slow', '', '', '', '', '', '', '', '', '', '')`); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	tx := slow()
	add("quick")
	follow(last, "")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	follow(last, "slow quick")

	// One that never comes is not waited for without end.
	if err := slow().Rollback(); err != nil {
		t.Fatal(err)
	}
	add("after")
	follow(last, "slow quick")
	ahead.Store(int64(time.Minute))
	follow(last, "slow quick after")
}
