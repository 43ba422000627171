package session

import (
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// maxEvidence bounds how many logins leave their evidence. One more leaves none.
const maxEvidence = 10_000

// evidence keeps what logins left, by session, until the session ends. Its zero
// value is empty.
type evidence struct {
	mu   sync.Mutex
	kept map[directory.SessionID]*keptEvidence
}

type keptEvidence struct {
	authn.Evidence
	user  string      // folded
	timer *time.Timer // forgets it, without anybody asking
	ends  time.Time
}

func (e *evidence) put(id directory.SessionID, user string, left authn.Evidence, lasts time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= maxEvidence || lasts <= 0 {
		return
	}
	if e.kept == nil {
		e.kept = make(map[directory.SessionID]*keptEvidence)
	}
	k := &keptEvidence{Evidence: left, user: directory.FoldName(user), ends: time.Now().Add(lasts)}
	k.timer = time.AfterFunc(lasts, func() { e.expire(id, k) })
	e.kept[id] = k
}

// of returns what the login left, and keeps it for as long as the session lasts
// from now on.
func (e *evidence) of(id directory.SessionID, lasts time.Duration) authn.Evidence {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.kept[id]
	if k == nil {
		return nil
	}
	k.ends = time.Now().Add(lasts)
	k.timer.Reset(lasts)
	return k.Evidence
}

func (e *evidence) drop(id directory.SessionID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.kept[id]; k != nil {
		k.timer.Stop()
		delete(e.kept, id)
	}
}

// dropUser is drop for all sessions of a user.
func (e *evidence) dropUser(user string) {
	user = directory.FoldName(user)
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, k := range e.kept {
		if k.user == user {
			k.timer.Stop()
			delete(e.kept, id)
		}
	}
}

// expire is drop by the timer, which may have been set again meanwhile.
func (e *evidence) expire(id directory.SessionID, k *keptEvidence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept[id] == k && !time.Now().Before(k.ends) {
		delete(e.kept, id)
	}
}
