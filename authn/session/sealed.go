package session

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// A Key seals sessions. It does not print. Its zero value is no key; NewKey and
// ParseKey make one. A key serves some billions of sessions (NIST SP 800-38D
// 8.3: 2^32 random nonces).
type Key struct{ k *key } // a pointer, because fmt would print what is in an unexported field

type key struct {
	secret [32]byte
	aead   cipher.AEAD
	id     [keyIDSize]byte
}

const keyIDSize = 4

// NewKey returns a random key.
func NewKey() Key {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return newKey(b)
}

// ParseKey reads a key of 32 bytes in base64, as of "openssl rand -base64 32".
func ParseKey(text string) (Key, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != 32 {
		return Key{}, errors.New("session: a key is 32 random bytes in base64: make one with \"openssl rand -base64 32\"")
	}
	return newKey([32]byte(b)), nil
}

func newKey(secret [32]byte) Key {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("session: AES-256: " + err.Error()) // the length is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("session: GCM: " + err.Error()) // the block size is right
	}
	name := sha256.Sum256(append([]byte("soapward session key id\x00"), secret[:]...))
	return Key{&key{secret: secret, aead: aead, id: [keyIDSize]byte(name[:])}}
}

// Reveal returns the key as ParseKey reads it.
func (k Key) Reveal() string {
	if k.k == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(k.k.secret[:])
}

const redacted = "[redacted]"

// String implements fmt.Stringer.
func (k Key) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (k Key) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// sealedPrefix tells a sealed session from the secret of a row, which never has
// a dot.
const sealedPrefix = "1."

func isSealed(value string) bool { return strings.HasPrefix(value, sealedPrefix) }

// sealedSession is what is in the cookie. Times are in milliseconds.
type sealedSession struct {
	Secret   []byte `json:"i"`
	User     string `json:"u"`
	Data     []byte `json:"d"`
	Created  int64  `json:"c"`
	Seen     int64  `json:"s"`
	Expires  int64  `json:"e"`
	Idle     int64  `json:"l,omitempty"`
	Remember bool   `json:"r,omitempty"`
}

// seal returns s as the value of a cookie. It reports false if that is too long.
func (m *Manager) seal(s *session, name string) (string, bool) {
	plain, err := json.Marshal(sealedSession{
		Secret: s.secret[:], User: s.User, Data: s.Data,
		Created: s.Created.UnixMilli(), Seen: s.Seen.UnixMilli(), Expires: s.Expires.UnixMilli(),
		Idle: s.Idle.Milliseconds(), Remember: s.Remember,
	})
	if err != nil {
		return "", false
	}
	k := m.Keys[0].k
	if k == nil {
		return "", false
	}
	out := k.aead.Seal(k.id[:], nil, plain, sealContext(name))
	value := sealedPrefix + base64.RawURLEncoding.EncodeToString(out)
	return value, len(value) <= maxCookie
}

// sealContext keeps what is sealed for one cookie from being used as another.
func sealContext(name string) []byte {
	return []byte("soapward session 1\x00" + strings.TrimPrefix(name, hostPrefix))
}

// open returns the session of a sealed cookie, without asking whether it ended.
// The caller may modify it, but for its Data.
func (m *Manager) open(value string) (*session, error) {
	s, ok := m.decoded.opened(value)
	if !ok {
		var err error
		if s, err = m.unseal(value); err != nil {
			return nil, err
		}
		m.decoded.keepOpened(value, s)
	}
	c := *s
	return &c, nil
}

func (m *Manager) unseal(value string) (*session, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(value, sealedPrefix))
	if err != nil || len(raw) < keyIDSize {
		return nil, ignore("the sealed session is malformed")
	}
	name := m.Name
	if name == "" {
		name = defaultName
	}
	for _, k := range m.Keys {
		if k.k == nil || k.k.id != [keyIDSize]byte(raw) {
			continue
		}
		plain, err := k.k.aead.Open(nil, nil, raw[keyIDSize:], sealContext(name))
		if err != nil {
			return nil, ignore("the sealed session was changed or cut off")
		}
		var p sealedSession
		if err := json.Unmarshal(plain, &p); err != nil || len(p.Secret) != secretSize {
			return nil, ignore("the sealed session is not readable")
		}
		s := &session{sealed: true, secret: [secretSize]byte(p.Secret), Session: directory.Session{
			User: p.User, Data: p.Data,
			Created: time.UnixMilli(p.Created), Seen: time.UnixMilli(p.Seen), Expires: time.UnixMilli(p.Expires),
			Idle: time.Duration(p.Idle) * time.Millisecond, Remember: p.Remember,
		}}
		s.ID = m.idOf(s.secret)
		return s, nil
	}
	return nil, ignore("the session is sealed with a key that is not in use here")
}

// findSealed returns the session of a sealed cookie unless it ended.
func (m *Manager) findSealed(ctx context.Context, value string) (*session, error) {
	s, err := m.open(value)
	if err != nil {
		return nil, err
	}
	if f, ok := m.Store.(Forgetful); ok && s.Created.Before(f.Since().Truncate(time.Millisecond)) {
		return nil, ignore("the session is older than the memory of those that ended")
	}
	for _, e := range []ended{endedSession(s.ID), endedUser(s.User)} {
		row, err := m.Store.Session(ctx, e.id)
		switch {
		case errors.Is(err, directory.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("look for its end: %w", err)
		case !s.Created.After(row.Created):
			return nil, ignore("the session has ended")
		}
	}
	return s, nil
}

// endedRows is the User of the rows that say what ended, so that they are not
// listed among anybody's sessions, and not deleted with them. No user's name has a
// control character (directory/store), or somebody could choose it.
const endedRows = "\x1fended"

// ended names a row that says since when something is over.
type ended struct{ id directory.SessionID }

// endedSession is for one session, endedUser for all that a user began before.
func endedSession(id directory.SessionID) ended {
	return ended{sha256.Sum256(append([]byte("ended session\x00"), id[:]...))}
}

func endedUser(user string) ended {
	return ended{sha256.Sum256([]byte("ended user\x00" + directory.FoldName(user)))}
}

// markEnded keeps e until a time, and for as long as sessions that began before
// now may last.
func (m *Manager) markEnded(ctx context.Context, e ended, until time.Time) error {
	now := m.now()
	if last := now.Add(max(cmp.Or(m.Absolute, DefaultAbsolute), cmp.Or(m.Remember, DefaultRemember))); last.After(until) {
		until = last
	}
	return m.Store.PutSession(ctx, &directory.Session{
		ID: e.id, User: endedRows, Created: now, Seen: now, Expires: until,
	})
}

// Renew keeps sealed sessions from becoming idle: it seals one again, at most
// once a minute, and sends it with the response. It belongs inside of the
// authn.Middleware, around what the session protects. Sessions in the store need
// no renewal, and the handler is returned as it is.
func (m *Manager) Renew(next http.Handler) http.Handler {
	if len(m.Keys) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := m.CookieName(r)
		if value, _ := m.cookie(r, name); isSealed(value) {
			now := m.now()
			if s, err := m.open(value); err == nil && s.Live(now) && now.Sub(s.Seen) >= seenEvery {
				s.Seen = now
				if value, ok := m.seal(s, name); ok {
					m.setCookie(w, r, name, value, s)
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}
