package observe

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/trail"
)

// otlpCollector takes spans as a collector of OpenTelemetry does.
type otlpCollector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	raw   bytes.Buffer
	of    string // service.name
}

func newCollector(t *testing.T) *otlpCollector {
	t.Helper()
	c := new(otlpCollector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		b, err := io.ReadAll(body)
		m := new(collector.ExportTraceServiceRequest)
		if err == nil {
			err = proto.Unmarshal(b, m)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("collector got %s %s: %v", r.URL.Path, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(b)
		for _, rs := range m.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				if a.Key == "service.name" {
					c.of = a.Value.GetStringValue()
				}
			}
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// tree is what came, each span below the one that it is within.
func (c *otlpCollector) tree(root string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	var walk func(parent, indent string)
	walk = func(parent, indent string) {
		var names []string
		for _, s := range c.spans {
			if fmt.Sprintf("%x", s.ParentSpanId) == parent {
				status := ""
				if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
					status = " error: " + s.Status.Message
				}
				kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
				names = append(names, fmt.Sprintf("%s|%x", indent+s.Name+" "+kind+status, s.SpanId))
			}
		}
		slices.Sort(names)
		for _, n := range names {
			name, id, _ := strings.Cut(n, "|")
			out = append(out, name)
			walk(id, indent+"  ")
		}
	}
	walk(root, "")
	return out
}

func (c *otlpCollector) find(t *testing.T, name string) *otlp.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %s", name)
	return nil
}

// asking is an authenticator that asks a KDC, and lets alice in.
type asking struct{}

func (asking) Authenticate(r *http.Request) (*authn.Result, error) {
	if _, _, sent := authn.Authorization(r); !sent {
		return nil, authn.ErrNoCredentials
	}
	_, end := authn.StartSpan(r.Context(), authn.SpanKDC, slog.String("realm", "CORP.TEST"))
	end(errors.New("no KDC answered"))
	if r.Header.Get("Authorization") == "Test marked-token" {
		return &authn.Result{Identity: alice, Fresh: true}, nil
	}
	return nil, &authn.RefusedError{Mechanism: "Test", Reason: authn.ReasonReplay, Err: errors.New("marked-token")}
}
func (asking) Challenges(*http.Request) []authn.Challenge { return nil }

// A request that a client traces is a tree of spans at the collector: the client's,
// ours with the login and the KDC within it, and the way to the upstream, which is
// told to which span it belongs.
func TestTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	ob, _, dir := observer(t, fmt.Sprintf("access_log: {file: off}\ntracing: {otlp: %q, sample: 0, service_name: gw}", c.URL), Options{})
	var passedOn string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { passedOn = r.Header.Get("Traceparent") }))
	defer upstream.Close()
	mw := &authn.Middleware{Authenticators: []authn.Authenticator{asking{}}, Logger: slog.New(slog.DiscardHandler), Observe: ob.Login}
	client := &http.Client{Transport: new(authclient.Transport)}
	h := ob.Wrap(trail.Inbound, ":443", mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr := trail.From(r.Context())
		tr.Service, tr.Operation, tr.Identity = "hr", "{urn:hr}Pay", alice
		out, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, upstream.URL, nil)
		out.Header.Set("Traceparent", r.Header.Get("Traceparent")) // as a proxy copies it
		resp, err := client.Do(out)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
	})))
	const parent = "00f067aa0ba902b7"
	request := func(authorization, flags string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/hr/?q=marked-token", nil)
		r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-"+parent+"-"+flags)
		r.Header.Set("Tracestate", "vendor=1")
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Cookie", "marked-token")
		return r
	}
	h.ServeHTTP(httptest.NewRecorder(), request("Test marked-token", "01"))
	sampled := passedOn
	h.ServeHTTP(httptest.NewRecorder(), request("Test marked-token-wrong", "01"))
	h.ServeHTTP(httptest.NewRecorder(), request("Test marked-token", "00")) // not to be traced
	notSampled := passedOn
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) // nobody decided
	if err := ob.Reconfigure(parse(t, dir, "access_log: {file: off}")); err != nil {   // sends what there is
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	want := []string{
		"POST hr server", "  login internal", "    kdc client error: no KDC answered", "  upstream client",
		"POST server", "  login internal error: replay", "    kdc client error: no KDC answered",
	}
	var got []string
	for time.Now().Before(deadline) {
		if got = c.tree(parent); len(got) >= len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	up := c.find(t, "upstream")
	if want := fmt.Sprintf("00-4bf92f3577b34da6a3ce929d0e0e4736-%x-01", up.SpanId); sampled != want {
		t.Errorf("the upstream got traceparent %q, want %q", sampled, want)
	}
	if !strings.HasPrefix(notSampled, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || !strings.HasSuffix(notSampled, "-00") {
		t.Errorf("the upstream of a request that is not traced got %q", notSampled)
	}
	attributes := make(map[string]string)
	for _, a := range c.find(t, "POST hr").Attributes {
		attributes[a.Key] = strings.Trim(fmt.Sprint(a.Value.GetStringValue(), a.Value.GetIntValue()), " ")
	}
	for k, v := range map[string]string{
		"http.request.method": "POST", "url.path": "/hr/", "soapward.service": "hr", "soapward.operation": "{urn:hr}Pay", "soapward.mechanism": "Kerberos",
	} {
		if !strings.HasPrefix(attributes[k], v) {
			t.Errorf("%s is %q, want %q; all: %v", k, attributes[k], v, attributes)
		}
	}
	if c.of != "gw" {
		t.Errorf("service %q, want gw", c.of)
	}
	for _, secret := range []string{"marked-token", "alice"} {
		if strings.Contains(c.raw.String(), secret) {
			t.Errorf("%s is in the spans", secret)
		}
	}
}

// Without tracing, what a client says of its trace is passed on as it came.
func TestTraceOff(t *testing.T) {
	t.Parallel()
	ob, _, _ := observer(t, "access_log: {file: off}", Options{})
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", parent)
	ob.Wrap(trail.Inbound, ":443", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Traceparent"); got != parent {
			t.Errorf("traceparent %q", got)
		}
		if ctx, _ := authn.StartSpan(r.Context(), "x"); ctx != r.Context() {
			t.Error("there is a span")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// A collector that is away, or never answers, costs requests nothing, and is told
// of in the log now and then.
func TestTraceCollectorAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	ob, log, _ := observer(t, fmt.Sprintf("access_log: {file: off}\ntracing: {otlp: %q, sample: 1}", url), Options{})
	h := ob.Wrap(trail.Inbound, ":443", http.NotFoundHandler())
	begin := time.Now()
	for range 5000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	if d := time.Since(begin); d > time.Minute { // some seconds on a machine that has much to do
		t.Errorf("5000 requests took %v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_ = ob.Close(ctx)
	for range 500 {
		if strings.Contains(log.String(), "collector does not take them") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := strings.Count(log.String(), "collector does not take them"); n != 1 {
		t.Errorf("%d lines in the log, want one: %s", n, log)
	}
}

// Anybody may write a traceparent that asks to be traced. So many a second are.
func TestAttackForcedTraces(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &forced{Sampler: sdk.NeverSample(), now: func() time.Time { return now }}
	traced := func(n int) (got int) {
		for range n {
			if f.ShouldSample(sdk.SamplingParameters{ParentContext: t.Context()}).Decision == sdk.RecordAndSample {
				got++
			}
		}
		return got
	}
	if got := traced(10 * maxForced); got != maxForced {
		t.Errorf("%d traced in a second, want %d", got, maxForced)
	}
	now = now.Add(time.Second)
	if got := traced(10); got != 10 {
		t.Errorf("%d of 10 traced in the next second", got)
	}

	c := newCollector(t)
	ob, _, _ := observer(t, fmt.Sprintf("access_log: {file: off}\ntracing: {otlp: %q, sample: 0}", c.URL), Options{})
	forcedHere := 0
	h := ob.Wrap(trail.Inbound, ":443", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if ctx, _ := authn.StartSpan(r.Context(), "x"); ctx != r.Context() {
			forcedHere++
		}
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	begin := time.Now()
	for range 10 * maxForced {
		r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if most := maxForced * (int(time.Since(begin)/time.Second) + 2); forcedHere > most || forcedHere < maxForced {
		t.Errorf("%d of %d requests are traced, want at most %d", forcedHere, 10*maxForced, most)
	}
}
