package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// spanLog notes spans as they end, with the one around each.
type spanLog struct{ ended []string }

type spanOf struct{}

func (s *spanLog) Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error)) {
	around, _ := ctx.Value(spanOf{}).(string)
	return context.WithValue(ctx, spanOf{}, name), func(err error) {
		s.ended = append(s.ended, fmt.Sprint(around, ">", name, attrs, " ", err))
	}
}

func (s *spanLog) SetHeader(ctx context.Context, h http.Header) {
	h.Set("Traceparent", fmt.Sprint(ctx.Value(spanOf{})))
}

func TestStartSpan(t *testing.T) {
	t.Parallel()
	log := new(spanLog)
	ctx, endLogin := StartSpan(WithSpans(t.Context(), log), SpanLogin)
	inner, endKDC := StartSpan(ctx, SpanKDC, slog.String("realm", "CORP.TEST"))
	h := http.Header{}
	SetSpanHeader(inner, h)
	endKDC(errors.New("down"))
	endLogin(nil)
	if want := []string{"login>kdc[realm=CORP.TEST] down", ">login[] <nil>"}; !slices.Equal(log.ended, want) {
		t.Errorf("spans %q, want %q", log.ended, want)
	}
	if got := h.Get("Traceparent"); got != SpanKDC {
		t.Errorf("header %q, want %q", got, SpanKDC)
	}
}

// Where nobody wants to know, a span costs no memory.
func TestStartSpanUnset(t *testing.T) {
	ctx := t.Context()
	h := http.Header{}
	if n := testing.AllocsPerRun(100, func() {
		inner, end := StartSpan(ctx, SpanKDC, slog.String("realm", "CORP.TEST"), slog.String("server", "dc1"))
		SetSpanHeader(inner, h)
		end(nil)
		if inner != ctx {
			t.Error("another context")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if len(h) != 0 {
		t.Errorf("header %v, want none", h)
	}
}

// spanning is an authenticator with a span of its own, that refuses.
type spanning struct{}

func (spanning) Authenticate(r *http.Request) (*Result, error) {
	_, end := StartSpan(r.Context(), SpanKDC)
	end(nil)
	if _, _, sent := Authorization(r); !sent {
		return nil, ErrNoCredentials
	}
	return nil, &RefusedError{Mechanism: "Test", Reason: ReasonReplay}
}
func (spanning) Challenges(*http.Request) []Challenge { return nil }

// A login is a span around what the authenticators do, and how long it took is
// told. A first request without credentials is no error.
func TestMiddlewareSpan(t *testing.T) {
	t.Parallel()
	log := new(spanLog)
	var decided []*Decision
	m := &Middleware{
		Authenticators: []Authenticator{spanning{}}, Logger: slog.New(slog.DiscardHandler),
		Observe: func(_ context.Context, d *Decision) { decided = append(decided, d) },
	}
	h := m.Wrap(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(WithSpans(r.Context(), log))
	h.ServeHTTP(httptest.NewRecorder(), r)
	r.Header.Set("Authorization", "Test x")
	h.ServeHTTP(httptest.NewRecorder(), r)
	refused := fmt.Sprint(">login[] ", &RefusedError{Mechanism: "Test", Reason: ReasonReplay})
	want := []string{"login>kdc[] <nil>", ">login[] <nil>", "login>kdc[] <nil>", refused}
	if !slices.Equal(log.ended, want) {
		t.Errorf("spans %q, want %q", log.ended, want)
	}
	if len(decided) != 1 || decided[0].Duration <= 0 {
		t.Errorf("decisions %+v, want one with its duration", decided)
	}
}
