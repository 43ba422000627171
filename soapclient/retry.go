package soapclient

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// RetryPolicy says when Retry tries again. The zero value tries up to three
// times, and only calls that cannot have reached the server.
type RetryPolicy struct {
	// Attempts bounds the tries of a call, the first included. Zero means 3.
	Attempts int

	// Wait is the pause after the first try; it doubles with each further one
	// and varies by a half, so that clients of a server that comes back do not
	// come together. Zero means 200 ms.
	Wait time.Duration

	// MaxWait bounds a pause. A server that asks for a longer one in Retry-After
	// is not tried again. Zero means 10 s.
	MaxWait time.Duration

	// Idempotent reports whether an operation may run twice for one call.
	// Those are tried again also after a connection broke and after the status
	// 429, 502, 503 or 504. Nil means none may.
	Idempotent func(*soap.Operation) bool

	// OnRetry, if set, is told of each try that failed and is repeated after
	// wait.
	OnRetry func(ctx context.Context, op *soap.Operation, wait time.Duration, err error)
}

// Retry returns an Interceptor that repeats calls which failed on the way to
// the server. It gives up as soon as the context would end before the next try,
// and never repeats a call that was answered with a fault.
func Retry(p RetryPolicy) Interceptor {
	if p.Attempts <= 0 {
		p.Attempts = 3
	}
	if p.Wait <= 0 {
		p.Wait = 200 * time.Millisecond
	}
	if p.MaxWait <= 0 {
		p.MaxWait = 10 * time.Second
	}
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler) error {
			pause := p.Wait
			for n := 1; ; n++ {
				err := next(ctx, op, req, res)
				if err == nil || n == p.Attempts || ctx.Err() != nil || !p.again(op, err) {
					return err
				}
				wait := min(pause, p.MaxWait)
				wait = wait/2 + rand.N(wait/2+1)
				var status *StatusError
				if errors.As(err, &status) && status.RetryAfter > 0 {
					wait = status.RetryAfter
				}
				if end, ok := ctx.Deadline(); wait > p.MaxWait || ok && time.Until(end) <= wait {
					return err
				}
				if p.OnRetry != nil {
					p.OnRetry(ctx, op, wait, err)
				}
				select {
				case <-ctx.Done():
					return err
				case <-time.After(wait):
				}
				pause *= 2
			}
		}
	}
}

// again reports whether a call that failed with err may be sent again.
func (p *RetryPolicy) again(op *soap.Operation, err error) bool {
	if neverSent(err) {
		return true
	}
	if p.Idempotent == nil || !p.Idempotent(op) {
		return false
	}
	var status *StatusError
	if errors.As(err, &status) {
		switch status.Code {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var fault *soap.Fault
	var broken *net.OpError
	return !errors.As(err, &fault) &&
		(errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
}

// neverSent reports whether err means that there was no connection to send a
// request on.
func neverSent(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound // a name that does not exist will not soon
	}
	for {
		var op *net.OpError
		if !errors.As(err, &op) {
			return false
		}
		if op.Op == "dial" {
			return true
		}
		err = op.Err // of the connection to a proxy
	}
}
