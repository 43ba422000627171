package identity

import (
	"container/heap"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// maxKnown bounds the tokens that are remembered. Beyond it the one that expires
// first goes, and its caller is then known by the claims of the token alone.
const maxKnown = 32 << 10

// entry is a token, and whom it is about.
type entry struct {
	service *service
	id      *authn.Identity // with the evidence of the login
	token   string
	sum     [sha256.Size]byte // of the token
	expires time.Time
	again   time.Time // until when it is given to the same caller again

	login uint64 // digest of service and login
	place int    // in the heap
}

// memory has the tokens that did not expire. It is safe for concurrent use, and
// does not print.
type memory struct {
	max  int
	now  func() time.Time
	seed maphash.Seed

	mu      sync.Mutex
	byToken map[[sha256.Size]byte]*entry
	byLogin map[uint64]*entry // the newest of each
	queue   queue             // what expires first
	timer   *time.Timer
}

func newMemory(most int, now func() time.Time) *memory {
	return &memory{max: most, now: now, seed: maphash.MakeSeed(), byToken: make(map[[sha256.Size]byte]*entry), byLogin: make(map[uint64]*entry)}
}

// Format implements fmt.Formatter: what is remembered lets whoever has it act for
// callers.
func (m *memory) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// find returns a token for a service that was made about the same login.
func (m *memory) find(s *service, id *authn.Identity, now time.Time) (string, bool) {
	digest := m.digest(s, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.byLogin[digest]
	if e == nil || e.service != s || !now.Before(e.again) || !sameLogin(e.id, id) {
		return "", false
	}
	return e.token, true
}

// caller returns whom a token is about, and for whom it was made; nil if it was not
// made here, or is not remembered. One that is here, to the last letter of its signature, need not be
// verified.
func (m *memory) caller(token string) (id *authn.Identity, audience string) {
	sum := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.byToken[sum]; e != nil && m.now().Before(e.expires) {
		return e.id, e.service.audience
	}
	return nil, ""
}

func (m *memory) add(e *entry) {
	e.login, e.sum = m.digest(e.service, e.id), sha256.Sum256([]byte(e.token))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop()
	for len(m.queue) >= m.max {
		m.remove(m.queue[0])
	}
	m.byToken[e.sum], m.byLogin[e.login] = e, e
	heap.Push(&m.queue, e)
	m.arm()
}

// drop forgets what has expired.
func (m *memory) drop() {
	now := m.now()
	for len(m.queue) > 0 && !now.Before(m.queue[0].expires) {
		m.remove(m.queue[0])
	}
}

func (m *memory) remove(e *entry) {
	heap.Remove(&m.queue, e.place)
	delete(m.byToken, e.sum)
	if m.byLogin[e.login] == e {
		delete(m.byLogin, e.login)
	}
}

// arm has the next token dropped when it expires, also if nobody asks: what a
// login left must not stay in memory.
func (m *memory) arm() {
	if m.timer != nil || len(m.queue) == 0 {
		return
	}
	// At most once a second, so that many tokens do not make many timers.
	wait := max(m.queue[0].expires.Sub(m.now()), time.Second)
	m.timer = time.AfterFunc(wait, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.timer = nil
		m.drop()
		m.arm()
	})
}

// digest tells logins apart, for the most part.
func (m *memory) digest(s *service, id *authn.Identity) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	for _, text := range [...]string{s.audience, string(id.SID), id.Domain, id.Account, id.Mechanism} {
		_, _ = h.WriteString(text)
		_ = h.WriteByte(0)
	}
	maphash.WriteComparable(&h, id.Expires.UnixNano())
	if t, ok := id.Evidence.(ticket); ok { // somebody at two machines has two, and a token for each
		maphash.WriteComparable(&h, t.Expires().UnixNano())
	}
	return h.Sum64()
}

// A ticket is the evidence of a login by Kerberos. Each request may bring the
// same ticket anew.
type ticket interface {
	Client() string
	Expires() time.Time
	Forwardable() bool
	HasForwardedTGT() bool
}

// sameLogin reports whether two identities are the same caller with the same
// rights and the same means to be passed on. When he logged in may differ.
func sameLogin(a, b *authn.Identity) bool {
	if a == b {
		return true
	}
	return a.SID == b.SID && a.Account == b.Account && a.Domain == b.Domain && a.Mechanism == b.Mechanism &&
		a.UPN == b.UPN && a.DisplayName == b.DisplayName && a.Expires.Equal(b.Expires) &&
		slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Groups, b.Groups) && len(a.Claims) == 0 && len(b.Claims) == 0 &&
		sameEvidence(a.Evidence, b.Evidence)
}

func sameEvidence(a, b authn.Evidence) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	ta, oka := a.(ticket)
	tb, okb := b.(ticket)
	if oka && okb {
		return ta.Client() == tb.Client() && ta.Expires().Equal(tb.Expires()) &&
			ta.Forwardable() == tb.Forwardable() && ta.HasForwardedTGT() == tb.HasForwardedTGT()
	}
	// Of a password, say, the same object: another one may be a wrong one.
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && t.Kind() == reflect.Pointer && a == b
}

// queue is a heap of entries by the time they expire.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
