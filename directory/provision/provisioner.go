package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

const (
	defaultRefreshAfter = time.Minute
	defaultTimeout      = 5 * time.Second

	// awayFor is for how long a directory is left alone that did not answer, and
	// took longer than slow for it.
	awayFor = 10 * time.Second
	slow    = time.Second

	// maxKnown is how many users are kept in memory before those are dropped who
	// have not been seen for a while.
	maxKnown = 20_000

	tries = 4 // to write what others write as well
)

// A Provisioner keeps the users of one realm at their logins. Realm and Store
// must be set. The fields must not change after the first login. It is safe for
// concurrent use, also by several nodes with one store.
type Provisioner struct {
	Realm string     // as in directory.User.Realm
	Store LoginStore // fails closed: without it nobody logs in

	// Source is where names, addresses and groups come from. Nil means that a
	// user has what the login itself says.
	//
	// A source that does not answer keeps nobody out whom the login proved to be
	// who he is, but those who were disabled by the directory.
	Source Source

	// KnownOnly refuses users who are not in the store, instead of making them at
	// their first login.
	KnownOnly bool

	// Aliases are former names of the realm, whose users are its users.
	Aliases []string

	// RefreshAfter is how often, at most, the source is asked for the same user.
	// Zero means a minute. Groups that a mechanism asserts at each login, as
	// Kerberos does, do not wait for it.
	RefreshAfter time.Duration

	// RereadAfter is for how long what is known of a user's row may be used again,
	// and so for how long a user whom an operator disabled elsewhere may go on.
	// Zero means that the store is asked at each request.
	RereadAfter time.Duration

	// Version tells when rows of users changed, so that RereadAfter ends at once
	// then: what is known counts while the version is the same and ok is true. Nil
	// means that nobody tells.
	Version func() (version uint64, ok bool)

	// Timeout is how long a login waits for the source. Zero means 5 s.
	Timeout time.Duration

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now

	mu    sync.RWMutex
	known map[string]*entry

	silentUntil atomic.Int64 // the source is left alone, in Unix nanoseconds
	silent      atomic.Bool  // somebody was told so
}

// entry is what is known of one user.
type entry struct {
	sem  chan struct{} // of one, for who asks store and source
	last atomic.Pointer[snapshot]

	touched atomic.Int64 // when the last login was written, in Unix nanoseconds
}

// snapshot is what the store and the source said. It is never modified.
type snapshot struct {
	user  *directory.User
	read  time.Time // of the store, from when on it was so
	as    version   // of all rows, before it was read
	asked time.Time // the source, or when that was tried

	last atomic.Pointer[namedGroups] // of the login before: those of a user rarely change
}

// namedGroups are groups of a login, without and with names.
type namedGroups struct{ groups, named []authn.Group }

// Wrap returns an authenticator that lets in whom next lets in, as users of the
// realm. Passwords need Verifier in place of it, which belongs inside of
// password.Chain: there a refusal takes as long as that of a wrong password, and
// internal users are asked before. It stands outside of a
// throttle.Authenticator: whom it refuses did not guess.
func (p *Provisioner) Wrap(next authn.Authenticator) authn.Authenticator {
	return &authenticator{p, next}
}

type authenticator struct {
	p    *Provisioner
	next authn.Authenticator
}

var _ authn.Authenticator = (*authenticator)(nil)

func (a *authenticator) Challenges(r *http.Request) []authn.Challenge { return a.next.Challenges(r) }

func (a *authenticator) Authenticate(r *http.Request) (*authn.Result, error) {
	res, err := a.next.Authenticate(r)
	if err != nil || res.Identity == nil {
		return res, err
	}
	id, err := a.p.provision(r.Context(), res.Identity, res.Fresh)
	if err != nil {
		return nil, err
	}
	if id == res.Identity {
		return res, nil
	}
	c := *res // the authenticator may hold on to its own
	c.Identity = id
	return &c, nil
}

// A Verifier judges a user name and a password, as password.Verifier does.
type Verifier interface {
	VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error)
}

// Verifier returns a verifier that accepts whom next accepts, as users of the
// realm.
func (p *Provisioner) Verifier(next Verifier) Verifier { return &verifier{p, next} }

type verifier struct {
	p    *Provisioner
	next Verifier
}

func (v *verifier) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	id, err := v.next.VerifyPassword(ctx, user, password)
	if err != nil || id == nil {
		return id, err
	}
	return v.p.provision(ctx, id, true)
}

// Provision returns the identity of a caller who just logged in, completed with
// what store and source know: the name of the user, the SID, the display name,
// the UPN, the roles that an operator granted, and groups if the login brought
// none. The error is a
// *authn.RefusedError for a user who must not log in, and wraps
// authn.ErrUnavailable if that cannot be found out.
//
// Most programs use Wrap or Verifier instead.
func (p *Provisioner) Provision(ctx context.Context, id *authn.Identity) (*authn.Identity, error) {
	return p.provision(ctx, id, true)
}

func (p *Provisioner) provision(ctx context.Context, id *authn.Identity, fresh bool) (*authn.Identity, error) {
	if id.SID == "" && spaced(id.String()) {
		return nil, refuseSpaced(id)
	}
	e := p.entry(id)
	s, err := p.current(ctx, e, id)
	if err != nil {
		return nil, err
	}
	if fresh {
		p.touch(ctx, e, s)
	}
	return dress(id, s), nil
}

// current returns what is known of a user, up to date.
func (p *Provisioner) current(ctx context.Context, e *entry, id *authn.Identity) (*snapshot, error) {
	s := e.last.Load()
	same, err := p.unchanged(ctx, e, s)
	switch {
	case err != nil:
		return nil, err
	case same && !p.due(s):
		return s, nil
	}
	select {
	case e.sem <- struct{}{}:
	default:
		// Somebody asks for the same user. Nobody need wait for a slow directory
		// if the user was good a moment ago.
		if same && p.now().Sub(s.asked) < 2*p.refreshAfter() {
			return s, nil
		}
		select {
		case e.sem <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("provision: %w: %w", authn.ErrUnavailable, ctx.Err())
		}
	}
	defer func() { <-e.sem }()
	if now := e.last.Load(); now != nil && now != s && !p.due(now) {
		return now, nil // by whom we waited for
	}
	s, err = p.resolve(ctx, id, s)
	if err != nil {
		e.last.Store(nil)
		return nil, err
	}
	e.last.Store(s)
	return s, nil
}

// version is what Provisioner.Version returns.
type version struct {
	n  uint64
	ok bool
}

// fits reports whether nothing changed since then.
func (v version) fits(then version) bool { return v.ok && then.ok && v.n == then.n }

func (p *Provisioner) version() version {
	if p.Version == nil {
		return version{0, true}
	}
	n, ok := p.Version()
	return version{n, ok}
}

// due reports whether it is time to ask the source again.
func (p *Provisioner) due(s *snapshot) bool { return p.now().Sub(s.asked) >= p.refreshAfter() }

// unchanged reports whether the row of a user is still the one of s.
func (p *Provisioner) unchanged(ctx context.Context, e *entry, s *snapshot) (bool, error) {
	if s == nil {
		return false, nil
	}
	now, as := p.now(), p.version()
	if now.Sub(s.read) < p.RereadAfter && as.fits(s.as) {
		return true, nil
	}
	var u *directory.User
	var err error
	if s.user.SID != "" {
		u, err = p.Store.UserBySID(ctx, s.user.SID)
	} else {
		u, err = p.Store.User(ctx, s.user.Name)
	}
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return false, nil
	case err != nil:
		return false, wrap("look for the user", err)
	case u.ID != s.user.ID || u.Version != s.user.Version:
		return false, nil
	}
	if p.RereadAfter > 0 {
		e.last.CompareAndSwap(s, &snapshot{user: s.user, read: now, as: as, asked: s.asked})
	}
	return true, nil
}

// touch writes the time of a login.
func (p *Provisioner) touch(ctx context.Context, e *entry, s *snapshot) {
	now := p.now()
	last := e.touched.Load()
	if now.UnixNano()-last < int64(p.refreshAfter()) || !e.touched.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	if err := p.Store.TouchLogin(ctx, s.user.ID, now); err != nil && !errors.Is(err, directory.ErrNotFound) {
		// The login is decided, and a later one writes it.
		p.logger().LogAttrs(ctx, slog.LevelWarn, "the time of a login is not written",
			slog.String("user", s.user.Name), slog.String("cause", err.Error()))
	}
}

// dress completes an identity by what is known of its user.
func dress(id *authn.Identity, s *snapshot) *authn.Identity {
	u := s.user
	domain, account := u.Account()
	groups := s.named(id.Groups)
	if id.Account == account && id.Domain == domain && (id.SID != "" || u.SID == "") && (id.UPN != "" || u.UPN == "") &&
		(id.DisplayName != "" || u.DisplayName == "") && len(groups) == len(id.Groups) && (len(groups) == 0 || &groups[0] == &id.Groups[0]) && slices.Equal(id.Roles, u.Roles) {
		return id
	}
	c := *id // an Identity is never modified after it was made
	c.Account, c.Domain, c.Roles = account, domain, u.Roles
	if c.SID == "" {
		c.SID = u.SID
	}
	if c.UPN == "" {
		c.UPN = u.UPN
	}
	if c.DisplayName == "" {
		c.DisplayName = u.DisplayName
	}
	c.Groups = groups
	return &c
}

// named returns the groups of a login with the names that the row has for them: a
// PAC has SIDs only. Those of the row are for logins that have none; those of a PAC
// are what the domain says for this login.
func (s *snapshot) named(groups []authn.Group) []authn.Group {
	if len(groups) == 0 {
		return s.user.Groups
	}
	if !slices.ContainsFunc(groups, func(g authn.Group) bool { return g.Name == "" }) {
		return groups
	}
	if last := s.last.Load(); last != nil && slices.Equal(last.groups, groups) {
		return last.named
	}
	names := make(map[authn.SID]string, len(s.user.Groups))
	for _, g := range s.user.Groups {
		if g.SID != "" {
			names[g.SID] = g.Name
		}
	}
	named := slices.Clone(groups)
	for i, g := range named {
		if g.Name == "" {
			named[i].Name = names[g.SID]
		}
	}
	if slices.Equal(named, groups) {
		named = groups
	}
	s.last.Store(&namedGroups{groups, named})
	return named
}

// entry returns the place of a user in memory.
func (p *Provisioner) entry(id *authn.Identity) *entry {
	key := string(id.SID)
	if key == "" {
		key = directory.FoldName(id.String())
	}
	p.mu.RLock()
	e := p.known[key]
	p.mu.RUnlock()
	if e != nil {
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e = p.known[key]; e != nil {
		return e
	}
	if p.known == nil {
		p.known = make(map[string]*entry)
	}
	if len(p.known) >= maxKnown {
		p.forget()
	}
	e = &entry{sem: make(chan struct{}, 1)}
	p.known[key] = e
	return e
}

// forget drops users who were not seen for a while, or all.
func (p *Provisioner) forget() {
	now := p.now()
	for key, e := range p.known {
		if s := e.last.Load(); s == nil || now.Sub(s.read) >= p.refreshAfter() {
			delete(p.known, key)
		}
	}
	if len(p.known) > maxKnown/2 { // or each new user would look through all
		clear(p.known)
	}
}

func (p *Provisioner) now() time.Time { return clock(p.Now) }

func (p *Provisioner) logger() *slog.Logger {
	if p.Logger != nil {
		return p.Logger
	}
	return slog.Default()
}

func (p *Provisioner) refreshAfter() time.Duration {
	if p.RefreshAfter > 0 {
		return p.RefreshAfter
	}
	return defaultRefreshAfter
}
