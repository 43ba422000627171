package demo

import (
	"bytes"
	"encoding/json"
	"sync"
)

// maxJournal bounds what is remembered of the log. A demo that is kept running
// needs no more of it once the steps are over.
const maxJournal = 1 << 20

// journal keeps the log of the services, one JSON object a line, so that a step
// can look up what the operator would read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.buf.Len()+len(b) > maxJournal {
		j.buf.Reset()
	}
	return j.buf.Write(b)
}

// reference is a line that refuses a caller: what the caller was told is ref,
// the rest is for the operator.
type reference struct {
	Msg   string `json:"msg"`
	Ref   string `json:"ref"`
	Cause struct {
		Reason string `json:"reason"`
	} `json:"cause"` // of a refused login
	Fault struct {
		Detail struct {
			Reason string `json:"reason"`
			Cause  string `json:"cause"`
			Remedy string `json:"remedy"`
		} `json:"detail"`
	} `json:"fault"` // of a failed operation
}

// find returns the line with the reference ref.
func (j *journal) find(ref string) (*reference, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(j.buf.Bytes()) {
		var r reference
		if json.Unmarshal(line, &r) == nil && r.Ref == ref && ref != "" {
			return &r, true
		}
	}
	return nil, false
}

// last returns the latest line that carries a reference.
func (j *journal) last() (*reference, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found *reference
	for line := range bytes.Lines(j.buf.Bytes()) {
		var r reference
		if json.Unmarshal(line, &r) == nil && r.Ref != "" {
			found = &r
		}
	}
	return found, found != nil
}

// reset forgets what was logged so far.
func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf.Reset()
}
