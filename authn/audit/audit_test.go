package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// table is a store in memory that can be slow or away.
type table struct {
	mu   sync.Mutex
	rows []directory.Login
	wait time.Duration
	err  error
}

func (s *table) AddLogin(ctx context.Context, l *directory.Login) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-time.After(s.wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.err != nil {
		return s.err
	}
	s.rows = append(s.rows, *l)
	return nil
}

func decision(i int) *authn.Decision {
	return &authn.Decision{Ref: fmt.Sprint(i), Outcome: authn.OutcomeRefused}
}

// login lets alice in if the request says so.
type login struct{}

func (login) Authenticate(r *http.Request) (*authn.Result, error) {
	if r.URL.Path == "/alice" {
		return &authn.Result{Fresh: true, Identity: &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-500", Mechanism: "Test"}}, nil
	}
	return nil, &authn.RefusedError{Mechanism: "Test", Reason: authn.ReasonWrongPassword, User: "bob", Err: errors.New("no match")}
}
func (login) Challenges(*http.Request) []authn.Challenge { return nil }

// TestRows: what the Middleware decides is in the store, with the reference that
// the client was given.
func TestRows(t *testing.T) {
	t.Parallel()
	s := new(table)
	rec := New(Config{Store: s, Realm: "corp"})
	m := &authn.Middleware{Authenticators: []authn.Authenticator{login{}}, Logger: slog.New(slog.DiscardHandler), Observe: rec.Observe}
	h := m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var refused *httptest.ResponseRecorder
	for _, path := range []string{"/alice", "/bob"} {
		refused = httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("User-Agent", "curl/8")
		h.ServeHTTP(refused, r)
	}
	if err := rec.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.rows) != 2 {
		t.Fatalf("%d rows, want 2", len(s.rows))
	}
	alice, bob := s.rows[0], s.rows[1]
	if !strings.Contains(refused.Body.String(), bob.Ref) || alice.Ref == "" || alice.Ref == bob.Ref || alice.Time.IsZero() || bob.Time.Before(alice.Time) {
		t.Errorf("references %q and %q, answer %q, times %v %v", alice.Ref, bob.Ref, refused.Body, alice.Time, bob.Time)
	}
	alice.Ref, bob.Ref, alice.Time, bob.Time = "", "", time.Time{}, time.Time{}
	for _, tt := range []struct{ got, want directory.Login }{
		{alice, directory.Login{Realm: "corp", User: `CORP\alice`, SID: "S-1-5-21-1-2-3-500", Mechanism: "Test", Peer: "192.0.2.1", UserAgent: "curl/8", Outcome: directory.Accepted}},
		{bob, directory.Login{Realm: "corp", User: "bob", Mechanism: "Test", Peer: "192.0.2.1", UserAgent: "curl/8", Outcome: directory.Refused, Reason: authn.ReasonWrongPassword, Detail: "no match"}},
	} {
		if tt.got != tt.want {
			t.Errorf("got  %+v\nwant %+v", tt.got, tt.want)
		}
	}
}

// TestWords: the outcomes of both packages are the same.
func TestWords(t *testing.T) {
	t.Parallel()
	for from, want := range map[authn.Outcome]directory.Outcome{
		authn.OutcomeAccepted: directory.Accepted, authn.OutcomeRefused: directory.Refused,
		authn.OutcomeBlocked: directory.Blocked, authn.OutcomeUnavailable: directory.Unavailable,
	} {
		if got := loginOf(&authn.Decision{Outcome: from}, "").Outcome; got != want {
			t.Errorf("%q is %q, want %q", from, got, want)
		}
	}
}

// TestAttackRecordFlood: logins do not wait for the store, and take bounded
// memory while it is slow. What is lost is counted and logged.
func TestAttackRecordFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &table{wait: time.Second}
		rec := New(Config{Store: s, Queue: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		began := time.Now()
		for i := range 1000 {
			rec.Observe(context.Background(), decision(i))
		}
		if got := time.Since(began); got != 0 {
			t.Errorf("logins waited %v for the store", got)
		}
		if err := rec.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		dropped, failed := rec.Lost()
		if n := uint64(len(s.rows)); n+dropped != 1000 || failed != 0 || n < 10 || n > 11 {
			t.Errorf("%d rows, %d dropped, %d failed", n, dropped, failed)
		}
		if n := strings.Count(log.String(), "logins are missing from the record"); n < 1 || n > 2 {
			t.Errorf("said %d times: %s", n, &log)
		}
	})
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &table{err: errors.New("disk full")}
		rec := New(Config{Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 300 { // for five minutes
			rec.Observe(context.Background(), decision(i))
			time.Sleep(time.Second)
		}
		if err := rec.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, failed := rec.Lost(); failed != 300 {
			t.Errorf("%d failed, want 300", failed)
		}
		if n := strings.Count(log.String(), "disk full"); n < 5 || n > 7 {
			t.Errorf("said %d times in five minutes:\n%s", n, &log)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{wait: time.Second}
		rec := New(Config{Store: s, Logger: slog.New(slog.DiscardHandler)})
		for i := range 5 {
			rec.Observe(context.Background(), decision(i))
		}
		if err := rec.Close(context.Background()); err != nil || len(s.rows) != 5 {
			t.Errorf("%v, %d rows; want those of the queue", err, len(s.rows))
		}
		rec.Observe(context.Background(), decision(6))
		if dropped, _ := rec.Lost(); dropped != 1 {
			t.Errorf("%d dropped after Close, want 1", dropped)
		}
		if err := rec.Close(context.Background()); err != nil {
			t.Errorf("a second time: %v", err)
		}

		s = &table{wait: time.Hour}
		rec = New(Config{Store: s, Timeout: 2 * time.Hour, Logger: slog.New(slog.DiscardHandler)})
		rec.Observe(context.Background(), decision(1))
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := rec.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

var _ Store = (*store.Store)(nil)

// TestInStore: the record is in a database after Close.
func TestInStore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "soapward.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	rec := New(Config{Store: s, Realm: "corp"})
	for i := range 100 {
		d := decision(i)
		d.Time, d.User = time.Date(2026, 11, 26, 9, 0, i, 0, time.UTC), "alice"
		rec.Observe(ctx, d)
	}
	if err := rec.Close(ctx); err != nil {
		t.Fatal(err)
	}
	ls, err := s.Logins(ctx, directory.LoginQuery{User: "ALICE", Outcome: directory.Refused, Limit: 200})
	if err != nil || len(ls) != 100 || ls[0].Ref != "99" || ls[0].Realm != "corp" {
		t.Errorf("%d logins, %v", len(ls), err)
	}
}
