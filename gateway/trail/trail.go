// Package trail is what the gateway knows of a request while it passes.
//
// Each part writes down what it found: which service, which operation, who, as
// whom it went on, why not. When the request is over, package observe makes the
// line of the access log, the metrics and the trace of it.
//
//	trail.From(r.Context()).Operation = "{urn:hr}Pay"
//
// Compatibility: fields keep their meaning within a major version, and there may
// be more.
package trail

import (
	"context"
	"net/netip"
	"time"

	"github.com/soapward/soapward/authn"
)

// A Direction is the side of the gateway that a request came to.
type Direction string

// Directions.
const (
	Inbound  Direction = "inbound"  // to a service behind the gateway
	Outbound Direction = "outbound" // to a server that wants a login
)

// A Trail is what is known of one request. One goroutine at a time uses it: that
// of the request's handler.
type Trail struct {
	Ref       string // that the client and all log lines have
	Start     time.Time
	Direction Direction
	Listener  string // its address, as configured
	Client    netip.Addr

	Service   string          // of the configuration; outbound: the upstream
	Operation string          // {namespace}Name; empty: none, or not known
	Identity  *authn.Identity // nil: anonymous, or refused

	// Refusal is the reason code of why the request was not passed on: that of
	// an authn.Reason or a delegation.Reason, or one of package inbound. Empty:
	// it was passed on, or it is a leg of a login.
	Refusal string
	Cause   string // the same in words, for operators

	// As says in whose name an outbound request went on: a delegation.Method, or
	// "fixed".
	As        string
	DoubleHop bool // the caller could not be passed on because of NTLM

	Backend     string        // that it was passed on to: host and port
	BackendTime time.Duration // until the head of its answer
	Retries     int           // on other backends, or on new connections
	Session     bool          // the caller was known by a session
}

// Refuse notes why the request is refused.
func (t *Trail) Refuse(reason, cause string) { t.Refusal, t.Cause = reason, cause }

type key struct{}

// With returns ctx carrying t.
func With(ctx context.Context, t *Trail) context.Context { return context.WithValue(ctx, key{}, t) }

// From returns the trail of ctx. Where nobody put one it is a new one that nobody
// reads, never nil.
func From(ctx context.Context) *Trail {
	if t, ok := ctx.Value(key{}).(*Trail); ok {
		return t
	}
	return new(Trail)
}
