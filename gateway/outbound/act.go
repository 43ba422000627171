package outbound

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// asFixed is trail.Trail.As of a fixed user.
const asFixed = "fixed"

var _ authclient.Source = (*upstream)(nil)

// Credential implements authclient.Source: it was decided before the request is
// sent. It is asked for once more where the server refused a ticket.
func (u *upstream) Credential(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
	x := callOf(ctx)
	if x == nil {
		return nil, errors.New("outbound: a request of nobody")
	}
	if x.credential == nil {
		if err := x.decide(ctx); err != nil {
			return nil, err
		}
	}
	c := x.credential
	x.credential = nil
	return c, nil
}

// decide finds as whom the request is made: the first of act_as that can be.
func (x *call) decide(ctx context.Context) error {
	u := x.upstream
	for i, as := range u.config.ActAs {
		switch as {
		case config.AsService:
			x.credential, x.trail.As, x.principal = u.service, string(delegation.AsService), "service"
			return nil
		case config.AsFixed:
			x.credential, x.trail.As, x.principal = u.fixed, asFixed, asFixed
			return nil
		}
		done, err := x.asTheCaller(ctx, i)
		if done {
			return err
		}
	}
	return errors.New("outbound: act_as is empty") // the configuration was checked
}

// asTheCaller tries to pass the caller on. done is false if the next of act_as is
// to be taken.
func (x *call) asTheCaller(ctx context.Context, i int) (done bool, err error) {
	u := x.upstream
	t := authclient.TargetOf(x.target)
	t.SPN = u.spn(t)
	begin := time.Now()
	cred, method, err := u.delegator.Delegate(ctx, x.id, t)
	d := delegation.Decision{Identity: x.id, Target: t, Method: method, Took: time.Since(begin)}
	if err == nil {
		x.credential, x.asCaller, x.trail.As, x.principal = cred, true, string(method), principalOf(x.id)
		x.tell(ctx, d)
		return true, nil
	}
	if errors.As(err, &d.Err) {
		d.Reason = d.Err.Reason
	}
	x.trail.DoubleHop = errors.Is(err, delegation.ErrDoubleHop)
	if !x.mayBeNext(ctx, i, d.Err) {
		x.tell(ctx, d)
		return true, err
	}
	d.Method = delegation.AsService
	x.tell(ctx, d)
	level := slog.LevelWarn
	if x.id == nil {
		level = slog.LevelInfo
	}
	u.logger.LogAttrs(ctx, level, "not in the caller's name", slog.String("ref", authn.Ref(ctx)),
		slog.String("upstream", u.name), slog.Any("user", x.id), slog.String("as", string(u.config.ActAs[i+1])), slog.Any("cause", d.Err))
	return false, nil
}

// mayBeNext reports whether somebody else may act than the caller, who could not
// be passed on. Requests without a caller go on if there is a next. What the
// network had a part in decides nothing: whoever can keep a KDC from answering,
// or make its answer up, would choose in whose name we act.
func (x *call) mayBeNext(ctx context.Context, i int, e *delegation.Error) bool {
	c := x.upstream.config
	if i+1 >= len(c.ActAs) || e == nil || !e.DecidedHere() || ctx.Err() != nil {
		return false
	}
	return x.id == nil || c.OnDoubleHop == config.DoubleHopNext
}

// tell has the decision observed, once for a request.
func (x *call) tell(ctx context.Context, d delegation.Decision) {
	if !x.decided && x.upstream.observe != nil {
		x.upstream.observe(ctx, d)
	}
	x.decided = true
}

// principalOf names a caller towards himself: two with one name are different if
// they logged in in different ways.
func principalOf(id *authn.Identity) string {
	return "caller\x00" + string(id.SID) + "\x00" + id.Domain + "\x00" + id.Account + "\x00" + id.Mechanism
}
