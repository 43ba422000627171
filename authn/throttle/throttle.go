package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A Rule blocks after so many failures.
type Rule struct {
	Failures int           // within Limiter.Window; at most MaxFailures
	Block    time.Duration // for how long
}

// MaxFailures is the largest count that a Rule may have.
const MaxFailures = 256

// Defaults of Limiter.
const (
	defaultWindow        = time.Hour
	defaultMaxConcurrent = 16
	defaultMaxWait       = 10 * time.Second
)

// judgeTimeout ends a try whose verifier has no limit of its own.
const judgeTimeout = time.Minute

// storeTimeout is how long counting a failure may take.
const storeTimeout = 10 * time.Second

// DefaultUser and DefaultAddress return the rules of a Limiter that sets none.
func DefaultUser() []Rule {
	return []Rule{{3, 30 * time.Second}, {6, 30 * time.Minute}}
}

// DefaultAddress returns the rules for addresses; see DefaultUser.
func DefaultAddress() []Rule {
	return []Rule{{20, 5 * time.Minute}, {50, time.Hour}}
}

// A Store keeps failures and blocks. One that several nodes share makes them
// one. It must be safe for concurrent use. *store.Store is one, and so is
// Memory.
type Store interface {
	// AddFailure counts one failure for each key and returns how many each has
	// in (since, at], this one included. No two calls for a key see the same
	// count: a rule that says 3 acts on the third.
	AddFailure(ctx context.Context, at, since time.Time, keys ...string) (counts []int, err error)

	// SetBlock blocks b.Key, unless it is blocked for longer already.
	SetBlock(ctx context.Context, b directory.Block) error

	// BlockOf returns the block that lasts longest, nil if no key has one at
	// that time.
	BlockOf(ctx context.Context, at time.Time, keys ...string) (*directory.Block, error)

	// ForgetFailures sets the count of a key to zero.
	ForgetFailures(ctx context.Context, key string) error
}

// A Limiter blocks users and addresses that fail too often. Store must be set;
// other fields may be left zero. The fields must not change after the first
// login. It is safe for concurrent use and must not be copied.
//
// The rule whose count is reached blocks; further failures up to the next rule
// do not, and each one from the last rule on does. A login that succeeds forgets
// the failures of the user at that address, and never those of the address, so
// that an account of one's own does not help to guess at those of others.
//
// At one time one password is tried for a user at an address, and others wait
// for that; requests with the same password share one verdict, which counts
// once. So on one node no guess more than the rules say is judged for a user. Of
// an address up to MaxConcurrent users are judged at a time, so up to
// MaxConcurrent-1 guesses may be judged beyond its rule. Each further node adds
// at most as much again.
//
// While the store cannot be reached nobody logs in: the error wraps
// authn.ErrUnavailable. A failure that could not be counted is counted before
// the next login is judged.
type Limiter struct {
	Store Store

	// User has the rules for a user together with a client address, Address
	// those for an address, in ascending order. Nil means DefaultUser and
	// DefaultAddress, and an empty slice no rule.
	User, Address []Rule

	// Window is the time over which failures are counted. Zero means an hour.
	Window time.Duration

	// Canonical gives a user one name, however it is spelled; see Names. Nil
	// means that of the zero Names.
	Canonical func(user string) string

	// MaxConcurrent is how many users of one address are judged at a time. Zero
	// means 16. Others wait up to MaxWait, which if zero is 10 s, and are then
	// answered that the server is overloaded.
	MaxConcurrent int
	MaxWait       time.Duration

	Logger *slog.Logger     // nil means slog.Default(); for blocks that begin
	Now    func() time.Time // nil means time.Now

	gate gate
	debt debts
}

// Check reports rules that cannot be meant.
func (l *Limiter) Check() error {
	if l.Store == nil {
		return errNoStore
	}
	for _, rules := range [][]Rule{l.User, l.Address} {
		last := Rule{}
		for _, r := range rules {
			switch {
			case r.Failures <= last.Failures || r.Failures > MaxFailures:
				return fmt.Errorf("throttle: rule for %d failures: want more than %d and at most %d", r.Failures, last.Failures, MaxFailures)
			case r.Block <= 0:
				return fmt.Errorf("throttle: rule for %d failures blocks for %v", r.Failures, r.Block)
			}
			last = r
		}
	}
	return nil
}

var errNoStore = errors.New("throttle: Limiter has no Store: set it, for example to what NewMemory returns")

// subject is who tries to log in.
type subject struct {
	mechanism string
	user      string // as the client spells it; empty if not known
	client    client
}

// keys returns those of the subject: of the address, and of the user there.
func (l *Limiter) keys(s subject) (address, user string) {
	canonical := l.Canonical
	if canonical == nil {
		canonical = Names{}.Canonical
	}
	address = s.client.key()
	if s.user != "" {
		user = userKey(canonical(s.user), s.client)
	}
	return address, user
}

// judge has ask judge a try of s, unless s is blocked, and counts what comes of
// it. Tries of s with the same guess at the same time are one; an empty guess is
// like no other.
func (l *Limiter) judge(ctx context.Context, s subject, guess string, ask func(context.Context) (*authn.Identity, error)) (*authn.Identity, error) {
	if l.Store == nil {
		return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, errNoStore)
	}
	address, user := l.keys(s)
	seen := l.gate.failures.Load()
	if err := l.blocked(ctx, s, address, user); err != nil {
		return nil, err
	}
	f, leads, err := l.gate.enter(ctx, user, guess, l.maxWait())
	if err != nil {
		return nil, err
	}
	if !leads { // somebody else's try had the same guess
		return f.id, f.err
	}
	defer func() { l.gate.leave(user, f) }()
	f.err = errAbandoned // if ask panics
	// Others may wait for what comes of it, and the authority may have counted
	// the guess, so that a client that goes away takes nothing back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), judgeTimeout)
	defer cancel()
	release, err := l.gate.slot(ctx, s.client, l.maxConcurrent(), l.maxWait())
	if err != nil {
		f.err = err
		return nil, err
	}
	defer release()
	if l.gate.failures.Load() != seen { // perhaps this one's
		if f.err = l.blocked(ctx, s, address, user); f.err != nil {
			return nil, f.err
		}
	}
	f.id, f.err = l.ask(ctx, address, user, ask)
	return f.id, f.err
}

var errAbandoned = fmt.Errorf("throttle: the login was not judged: %w", authn.ErrUnavailable)

// ask asks the verifier and counts the failure.
func (l *Limiter) ask(ctx context.Context, address, user string, ask func(context.Context) (*authn.Identity, error)) (*authn.Identity, error) {
	id, err := ask(ctx)
	switch {
	case err == nil:
		if ferr := l.Store.ForgetFailures(ctx, user); ferr != nil {
			return nil, unavailable("forget failures", ferr)
		}
		return id, nil
	case !isGuess(err):
		return nil, err
	}
	if cerr := l.count(address, user); cerr != nil {
		return nil, cerr
	}
	return nil, err
}

// isGuess reports whether the error of a verifier means that it judged a try.
func isGuess(err error) bool {
	var blocked *authn.BlockedError
	switch {
	case errors.As(err, &blocked), errors.Is(err, authn.ErrUnavailable),
		errors.Is(err, authn.ErrOverloaded), errors.Is(err, authn.ErrConnState):
		return false
	}
	return errors.Is(err, authn.ErrBadCredentials) || errors.Is(err, authn.ErrNoCredentials) // nobody's user
}

// blocked returns an error if one of the keys is blocked, or if nobody knows.
func (l *Limiter) blocked(ctx context.Context, s subject, address, user string) error {
	if err := l.settle(); err != nil {
		return err
	}
	now := l.now()
	b, err := l.Store.BlockOf(ctx, now, withoutEmpty(address, user)...)
	if err != nil {
		return unavailable("look for blocks", err)
	}
	if b == nil {
		return nil
	}
	return &authn.BlockedError{
		Mechanism: s.mechanism, User: s.user, Key: b.Key,
		Block: b.Until.Sub(b.From), Left: b.Until.Sub(now),
	}
}

// count counts a failure for keys, and blocks those that reached a rule.
func (l *Limiter) count(address, user string) error {
	l.gate.failures.Add(1)
	err := l.pay(&debt{at: l.now(), keys: withoutEmpty(address, user)})
	l.gate.failures.Add(1) // for those who looked for blocks meanwhile
	return err
}

// debt is a failure that has to be counted, and then the blocks that have to be
// set for it.
type debt struct {
	at     time.Time
	keys   []string // to be counted; nil once they are
	blocks []directory.Block
}

// debts are what the store could not take. The zero value is ready.
type debts struct {
	unpaid   atomic.Int64
	settling sync.Mutex

	mu   sync.Mutex
	owed []*debt
}

func (ds *debts) add(d *debt) {
	ds.unpaid.Add(1)
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.owed = append(ds.owed, d)
}

// next returns a debt, or nil if there is none.
func (ds *debts) next() *debt {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if len(ds.owed) == 0 {
		return nil
	}
	d := ds.owed[0]
	ds.owed = ds.owed[1:]
	return d
}

// settle counts what is owed. Nobody is judged before. Those who come while it
// does so are turned away, rather than that they wait in line for a store that
// does not answer.
func (l *Limiter) settle() error {
	if l.debt.unpaid.Load() == 0 {
		return nil
	}
	if !l.debt.settling.TryLock() {
		return fmt.Errorf("throttle: earlier failed logins are still being counted: %w", authn.ErrUnavailable)
	}
	defer l.debt.settling.Unlock()
	for d := l.debt.next(); d != nil; d = l.debt.next() {
		err := l.pay(d)
		l.debt.unpaid.Add(-1) // if it failed it was added again
		if err != nil {
			return err
		}
	}
	return nil
}

// pay counts d, or owes it and returns why.
func (l *Limiter) pay(d *debt) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := l.payAll(ctx, d); err != nil {
		l.debt.add(d)
		return unavailable("count a failed login", err)
	}
	return nil
}

func (l *Limiter) payAll(ctx context.Context, d *debt) error {
	if d.keys != nil {
		counts, err := l.Store.AddFailure(ctx, d.at, d.at.Add(-l.window()), d.keys...)
		if err != nil {
			return err
		}
		if len(counts) != len(d.keys) {
			return fmt.Errorf("throttle: store returned %d counts for %d keys", len(counts), len(d.keys))
		}
		for i, key := range d.keys {
			if r := reached(l.rulesFor(i), counts[i]); r != nil {
				d.blocks = append(d.blocks, directory.Block{Key: key, Failures: counts[i], From: d.at, Until: d.at.Add(r.Block)})
			}
		}
		d.keys = nil
	}
	for len(d.blocks) > 0 {
		b := d.blocks[0]
		if err := l.Store.SetBlock(ctx, b); err != nil {
			return err
		}
		d.blocks = d.blocks[1:]
		l.logger().Warn("logins are blocked", slog.String("key", b.Key), slog.Int("failures", b.Failures), slog.Time("until", b.Until))
	}
	return nil
}

// rulesFor returns the rules of the first key, the address, or the second.
func (l *Limiter) rulesFor(i int) []Rule {
	switch {
	case i == 0 && l.Address == nil:
		return DefaultAddress()
	case i == 0:
		return l.Address
	case l.User == nil:
		return DefaultUser()
	}
	return l.User
}

// reached returns the rule that a count is exactly at, or the last one if it is
// beyond.
func reached(rules []Rule, count int) *Rule {
	for i := range slices.Backward(rules) {
		if r := &rules[i]; count == r.Failures || count > r.Failures && i == len(rules)-1 {
			return r
		}
	}
	return nil
}

func withoutEmpty(address, user string) []string {
	if user == "" {
		return []string{address}
	}
	return []string{address, user}
}

func unavailable(what string, err error) error {
	if errors.Is(err, authn.ErrUnavailable) {
		return fmt.Errorf("throttle: %s: %w", what, err)
	}
	return fmt.Errorf("throttle: %s: %w: %w", what, authn.ErrUnavailable, err)
}

func (l *Limiter) window() time.Duration {
	if l.Window > 0 {
		return l.Window
	}
	return defaultWindow
}

func (l *Limiter) maxConcurrent() int {
	if l.MaxConcurrent > 0 {
		return l.MaxConcurrent
	}
	return defaultMaxConcurrent
}

func (l *Limiter) maxWait() time.Duration {
	if l.MaxWait > 0 {
		return l.MaxWait
	}
	return defaultMaxWait
}

func (l *Limiter) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

func (l *Limiter) logger() *slog.Logger {
	if l.Logger != nil {
		return l.Logger
	}
	return slog.Default()
}
