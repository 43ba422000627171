package delegation

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

const (
	defaultMaxTickets = 4096
	fetchTimeout      = time.Minute

	// maxAge is how long a ticket is used. A KDC that made it does not hear of
	// it again, so the user's account may be disabled since.
	maxAge = 15 * time.Minute
	// margin is how long before its end a ticket is not used any more: the
	// request has to get there, and clocks differ.
	margin = time.Minute
	// minRefused is how old a ticket is at least that is replaced because the
	// upstream refused it. Another reason is likelier for a new one.
	minRefused = time.Minute

	// refusedFor is how long a KDC's refusal is taken for its answer. It keeps
	// a caller who tries again and again from the KDC, and lets one who was
	// given the right in the meantime not wait.
	refusedFor = 5 * time.Second
)

// cacheKey tells tickets apart. SID and account come from the login, the
// principal is what the KDC is asked for, and the password is a digest of what
// proves it there; all must be the same for a ticket to be used again.
type cacheKey struct {
	method    Method
	principal string
	sid       authn.SID
	account   string
	spn       string
	password  [sha256.Size]byte // zero but for Password
}

func keyOf(m Method, principal string, id *authn.Identity, t authclient.Target) cacheKey {
	if id.SID != "" {
		principal = strings.ToLower(principal) // one user has a ticket once, however he spells his name
	}
	return cacheKey{method: m, principal: principal, sid: id.SID, account: id.String(), spn: strings.ToLower(t.SPN)}
}

// cache keeps tickets in memory. It is safe for concurrent use.
type cache struct {
	max    int
	now    func() time.Time
	forget func(*kerberos.Ticket) bool // whoever fetched a refused ticket may have kept it too

	mu      sync.Mutex
	entries map[cacheKey]*list.Element // of *entry
	used    *list.List                 // most recently used first
	flights map[cacheKey]*flight
}

type entry struct {
	key     cacheKey
	cred    *authclient.Ticket // nil: refused
	err     error              // why
	fetched time.Time
	until   time.Time
}

// flight is a fetch that several goroutines wait for.
type flight struct {
	done chan struct{}
	cred *authclient.Ticket
	err  error
}

func newCache(limit int, now func() time.Time, forget func(*kerberos.Ticket) bool) *cache {
	if limit <= 0 {
		limit = defaultMaxTickets
	}
	return &cache{
		max: limit, now: now, forget: forget,
		entries: map[cacheKey]*list.Element{}, used: list.New(), flights: map[cacheKey]*flight{},
	}
}

// get returns the credential under key, by fetch if there is none that is
// still good. Of several goroutines that want the same, one fetches.
func (c *cache) get(ctx context.Context, key cacheKey, fetch func(context.Context) (*kerberos.Ticket, error)) (*authclient.Ticket, error) {
	c.mu.Lock()
	if el, ok := c.entries[key]; ok {
		if e := el.Value.(*entry); c.now().Before(e.until) {
			c.used.MoveToFront(el)
			c.mu.Unlock()
			return e.cred, e.err
		}
		c.remove(el)
	}
	f := c.flights[key]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flights[key] = f
		go c.fly(context.WithoutCancel(ctx), key, f, fetch) // others may wait for it
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.cred, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *cache) fly(ctx context.Context, key cacheKey, f *flight, fetch func(context.Context) (*kerberos.Ticket, error)) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	t, err := guard(ctx, fetch)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	delete(c.flights, key)
	now := c.now()
	if f.err = err; err != nil {
		if isRefusal(err) {
			c.keep(&entry{key: key, err: err, fetched: now, until: now.Add(refusedFor)})
		}
		return
	}
	f.cred = &authclient.Ticket{Ticket: t}
	cred := f.cred
	cred.OnRefused = func() bool { return c.refused(key, cred) && c.forget(t) }
	until := t.Expires().Add(-margin)
	if latest := now.Add(maxAge); latest.Before(until) {
		until = latest
	}
	if !now.Before(until) {
		return // good for this one request
	}
	c.keep(&entry{key: key, cred: cred, fetched: now, until: until})
}

// keep puts e in, and others out for which there is no room. The caller holds
// the lock.
func (c *cache) keep(e *entry) {
	c.expire(e.fetched)
	c.entries[e.key] = c.used.PushFront(e)
	for c.used.Len() > c.max {
		c.remove(c.used.Back())
	}
}

// isRefusal reports whether err is the answer to the question that the key
// stands for. A refused login is not: it depends on a password, for which there
// is a memory of its own, or on our own account, for which Client has one.
func isRefusal(err error) bool {
	var ke *kerberos.KDCError
	if errors.As(err, &ke) {
		return ke.Op != opLogin
	}
	return errors.Is(err, kerberos.ErrNotDelegable) || errors.Is(err, errOtherAccount) || errors.Is(err, kerberos.ErrNoServiceKey)
}

// guard turns a panic into an error. It would end the process, since no server
// recovers it here.
func guard(ctx context.Context, fetch func(context.Context) (*kerberos.Ticket, error)) (t *kerberos.Ticket, err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("panic while a ticket was fetched", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			t, err = nil, fmt.Errorf("delegation: panic while a ticket was fetched: %v", p)
		}
	}()
	return fetch(ctx)
}

// refused removes a credential that the upstream refused, if it is not new. It
// reports whether get returns another one now.
func (c *cache) refused(key cacheKey, cred *authclient.Ticket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	if !ok || el.Value.(*entry).cred != cred {
		return true
	}
	if c.now().Sub(el.Value.(*entry).fetched) < minRefused {
		return false
	}
	c.remove(el)
	return true
}

// expire forgets the tickets nobody asked for since they ended. They are
// towards the back, so it looks there only.
func (c *cache) expire(now time.Time) {
	for el := c.used.Back(); el != nil && !now.Before(el.Value.(*entry).until); el = c.used.Back() {
		c.remove(el)
	}
}

func (c *cache) remove(el *list.Element) {
	delete(c.entries, el.Value.(*entry).key)
	c.used.Remove(el)
}
