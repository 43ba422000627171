package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

const (
	batchSize = 500

	// keepSynced is how old Refreshed of a user may become whom the job finds
	// unchanged: most are, and writing each row each day for its time alone
	// would be most of the work.
	keepSynced = 7 * 24 * time.Hour

	// Beyond both, users who are gone are taken for a mistake in the
	// configuration.
	goneAtLeast = 50
	goneShare   = 5 // one in

	maxListed = 20 // names in a summary
)

// Errors of Sync.Run.
var (
	// ErrRunning means that another process runs the job for the same realm.
	ErrRunning = errors.New("provision: the job runs elsewhere")

	// ErrDone means that the job was done since it was due.
	ErrDone = errors.New("provision: the job is done")

	// ErrTooManyGone means that so many users are not in the directory that they
	// were not disabled. All else was done.
	ErrTooManyGone = errors.New("provision: too many users are not in the directory")
)

// A Sync brings the users of a domain up to date: those in the store whose name
// has one of Domains. It refreshes what a login refreshes, disables those who
// are disabled, expired or gone in the directory, and enables those again whom
// the directory had disabled. It makes no users, and leaves alone what an
// operator disabled, and users of other realms.
//
// A run that is ended goes on where it was when it is run again, and then does
// the rest as well, so that each run that comes to its end has seen everybody.
// Two nodes do not run it at once: one holds a lease in the store.
//
// Realm, Domains, Store and Source must be set. The fields must not change while
// it runs. One goroutine at a time may use it.
type Sync struct {
	Realm   string   // as in directory.User.Realm
	Domains []string // NetBIOS names of those that Source knows: a user of a trusted domain is not gone
	Aliases []string // former names of the realm

	Store  SyncStore
	Source BatchSource

	// DryRun finds out what would be done, and writes nothing.
	DryRun bool

	// AllowManyGone disables users who are gone whatever their number. Without
	// it, nobody is disabled for being gone where that would be more than 50
	// users and more than 20 % of those seen: a wrong base DN must not lock
	// everybody out.
	AllowManyGone bool

	// Owner says who runs the job, to people who find it running elsewhere. Empty
	// means host and number of the process.
	Owner string

	// Dead reports whether an owner is known not to run any more, so that its
	// lease need not be waited for. Nil means that nobody knows.
	Dead func(owner string) bool

	// Progress is told after each batch. It may be nil.
	Progress func(Summary)

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now

	testOnlyWait func(ctx context.Context, d time.Duration) error // before another try
}

// A Summary is what a run did. Each user is counted once: Seen is the sum of
// Refreshed, Unchanged, Deactivated, Reactivated, Gone, Conflicts and Failed.
type Summary struct {
	Realm       string   `json:"realm"`
	Domains     []string `json:"domains"` // whose users they are
	DryRun      bool     `json:"dry_run"`
	Seen        int      `json:"seen"`
	Refreshed   int      `json:"refreshed"`   // something was new
	Unchanged   int      `json:"unchanged"`   // includes those who stay disabled
	Deactivated int      `json:"deactivated"` // disabled or expired in the directory
	Reactivated int      `json:"reactivated"`
	Gone        int      `json:"gone"`      // not in the directory; deactivated unless Held
	Conflicts   int      `json:"conflicts"` // the name or SID belongs to another user
	Failed      int      `json:"failed"`    // the directory's entry, or the row, is broken

	// Held reports that nobody was deactivated for being gone; see ErrTooManyGone.
	Held bool `json:"held"`

	// Complete reports that everybody was seen.
	Complete bool `json:"complete"`

	// Total is Seen of the last complete run, zero if there was none. It tells
	// how far a run has come.
	Total int `json:"-"`

	Began time.Time     `json:"began"`
	Took  time.Duration `json:"-"`

	GoneNames   []string `json:"gone_names,omitempty"`   // the first of them
	FailedNames []string `json:"failed_names,omitempty"` // with those of conflicts

	// FailedCauses says why, for each of FailedNames.
	FailedCauses []string `json:"failed_causes,omitempty"`
}

// Run does the job. It returns what was done also with an error, such as that of
// ctx, which ends it after the batch that it is at.
func (s *Sync) Run(ctx context.Context) (*Summary, error) { return s.RunDue(ctx, time.Time{}) }

// RunDue is Run, unless the job was done at or after due; then the error is
// ErrDone.
func (s *Sync) RunDue(ctx context.Context, due time.Time) (*Summary, error) {
	r := &run{Sync: s, log: s.Logger, again: make(map[int64]struct{})}
	if r.log == nil {
		r.log = slog.Default()
	}
	r.realm = realm{s.Realm, s.Aliases, s.Store, r.log}
	r.sum = Summary{Realm: s.Realm, Domains: slices.Clone(s.Domains), DryRun: s.DryRun, Began: s.now()}
	err := r.run(ctx, due)
	r.sum.Took = s.now().Sub(r.sum.Began)
	if errors.Is(err, ErrDone) || errors.Is(err, ErrRunning) {
		return &r.sum, err
	}
	r.report(ctx, err)
	return &r.sum, err
}

// Finished returns when the job was last done, zero for never.
func (s *Sync) Finished(ctx context.Context) (time.Time, error) {
	l, err := s.lastRun(ctx)
	return l.At, err
}

func (s *Sync) now() time.Time { return clock(s.Now) }

// run is one run of the job.
type run struct {
	*Sync
	realm realm
	log   *slog.Logger
	sum   Summary
	lease lease

	// Rows that a page may show again, because their names changed, or that are
	// decided at the end.
	again map[int64]struct{}
	gone  []int64

	refused  int  // lookups that failed one after the other
	answered bool // the directory has answered for somebody
}

func (r *run) run(ctx context.Context, due time.Time) error {
	if len(r.Domains) == 0 || r.Realm == "" {
		return fmt.Errorf("provision: the realm %q does not say which domains its directory knows", r.Realm)
	}
	last, err := r.lastRun(ctx)
	if err != nil {
		return err
	}
	if !due.IsZero() && !last.At.Before(due) {
		return ErrDone
	}
	r.sum.Total = last.Seen
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release(ctx)
	start, err := r.note(ctx, "cursor")
	if err != nil {
		return err
	}
	// From where the last run was ended to the end, and from the beginning to
	// there.
	if err := r.pass(ctx, start, ""); err != nil {
		return err
	}
	if start != "" {
		if err := r.pass(ctx, "", start); err != nil {
			return err
		}
	}
	if err := r.deactivateGone(ctx); err != nil {
		return err
	}
	r.sum.Complete = true
	if err := r.finish(ctx); err != nil {
		return err
	}
	if r.sum.Held {
		return fmt.Errorf("%w: %d of %d", ErrTooManyGone, r.sum.Gone, r.sum.Seen)
	}
	return nil
}

// pass does the users whose folded names are in (after, upTo]. Empty is no bound.
func (r *run) pass(ctx context.Context, after, upTo string) error {
	for {
		if err := r.renew(ctx); err != nil {
			return err
		}
		page, err := r.page(ctx, after)
		if err != nil {
			return err
		}
		full := len(page) == batchSize
		if full {
			after = page[len(page)-1].Name
		}
		for i := range page {
			if upTo != "" && directory.FoldName(page[i].Name) > directory.FoldName(upTo) {
				page, full = page[:i], false
				break
			}
		}
		if err := r.batch(ctx, page); err != nil {
			return err
		}
		if full {
			if err := r.setNote(ctx, "cursor", after); err != nil {
				return err
			}
		}
		r.progress()
		if err := ctx.Err(); err != nil {
			return err
		}
		if !full {
			return nil
		}
	}
}

// page returns users of domains, this realm's and others.
func (r *run) page(ctx context.Context, after string) (page []directory.User, err error) {
	err = r.retry(ctx, func() error {
		page, err = r.Store.Users(ctx, directory.UserQuery{After: after, Domain: true, Limit: batchSize})
		return err
	})
	return page, wrap("read users", err)
}

// mine reports whether a user is one of those that the job is for.
func (r *run) mine(u *directory.User) bool {
	if _, done := r.again[u.ID]; done || !r.realm.owns(u) {
		return false
	}
	domain, _ := u.Account()
	for _, d := range r.Domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}

// batch does the users of a page.
func (r *run) batch(ctx context.Context, page []directory.User) error {
	users := make([]*directory.User, 0, len(page))
	refs := make([]directory.AccountRef, 0, len(page))
	for i := range page {
		if u := &page[i]; r.mine(u) {
			users = append(users, u)
			refs = append(refs, directory.AccountRef{Name: u.Name, SID: u.SID})
		}
	}
	if len(users) == 0 {
		return nil
	}
	answers, err := r.lookUp(ctx, refs)
	if err != nil {
		return err
	}
	// A batch is finished though ctx has ended meanwhile, so that what was seen
	// was done. The store bounds each write by itself.
	ctx = context.WithoutCancel(ctx)
	plans := r.together(ctx, users, answers)
	for i, u := range users {
		if err := r.one(ctx, u, answers[i], plans[i]); err != nil {
			return err
		}
	}
	return nil
}

// one does a user, unless that is done, and counts it. The error is one that
// ends the run.
func (r *run) one(ctx context.Context, u *directory.User, a answer, done *plan) error {
	did, err := failed, a.err // which ended the run if it was about everybody
	switch {
	case err != nil:
	case done != nil:
		did, err = done.did, r.written(ctx, u, *done)
	default:
		did, err = r.apply(ctx, u, a)
	}
	switch {
	case a.err != nil:
	case errors.Is(err, authn.ErrUnavailable):
		return err
	case errors.Is(err, directory.ErrNotFound):
		return nil // an operator deleted the user meanwhile
	case errors.Is(err, directory.ErrExists), errors.Is(err, directory.ErrConflict), errors.Is(err, errNameTaken):
		did = conflicted
	case err != nil:
		did = failed
	}
	r.sum.Seen++
	switch did {
	case unchanged:
		r.sum.Unchanged++
	case refreshed:
		r.sum.Refreshed++
	case deactivated:
		r.sum.Deactivated++
	case reactivated:
		r.sum.Reactivated++
	case missing:
		r.sum.Gone++
		r.gone = append(r.gone, u.ID)
		r.again[u.ID] = struct{}{}
		if len(r.sum.GoneNames) < maxListed {
			r.sum.GoneNames = append(r.sum.GoneNames, u.Name)
		}
	case conflicted, failed:
		if did == conflicted {
			r.sum.Conflicts++
		} else {
			r.sum.Failed++
		}
		if len(r.sum.FailedNames) < maxListed {
			r.sum.FailedNames = append(r.sum.FailedNames, u.Name)
			r.sum.FailedCauses = append(r.sum.FailedCauses, err.Error())
			r.log.LogAttrs(ctx, slog.LevelWarn, "user not synchronized", slog.String("user", u.Name), slog.String("cause", err.Error()))
		}
	}
	return nil
}

func (r *run) progress() {
	if r.Progress != nil {
		s := r.sum
		s.Took = r.now().Sub(s.Began)
		r.Progress(s)
	}
}

// report writes the line about a run.
func (r *run) report(ctx context.Context, err error) {
	level, s := slog.LevelInfo, &r.sum
	as := []slog.Attr{
		slog.String("realm", s.Realm), slog.Bool("dry_run", s.DryRun), slog.Bool("complete", s.Complete),
		slog.Int("seen", s.Seen), slog.Int("refreshed", s.Refreshed), slog.Int("unchanged", s.Unchanged),
		slog.Int("deactivated", s.Deactivated), slog.Int("reactivated", s.Reactivated), slog.Int("gone", s.Gone),
		slog.Int("conflicts", s.Conflicts), slog.Int("failed", s.Failed), slog.Duration("dur", s.Took),
	}
	if err != nil {
		level = slog.LevelError
		as = append(as, slog.String("cause", err.Error()))
		if ctx.Err() != nil {
			level = slog.LevelWarn // somebody ended it
		}
	}
	r.log.LogAttrs(context.WithoutCancel(ctx), level, "users synchronized", as...)
}
