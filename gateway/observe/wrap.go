package observe

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/trail"
)

// request is what is kept of one request. It is not used again for another one:
// contexts, and with them the trail, outlive their request, such as in a
// connection that is being made, and who is late must not write into the trail
// of somebody else.
type request struct {
	plain
	trail   trail.Trail
	refs    [1]string
	took    time.Duration
	aborted bool // the answer did not end
	span    *span
}

// Wrap returns next within a trail and a trace: it begins them, gives the request
// its reference (authn.WithRef), and writes the access log. It belongs inside of
// authn.Proxies.Wrap, which finds out who the client is, and around everything
// else.
//
// The reference is in the header Soapward-Ref of each answer, and of inbound
// requests as they go on to a backend, in place of what a client put there. A
// traceparent (W3C Trace Context) is passed on; with tracing, as that of the
// request's span here. A handler that panics is logged with the reference and
// answered with 500.
func (o *Observer) Wrap(d trail.Direction, listener string, next http.Handler) http.Handler {
	inFlight := o.metrics.inFlight.WithLabelValues(string(d))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := new(request)
		t := &q.trail
		t.Ref, t.Start, t.Direction, t.Listener, t.Client = authn.NewRef(), time.Now(), d, listener, authn.ClientAddr(r)
		q.refs[0] = t.Ref
		q.ResponseWriter, q.ref = w, q.refs[:1:1]
		w.Header()[header] = q.ref // of an answer by who takes the connection over
		ctx := trail.With(authn.WithRef(r.Context(), t.Ref), t)
		if tr := o.set.Load().tracer; tr != nil {
			ctx, q.span = tr.begin(ctx, r)
		}
		if d == trail.Inbound {
			r.Header[header] = q.ref
		} else {
			delete(r.Header, header) // it is nobody's business there
		}
		inFlight.Inc()
		defer func() {
			v := recover()
			inFlight.Dec()
			o.end(q, r, v)
		}()
		next.ServeHTTP(q.writer(), r.WithContext(ctx))
	})
}

// end is called when a request is over. v is what its handler panicked with.
func (o *Observer) end(q *request, r *http.Request, v any) {
	switch {
	case v == nil && q.status == 0:
		q.begin(http.StatusOK) // as net/http will answer
	case v == nil:
	case v == http.ErrAbortHandler: //nolint:errorlint // net/http compares it so
		q.aborted = true
	default:
		o.logger.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("ref", q.trail.Ref),
			slog.String("cause", clip(fmt.Sprint(v), maxText)), slog.String("stack", string(debug.Stack())))
		q.trail.Refuse("panic", "the gateway has a bug: see the line of the log with the same reference")
		if q.aborted = q.status != 0; !q.aborted {
			w := &q.plain
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "Internal Server Error (reference "+q.trail.Ref+")", http.StatusInternalServerError)
		}
	}
	q.took = time.Since(q.trail.Start)
	o.metrics.request(q)
	if q.span != nil {
		q.span.end(q, r)
	}
	o.access(q, r)
	if q.aborted {
		panic(http.ErrAbortHandler)
	}
}
