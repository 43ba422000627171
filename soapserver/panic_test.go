package soapserver_test

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// fragile panics when it is read or written.
type fragile struct{}

func (x *fragile) UnmarshalWire(r *wire.Reader) {
	if v, ok := r.Attr("", "panic"); ok {
		panic("secret " + v)
	}
	r.Skip()
}

func (x *fragile) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	panic("secret while writing")
}

func TestPanicsOfCodecsAndInterceptors(t *testing.T) {
	t.Parallel()
	s, l := newService(t)
	soapserver.Handle(s, operation("fragile"), func(_ context.Context, req *fragile) (*fragile, error) { return req, nil })
	for _, body := range []string{`<fragile panic="on read"/>`, `<fragile/>`} {
		w := post(t, s, envelope(ns11, "", body), ct11, "")
		if w.Code != 500 || !strings.Contains(w.Body.String(), "internal error (reference ") || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if log := l.String(); strings.Count(log, "level=ERROR") != 2 || strings.Count(log, "panic_test.go") < 2 {
		t.Errorf("log without stacks: %s", log)
	}
	// The Writer that was interrupted goes on to serve.
	if w := post(t, s, envelope(ns11, "", "<echo><v>hi</v></echo>"), ct11, ""); w.Code != 200 || !strings.Contains(w.Body.String(), ">hi<") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.Interceptors = []soapserver.Interceptor{func(soapserver.Func) soapserver.Func {
		return func(context.Context, *soap.Operation, any) (any, error) { panic(http.ErrAbortHandler) }
	}}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	post(t, s, envelope(ns11, "", "<echo/>"), ct11, "")
}

func TestClientThatGaveUpIsNoAlarm(t *testing.T) {
	t.Parallel()
	s, l := newService(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(envelope(ns11, "", "<fail><v>x</v></fail>"))).WithContext(ctx)
	r.Header.Set("Content-Type", ct11)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if !strings.Contains(l.String(), "level=INFO") {
		t.Errorf("log: %s", l)
	}
}
