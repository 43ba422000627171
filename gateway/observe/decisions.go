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
// is the Middleware's own. The end of a session is no login.
func (o *Observer) Login(ctx context.Context, d *authn.Decision) {
	if d.Mechanism == authn.MechanismLogout {
		return
	}
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
		if d.Identity != nil {
			if e, ok := d.Identity.Evidence.(interface{ RC4() bool }); ok && e.RC4() {
				m.rc4.Inc()
			}
		}
	case d.Reason != "":
		t.Refuse(string(d.Reason), d.Detail)
	default:
		t.Refuse(string(d.Outcome), d.Detail)
	}
}

// Reasons of Denied, besides those of errors that have one.
const (
	reasonDenied    = "denied"    // a rule, or the networks
	reasonPath      = "path"      // two readers could understand it in two ways
	reasonMethod    = "method"    // not in capitals
	reasonUndecided = "undecided" // nobody could say
)

// Denied is authz.Guard.Observe. It counts the refusal and notes it in the trail
// of ctx. The line of the log is that of whoever answers. An error with a method
// Reason, which has few values, is counted by it, and not noted.
func (o *Observer) Denied(ctx context.Context, r *authz.Request, err error) {
	var (
		denied *authz.DeniedError
		path   *authz.PathError
		own    interface{ Reason() string }
	)
	reason := reasonUndecided
	switch {
	case errors.As(err, &own):
		reason = o.metrics.words.name(own.Reason())
	case errors.As(err, &denied):
		reason = reasonDenied
	case errors.As(err, &path):
		reason = reasonPath
	case errors.Is(err, authz.ErrMethod):
		reason = reasonMethod
	}
	t := trail.From(ctx)
	if own == nil { // else it may be told by who reads the body, at the same time as somebody writes here
		t.Refuse(reason, err.Error())
		if t.Operation == "" {
			t.Operation = r.Operation
		}
	}
	o.metrics.denials.WithLabelValues(o.metrics.services.name(t.Service), reason).Inc()
}

// Delegation is delegation.Delegator.Observe. It counts the decision and notes it
// in the trail of ctx. It logs at debug who was passed on, which the access log
// says too; who was not is in the line of whoever answers.
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
	if result == "refused" {
		if d.Err != nil {
			t.Refuse(string(d.Reason), d.Err.Error())
		}
		return
	}
	o.logger.LogAttrs(ctx, slog.LevelDebug, "passed on", slog.String("ref", authn.Ref(ctx)), slog.String("service", t.Service),
		slog.Any("user", d.Identity), slog.String("upstream", d.Target.SPN), slog.String("method", string(d.Method)), slog.Duration("dur", d.Took))
}
