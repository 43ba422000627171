package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

const (
	// exportTimeout bounds one try to send spans. Those that are not sent in time
	// are dropped, and requests never wait for them.
	exportTimeout = 10 * time.Second

	// maxForced is how many requests in a second are traced because their client
	// says so. Beyond it the configured part is.
	maxForced = 100
)

// tracer makes spans and sends them to a collector. It is safe for concurrent
// use.
type tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// openTracer returns nil where nothing is to be traced. It connects to nobody.
// The package's global state is not touched, so that programs with a tracer of
// their own keep it.
func (o *Observer) openTracer(c *config.Tracing) (*tracer, error) {
	if c == nil {
		return nil, nil
	}
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(c.OTLP.Host), otlptracehttp.WithURLPath(path.Join("/", c.OTLP.Path, "v1/traces")),
		otlptracehttp.WithTimeout(exportTimeout),
	}
	if c.OTLP.Scheme == "http" {
		opts = append(opts, otlptracehttp.WithInsecure())
	}
	exporter, err := otlptracehttp.New(context.Background(), opts...)
	if err != nil {
		return nil, fmt.Errorf("observe: tracing: %w", err)
	}
	sample := sdk.TraceIDRatioBased(float64(c.Sample))
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(&reporter{SpanExporter: exporter, o: o}, sdk.WithExportTimeout(exportTimeout)),
		sdk.WithSampler(sdk.ParentBased(sample, sdk.WithRemoteParentSampled(&forced{Sampler: sample, now: time.Now}))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", c.ServiceName), attribute.String("service.version", o.version),
		)),
	)
	return &tracer{provider: p, tracer: p.Tracer("github.com/soapward/soapward/gateway")}, nil
}

// close sends what is not yet sent.
func (t *tracer) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// forced takes requests that their client wants to have traced, so many in a
// second. Anybody may write a traceparent.
type forced struct {
	sdk.Sampler // for those beyond
	now         func() time.Time

	mu     sync.Mutex
	second int64
	count  int
}

// ShouldSample implements sdk.Sampler.
func (f *forced) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	f.mu.Lock()
	if second := f.now().Unix(); second != f.second {
		f.second, f.count = second, 0
	}
	f.count++
	ok := f.count <= maxForced
	f.mu.Unlock()
	if !ok {
		return f.Sampler.ShouldSample(p)
	}
	return sdk.SamplingResult{Decision: sdk.RecordAndSample, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// reporter logs, now and then, that a collector takes no spans. The library would
// tell the whole process.
type reporter struct {
	sdk.SpanExporter
	o    *Observer
	mu   sync.Mutex
	told time.Time
}

// ExportSpans implements sdk.SpanExporter.
func (r *reporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	r.o.metrics.exportsFailed.Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.told) >= complain {
		r.told = now
		r.o.logger.LogAttrs(ctx, slog.LevelWarn, "spans are dropped: the collector does not take them", slog.String("cause", clip(err.Error(), maxText)))
	}
	return nil
}

var w3c propagation.TraceContext

// span is that of a request.
type span struct{ trace.Span }

// begin begins the span of a request, within that of the client if it has one,
// and writes it into the request's header, for whoever the request is passed on
// to.
func (t *tracer) begin(ctx context.Context, r *http.Request) (context.Context, *span) {
	carrier := propagation.HeaderCarrier(r.Header)
	ctx, s := t.tracer.Start(w3c.Extract(ctx, carrier), "request", trace.WithSpanKind(trace.SpanKindServer))
	w3c.Inject(ctx, carrier)
	if !s.IsRecording() {
		return ctx, nil
	}
	return authn.WithSpans(ctx, t), &span{s}
}

// end ends the span of a request that is over.
func (s *span) end(q *request, r *http.Request) {
	t := &q.trail
	method := methodOf(r.Method)
	name := method
	if t.Service != "" {
		name += " " + t.Service
	}
	s.SetName(name)
	as := append(make([]attribute.KeyValue, 0, 16),
		attribute.String("http.request.method", method), attribute.Int("http.response.status_code", q.status),
		attribute.String("url.path", printable(pathOf(r), maxText)), attribute.String("server.address", printable(r.Host, maxText)),
		attribute.String("soapward.ref", t.Ref), attribute.String("soapward.direction", string(t.Direction)),
	)
	text := func(k, v string) {
		if v != "" {
			as = append(as, attribute.String(k, printable(v, maxText)))
		}
	}
	text("soapward.service", t.Service)
	text("soapward.operation", t.Operation)
	if t.Identity != nil {
		text("soapward.mechanism", t.Identity.Mechanism)
	}
	text("soapward.refusal", t.Refusal)
	text("soapward.as", t.As)
	text("soapward.backend", t.Backend)
	if t.DoubleHop {
		as = append(as, attribute.Bool("soapward.double_hop", true))
	}
	s.SetAttributes(as...)
	if q.status >= 500 || q.aborted {
		s.SetStatus(codes.Error, t.Refusal)
	}
	s.End()
}

var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch,
	http.MethodOptions, http.MethodConnect, http.MethodTrace,
}

// methodOf bounds what a client may call its method.
func methodOf(m string) string {
	if slices.Contains(methods, m) {
		return m
	}
	return "_OTHER"
}

var _ authn.Spans = (*tracer)(nil)

// asked are spans in which somebody else is asked.
var asked = []string{authn.SpanKDC, authn.SpanNetlogon, authn.SpanLDAP, authn.SpanUpstream}

// Start implements authn.Spans.
func (t *tracer) Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error)) {
	kind := trace.SpanKindInternal
	if slices.Contains(asked, name) {
		kind = trace.SpanKindClient
	}
	as := make([]attribute.KeyValue, len(attrs))
	for i, a := range attrs {
		key := "soapward." + a.Key
		if a.Key == "server" {
			key = "server.address"
		}
		as[i] = attribute.String(key, printable(a.Value.Resolve().String(), maxText))
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(as...))
	return ctx, func(err error) {
		if err != nil {
			s.SetStatus(codes.Error, errorOf(err))
		}
		s.End()
	}
}

// SetHeader implements authn.Spans.
func (t *tracer) SetHeader(ctx context.Context, h http.Header) {
	w3c.Inject(ctx, propagation.HeaderCarrier(h))
}

// errorOf is what a span says of an error: the reason of a refusal, since its
// text may have what the client sent.
func errorOf(err error) string {
	var (
		refused   *authn.RefusedError
		blocked   *authn.BlockedError
		delegated *delegation.Error
	)
	switch {
	case errors.As(err, &refused):
		return string(refused.Reason)
	case errors.As(err, &blocked):
		return string(authn.OutcomeBlocked)
	case errors.As(err, &delegated):
		return string(delegated.Reason)
	case errors.Is(err, authn.ErrBadCredentials):
		return string(authn.OutcomeRefused)
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return printable(err.Error(), maxText)
}
