package kerberos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	maxTickets   = 4096             // kept by one client
	fetchTimeout = time.Minute      // for one ticket, over all realms it takes
	retryPause   = 30 * time.Second // between tries to replace a ticket that still works
	maxEarly     = 5 * time.Minute  // how long before its end a ticket is replaced
	minRefused   = time.Minute      // how old a ticket is at least that is replaced since it was refused
)

// cache keeps tickets and makes sure that each is fetched by one goroutine at
// a time. It is safe for concurrent use.
type cache struct {
	mu      sync.Mutex
	entries map[string]*cacheEntry
}

type cacheEntry struct {
	ticket  *ticket   // nil: none yet
	fetched time.Time // when it came; zero: not known
	renew   time.Time // when to replace it
	used    time.Time
	flight  *flight // nil: nobody is fetching
}

// flight is one fetch that several goroutines wait for.
type flight struct {
	done   chan struct{}
	ticket *ticket
	err    error
}

func newCache() *cache { return &cache{entries: map[string]*cacheEntry{}} }

// get returns the ticket under key, by fetch if there is none or it is about
// to end. While a ticket works, it is no error that no KDC answers. fetch goes
// on if ctx ends, since others may wait for it.
func (s *cache) get(ctx context.Context, key string, now func() time.Time, fetch func(ctx context.Context, old *ticket) (*ticket, error)) (*ticket, error) {
	s.mu.Lock()
	e := s.entries[key]
	if e == nil {
		s.makeRoom()
		e = &cacheEntry{}
		s.entries[key] = e
	}
	e.used = now()
	old := e.ticket
	if old != nil && e.used.Before(e.renew) {
		s.mu.Unlock()
		return old, nil
	}
	f := e.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		e.flight = f
		go s.fly(context.WithoutCancel(ctx), e, f, old, now, fetch)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("kerberos: wait for ticket: %w", ctx.Err())
	}
	if errors.Is(f.err, authn.ErrUnavailable) && old != nil && now().Before(old.end) {
		return old, nil
	}
	return f.ticket, f.err
}

func (s *cache) fly(ctx context.Context, e *cacheEntry, f *flight, old *ticket, now func() time.Time, fetch func(ctx context.Context, old *ticket) (*ticket, error)) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	f.ticket, f.err = guard(ctx, old, fetch)
	s.mu.Lock()
	e.flight = nil
	t := now()
	switch {
	case f.err == nil:
		e.ticket, e.fetched, e.renew = f.ticket, t, replaceAt(f.ticket, t)
	case e.ticket != nil && t.Before(e.ticket.end) && errors.Is(f.err, authn.ErrUnavailable):
		e.renew = earlier(t.Add(retryPause), e.ticket.end)
	default:
		e.ticket = nil
	}
	s.mu.Unlock()
	close(f.done)
}

// guard turns a panic into an error. It would end the process, since no server
// recovers it here.
func guard(ctx context.Context, old *ticket, fetch func(context.Context, *ticket) (*ticket, error)) (t *ticket, err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("panic while a ticket was fetched", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			t, err = nil, fmt.Errorf("kerberos: panic while a ticket was fetched: %v", p)
		}
	}()
	return fetch(ctx, old)
}

// replaceAt says when to get a successor of t: some time before its end, but
// not at once if all one gets is a ticket that ends soon.
func replaceAt(t *ticket, now time.Time) time.Time {
	at := t.end.Add(-min(maxEarly, t.end.Sub(now)/10))
	if !t.refresh.IsZero() && t.refresh.Before(at) {
		return t.refresh
	}
	if soon := now.Add(retryPause); at.Before(soon) {
		return earlier(soon, t.end)
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// put keeps a ticket that came from elsewhere.
func (s *cache) put(key string, t *ticket, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	s.entries[key] = &cacheEntry{ticket: t, renew: replaceAt(t, now), used: now}
}

// drop removes a ticket that turned out not to work, if it is still the one
// under key.
func (s *cache) drop(key string, t *ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil && e.ticket == t {
		e.ticket = nil
	}
}

// refused removes a ticket, under whichever key, that may be the reason why a
// service refused a login. It reports whether get returns another one now,
// which it does not if the ticket is so new that a KDC would say the same.
func (s *cache) refused(t *ticket, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.ticket != t {
			continue
		}
		if now.Sub(e.fetched) < minRefused {
			return false
		}
		e.ticket = nil
	}
	return true
}

// makeRoom removes the entry that was not used for the longest time, if the
// cache is full. The TGT is used for each other ticket, and stays.
func (s *cache) makeRoom() {
	if len(s.entries) < maxTickets {
		return
	}
	var victim string
	var oldest *cacheEntry
	for k, e := range s.entries {
		if k != tgtKey && e.flight == nil && (oldest == nil || e.used.Before(oldest.used)) {
			victim, oldest = k, e
		}
	}
	if oldest != nil {
		delete(s.entries, victim)
	}
}
