package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Defaults of Manager.
const (
	DefaultIdle     = 20 * time.Minute
	DefaultAbsolute = 12 * time.Hour
	DefaultRemember = 10 * 24 * time.Hour
)

// seenEvery is how exactly the store knows when a session was used last.
const seenEvery = time.Minute

// maxUserAgent bounds what is kept of that header, in bytes.
const maxUserAgent = 256

// ErrInsecure means that a session cannot begin over plain HTTP, where
// everybody on the way could take it over.
var ErrInsecure = errors.New("session: plain HTTP: use https, set TLSAtProxy where a proxy ends TLS, or AllowInsecureHTTP for development")

// A Manager knows sessions by their cookie. Store must be set. The fields must
// not change once it is in use; it is safe for concurrent use then and must not
// be copied.
type Manager struct {
	Store Store

	// Keys seals sessions into cookies instead of keeping them in the Store;
	// see the package comment. The first one seals, all of them open: a new key
	// goes in front, and an old one is taken out when Remember has passed. A
	// session that is too large for a cookie is kept in the Store all the same.
	Keys []Key

	// Idle is how long a session lasts without a request, Absolute how long at
	// most. Remember takes the place of both for those who want to be kept
	// logged in. Zero means the default. A negative Idle is no such limit, and a
	// negative Remember keeps nobody logged in.
	Idle, Absolute, Remember time.Duration

	// Name is that of the cookie, without the prefix __Host- that it has under
	// TLS. Empty means "soapward". Services that share a store, or keys, take each
	// other's sessions if they have the same Name: those that do not let in the
	// same users need different ones.
	Name string

	// TLSAtProxy says that browsers come by TLS which ends at a proxy in front,
	// so that cookies are marked Secure although requests arrive without.
	TLSAtProxy bool

	// AllowInsecureHTTP begins sessions over plain HTTP too, where everybody on
	// the way can take them over. It is for development.
	AllowInsecureHTTP bool

	// Check is asked at each request whether the caller of a session may still
	// come in, and returns the identity to go on with, which may know newer
	// groups. An error that is authn.ErrBadCredentials ends the session; any
	// other refuses the request. Nil lets everybody in. See CheckUser.
	Check func(ctx context.Context, id *authn.Identity) (*authn.Identity, error)

	// AllowEvidence keeps the evidence of a login, a password or a Kerberos
	// ticket, in the memory of this process, so that callers can be passed on to
	// other services. It is dangerous: whoever reads this process's memory has the
	// passwords of those who are logged in. It is kept for as long as the session
	// lasts, but no longer than Idle after the last request, also for those who
	// are kept logged in. Other nodes do not have it, and it is gone after a
	// restart.
	AllowEvidence bool

	// Granter is asked whether the sessions that StartGranted began may go on, when
	// that is due. Nil asks nobody.
	Granter Granter

	// GrantGrace is how long a session goes on, from when its provider was to be
	// asked, if that does not answer. Zero means 15 minutes.
	GrantGrace time.Duration

	// CrossOrigin judges requests that a browser sends in the name of another
	// site. Nil means a http.CrossOriginProtection without exceptions.
	CrossOrigin *http.CrossOriginProtection

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now

	evidence evidence
	decoded  decoded
	noOrigin sync.Once
	origin   *http.CrossOriginProtection
}

var _ authn.Authenticator = (*Manager)(nil)

// Challenges implements authn.Authenticator. A session is nothing that a client
// could be asked for.
func (m *Manager) Challenges(*http.Request) []authn.Challenge { return nil }

// Authenticate implements authn.Authenticator. A cookie that is no session, or
// one that ended, counts as none; the debug log says why. What another site has
// a browser send is refused.
func (m *Manager) Authenticate(r *http.Request) (*authn.Result, error) {
	value, why := m.cookie(r, m.CookieName(r))
	if value == "" {
		if why != "" {
			m.ignored(r, why)
		}
		return nil, authn.ErrNoCredentials
	}
	if err := m.sameOrigin(r); err != nil {
		return nil, err
	}
	ctx, now := r.Context(), m.now()
	s, err := m.find(ctx, value)
	switch {
	case errors.Is(err, errIgnored):
		m.ignored(r, err.Error())
		return nil, authn.ErrNoCredentials
	case err != nil:
		return nil, fmt.Errorf("session: %w", err)
	case !s.Live(now):
		m.ignored(r, "the session has expired")
		m.forget(ctx, s)
		return nil, authn.ErrNoCredentials
	}
	id, err := m.decoded.identity(s)
	if err != nil {
		m.ignored(r, err.Error())
		return nil, authn.ErrNoCredentials
	}
	old := s
	s, id, err = m.granted(r, s, id, now)
	switch {
	case errors.Is(err, authn.ErrBadCredentials):
		return nil, m.over(r, old, err)
	case errors.Is(err, errIgnored):
		m.ignored(r, err.Error())
		return nil, authn.ErrNoCredentials
	case err != nil:
		return nil, fmt.Errorf("session: %w", err)
	}
	if m.Check != nil {
		checked, err := m.Check(context.WithValue(ctx, beganKey{}, s.Created), id)
		switch {
		case errors.Is(err, authn.ErrBadCredentials):
			return nil, m.over(r, s, err)
		case err != nil:
			return nil, fmt.Errorf("session: check user: %w", err)
		case checked == nil:
			return nil, errors.New("session: Check returned neither an identity nor an error")
		}
		id = checked
	}
	if !s.sealed && now.Sub(s.Seen) >= seenEvery {
		switch err := m.Store.TouchSession(ctx, s.ID, now); {
		case errors.Is(err, directory.ErrNotFound): // ended since it was read
			m.ignored(r, "the session has ended")
			return nil, authn.ErrNoCredentials
		case err != nil:
			return nil, fmt.Errorf("session: touch: %w", err)
		}
	}
	if m.AllowEvidence {
		if e := m.evidence.of(s.ID, m.evidenceLasts(s, now)); e != nil {
			c := *id
			c.Evidence = e
			id = &c
		}
	}
	return &authn.Result{Identity: id}, nil
}

// over ends the session of a caller who may not go on, and returns what Authenticate
// does then.
func (m *Manager) over(r *http.Request, s *session, why error) error {
	m.logger().LogAttrs(r.Context(), slog.LevelInfo, "session ended",
		slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.String("user", s.User), slog.Any("cause", why))
	if err := m.end(context.WithoutCancel(r.Context()), s); err != nil {
		return fmt.Errorf("session: end: %w", err)
	}
	return authn.ErrNoCredentials
}

// Start begins a session for a caller who has proved who they are, and sets its
// cookie in w, so that it must be called before the response is written. The
// session that the browser had, if any, ends: an identifier is never used again
// after a login. remember keeps the caller logged in when the browser is closed.
// A session ends with what the identity says of its own end at the latest.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request, id *authn.Identity, remember bool) error {
	return m.start(w, r, id, remember, nil)
}

func (m *Manager) start(w http.ResponseWriter, r *http.Request, id *authn.Identity, remember bool, g *Grant) error {
	if id == nil {
		return errors.New("session: start: no identity")
	}
	if !m.Usable(r) {
		return ErrInsecure
	}
	if err := m.endOf(r); err != nil {
		return fmt.Errorf("session: start: end the one before: %w", err)
	}
	packAbove := packRowAbove
	if len(m.Keys) > 0 && g == nil {
		packAbove = packCookieAbove
	}
	data, err := encodeIdentity(id, packAbove)
	if err != nil {
		return fmt.Errorf("session: start: %w", err)
	}
	now := m.now()
	s := &session{Session: directory.Session{
		User: id.String(), Data: data, Created: now, Seen: now,
		Peer: peer(r), UserAgent: clip(r.UserAgent()),
	}}
	m.limit(s, id, remember)
	value, err := m.keep(r.Context(), s, m.CookieName(r), g)
	if err != nil {
		return fmt.Errorf("session: start: %w", err)
	}
	if m.AllowEvidence && id.Evidence != nil && g == nil {
		m.evidence.put(s.ID, s.User, id.Evidence, m.evidenceLasts(s, now))
	}
	m.setCookie(w, r, m.CookieName(r), value, s)
	m.clearCookie(w, r, m.formCookieName(r))
	return nil
}

// limit says how long s lasts.
func (m *Manager) limit(s *session, id *authn.Identity, remember bool) {
	life := cmp.Or(m.Absolute, DefaultAbsolute)
	s.Idle = max(cmp.Or(m.Idle, DefaultIdle), 0)
	if kept := cmp.Or(m.Remember, DefaultRemember); remember && kept > 0 {
		s.Remember, s.Idle, life = true, 0, kept
	}
	s.Expires = s.Created.Add(life)
	if !id.Expires.IsZero() && id.Expires.Before(s.Expires) {
		s.Expires = id.Expires
	}
}

// keep makes s known, and returns what the browser gets.
func (m *Manager) keep(ctx context.Context, s *session, name string, g *Grant) (value string, err error) {
	_, _ = rand.Read(s.secret[:]) // never fails (crypto/rand)
	if len(m.Keys) > 0 && g == nil {
		if value, ok := m.seal(s, name); ok {
			s.ID, s.sealed = m.idOf(s.secret), true
			return value, nil
		}
	}
	s.ID = m.idOf(s.secret)
	if g != nil {
		if s.Grant, err = sealGrant(s, g); err != nil {
			return "", err
		}
	}
	if err := m.Store.PutSession(ctx, &s.Session); err != nil {
		return "", err
	}
	return encodeSecret(s.secret), nil
}

// End ends the session that r belongs to, on the server, and takes the cookie
// from the browser. It is no error if there is none. The caller has checked that
// the user wants it; see CheckToken.
func (m *Manager) End(w http.ResponseWriter, r *http.Request) error {
	if err := m.endOf(r); err != nil {
		return fmt.Errorf("session: end: %w", err)
	}
	m.clearCookie(w, r, m.CookieName(r))
	return nil
}

// endOf ends the session that r belongs to, if there is one.
func (m *Manager) endOf(r *http.Request) error {
	value, _ := m.cookie(r, m.CookieName(r))
	if value == "" {
		return nil
	}
	s, err := m.find(r.Context(), value)
	if errors.Is(err, errIgnored) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.end(r.Context(), s)
}

// Sessions returns the sessions of a user that are kept in the store. Sealed
// ones are not known to anybody but the browsers.
func (m *Manager) Sessions(ctx context.Context, user string) ([]directory.Session, error) {
	all, err := m.Store.SessionsOf(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	now := m.now()
	live := all[:0]
	for _, s := range all {
		if s.Live(now) {
			live = append(live, s)
		}
	}
	return live, nil
}

// Present returns the ID that the session which r belongs to has in the store, false
// if there is none. It does not ask whether the session has ended, which is for
// Authenticate to say.
func (m *Manager) Present(r *http.Request) (id directory.SessionID, ok bool) {
	secret := m.sessionSecret(r)
	if secret == nil {
		return id, false
	}
	return m.idOf([secretSize]byte(secret)), true
}

// EndSession ends a session that Sessions listed. It is no error if it is gone.
func (m *Manager) EndSession(ctx context.Context, id directory.SessionID) error {
	m.evidence.drop(id)
	if err := m.Store.DeleteSession(ctx, id); err != nil && !errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// EndAll ends all sessions of a user, sealed ones included, and returns how many
// of them were in the store. It is what an operator calls who disables a user or
// changes a password.
func (m *Manager) EndAll(ctx context.Context, user string) (int, error) {
	if len(m.Keys) > 0 {
		if err := m.markEnded(ctx, endedUser(user), time.Time{}); err != nil {
			return 0, fmt.Errorf("session: end all: %w", err)
		}
	}
	m.evidence.dropUser(user)
	n, err := m.Store.DeleteSessionsOf(ctx, user)
	if err != nil {
		return n, fmt.Errorf("session: end all: %w", err)
	}
	return n, nil
}

// session is a directory.Session with what only the browser and we have.
type session struct {
	directory.Session
	secret [secretSize]byte
	sealed bool // in the cookie, not in the store
}

// left is how long the session lasts if nobody uses it.
func (s *session) left(now time.Time) time.Duration {
	left := s.Expires.Sub(now)
	if s.Idle > 0 {
		left = min(left, s.Idle)
	}
	return left
}

// evidenceLasts is how long the evidence of s is kept if nobody uses it.
func (m *Manager) evidenceLasts(s *session, now time.Time) time.Duration {
	if m.Idle > 0 {
		return min(s.left(now), m.Idle)
	}
	return min(s.left(now), DefaultIdle)
}

// find returns the session of a cookie. An error that is errIgnored says why
// there is none.
func (m *Manager) find(ctx context.Context, value string) (*session, error) {
	if isSealed(value) {
		return m.findSealed(ctx, value)
	}
	secret, ok := decodeSecret(value)
	if !ok {
		return nil, ignore("the cookie is malformed")
	}
	row, err := m.Store.Session(ctx, m.idOf(secret))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, ignore("no such session, or it has ended")
	case err != nil:
		return nil, err
	}
	return &session{Session: *row, secret: secret}, nil
}

// end ends s on the server.
func (m *Manager) end(ctx context.Context, s *session) error {
	m.evidence.drop(s.ID)
	if s.sealed {
		return m.markEnded(ctx, endedSession(s.ID), s.Expires)
	}
	if err := m.Store.DeleteSession(ctx, s.ID); err != nil && !errors.Is(err, directory.ErrNotFound) {
		return err
	}
	return nil
}

// forget drops a session that expired. The store prunes those that nobody asks
// about, so it does not matter if this fails.
func (m *Manager) forget(ctx context.Context, s *session) {
	m.evidence.drop(s.ID)
	if !s.sealed {
		_ = m.Store.DeleteSession(ctx, s.ID)
	}
}

// errIgnored is the errors of find that count as no session.
var errIgnored = errors.New("session: ignored")

type ignore string

func (e ignore) Error() string        { return string(e) }
func (e ignore) Is(target error) bool { return target == errIgnored }

func (m *Manager) ignored(r *http.Request, why string) {
	m.logger().LogAttrs(r.Context(), slog.LevelDebug, "session cookie ignored",
		slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.String("cause", why))
}

// peer is the client's address, as far as it is known.
func peer(r *http.Request) string {
	if a := authn.ClientAddr(r); a.IsValid() {
		return a.String()
	}
	return r.RemoteAddr
}

func (m *Manager) logger() *slog.Logger {
	if m.Logger != nil {
		return m.Logger
	}
	return slog.Default()
}

func (m *Manager) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func clip(s string) string {
	if len(s) > maxUserAgent {
		return s[:maxUserAgent]
	}
	return s
}
