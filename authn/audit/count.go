package audit

import (
	"context"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A Counter is a Store that also keeps how often something happened, such as
// *store.Store.
type Counter interface {
	AddCounts(ctx context.Context, counts []directory.Count) error
}

const (
	// countEvery is how often counts are written.
	countEvery = 10 * time.Second

	// maxCounts bounds what waits to be written while the store is away: a day of
	// all that a gateway usually counts.
	maxCounts = 10_000

	// maxMechanisms bounds the mechanisms that are told apart. Their names are
	// those of the program, and few.
	maxMechanisms   = 64
	otherMechanisms = "other"
)

// counts adds up what happens. The zero value is ready. It is safe for concurrent
// use.
type counts struct {
	mu         sync.Mutex
	n          map[directory.Count]int64 // by a Count without N
	mechanisms map[string]bool
	missed     uint64
}

// decision counts a login.
func (c *counts) decision(d *authn.Decision) {
	if d.Mechanism == authn.MechanismLogout {
		return
	}
	at := d.Time
	if at.IsZero() {
		at = time.Now()
	}
	c.add(at, directory.CountLogin, d.Mechanism, directory.Outcome(d.Outcome), 1)
	if d.Outcome != authn.OutcomeAccepted || d.Identity == nil {
		return
	}
	if e, ok := d.Identity.Evidence.(interface{ RC4() bool }); ok && e.RC4() {
		c.add(at, directory.CountRC4, "", "", 1)
	}
}

func (c *counts) add(at time.Time, kind directory.CountKind, mechanism string, outcome directory.Outcome, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n, c.mechanisms = make(map[directory.Count]int64), make(map[string]bool)
	}
	if !c.mechanisms[mechanism] {
		if len(c.mechanisms) >= maxMechanisms {
			mechanism = otherMechanisms
		} else {
			c.mechanisms[mechanism] = true
		}
	}
	key := directory.Count{Time: at.UTC().Truncate(directory.CountStep), Kind: kind, Mechanism: mechanism, Outcome: outcome}
	if _, ok := c.n[key]; !ok && len(c.n) >= maxCounts {
		c.missed += uint64(n)
		return
	}
	c.n[key] += n
}

// take returns what was counted, and begins again.
func (c *counts) take() (all []directory.Count, missed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, n := range c.n {
		key.N = n
		all = append(all, key)
	}
	missed, c.missed = c.missed, 0
	clear(c.n)
	return all, missed
}

// giveBack is for counts that were not written.
func (c *counts) giveBack(all []directory.Count) {
	for _, n := range all {
		c.add(n.Time, n.Kind, n.Mechanism, n.Outcome, n.N)
	}
}
