package soapclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Func is one call with its types erased. Interceptors wrap it. res is what the
// answer is read into, nil for a one-way operation.
type Func func(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler) error

// An Interceptor wraps every call of a Client. It must be safe for concurrent
// use. It may call next any number of times: an answer is read into res afresh.
type Interceptor func(next Func) Func

// Outcome is how a call ended.
type Outcome struct {
	Operation *soap.Operation
	Duration  time.Duration
	Err       error
}

// Result sums up an Outcome in one of few words, which makes it fit for the
// label of a metric: "ok", "fault" for a fault that the server answered, "http"
// for an answer that is not SOAP, "timeout" for a context that ended, "error"
// for any other.
func (o Outcome) Result() string {
	var status *StatusError
	var fault *soap.Fault
	switch {
	case o.Err == nil:
		return "ok"
	case errors.As(o.Err, &status):
		return "http"
	case errors.As(o.Err, &fault):
		return "fault"
	case errors.Is(o.Err, context.DeadlineExceeded), errors.Is(o.Err, context.Canceled):
		return "timeout"
	}
	return "error"
}

// Observe returns an Interceptor that tells fn of each call when it has ended:
// for metrics. fn must be safe for concurrent use; the call waits for it.
func Observe(fn func(context.Context, Outcome)) Interceptor {
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler) error {
			begin := time.Now()
			err := next(ctx, op, req, res)
			fn(ctx, Outcome{Operation: op, Duration: time.Since(begin), Err: err})
			return err
		}
	}
}

// LogCalls returns an Interceptor that writes one line for each call: which
// operation, how long it took and how it ended; a failed call with its error.
func LogCalls(l *slog.Logger) Interceptor {
	return Observe(func(ctx context.Context, o Outcome) {
		as := []slog.Attr{slog.String("op", o.Operation.String()), slog.String("result", o.Result()), slog.Duration("dur", o.Duration)}
		if o.Err != nil {
			as = append(as, slog.String("error", o.Err.Error()))
		}
		l.LogAttrs(ctx, slog.LevelInfo, "operation called", as...)
	})
}

// validator is a message that can say whether it obeys its schema.
type validator interface{ Validate() error }

// validate is the check that Client.Validate asks for.
func (c *Client) validate(what string, message any) error {
	v, ok := message.(validator)
	if !c.Validate || !ok {
		return nil
	}
	if err := v.Validate(); err != nil {
		return fmt.Errorf("invalid %s: %w", what, err)
	}
	return nil
}
