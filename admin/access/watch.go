package access

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
)

// watchEvery is how long a request that reads, which may be a stream, outlives the
// session that let it in.
const watchEvery = 5 * time.Second

var (
	errLessRole = errors.New("access: the role is less than it was")
	errPanicked = errors.New("access: whether the login goes on could not be found out")
)

// watched returns the context of a request of by, which ends when his session does,
// or his role, and stop, which must be called when the request is answered. It asks
// from time to time, whatever the request reads meanwhile; what cannot be found out
// ends it, too.
func (a *Access) watched(r *http.Request, by *admin.Caller) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(admin.NewContext(r.Context(), by))
	over := make(chan struct{})
	go func() {
		defer close(over)
		look := time.NewTicker(a.testOnlyWatchEvery)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			err := a.still(r.WithContext(ctx), by.Role)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				a.log.LogAttrs(ctx, slog.LevelInfo, "a request of an administrator ended with his login",
					slog.String("ref", authn.Ref(ctx)), slog.String("user", by.Name), slog.String("peer", by.Peer), slog.String("cause", err.Error()))
				cancel()
				return
			}
		}
	}()
	// The store may be closed after the request.
	return ctx, func() { cancel(); <-over }
}

// still returns an error if who sent r would not be let in now, with as much of a
// role. A panic is one, too: it would end the process, since no server recovers it
// here.
func (a *Access) still(r *http.Request, role admin.Role) (err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.LogAttrs(r.Context(), slog.LevelError, "looking after a request of an administrator failed",
				slog.String("ref", authn.Ref(r.Context())), slog.Any("cause", p), slog.String("stack", string(debug.Stack())))
			err = errPanicked
		}
	}()
	c := a.core()
	if c == nil {
		return errNoStore
	}
	id, err := c.whose(r)
	if err != nil {
		return err
	}
	now, err := c.role(r.Context(), id)
	if err == nil && now < role {
		err = errLessRole
	}
	return err
}

// whose returns who sends r, by a token or by a session.
func (c *core) whose(r *http.Request) (*authn.Identity, error) {
	if scheme, text, ok := authn.Authorization(r); ok && strings.EqualFold(scheme, "Bearer") {
		id, _, err := c.bearer(r.Context(), text)
		return id, err
	}
	res, err := c.sessions(r).Authenticate(r)
	if err != nil {
		return nil, err
	}
	return res.Identity, nil
}
