package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/soapward/soapward/internal/e2e/gateway/rig"
)

// explainWithin is how soon a refusal must be in the log.
const explainWithin = 10 * time.Second

// maxEvidence bounds what is printed of what went wrong.
const maxEvidence = 25

// ledger counts answers and judges them. It is safe for concurrent use.
type ledger struct {
	journal *journal
	begin   time.Time

	mu       sync.Mutex
	kinds    map[string]*tally
	minute   tally // since the last line of the table
	pending  []pending
	evidence []string
	bad      int
}

// tally counts the requests of a kind.
type tally struct {
	requests, ok int
	status       map[int]int
	reasons      map[string]int
	wrong        int // answered as somebody else
	unexplained  int
	slowest      time.Duration
}

// pending is a refusal that is not in the log yet.
type pending struct {
	kind string
	ref  string
	at   time.Time
	text string
}

func newLedger(j *journal) *ledger {
	return &ledger{journal: j, begin: time.Now(), kinds: make(map[string]*tally)}
}

// verdict is what a kind of login says of an answer.
type verdict int

const (
	right   verdict = iota // the right user
	wrong                  // another one
	refused                // to be explained by the log
	neither
)

// record takes the answer to a request, or the error in its place.
func (l *ledger) record(kind string, began time.Time, a *rig.Answer, v verdict, err error) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.kinds[kind]
	if t == nil {
		t = &tally{status: make(map[int]int), reasons: make(map[string]int)}
		l.kinds[kind] = t
	}
	for _, t := range []*tally{t, &l.minute} {
		t.requests++
		t.slowest = max(t.slowest, now.Sub(began))
		if t.status == nil {
			t.status = make(map[int]int)
		}
		if a != nil {
			t.status[a.Status]++
		}
	}
	text := fmt.Sprintf("%s, %v after the begin, took %v", kind, began.Sub(l.begin).Round(time.Millisecond), now.Sub(began).Round(time.Millisecond))
	if a != nil {
		text += fmt.Sprintf(": status %d, user %q, reference %s", a.Status, a.User(), a.Ref())
	}
	if err != nil {
		text += ": " + err.Error()
	}
	switch v {
	case right:
		t.ok++
		l.minute.ok++
	case wrong:
		t.wrong++
		l.minute.wrong++
		l.accuse("WRONG IDENTITY: " + text)
	case refused:
		l.pending = append(l.pending, pending{kind, a.Ref(), now, text})
	case neither:
		t.unexplained++
		l.minute.unexplained++
		l.accuse("not explained: " + text)
	}
}

// accuse keeps what went wrong. l.mu is held.
func (l *ledger) accuse(text string) {
	l.bad++
	if len(l.evidence) < maxEvidence {
		l.evidence = append(l.evidence, text)
	}
}

// complain is accuse for what is no answer.
func (l *ledger) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accuse(fmt.Sprintf(format, args...))
}

// explain looks in the log for the reasons of refusals.
func (l *ledger) explain() (left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	kept := l.pending[:0]
	for _, p := range l.pending {
		t := l.kinds[p.kind]
		switch r, ok := l.journal.why(p.ref); {
		case ok:
			t.reasons[r.word]++
		case now.Sub(p.at) < explainWithin:
			kept = append(kept, p)
		default:
			t.unexplained++
			l.minute.unexplained++
			l.accuse("nothing in the log: " + p.text)
		}
	}
	l.pending = kept
	return len(kept)
}

// nextMinute returns what was counted since the last call.
func (l *ledger) nextMinute() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.minute
	l.minute = tally{}
	return t
}

func (t *tally) statuses() string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(t.status)) {
		parts = append(parts, fmt.Sprintf("%d: %d", s, t.status[s]))
	}
	return strings.Join(parts, ", ")
}

// summary writes a line for each kind, and what went wrong.
func (l *ledger) summary(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "kind\trequests\tright\twrong\tunexplained\tslowest\tstatus\treasons of refusals")
	for _, kind := range slices.Sorted(maps.Keys(l.kinds)) {
		t := l.kinds[kind]
		var reasons []string
		for _, r := range slices.Sorted(maps.Keys(t.reasons)) {
			reasons = append(reasons, fmt.Sprintf("%s: %d", r, t.reasons[r]))
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%v\t%s\t%s\n", kind, t.requests, t.ok, t.wrong, t.unexplained,
			t.slowest.Round(time.Millisecond), t.statuses(), strings.Join(reasons, ", "))
	}
	_ = tw.Flush() // as w
	if l.bad > 0 {
		fmt.Fprintf(w, "\n%d things went wrong, the first of them:\n", l.bad)
		for _, e := range l.evidence {
			fmt.Fprintf(w, "  %s\n", e)
		}
	}
}
