package session

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Bounds of what is kept decoded: entries, and the bytes that they were made of.
const (
	maxDecoded      = 10_000
	maxDecodedBytes = 32 << 20
)

// decoded keeps identities of sessions that are in use, so that their JSON, and
// what is sealed in a cookie, is not read at each request. It says nothing about
// whether a session is still there: that is asked in any case. The zero value is
// ready for use. It is safe for concurrent use.
type decoded struct {
	identities twoAges[directory.SessionID, *decodedIdentity]
	cookies    twoAges[[sha256.Size]byte, *session]
}

// decodedIdentity is what a row's data was, and is. The identity is not modified.
type decodedIdentity struct {
	data    []byte
	expires time.Time
	id      *authn.Identity
}

// identity returns that of a session. What is kept counts only if the session has
// the very bytes that it was made of.
func (d *decoded) identity(s *session) (*authn.Identity, error) {
	if k, ok := d.identities.get(s.ID); ok && k.expires.Equal(s.Expires) && bytes.Equal(k.data, s.Data) {
		return k.id, nil
	}
	id, size, err := decodeIdentity(s.Data)
	if err != nil {
		return nil, err
	}
	id.Expires = s.Expires
	d.identities.put(s.ID, &decodedIdentity{s.Data, s.Expires, id}, len(s.Data)+size)
	return id, nil
}

// opened returns the session of a sealed cookie that was opened before. The caller
// must not modify it.
func (d *decoded) opened(value string) (*session, bool) {
	return d.cookies.get(sha256.Sum256([]byte(value)))
}

func (d *decoded) keepOpened(value string, s *session) {
	d.cookies.put(sha256.Sum256([]byte(value)), s, len(value)+len(s.Data))
}

// twoAges is a table of bounded size. What was not used since half of it was
// filled goes first.
type twoAges[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]aged[V]
	bytes      int // of the young ones
}

type aged[V any] struct {
	v     V
	bytes int
}

func (t *twoAges[K, V]) get(k K) (v V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.young[k]
	if !ok {
		if a, ok = t.old[k]; ok {
			delete(t.old, k)
			t.add(k, a)
		}
	}
	return a.v, ok
}

func (t *twoAges[K, V]) put(k K, v V, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.old, k)
	t.add(k, aged[V]{v, bytes})
}

func (t *twoAges[K, V]) add(k K, a aged[V]) {
	t.bytes -= t.young[k].bytes
	delete(t.young, k)
	if a.bytes > maxDecodedBytes/16 {
		return
	}
	if t.young == nil || len(t.young) >= maxDecoded/2 || t.bytes+a.bytes > maxDecodedBytes/2 {
		t.young, t.old, t.bytes = make(map[K]aged[V]), t.young, 0
	}
	t.bytes += a.bytes
	t.young[k] = a
}
