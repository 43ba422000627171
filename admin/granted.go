package admin

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/soapward/soapward/directory/store"
)

// grantedAge is how old numbers of roles may be. A database counts grants one by
// one, which takes some ten milliseconds for 100,000, and pages that only let one
// choose a role ask for them, too.
const grantedAge = time.Minute

// granted is how many users each role was granted.
type granted struct {
	mu sync.Mutex
	of map[string]int64
	st *store.Store // that they are of
	at time.Time
}

// in returns those in a store. What this process changed is in them.
func (g *granted) in(ctx context.Context, st *store.Store, now time.Time) (map[string]int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if age := now.Sub(g.at); g.st != st || age < 0 || age >= grantedAge {
		of, err := st.CountGranted(ctx)
		if err != nil {
			return nil, err
		}
		g.of, g.st, g.at = of, st, now
	}
	return maps.Clone(g.of), nil
}

// forget has the next who asks count again.
func (g *granted) forget() {
	g.mu.Lock()
	g.st = nil
	g.mu.Unlock()
}
