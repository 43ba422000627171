package nodes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/e2e/gateway/rig"
	"github.com/soapward/soapward/internal/testenv"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// worker sends requests of one kind, one after the other.
type worker struct {
	name string
	user string
	send func(context.Context) (*rig.Answer, error)
}

// workers are one for each kind of login that the arrangement can do. All but one
// keep their connections, which is what a node that ends has to cope with.
func (c *cluster) workers(t *testing.T) []worker {
	t.Helper()
	session := c.client(t, rig.KeepCookies)
	c.logIn(t, session, "gina", rig.Password)
	get := func(client *rig.Client, path string) func(context.Context) (*rig.Answer, error) {
		return func(ctx context.Context) (*rig.Answer, error) { return client.Get(ctx, path) }
	}
	all := []worker{
		{"open", "", get(c.client(t, rig.Fresh), rig.Open)},
		{"Kerberos", `CORP\alice`, get(c.client(t, c.kerberos(t, "alice")), rig.Kerberos)},
		{"Basic", "carol", get(c.client(t, rig.As(rig.BasicOf(t, "carol"))), rig.Basic)},
		{"Basic of the domain", `CORP\bob`, get(c.client(t, rig.As(rig.BasicOf(t, `CORP\bob`))), rig.Domain)},
		{"form", "gina", get(session, rig.Form)},
		{"key", "batch", get(c.client(t, rig.Header("X-Api-Key", c.Key.Reveal())), rig.Custom)},
	}
	if !c.http {
		all = append(all, worker{"NTLM", `CORP\bob`, get(c.client(t, rig.As(rig.NTLMOf(t, `CORP\bob`))), rig.NTLM)},
			worker{"NTLM, new connections", "dora", get(c.client(t, rig.As(rig.NTLMOf(t, "dora")), rig.Fresh), rig.Internal)})
	}
	return all
}

// outcome is that of one request.
type outcome struct {
	worker string
	began  time.Time
	ended  time.Time
	answer *rig.Answer
	err    error
}

func (o *outcome) String() string {
	s := fmt.Sprintf("%s, %v", o.worker, o.ended.Sub(o.began).Round(time.Millisecond))
	if o.answer != nil {
		s += fmt.Sprintf(", status %d, user %q, reference %s", o.answer.Status, o.answer.User(), o.answer.Ref())
	}
	if o.err != nil {
		s += ", " + o.err.Error()
	}
	return s
}

// load is requests of all workers that go on until stop, which returns what went
// wrong and how many there were. What answers with somebody else fails the test
// whenever it comes.
func (c *cluster) load(t *testing.T) (stop func() (failures []*outcome, requests int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		failures []*outcome
		requests int
	)
	for _, w := range c.workers(t) {
		wg.Go(func() {
			for ctx.Err() == nil {
				o := &outcome{worker: w.name, began: time.Now()}
				o.answer, o.err = w.send(t.Context()) // which ends, so that none is cut short
				o.ended = time.Now()
				bad := o.err != nil || o.answer.Status != http.StatusOK
				if !bad && o.answer.User() != w.user {
					t.Errorf("a wrong identity: %s", o)
				}
				mu.Lock()
				requests++
				if bad {
					failures = append(failures, o)
				}
				mu.Unlock()
				if bad {
					select {
					case <-time.After(20 * time.Millisecond): // as clients do that go on
					case <-ctx.Done():
					}
				}
			}
		})
	}
	return func() ([]*outcome, int) {
		cancel()
		wg.Wait()
		return failures, requests
	}
}

// A node that reads its configuration again costs no request.
func testReload(t *testing.T, c *cluster) {
	stop := c.load(t)
	begin := time.Now()
	reloads := 0
	for ; time.Since(begin) < 4*time.Second; reloads++ {
		if err := c.nodes[reloads%2].Reload(t.Context()); err != nil {
			t.Error(err)
			break
		}
	}
	failures, requests := stop()
	for i, f := range failures {
		if i < 10 {
			t.Errorf("%s", f)
		}
	}
	if len(failures) > 0 || requests < 50 || reloads < 2 {
		t.Errorf("%d of %d requests failed in %d reloads", len(failures), requests, reloads)
	}
	t.Logf("%d requests, %d reloads", requests, reloads)
}

// grace is how long after a node died requests may meet it: what was on the way
// to it fails, and the balancer needs two checks to notice.
const grace = 2 * time.Second

// A node that dies takes along what it was just doing, and nothing else.
func testKilled(t *testing.T, c *cluster) {
	stop := c.load(t)
	time.Sleep(time.Second) // load is what is tested, not a condition
	killed := time.Now()
	c.nodes[0].Kill(t)
	time.Sleep(4 * time.Second)
	started := time.Now()
	c.nodes[0].Start(t)
	c.bothServe(t)
	failures, requests := stop()
	during := 0
	for _, f := range failures {
		switch {
		case f.began.Before(killed.Add(grace)) && f.ended.After(killed):
			during++
		default:
			t.Errorf("%v after the end of the node: %s", f.began.Sub(killed).Round(time.Millisecond), f)
		}
	}
	t.Logf("%d requests, %d failed in the moment when the node died, node back after %v", requests, during, time.Since(started).Round(time.Millisecond))
	if requests < 50 {
		t.Errorf("only %d requests", requests)
	}
}

// back is how soon after the store is there again no request fails.
const back = 3 * time.Second

// Without the store nobody is taken for somebody who may not log in: who needs it
// is told to come again, and the log says why.
func testStore(t *testing.T, c *cluster) {
	again := c.workers(t)
	stop := c.load(t)
	time.Sleep(time.Second)
	killed := time.Now()
	c.pg.Kill(t)
	time.Sleep(4 * time.Second)
	c.pg.Start(t)
	started := time.Now()
	// Each kind of login works on both nodes.
	var when []string
	for _, w := range again {
		eventually(t, 20*time.Second, func() error { // what came too late is among the failures below
			for range 4 {
				a, err := w.send(t.Context())
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				if a.Status != http.StatusOK {
					return fmt.Errorf("%s: status %d", w.name, a.Status)
				}
			}
			return nil
		})
		when = append(when, fmt.Sprintf("%s: %v", w.name, time.Since(started).Round(time.Millisecond)))
	}
	failures, requests := stop()
	refs := make(map[string]bool)
	for _, f := range failures {
		if f.answer != nil {
			refs[f.answer.Ref()] = true
		}
	}
	reasons := c.reasons(t, refs)
	unexplained := 0
	var last time.Duration
	for _, f := range failures {
		last = max(last, f.ended.Sub(started))
		var err error
		switch {
		case f.began.After(started.Add(back)) || f.ended.Before(killed):
			err = errors.New("it came when the store was there")
		case f.err != nil:
			err = errors.New("no answer")
		case f.answer.Status != http.StatusServiceUnavailable:
			err = errors.New("want 503")
		default:
			if !reasons[f.answer.Ref()] {
				err = errors.New("no log says why")
			}
		}
		if err != nil {
			if unexplained++; unexplained < 10 {
				t.Errorf("%v after the end of the store, %s: %v", f.began.Sub(killed).Round(time.Millisecond), f, err)
			}
		}
	}
	if unexplained > 0 || len(failures) == 0 {
		t.Errorf("%d of %d requests failed, %d of them without a good reason", len(failures), requests, unexplained)
	}
	t.Logf("%d requests, %d answered 503; the last of them %v after the store was back (asked one after the other, %s)", requests, len(failures), last.Round(time.Millisecond), strings.Join(when, ", "))
}

// reasons returns which of some references are in a log with a reason and a cause.
// It gives the logs a moment.
func (c *cluster) reasons(t *testing.T, refs map[string]bool) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_ = testenv.Poll(ctx, func() error { // who asks says what is missing
		for _, n := range c.nodes {
			for l := range strings.Lines(n.Log()) {
				if line, ok := rig.ParseLine([]byte(l)); ok && refs[line.Ref] && line.Word() != "" && len(line.Cause) > 0 {
					found[line.Ref] = true
				}
			}
		}
		if len(found) < len(refs) {
			return errors.New("some are missing")
		}
		return nil
	})
	return found
}
