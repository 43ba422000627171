package session

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// DefaultGrantGrace is how long a session goes on whose provider does not answer.
const DefaultGrantGrace = 15 * time.Minute

const (
	// askFor is how long a provider may take, and claimFor for how long nobody else
	// asks it then. A provider that does not answer is asked so often by a session.
	askFor   = 15 * time.Second
	claimFor = 20 * time.Second

	maxSealedGrant = 16 << 10 // directory.Grant.Sealed

	// putTries is how often an answer is written: with it, a refresh token that
	// counts once would be lost, and so the session.
	putTries = 3
)

// A Grant is what an external provider gave with a login, such as
// authn/oidc.Tokens. What is secret of it is kept sealed by the cookie of the
// browser: who reads the store cannot use it.
type Grant struct {
	Provider  string
	Subject   string
	SessionID string // at the provider; may be empty
	Refresh   authn.Secret
	IDToken   authn.Secret
	Due       time.Time // when Granter is asked; zero: never
}

// A Granter asks providers whether their users may go on.
type Granter interface {
	// Refresh returns the caller and the grant to go on with. An error that is
	// authn.ErrBadCredentials ends the session. After any other the session goes
	// on for a grace, and is then refused until somebody can say.
	//
	// A session belongs to one caller: an answer about another provider, subject or
	// name ends it. A caller that is nil, or a token that the answer lacks, stays as
	// it is. ctx has a deadline, and does not end with the request.
	Refresh(ctx context.Context, g *Grant) (*authn.Identity, *Grant, error)
}

// A GrantStore is a Store that keeps grants, as StartGranted needs it: what is in
// directory.Session.Grant comes back with the session.
type GrantStore interface {
	Store

	// ClaimGrant lets one of all nodes ask the provider of a session whose grant is
	// due: it sets Grant.Busy to until, unless somebody else has it and is not late.
	ClaimGrant(ctx context.Context, id directory.SessionID, now, until time.Time) (mine bool, err error)

	// PutGrant changes grant and data of a session that is still there, and frees
	// the grant. Nil data leaves the data as it is.
	PutGrant(ctx context.Context, id directory.SessionID, g *directory.Grant, data []byte) error

	// DeleteSessionsOfGrant ends the sessions of a provider: of a subject, of a
	// session there, or of both if both are given.
	DeleteSessionsOfGrant(ctx context.Context, provider, subject, sessionID string) (int, error)
}

var errNoGrants = errors.New("the Store keeps no grants")

// StartGranted is Start for a login that an external provider gave. Such a session
// is in the Store, which must be a GrantStore, with or without Keys. Its evidence is
// not kept.
func (m *Manager) StartGranted(w http.ResponseWriter, r *http.Request, id *authn.Identity, remember bool, g *Grant) error {
	if g == nil || g.Provider == "" || g.Subject == "" {
		return errors.New("session: start: a grant has a provider and a subject")
	}
	if _, ok := m.Store.(GrantStore); !ok {
		return fmt.Errorf("session: start: %w", errNoGrants)
	}
	return m.start(w, r, id, remember, g)
}

// GrantOf returns the grant of r's session, nil if there is none: for logging out
// at the provider.
func (m *Manager) GrantOf(r *http.Request) (*Grant, error) {
	value, _ := m.cookie(r, m.CookieName(r))
	if value == "" || isSealed(value) {
		return nil, nil
	}
	s, err := m.find(r.Context(), value)
	switch {
	case errors.Is(err, errIgnored):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("session: grant: %w", err)
	case s.Grant == nil || !s.Live(m.now()):
		return nil, nil
	}
	g, err := unsealGrant(s)
	if err != nil {
		return nil, fmt.Errorf("session: grant: %w", err)
	}
	return g, nil
}

// EndGranted ends the sessions of a provider: of a subject, of a session there, or
// of both. It returns how many there were.
func (m *Manager) EndGranted(ctx context.Context, provider, subject, sessionID string) (int, error) {
	if provider == "" || subject == "" && sessionID == "" {
		return 0, errors.New("session: end granted: want a provider, and a subject or a session there")
	}
	st, ok := m.Store.(GrantStore)
	if !ok {
		return 0, nil // nothing began here
	}
	n, err := st.DeleteSessionsOfGrant(ctx, provider, subject, sessionID)
	if err != nil {
		return n, fmt.Errorf("session: end granted: %w", err)
	}
	return n, nil
}

// granted returns s and its caller, whom the provider was asked about if that is
// due. An error that is authn.ErrBadCredentials is for a session that has to end.
func (m *Manager) granted(r *http.Request, s *session, id *authn.Identity, now time.Time) (*session, *authn.Identity, error) {
	if m.Granter == nil || !due(s, now) {
		return s, id, nil
	}
	st, ok := m.Store.(GrantStore)
	if !ok {
		return nil, nil, errNoGrants
	}
	// What was asked for is not to be lost because a client went away: the provider
	// may have taken the old token back.
	ctx := context.WithoutCancel(r.Context())
	mine, err := false, error(nil)
	if !now.Before(s.Grant.Busy) { // else somebody else asks
		if mine, err = st.ClaimGrant(ctx, s.ID, now, now.Add(claimFor)); err != nil {
			return nil, nil, fmt.Errorf("claim grant: %w", err)
		}
	}
	if !mine {
		return m.goOn(s, id, now, errors.New("the provider is being asked, or did not answer a moment ago"))
	}
	// Somebody may have asked since s was read.
	row, err := st.Session(ctx, s.ID)
	if err != nil {
		return nil, nil, gone(err)
	}
	fresh := &session{Session: *row, secret: s.secret}
	if !due(fresh, now) {
		if fresh.Grant != nil {
			_ = st.PutGrant(ctx, s.ID, fresh.Grant, nil) // it would be free soon
		}
		known, err := m.decoded.identity(fresh)
		return fresh, known, err
	}
	asked, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	next, data, g, err := m.ask(asked, fresh, id)
	switch {
	case errors.Is(err, authn.ErrBadCredentials):
		return nil, nil, err
	case err != nil:
		m.logger().LogAttrs(ctx, slog.LevelWarn, "the provider of a session does not say whether it may go on",
			slog.String("ref", authn.Ref(ctx)), slog.String("provider", s.Grant.Provider), slog.String("user", s.User),
			slog.Time("until", s.Grant.Due.Add(m.grace())), slog.String("cause", err.Error()))
		return m.goOn(fresh, id, now, err)
	}
	if err := putGrant(ctx, st, s.ID, g, data); err != nil {
		return nil, nil, gone(fmt.Errorf("keep grant: %w", err))
	}
	fresh.Grant = g
	if data != nil {
		fresh.Data = data
	}
	return fresh, next, nil
}

// gone makes nothing worse of a session that somebody ended meanwhile.
func gone(err error) error {
	if errors.Is(err, directory.ErrNotFound) {
		return ignore("the session has ended")
	}
	return err
}

// due reports whether the provider of s is to be asked.
func due(s *session, now time.Time) bool {
	return s.Grant != nil && !s.Grant.Due.IsZero() && !now.Before(s.Grant.Due)
}

func (m *Manager) grace() time.Duration { return cmp.Or(m.GrantGrace, DefaultGrantGrace) }

// goOn is for a session whose provider has not said that it may go on.
func (m *Manager) goOn(s *session, id *authn.Identity, now time.Time, why error) (*session, *authn.Identity, error) {
	if now.Before(s.Grant.Due.Add(m.grace())) {
		return s, id, nil
	}
	return nil, nil, fmt.Errorf("the provider %q has not said since %s that the session may go on: %w: %w",
		s.Grant.Provider, s.Grant.Due.Format(time.RFC3339), authn.ErrUnavailable, why)
}

// ask asks the provider about a session of was. It returns the caller, as session
// data too if that changes, and the grant to keep.
func (m *Manager) ask(ctx context.Context, s *session, was *authn.Identity) (*authn.Identity, []byte, *directory.Grant, error) {
	had, err := unsealGrant(s)
	if err != nil {
		return nil, nil, nil, &authn.RefusedError{Mechanism: "session", Reason: authn.ReasonIntegrity, User: s.User, Err: err}
	}
	id, g, err := m.Granter.Refresh(ctx, had)
	switch {
	case err != nil:
		return nil, nil, nil, err
	case g == nil:
		return nil, nil, nil, errors.New("the Granter returned neither a grant nor an error")
	case g.Provider != had.Provider || g.Subject != had.Subject || id != nil && directory.FoldName(id.String()) != directory.FoldName(s.User):
		return nil, nil, nil, &authn.RefusedError{
			Mechanism: "session", Reason: authn.ReasonUnknownUser, User: s.User,
			Err:  fmt.Errorf("the provider answers about %s", id),
			Hint: "a user who was renamed at the provider logs in again",
		}
	}
	next := *g // it is the Granter's
	if next.Refresh.IsEmpty() {
		next.Refresh = had.Refresh
	}
	if next.IDToken.IsEmpty() {
		next.IDToken = had.IDToken
	}
	next.SessionID = cmp.Or(next.SessionID, had.SessionID)
	sealed, err := sealGrant(s, &next)
	if err != nil {
		return nil, nil, nil, err
	}
	if id == nil {
		return was, nil, sealed, nil
	}
	c := *id // an Identity is never modified after it was made
	c.Evidence, c.AuthTime, c.Expires = nil, was.AuthTime, s.Expires
	data, err := encodeIdentity(&c, packRowAbove)
	if err != nil {
		return nil, nil, nil, err
	}
	return &c, data, sealed, nil
}

// putGrant writes what the provider gave, and does not give up at once.
func putGrant(ctx context.Context, st GrantStore, id directory.SessionID, g *directory.Grant, data []byte) (err error) {
	wait := 50 * time.Millisecond
	for range putTries {
		if err = st.PutGrant(ctx, id, g, data); err == nil || !errors.Is(err, authn.ErrUnavailable) {
			return err
		}
		time.Sleep(wait)
		wait *= 4
	}
	return err
}

// secretsOfGrant is what is sealed of a grant.
type secretsOfGrant struct {
	Refresh string `json:"r,omitempty"`
	IDToken string `json:"i,omitempty"`
}

// sealGrant returns g as the store may know it. An ID token that is too large is
// left out: a provider knows whose session ends without it, or asks the user.
func sealGrant(s *session, g *Grant) (*directory.Grant, error) {
	out := &directory.Grant{Provider: g.Provider, Subject: g.Subject, SessionID: g.SessionID, Due: g.Due}
	if g.Refresh.IsEmpty() {
		out.Due = time.Time{} // there is nothing to ask with
	}
	aead, err := grantAEAD(s)
	if err != nil {
		return nil, err
	}
	for _, p := range []secretsOfGrant{{g.Refresh.Reveal(), g.IDToken.Reveal()}, {Refresh: g.Refresh.Reveal()}} {
		plain, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("seal grant: %w", err)
		}
		if out.Sealed = aead.Seal(nil, nil, plain, grantContext(s, out)); len(out.Sealed) <= maxSealedGrant {
			return out, nil
		}
	}
	return nil, fmt.Errorf("the refresh token of %q has %d bytes, and a session keeps %d", g.Provider, len(g.Refresh.Reveal()), maxSealedGrant)
}

func unsealGrant(s *session) (*Grant, error) {
	k := s.Grant
	aead, err := grantAEAD(s)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, k.Sealed, grantContext(s, k))
	if err != nil {
		return nil, errors.New("the grant was changed, or is of another session")
	}
	var p secretsOfGrant
	if err := json.Unmarshal(plain, &p); err != nil {
		return nil, errors.New("the grant is not readable")
	}
	return &Grant{
		Provider: k.Provider, Subject: k.Subject, SessionID: k.SessionID, Due: k.Due,
		Refresh: authn.NewSecret(p.Refresh), IDToken: authn.NewSecret(p.IDToken),
	}, nil
}

// grantAEAD seals what the browser alone can open: its key is of the cookie, of
// which the store has a hash (RFC 5869).
func grantAEAD(s *session) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.secret[:], nil, "soapward session grant 1", 32)
	if err != nil {
		return nil, fmt.Errorf("seal grant: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal grant: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// grantContext binds what is sealed to its session, and to the provider that it is
// shown to: who may write to the store must not have it sent elsewhere.
func grantContext(s *session, g *directory.Grant) []byte {
	b := slices.Clone(s.ID[:])
	for _, part := range []string{g.Provider, g.Subject} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
