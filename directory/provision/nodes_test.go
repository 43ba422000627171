package provision

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var (
	_ LoginStore = (*store.Store)(nil)
	_ SyncStore  = (*store.Store)(nil)
	_ BatchStore = (*store.Store)(nil)
)

// nodes opens a database twice, as two nodes do.
func nodes(t *testing.T, driver string) (a, b *store.Store) {
	t.Helper()
	c := store.Config{Driver: driver, DSN: filepath.Join(t.TempDir(), "users.db"), Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute} // the machine may be busy
	if driver == "postgres" {
		c.DSN = pgtest.Database(t)
	}
	for _, s := range []**store.Store{&a, &b} {
		var err error
		if *s, err = store.Open(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*s).Close() })
	}
	return a, b
}

// Two nodes with one database: many log in for the first time at both at once,
// and then both begin the daily job.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			a, b := nodes(t, driver)
			testTwoNodes(t, a, b)
		})
	}
}

func testTwoNodes(t *testing.T, a, b *store.Store) {
	const users = 20
	dir, quiet := &source{}, slog.New(slog.DiscardHandler)
	for i := range users {
		acct := aliceAccount()
		acct.Name, acct.SID = fmt.Sprintf(`CORP\user%02d`, i), sid(5000+i)
		dir.accounts = append(dir.accounts, acct)
	}
	var wg sync.WaitGroup
	for _, s := range []*store.Store{a, b} {
		p := &Provisioner{Realm: "corp", Store: s, Source: dir, Logger: quiet}
		for i := range users {
			wg.Go(func() {
				id := &authn.Identity{Account: fmt.Sprintf("user%02d", i), Domain: "CORP", SID: sid(5000 + i), Mechanism: "NTLM"}
				if out, err := p.Provision(t.Context(), id); err != nil || len(out.Groups) != 2 {
					t.Errorf("%s: %v, %v", id, out, err)
				}
			})
		}
	}
	wg.Wait()
	all, err := a.Users(t.Context(), directory.UserQuery{Limit: 1000})
	if err != nil || len(all) != users {
		t.Fatalf("%d users, want %d: %v", len(all), users, err)
	}

	for i := range 600 {
		u := directory.User{Realm: "corp", Name: fmt.Sprintf(`CORP\more%04d`, i), SID: sid(20_000 + i)}
		if err := a.CreateUser(t.Context(), &u); err != nil {
			t.Fatal(err)
		}
		dir.accounts = append(dir.accounts, &directory.Account{Name: u.Name, SID: u.SID, Email: "x@example.com", Groups: aliceAccount().Groups})
	}
	sums, errs := make([]*Summary, 2), make([]error, 2)
	for i, s := range []*store.Store{a, b} {
		job := &Sync{Realm: "corp", Domains: []string{"CORP"}, Store: s, Source: dir, Owner: fmt.Sprint("node ", i), Logger: quiet}
		wg.Go(func() { sums[i], errs[i] = job.Run(t.Context()) })
	}
	wg.Wait()
	complete := 0
	for i, err := range errs {
		switch {
		case err == nil && sums[i].Complete && sums[i].Seen == users+600 && sums[i].Failed+sums[i].Conflicts+sums[i].Gone+sums[i].Deactivated == 0:
			complete++
		case !errors.Is(err, ErrRunning):
			t.Errorf("node %d: %v, %+v", i, err, sums[i])
		}
	}
	if complete == 0 {
		t.Errorf("no node did the job: %v", errs)
	}
	u, err := b.User(t.Context(), `CORP\more0599`)
	if err != nil || u.Email != "x@example.com" || len(u.Groups) != 2 {
		t.Errorf("user is %+v, %v", u, err)
	}
}
