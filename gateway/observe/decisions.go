package observe

import (
	"context"
	"errors"
	"log/slog"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/trail"
)

// Login is authn.Middleware.Observe. It counts the decision and notes in the
// trail of ctx, if there is one, who was let in or why not. The line of the log
// is the Middleware's own.
func (o *Observer) Login(ctx context.Context, d *authn.Decision) {
	m := o.metrics
	mechanism := m.words.name(d.Mechanism)
	reason := ""
	if d.Reason != "" {
		reason = m.words.name(string(d.Reason))
	}
	m.logins.WithLabelValues(mechanism, string(d.Outcome), reason).Inc()
	if d.Duration > 0 {
		m.handshakes.WithLabelValues(mechanism).Observe(d.Duration.Seconds())
	}
	t := trail.From(ctx)
	switch {
	case d.Outcome == authn.OutcomeAccepted:
		if t.Identity == nil {
			t.Identity = d.Identity
		}
	case d.Reason != "":
		t.Refuse(string(d.Reason), d.Detail)
	default:
		t.Refuse(string(d.Outcome), d.Detail)
	}
}

// Reasons of Denied, besides those of the policy's own errors.
const (
	reasonDenied    = "denied"    // a rule, or the networks
	reasonPath      = "path"      // two readers could understand it in two ways
	reasonMethod    = "method"    // not in capitals
	reasonUndecided = "undecided" // nobody could say
)

// Denied is authz.Guard.Observe. It counts the refusal and notes it in the trail
// of ctx. It logs the refusal of a SOAP operation, which is decided where no
// Guard writes a line.
func (o *Observer) Denied(ctx context.Context, r *authz.Request, err error) {
	var (
		denied *authz.DeniedError
		path   *authz.PathError
	)
	reason := reasonUndecided
	switch {
	case errors.As(err, &denied):
		reason = reasonDenied
	case errors.As(err, &path):
		reason = reasonPath
	case errors.Is(err, authz.ErrMethod):
		reason = reasonMethod
	}
	t := trail.From(ctx)
	t.Refuse(reason, err.Error())
	if t.Operation == "" {
		t.Operation = r.Operation
	}
	o.metrics.denials.WithLabelValues(o.metrics.services.name(t.Service), reason).Inc()
	if r.Operation == "" {
		return
	}
	level, msg, cause := slog.LevelInfo, "access denied", slog.Any("cause", denied)
	if reason != reasonDenied {
		level, msg, cause = slog.LevelError, "access not decided", slog.String("cause", clip(err.Error(), maxText))
	}
	o.logger.LogAttrs(ctx, level, msg, slog.String("ref", authn.Ref(ctx)), slog.Any("user", r.Identity),
		slog.String("service", t.Service), slog.String("operation", printable(r.Operation, maxText)), cause)
}

// Delegation is delegation.Delegator.Observe. It counts the decision, notes it in
// the trail of ctx, and logs it: at debug if somebody was passed on, which the
// access log says too, and the Delegator where it was as the service's account.
func (o *Observer) Delegation(ctx context.Context, d delegation.Decision) {
	m, t := o.metrics, trail.From(ctx)
	upstream := m.services.name(t.Service)
	result := "caller"
	switch {
	case d.Method == "":
		result = "refused"
	case d.Reason != "":
		result = "service"
	}
	doubleHop := d.Err != nil && errors.Is(d.Err, delegation.ErrDoubleHop)
	m.delegations.WithLabelValues(upstream, m.words.name(string(d.Method)), result, string(d.Reason)).Inc()
	if doubleHop {
		m.doubleHops.WithLabelValues(upstream).Inc()
	}
	t.As, t.DoubleHop = string(d.Method), doubleHop
	as := []slog.Attr{slog.String("ref", authn.Ref(ctx)), slog.String("service", t.Service), slog.Duration("dur", d.Took)}
	if result != "refused" {
		o.logger.LogAttrs(ctx, slog.LevelDebug, "caller passed on", append(as, slog.Any("user", d.Identity),
			slog.String("upstream", d.Target.SPN), slog.String("method", string(d.Method)))...)
		return
	}
	as = append(as, slog.Any("cause", d.Err)) // with user and upstream
	t.Refuse(string(d.Reason), d.Err.Error())
	level, msg := slog.LevelInfo, "caller not passed on"
	if doubleHop {
		level, msg = slog.LevelWarn, "double hop: caller not passed on"
	}
	o.logger.LogAttrs(ctx, level, msg, as...)
}
