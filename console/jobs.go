package console

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory/provision"
)

// soon is how long the start of a job is waited for, so that one that is refused
// at once is told as an error.
const soon = 300 * time.Millisecond

// jobs are the synchronisations that were begun here, at most one for each realm.
// Its zero value is ready. It is safe for concurrent use.
type jobs struct {
	mu  sync.Mutex
	all map[string]*job
}

// A job is how far one is.
type job struct {
	Began, Ended time.Time // Ended is zero while it runs
	admin.SyncProgress
	Summary string
	Problem string
	Remedy  string
}

// of returns a copy of the last job of a realm, or nil.
func (j *jobs) of(realm string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if one := j.all[realm]; one != nil {
		copied := *one
		return &copied
	}
	return nil
}

// start runs a job in the background, and returns its error if it has one soon.
func (j *jobs) start(realm string, now func() time.Time, run func(progress func(admin.SyncProgress)) (string, error)) error {
	one := &job{Began: now()}
	j.mu.Lock()
	if old := j.all[realm]; old != nil && old.Ended.IsZero() {
		j.mu.Unlock()
		return &admin.Error{Kind: admin.Conflict, Text: "the job of this realm runs already"}
	}
	if j.all == nil {
		j.all = make(map[string]*job)
	}
	j.all[realm] = one
	j.mu.Unlock()

	ended := make(chan error, 1)
	go func() {
		text, err := run(func(p admin.SyncProgress) {
			j.mu.Lock()
			defer j.mu.Unlock()
			one.SyncProgress = p
		})
		j.mu.Lock()
		defer j.mu.Unlock()
		one.Ended, one.Summary = now(), text
		var e *admin.Error
		if errors.As(err, &e) {
			one.Problem, one.Remedy = e.Text, e.Remedy
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(soon):
		return nil
	}
}

// summary says in one line what a job did.
func summary(s *provision.Summary) string {
	seen := ui.Number(s.Seen) + " users seen"
	if s.Seen == 1 {
		seen = "1 user seen"
	}
	parts := []string{seen}
	for _, c := range []struct {
		n    int
		text string
	}{
		{s.Refreshed, "refreshed"}, {s.Deactivated, "deactivated"}, {s.Reactivated, "reactivated"}, {s.Gone, "gone"},
		{s.Conflicts, "in conflict"}, {s.Failed, "failed"},
	} {
		if c.n > 0 {
			parts = append(parts, ui.Number(c.n)+" "+c.text)
		}
	}
	text := strings.Join(parts, ", ")
	if s.Held {
		text += "; nobody was deactivated for being gone, since they are too many"
	}
	if !s.Complete {
		text += "; not everybody was seen"
	}
	return fmt.Sprintf("%s, in %s", text, s.Took.Round(time.Second))
}
