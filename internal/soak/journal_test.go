package soak

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/e2e/gateway/rig"
)

// keepRefs is for how long a reason is remembered, for answers that are judged a
// moment after it was logged, or before.
const keepRefs = time.Minute

// journal reads the gateway's log as it is written: for each refusal why it was,
// and all that people should look at. Lines about requests that went well are not
// kept. It is safe for concurrent use.
type journal struct {
	out io.Writer // gets what is kept; nil: nobody

	mu      sync.Mutex
	rest    []byte // of a line that has no end yet
	reasons map[string]reason
	swept   time.Time
	lines   int
	errors  map[string]int // lines at the level ERROR, by message
	secrets []string       // that must not be in any line
	leaks   []string
	panics  []string
}

type reason struct {
	word, text string
	seen       time.Time
}

func newJournal(out io.Writer, secrets ...string) *journal {
	return &journal{out: out, reasons: make(map[string]reason), errors: make(map[string]int), secrets: secrets, swept: time.Now()}
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, p...)
	for {
		i := bytes.IndexByte(j.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		j.line(j.rest[:i])
		j.rest = append(j.rest[:0], j.rest[i+1:]...)
	}
}

func (j *journal) line(b []byte) {
	j.lines++
	for _, s := range j.secrets {
		if bytes.Contains(b, []byte(s)) {
			j.leaks = append(j.leaks, string(b))
		}
	}
	if bytes.HasPrefix(b, []byte("panic:")) || bytes.Contains(b, []byte("goroutine ")) || bytes.Contains(b, []byte(`panic`)) || bytes.Contains(b, []byte("DATA RACE")) {
		j.panics = append(j.panics, string(b))
	}
	l, ok := rig.ParseLine(b)
	if ok && l.Level == "INFO" && (l.Msg == "login" || l.Msg == "request" && l.Word() == "") {
		return
	}
	if j.out != nil {
		_, _ = j.out.Write(append(b[:len(b):len(b)], '\n')) // it is for people: the test goes on without
	}
	if !ok {
		return
	}
	if l.Level == "ERROR" {
		j.errors[l.Msg]++
	}
	word := l.Word()
	if word == "" && l.Level == "ERROR" {
		word = l.Msg
	}
	if l.Ref != "" && word != "" && len(l.Cause) > 0 {
		now := time.Now()
		j.reasons[l.Ref] = reason{word, l.Text, now}
		if now.Sub(j.swept) > keepRefs {
			j.swept = now
			for ref, r := range j.reasons {
				if now.Sub(r.seen) > keepRefs {
					delete(j.reasons, ref)
				}
			}
		}
	}
}

// why returns the reason of the refusal with a reference.
func (j *journal) why(ref string) (reason, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.reasons[ref]
	return r, ok
}

// found returns what must not be in a log.
func (j *journal) found() (leaks, panics []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.leaks, j.panics
}

func short(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 600 {
		return s[:600] + "..."
	}
	return s
}
