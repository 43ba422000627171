// Package kerberostest checks implementations of kerberos.ReplayCache, such as
// one that several nodes share by a database. The implementation's own test
// calls TestReplayCache.
package kerberostest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/kerberos"
)

// Nodes makes a new, empty cache and returns it as each of its nodes has it:
// one for a cache of one process, at least two otherwise. The clock of all of
// them is now. It has room for 20,000 entries, and for 10,000 of one client.
type Nodes func(t *testing.T, now func() time.Time) []kerberos.ReplayCache

// TestReplayCache checks the contract of kerberos.ReplayCache: what is added is
// new once, whichever node is asked and however many at the same time, until its
// time is over, and what was forgotten does not become new. A cache of several
// nodes, each call of which may go to a database, gets a tenth of the entries.
func TestReplayCache(t *testing.T, nodes Nodes) {
	for _, test := range []struct {
		name string
		f    func(*testing.T, *cache)
	}{
		{"new once", newOnce},
		{"one of many callers", oneOfMany},
		{"many entries", manyEntries},
		{"digests alone count", digestsCount},
		{"kept until its time", keptUntil},
		{"room again", roomAgain},
		{"not new again", notNewAgain},
		{"clock set back", clockSetBack},
		{"context ended", contextEnded},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &cache{now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)}
			if c.nodes = nodes(t, c.clock); len(c.nodes) == 0 {
				t.Fatal("kerberostest: no nodes")
			}
			test.f(t, c)
		})
	}
}

// cache is the cache under test and its clock.
type cache struct {
	nodes []kerberos.ReplayCache

	mu  sync.Mutex
	now time.Time
}

func (c *cache) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *cache) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// add adds the i-th digest at the n-th node, which must be able to tell.
func (c *cache) add(t *testing.T, n int, client string, i int, until time.Time) bool {
	t.Helper()
	fresh, err := c.nodes[n%len(c.nodes)].Add(t.Context(), client, digest(i), until)
	if err != nil {
		t.Fatalf("digest %d at node %d: %v", i, n%len(c.nodes), err)
	}
	return fresh
}

// many is how many entries a test adds that fills a cache in memory.
func (c *cache) many(n int) int {
	if len(c.nodes) > 1 {
		return n / 10
	}
	return n
}

// mustNotBeNew adds a digest that is used up: the answer is false or an error.
func (c *cache) mustNotBeNew(t *testing.T, i int, until time.Time) {
	t.Helper()
	for n, node := range c.nodes {
		if fresh, err := node.Add(t.Context(), alice, digest(i), until); fresh {
			t.Errorf("digest %d is new again at node %d (error %v)", i, n, err)
		}
	}
}

func digest(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

const (
	alice = "S-1-5-21-1-2-3-1104"
	bob   = "bob@CORP.TEST"

	// minute is how long most entries are kept here.
	minute = time.Minute
)

func newOnce(t *testing.T, c *cache) {
	until := c.clock().Add(minute)
	for i := range 10 {
		for n := range len(c.nodes) + 1 { // the first node again in the end
			if fresh := c.add(t, i+n, alice, i, until); fresh != (n == 0) {
				t.Errorf("digest %d, call %d: new is %v", i, n, fresh)
			}
		}
	}
}

func oneOfMany(t *testing.T, c *cache) {
	const digests, callers = 50, 32
	until := c.clock().Add(minute)
	for i := range digests {
		var yes atomic.Int32
		var wg sync.WaitGroup
		start := make(chan struct{}) // all at once
		for caller := range callers {
			wg.Go(func() {
				<-start
				fresh, err := c.nodes[caller%len(c.nodes)].Add(t.Context(), alice, digest(i), until)
				if err != nil {
					t.Errorf("digest %d: %v", i, err)
				}
				if fresh {
					yes.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := yes.Load(); n != 1 {
			t.Errorf("digest %d: %d of %d callers were told that it is new, want one", i, n, callers)
		}
	}
}

func manyEntries(t *testing.T, c *cache) {
	n := c.many(10_000)
	now := c.clock()
	for round, want := range []bool{true, false} {
		for i := range n {
			client := fmt.Sprint("S-1-5-21-1-2-3-", i%10)
			if fresh := c.add(t, i+round, client, i, now.Add(time.Duration(1+i%600)*time.Second)); fresh != want {
				t.Fatalf("round %d: digest %d new: %v, want %v", round, i, fresh, want)
			}
		}
	}
}

func digestsCount(t *testing.T, c *cache) {
	now := c.clock()
	if !c.add(t, 0, alice, 0, now.Add(minute)) {
		t.Error("a new digest is called old")
	}
	if c.add(t, 1, bob, 0, now.Add(minute)) {
		t.Error("new again for another client")
	}
	if c.add(t, 1, alice, 0, now.Add(2*minute)) {
		t.Error("new again with another time")
	}
	if !c.add(t, 1, alice, 1, now.Add(minute)) {
		t.Error("another digest of the same client and time is called old")
	}
	for at := range 16 { // those may be all that is kept
		d := digest(0)
		d[at] ^= 1
		if fresh, err := c.nodes[0].Add(t.Context(), alice, d, now.Add(minute)); !fresh || err != nil {
			t.Errorf("a digest that differs in byte %d: new %v, %v", at, fresh, err)
		}
	}
}

func keptUntil(t *testing.T, c *cache) {
	begin := c.clock()
	for i, d := range []time.Duration{0, time.Second, 59 * time.Second, minute, 10 * minute, 24 * time.Hour} {
		c.set(begin)
		until := begin.Add(time.Duration(i) * 48 * time.Hour).Add(d)
		begin = until
		if !c.add(t, 0, alice, 2*i, until) {
			t.Fatalf("digest %d is called old", i)
		}
		c.set(until)
		if !c.add(t, 0, bob, 2*i+1, until.Add(minute)) { // a call at which a cache may forget
			t.Fatalf("digest %d is called old", i)
		}
		for n := range c.nodes {
			if c.add(t, n, alice, 2*i, until) {
				t.Errorf("forgotten early at node %d, of %v", n, d)
			}
		}
	}
}

// roomAgain fills the cache again and again: what is over takes no room, at
// once or as calls go on.
func roomAgain(t *testing.T, c *cache) {
	n := c.many(5_000)
	for round := range 10 {
		for i := range n {
			client := fmt.Sprint("S-1-5-21-1-2-3-", i%2)
			if !c.add(t, i, client, round*n+i, c.clock().Add(minute)) {
				t.Fatalf("round %d: digest %d is called old", round, i)
			}
		}
		c.set(c.clock().Add(time.Hour))
	}
}

func notNewAgain(t *testing.T, c *cache) {
	until := c.clock().Add(minute)
	if !c.add(t, 0, alice, 0, until) {
		t.Fatal("a new digest is called old")
	}
	for i, later := range []time.Duration{time.Second, minute, time.Hour, 48 * time.Hour} {
		c.set(until.Add(later))
		for n := range c.nodes {
			if !c.add(t, n, bob, 1+n+i*len(c.nodes), c.clock().Add(minute)) {
				t.Fatal("a new digest is called old")
			}
		}
		c.mustNotBeNew(t, 0, until)
	}
}

func clockSetBack(t *testing.T, c *cache) {
	begin := c.clock()
	until := begin.Add(minute)
	if !c.add(t, 0, alice, 0, until) {
		t.Fatal("a new digest is called old")
	}
	c.set(begin.Add(time.Hour))
	for n := range c.nodes {
		if !c.add(t, n, bob, 1+n, c.clock().Add(minute)) {
			t.Fatal("a new digest is called old")
		}
	}
	c.set(begin)
	c.mustNotBeNew(t, 0, until)
}

// contextEnded does not demand an error, since a cache in memory need not look
// at the context. It demands an end, and that true means remembered.
func contextEnded(t *testing.T, c *cache) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	until := c.clock().Add(minute)
	for i := range 20 {
		fresh, err := c.nodes[0].Add(ended, alice, digest(i), until)
		switch {
		case fresh && err != nil:
			t.Errorf("digest %d: new, and error %v", i, err)
		case !fresh && err == nil:
			t.Errorf("digest %d is called old", i)
		}
		if again := c.add(t, 1, alice, i, until); again && fresh {
			t.Errorf("digest %d is new twice", i)
		}
	}
}
