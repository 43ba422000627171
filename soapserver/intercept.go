package soapserver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/soapward/soapward/soap"
)

// Outcome is how a call of an operation ended.
type Outcome struct {
	Operation *soap.Operation
	Duration  time.Duration
	Err       error // as the handler returned it; nil if it answered
	Panicked  bool
}

// Result sums up an Outcome in one of few words, which makes it fit for the
// label of a metric: "ok", "fault" for an error whose text the handler chose for
// the caller, "error" for any other, "panic".
func (o Outcome) Result() string {
	switch {
	case o.Panicked:
		return "panic"
	case o.Err == nil:
		return "ok"
	case soap.AsFault(o.Err).Internal():
		return "error"
	}
	return "fault"
}

// Observe returns an Interceptor that tells fn of each call when it has ended:
// for metrics and audit. fn must be safe for concurrent use; the call waits for
// it.
func Observe(fn func(context.Context, Outcome)) Interceptor {
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req any) (res any, err error) {
			o := Outcome{Operation: op, Panicked: true}
			begin := time.Now()
			defer func() {
				o.Duration = time.Since(begin)
				fn(ctx, o)
			}()
			res, err = next(ctx, op, req)
			o.Err, o.Panicked = err, false
			return res, err
		}
	}
}

// LogCalls returns an Interceptor that writes one line for each call: which
// operation, who called, how long it took and how it ended. caller names the
// caller, usually by what the authentication in front has put into the context;
// nil leaves it out. Why a call failed is in the line that the Service writes.
func LogCalls(l *slog.Logger, caller func(context.Context) string) Interceptor {
	return Observe(func(ctx context.Context, o Outcome) {
		as := []slog.Attr{slog.String("op", o.Operation.String())}
		if caller != nil {
			as = append(as, slog.String("user", caller(ctx)))
		}
		as = append(as, slog.String("result", o.Result()), slog.Duration("dur", o.Duration))
		l.LogAttrs(ctx, slog.LevelInfo, "operation called", as...)
	})
}

// Timeouts returns an Interceptor that ends the context of an operation after
// a time: that of the table, or else byDefault; zero is no limit. The table names
// operations like Roles. A handler must look at its context: one that does not
// is waited for.
func Timeouts(byDefault time.Duration, table map[string]time.Duration) Interceptor {
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
			d, ok := ofOperation(table, op)
			if !ok {
				d = byDefault
			}
			if d <= 0 {
				return next(ctx, op, req)
			}
			limited, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			res, err := next(limited, op, req)
			if err != nil && limited.Err() != nil && ctx.Err() == nil { // ours ran out, not the caller's
				f := soap.Faultf(soap.CodeServer, "the operation took too long")
				f.Err = fmt.Errorf("soapserver: %s did not end within %s: %w", op.Name, d, err)
				return nil, f
			}
			return res, err
		}
	}
}

// validator is a message that can say whether it obeys its schema. Generated
// types are ones where the schema restricts values.
type validator interface{ Validate() error }

// Validate is an Interceptor that refuses requests whose Validate method returns
// an error, and fails on such answers. Of a request the caller is told the text
// of the error: values of the message that nobody may see must not be in it.
func Validate(next Func) Func {
	return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
		if v, ok := req.(validator); ok {
			if err := v.Validate(); err != nil {
				return nil, soap.Faultf(soap.CodeClient, "invalid request: %w", err)
			}
		}
		res, err := next(ctx, op, req)
		if err != nil {
			return nil, err
		}
		if v, ok := res.(validator); ok {
			if err := v.Validate(); err != nil {
				return nil, fmt.Errorf("soapserver: answer of %s: %w", op.Name, err)
			}
		}
		return res, nil
	}
}

var _ Interceptor = Validate
