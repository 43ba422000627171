package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// newSync is a job over users of CORP, n of them in store and directory.
func newSync(tb testing.TB, n int, more ...directory.User) (*Sync, *memory, *source) {
	tb.Helper()
	m, dir := newMemory(tb, more...), &source{broken: make(map[string]error)}
	for i := range n {
		u := directory.User{Realm: "corp", Name: fmt.Sprintf(`CORP\user%05d`, i), SID: sid(10_000 + i)}
		if err := m.CreateUser(tb.Context(), &u); err != nil {
			tb.Fatal(err)
		}
		dir.accounts = append(dir.accounts, &directory.Account{Name: u.Name, SID: u.SID, DisplayName: "User"})
	}
	m.writes = 0
	c := &clockAt{t: start}
	return &Sync{
		Realm: "corp", Domains: []string{"corp"}, Store: m, Source: dir, Now: c.now, Logger: (&logged{}).logger(),
		testOnlyWait: func(_ context.Context, d time.Duration) error { c.add(d); return nil },
	}, m, dir
}

// counts checks a summary.
func counts(tb testing.TB, s *Summary, want Summary) {
	tb.Helper()
	got := Summary{
		Seen: s.Seen, Refreshed: s.Refreshed, Unchanged: s.Unchanged, Deactivated: s.Deactivated, Reactivated: s.Reactivated,
		Gone: s.Gone, Conflicts: s.Conflicts, Failed: s.Failed, Held: s.Held, Complete: s.Complete,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		tb.Errorf("summary is %+v\nwant          %+v", got, want)
	}
	if sum := s.Refreshed + s.Unchanged + s.Deactivated + s.Reactivated + s.Gone + s.Conflicts + s.Failed; sum != s.Seen {
		tb.Errorf("seen %d, sum %d", s.Seen, sum)
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	t.Run("one by one", func(t *testing.T) { t.Parallel(); testSync(t, false) })
	t.Run("together", func(t *testing.T) { t.Parallel(); testSync(t, true) })
}

// together has a job write to its store by the page.
func together(s *Sync, m *memory, on bool) {
	if on {
		s.Store = batched{m}
	}
}

func testSync(t *testing.T, batch bool) {
	s, m, dir := newSync(t, 0,
		directory.User{Realm: "corp", Name: `CORP\new`, SID: sid(1)},
		directory.User{Realm: "corp", Name: `CORP\same`, SID: sid(2), DisplayName: "Same", Refreshed: start.Add(-time.Hour)},
		directory.User{Realm: "corp", Name: `CORP\disabled`, SID: sid(3)},
		directory.User{Realm: "corp", Name: `CORP\expired`, SID: sid(4)},
		directory.User{Realm: "corp", Name: `CORP\enabled`, SID: sid(5), State: directory.DisabledByDirectory},
		directory.User{Realm: "corp", Name: `CORP\operator`, SID: sid(6), State: directory.DisabledByOperator, Refreshed: start},
		directory.User{Realm: "corp", Name: `CORP\gone`, SID: sid(7), Roles: []string{"a"}},
		directory.User{Realm: "corp", Name: `CORP\gone2`, SID: sid(8), State: directory.DisabledByDirectory},
		directory.User{Realm: "corp", Name: `CORP\gone3`, SID: sid(9), State: directory.DisabledByOperator},
		directory.User{Realm: "corp", Name: `CORP\renamed`, SID: sid(10)},
		directory.User{Name: `corp\byname`},
		directory.User{Realm: "corp", Name: `CORP\taken`, SID: sid(12)},
		directory.User{Realm: "corp", Name: `CORP\broken`, SID: sid(13)},
		// not the job's
		directory.User{Realm: "corp", Name: `TRUSTED\bob`, SID: "S-1-5-21-9-9-9-1"},
		directory.User{Realm: "partners", Name: `CORP\other`, SID: sid(14)},
		directory.User{Realm: "corp", Name: "plain"},
		directory.User{Name: "internal", Password: directory.NewPasswordHash("$x")})
	dir.accounts = []*directory.Account{
		{Name: `CORP\new`, SID: sid(1), DisplayName: "New", Email: "new@example.com"},
		{Name: `CORP\same`, SID: sid(2), DisplayName: "Same"},
		{Name: `CORP\disabled`, SID: sid(3), Disabled: true},
		{Name: `CORP\expired`, SID: sid(4), Expires: start.Add(-time.Second)},
		{Name: `CORP\enabled`, SID: sid(5), Expires: start.Add(time.Second)},
		{Name: `CORP\operator`, SID: sid(6)},
		{Name: `CORP\alpha`, SID: sid(10)},
		{Name: `CORP\byname`, SID: sid(11)},
		{Name: "internal", SID: sid(12)},
		{Name: `CORP\nobody`, SID: sid(99)},
	}
	dir.broken[`CORP\broken`] = fmt.Errorf("ldap: %w: objectSid is damaged", authn.ErrUnavailable)
	together(s, m, batch)
	users := len(m.users)
	var last Summary
	s.Progress = func(p Summary) { last = p }

	dry := *s
	dry.DryRun = true
	want := Summary{Seen: 13, Refreshed: 3, Unchanged: 4, Deactivated: 2, Reactivated: 1, Gone: 1, Conflicts: 1, Failed: 1, Complete: true}
	sum, err := dry.Run(t.Context())
	if err != nil || m.writes != 0 || len(m.notes) != 0 {
		t.Errorf("dry run: %v, %d writes, notes %v", err, m.writes, m.notes)
	}
	dryWant := want
	dryWant.Refreshed, dryWant.Conflicts = 4, 0 // whether a name is free shows when it is taken
	counts(t, sum, dryWant)

	sum, err = s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, want)
	counts(t, &last, Summary{Seen: 13, Refreshed: 3, Unchanged: 4, Deactivated: 2, Reactivated: 1, Gone: 1, Conflicts: 1, Failed: 1})
	if !slices.Equal(sum.GoneNames, []string{`CORP\gone`}) || len(sum.FailedNames) != 2 || len(sum.FailedCauses) != 2 || slices.Contains(sum.FailedCauses, "") {
		t.Errorf("gone %q, failed %q, causes %q", sum.GoneNames, sum.FailedNames, sum.FailedCauses)
	}
	for name, state := range map[string]directory.State{
		`CORP\new`: directory.Active, `CORP\disabled`: directory.DisabledByDirectory, `CORP\expired`: directory.DisabledByDirectory,
		`CORP\enabled`: directory.Active, `CORP\operator`: directory.DisabledByOperator, `CORP\gone`: directory.DisabledByDirectory,
		`CORP\gone2`: directory.DisabledByDirectory, `CORP\gone3`: directory.DisabledByOperator, `CORP\alpha`: directory.Active,
		`CORP\byname`: directory.Active, `CORP\taken`: directory.Active, `CORP\broken`: directory.Active,
		`TRUSTED\bob`: directory.Active, `CORP\other`: directory.Active, "plain": directory.Active, "internal": directory.Active,
	} {
		if u := m.user(t, name); u.State != state {
			t.Errorf("%s is %v, want %v", name, u.State, state)
		}
	}
	if u := m.user(t, `CORP\byname`); u.SID != sid(11) || u.Realm != "corp" {
		t.Errorf("user known by name is %+v", u)
	}
	if u := m.user(t, `CORP\gone`); len(u.Roles) != 1 || !u.Refreshed.Equal(start) {
		t.Errorf("user who is gone is %+v", u)
	}
	if u := m.user(t, `CORP\new`); u.Email != "new@example.com" {
		t.Errorf("new is %+v", u)
	}
	if len(m.users) != users {
		t.Errorf("users: %q", m.names())
	}
	slices.Sort(m.ended)
	if !slices.Equal(m.ended, []string{`CORP\disabled`, `CORP\expired`, `CORP\gone`, `CORP\renamed`}) {
		t.Errorf("sessions ended of %q", m.ended)
	}

	// Again: nothing is new, and nothing is written.
	m.writes = 0
	sum, err = s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, Summary{Seen: 13, Unchanged: 11, Conflicts: 1, Failed: 1, Complete: true})
	if m.writes != 0 || sum.Total != 13 {
		t.Errorf("%d writes, total %d, want 0 and 13", m.writes, sum.Total)
	}
	if at, err := s.Finished(t.Context()); err != nil || !at.Equal(sum.Began) {
		t.Errorf("finished %v, %v", at, err)
	}
	if _, err := s.RunDue(t.Context(), sum.Began); !errors.Is(err, ErrDone) {
		t.Errorf("done already: %v", err)
	}
	if _, err := s.RunDue(t.Context(), sum.Began.Add(1)); err != nil {
		t.Errorf("due again: %v", err)
	}
}

// Renamed users are seen once, whichever way their names move on the pages.
func TestSyncRenamedAcrossPages(t *testing.T) {
	t.Parallel()
	s, m, dir := newSync(t, 1200)
	together(s, m, true)
	dir.accounts[3].Name, dir.accounts[1100].Name = `CORP\user01100`, `CORP\user00003` // swapped
	dir.accounts[10].Name, dir.accounts[1199].Name = `CORP\zoe`, `CORP\ada`
	sum, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Who had a name that another got was set aside till it was his turn.
	counts(t, sum, Summary{Seen: 1200, Refreshed: 1199, Reactivated: 1, Complete: true})
	for name, rid := range map[string]int{`CORP\user01100`: 3, `CORP\user00003`: 1100, `CORP\zoe`: 10, `CORP\ada`: 1199} {
		if u := m.user(t, name); u.SID != sid(10_000+rid) || u.State != directory.Active {
			t.Errorf("%s is %+v", name, u)
		}
	}
}

// A run that was ended goes on where it was and does the rest: nobody is left
// out or done twice, whoever keeps ending it.
func TestSyncEnded(t *testing.T) {
	t.Parallel()
	s, m, _ := newSync(t, 1800)
	ctx, cancel := context.WithCancel(t.Context())
	s.Progress = func(p Summary) {
		if p.Seen == 1000 {
			cancel()
		}
	}
	sum, err := s.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	counts(t, sum, Summary{Seen: 1000, Refreshed: 1000})
	if m.notes["sync/corp/lease"] != "" || m.notes["sync/corp/cursor"] != `CORP\user00999` {
		t.Errorf("notes %q", m.notes)
	}
	var first string
	s.Progress = func(Summary) {
		if first == "" {
			first = m.notes["sync/corp/cursor"]
		}
	}
	sum, err = s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, Summary{Seen: 1800, Refreshed: 800, Unchanged: 1000, Complete: true})
	if first != `CORP\user01499` || m.notes["sync/corp/cursor"] != "" {
		t.Errorf("went on to %q; cursor after it %q", first, m.notes["sync/corp/cursor"])
	}
}

// A process that was killed leaves its lease.
func TestSyncLease(t *testing.T) {
	t.Parallel()
	s, m, _ := newSync(t, 600)
	func() {
		defer func() { _ = recover() }()
		s.Progress = func(Summary) { m.down = true; panic("killed") }
		_, _ = s.Run(t.Context())
	}()
	m.down, s.Progress = false, nil
	_, err := s.Run(t.Context())
	if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "process") {
		t.Fatalf("error %v, want ErrRunning with the process", err)
	}
	var asked string
	s.Dead = func(owner string) bool { asked = owner; return true }
	if _, err := s.Run(t.Context()); err != nil || asked != Owner() {
		t.Errorf("the process is dead: %v, asked for %q", err, asked)
	}

	// Another one begins in the same moment: who wrote last goes on, and the other
	// one ends before its next batch.
	s.Dead = nil
	began := false
	s.Progress = func(Summary) {
		if !began {
			began = true
			_ = m.SetNote(t.Context(), "sync/corp/lease", `{"owner":"other","id":7,"until":"2026-11-26T10:00:00Z"}`)
		}
	}
	sum, err := s.Run(t.Context())
	if !errors.Is(err, ErrRunning) || sum.Complete || sum.Seen != batchSize || !strings.Contains(m.notes["sync/corp/lease"], "other") {
		t.Errorf("error %v, %+v, lease %s", err, sum, m.notes["sync/corp/lease"])
	}
	// It ran out.
	_ = s.testOnlyWait(t.Context(), 2*time.Hour)
	if _, err := s.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// A directory that does not answer, or only with errors, disables nobody.
func TestAttackSyncWithoutAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		users int
		err   error
		most  int // times asked
	}{
		{"away", 600, fmt.Errorf("ldap: %w", authn.ErrUnavailable), 100},
		{"refuses", 600, errors.New("ldap: insufficient access rights"), 100},
		// Too few to tell by their number: the run counted as done.
		{"away, few users", 3, fmt.Errorf("ldap: %w", authn.ErrUnavailable), 30},
		{"refuses, one user", 1, errors.New("ldap: insufficient access rights"), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, m, dir := newSync(t, tt.users)
			dir.err = tt.err
			sum, err := s.Run(t.Context())
			if !errors.Is(err, tt.err) || sum.Complete || m.writes != 0 {
				t.Errorf("%v, %+v, %d writes", err, sum, m.writes)
			}
			if dir.asked > tt.most {
				t.Errorf("asked %d times, want at most %d", dir.asked, tt.most)
			}
			if at, err := s.Finished(t.Context()); err != nil || !at.IsZero() {
				t.Errorf("finished %v, %v", at, err)
			}
		})
	}
	t.Run("too few answers", func(t *testing.T) {
		t.Parallel()
		s, m, _ := newSync(t, 600)
		s.Source = few{}
		if sum, err := s.Run(t.Context()); err == nil || sum.Gone != 0 || m.writes != 0 {
			t.Errorf("%v, %+v", err, sum)
		}
	})
	t.Run("another's", func(t *testing.T) {
		t.Parallel()
		s, m, _ := newSync(t, 10)
		s.Source = answerAlways{&directory.Account{Name: `CORP\x`, SID: sid(1), Disabled: true}}
		sum, err := s.Run(t.Context())
		if err != nil || m.writes != 0 {
			t.Errorf("%v, %d writes", err, m.writes)
		}
		counts(t, sum, Summary{Seen: 10, Failed: 10, Complete: true})
	})
}

// few answers with nothing at all.
type few struct{}

func (few) Accounts(context.Context, []directory.AccountRef) ([]*directory.Account, error) {
	return nil, nil
}

func TestSyncOutage(t *testing.T) {
	t.Parallel()
	s, m, dir := newSync(t, 600)
	dir.err = fmt.Errorf("ldap: %w", authn.ErrUnavailable)
	wait := s.testOnlyWait
	s.testOnlyWait = func(ctx context.Context, d time.Duration) error {
		dir.err = nil // it answers again
		return wait(ctx, d)
	}
	sum, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, Summary{Seen: 600, Refreshed: 600, Complete: true})

	m.down = true
	if _, err := s.Run(t.Context()); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// The base DN is wrong, so that many or all users are not found.
func TestAttackSyncDisablesEverybody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		all, gone int
		held      bool
	}{
		{"all of many", 600, 600, true},
		{"the second half", 1200, 600, true},
		{"a little above the share", 300, 61, true},
		{"the share", 300, 60, false},
		{"all of few", 50, 50, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, m, dir := newSync(t, tt.all)
			dir.accounts = dir.accounts[:tt.all-tt.gone]
			sum, err := s.Run(t.Context())
			if errors.Is(err, ErrTooManyGone) != tt.held || !tt.held && err != nil {
				t.Fatalf("error %v", err)
			}
			counts(t, sum, Summary{Seen: tt.all, Refreshed: tt.all - tt.gone, Gone: tt.gone, Held: tt.held, Complete: true})
			disabled := func() (n int) {
				for _, name := range m.names() {
					if strings.HasSuffix(name, directory.DisabledByDirectory.String()) {
						n++
					}
				}
				return n
			}
			want := tt.gone
			if tt.held {
				want = 0
			}
			if n := disabled(); n != want {
				t.Errorf("%d disabled, want %d", n, want)
			}
			if len(sum.GoneNames) > maxListed {
				t.Errorf("%d names listed", len(sum.GoneNames))
			}
			s.AllowManyGone = true
			if _, err := s.Run(t.Context()); err != nil || disabled() != tt.gone {
				t.Errorf("allowed: %v, %d disabled, want %d", err, disabled(), tt.gone)
			}
		})
	}
}

// An operator changes a user while the job has it.
// One who is gone, and whom others change all the time, does not keep the others
// who are gone from being disabled.
func TestSyncGoneConflict(t *testing.T) {
	t.Parallel()
	s, m, _ := newSync(t, 3,
		directory.User{Realm: "corp", Name: `CORP\gone1`, SID: sid(1)}, directory.User{Realm: "corp", Name: `CORP\gone2`, SID: sid(2)})
	m.before = func(what string, u *directory.User) {
		if u.SID == sid(1) {
			m.mu.Lock()
			m.users[u.ID].Version++
			m.mu.Unlock()
		}
	}
	sum, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, Summary{Seen: 5, Refreshed: 3, Gone: 1, Conflicts: 1, Complete: true})
	for name, want := range map[string]directory.State{`CORP\gone1`: directory.Active, `CORP\gone2`: directory.DisabledByDirectory} {
		if u := m.user(t, name); u.State != want {
			t.Errorf("%s is %v, want %v", name, u.State, want)
		}
	}
}

func TestSyncConflict(t *testing.T) {
	t.Parallel()
	for _, batch := range []bool{false, true} {
		testSyncConflict(t, batch)
	}
}

func testSyncConflict(t *testing.T, batch bool) {
	t.Helper()
	s, m, _ := newSync(t, 3)
	together(s, m, batch)
	m.before = func(_ string, u *directory.User) {
		m.before = nil
		o := m.user(t, u.Name)
		o.Roles, o.State = []string{"payroll"}, directory.DisabledByOperator
		if err := m.UpdateUser(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	sum, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts(t, sum, Summary{Seen: 3, Refreshed: 3, Complete: true})
	if u := m.user(t, `CORP\user00000`); len(u.Roles) != 1 || u.State != directory.DisabledByOperator || u.DisplayName != "User" {
		t.Errorf("user is %+v", u)
	}
	s.Domains = nil
	if _, err := s.Run(t.Context()); err == nil {
		t.Error("a job without domains runs")
	}
}
