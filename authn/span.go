package authn

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
)

// Names of the spans that the packages of this module begin.
const (
	SpanLogin      = "login"      // an HTTP request's authenticators are asked
	SpanKDC        = "kdc"        // one question to the KDCs of a realm
	SpanNetlogon   = "netlogon"   // one login at one domain controller
	SpanLDAP       = "ldap"       // one request to a directory, or the connection to it
	SpanDelegation = "delegation" // a credential for a caller at an upstream
	SpanUpstream   = "upstream"   // a request to another server, with its logins
)

// Spans is who is told how long the parts of a request take, such as a tracer of
// OpenTelemetry. It must be safe for concurrent use, and must not wait.
type Spans interface {
	// Start begins a span within that of ctx. It returns a context for what is
	// within it, and what ends it, which is called once, maybe after the span
	// around it ended. attrs have no secrets.
	Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error))

	// SetHeader writes into the header of a request to another server to which
	// span of ctx it belongs, such as traceparent (W3C Trace Context).
	SetHeader(ctx context.Context, h http.Header)
}

type spansKey struct{}

// WithSpans returns ctx whose spans s is told of.
func WithSpans(ctx context.Context, s Spans) context.Context {
	return context.WithValue(ctx, spansKey{}, s)
}

// StartSpan begins a span where somebody wants to know, and costs next to
// nothing where nobody does: then the context returned is ctx.
//
//	ctx, end := authn.StartSpan(ctx, authn.SpanKDC, slog.String("realm", realm))
//	reply, err := ask(ctx)
//	end(err)
//
// A span has neither secrets nor what a client sent, nor names of users.
func StartSpan(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, func(error)) {
	s, _ := ctx.Value(spansKey{}).(Spans)
	if s == nil {
		return ctx, endNothing
	}
	return s.Start(ctx, name, slices.Clone(attrs)) // a copy, so that the list need not be on the heap
}

func endNothing(error) {}

// SetSpanHeader writes into the header of a request to another server to which
// span of ctx it belongs. Whoever forwards requests calls it, with the context
// of the span that it began for the way there. Where nobody wants to know, the
// header stays as it is.
func SetSpanHeader(ctx context.Context, h http.Header) {
	if s, _ := ctx.Value(spansKey{}).(Spans); s != nil {
		s.SetHeader(ctx, h)
	}
}
