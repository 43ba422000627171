package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/soapward/soapward/directory"
)

// leaseFor is how long a run that was killed keeps others from running. It is
// longer than all pauses together.
const leaseFor = time.Minute

// lease is what a run leaves in the store while it is at work.
//
// A note cannot be written on condition, so two that begin in the same moment
// may both do. The one whose lease was overwritten notices before its next
// batch, and ends. No harm is done till then: each row is written under its
// version.
type lease struct {
	Owner string    `json:"owner"`
	ID    uint64    `json:"id"`
	Until time.Time `json:"until"`
}

// lastRun is what a complete run leaves.
type lastRun struct {
	At   time.Time `json:"at"`
	Seen int       `json:"seen"`
}

func (r *run) acquire(ctx context.Context) error {
	if r.DryRun {
		return nil
	}
	other, err := r.holder(ctx)
	if err != nil {
		return err
	}
	if r.now().Before(other.Until) && (r.Dead == nil || !r.Dead(other.Owner)) {
		return fmt.Errorf("%w: %s holds it until %s", ErrRunning, other.Owner, other.Until.UTC().Format(time.RFC3339))
	}
	r.lease = lease{Owner: r.Owner, ID: rand.Uint64()}
	if r.lease.Owner == "" {
		r.lease.Owner = Owner()
	}
	return r.hold(ctx)
}

// Owner returns host and number of this process, which is what Sync.Owner is if
// it is empty.
func Owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s process %d", host, os.Getpid())
}

// renew fails if another has the lease, and prolongs it when that is due.
func (r *run) renew(ctx context.Context) error {
	if r.DryRun {
		return nil
	}
	other, err := r.holder(ctx)
	if err != nil {
		return err
	}
	if other.ID != r.lease.ID {
		return fmt.Errorf("%w: %s has begun it too", ErrRunning, other.Owner)
	}
	if r.lease.Until.Sub(r.now()) > leaseFor*2/3 {
		return nil
	}
	return r.hold(ctx)
}

func (r *run) holder(ctx context.Context) (l lease, err error) {
	text, err := r.note(ctx, "lease")
	if err == nil && text != "" {
		if json.Unmarshal([]byte(text), &l) != nil {
			l = lease{} // of a version that writes it in another way
		}
	}
	return l, err
}

func (r *run) hold(ctx context.Context) error {
	r.lease.Until = r.now().Add(leaseFor)
	return r.setJSON(ctx, "lease", r.lease)
}

// release lets others run at once.
func (r *run) release(ctx context.Context) {
	if r.DryRun {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if l, err := r.holder(ctx); err == nil && l.ID == r.lease.ID {
		_ = r.setNote(ctx, "lease", "") // it ends by itself
	}
}

// finish writes that everybody was seen.
func (r *run) finish(ctx context.Context) error {
	if err := r.setNote(ctx, "cursor", ""); err != nil {
		return err
	}
	if r.DryRun {
		return nil
	}
	return r.setJSON(ctx, "last", lastRun{r.sum.Began, r.sum.Seen})
}

func (s *Sync) lastRun(ctx context.Context) (l lastRun, err error) {
	text, err := s.note(ctx, "last")
	if err == nil && text != "" && json.Unmarshal([]byte(text), &l) != nil {
		l = lastRun{}
	}
	return l, err
}

func (r *run) setJSON(ctx context.Context, what string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return r.setNote(ctx, what, string(b))
}

func (r *run) setNote(ctx context.Context, what, text string) error {
	if r.DryRun {
		return nil
	}
	return wrap("write a note", r.Store.SetNote(ctx, "sync/"+r.Realm+"/"+what, text))
}

func (s *Sync) note(ctx context.Context, what string) (string, error) {
	text, err := s.Store.Note(ctx, "sync/"+s.Realm+"/"+what)
	if errors.Is(err, directory.ErrNotFound) {
		return "", nil
	}
	return text, wrap("read a note", err)
}
