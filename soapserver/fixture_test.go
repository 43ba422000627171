package soapserver_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// text is a wire type with one value, such as the generator makes.
type text struct{ V string }

func (x *text) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: "urn:x", Local: "v"}, x.V)
	w.End()
}

func (x *text) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is("urn:x", "v") {
			x.V = r.Text()
		} else {
			r.Unknown()
		}
	}
}

// tooMuch is a typed fault detail.
type tooMuch struct{ text }

func (x *tooMuch) Error() string        { return "too much: " + x.V }
func (x *tooMuch) DetailName() xml.Name { return xml.Name{Space: "urn:x", Local: "tooMuch"} }

func operation(name string) *soap.Operation {
	return &soap.Operation{
		Service: "{urn:x}Test", Name: name, Action: "urn:x/" + name,
		Input: xml.Name{Space: "urn:x", Local: name}, Output: xml.Name{Space: "urn:x", Local: name + "Response"},
	}
}

var session = xml.Name{Space: "urn:x", Local: "session"}

// newService serves a handful of operations and logs to the buffer.
func newService(t *testing.T) (*soapserver.Service, *logs) {
	t.Helper()
	l := &logs{}
	s := &soapserver.Service{Logger: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	echo := operation("echo")
	echo.Headers = []xml.Name{session}
	soapserver.Handle(s, echo, func(ctx context.Context, req *text) (*text, error) {
		call := soapserver.FromContext(ctx)
		if h, ok := call.Header(session); ok {
			var v text
			if err := h.Decode(&v); err != nil {
				return nil, err
			}
			call.Reply(soap.Header{Name: session, Value: &v})
			return &text{req.V + " in " + v.V}, nil
		}
		return &text{req.V}, nil
	})
	soapserver.Handle(s, operation("delete"), func(context.Context, *text) (*text, error) { return &text{"deleted"}, nil })
	soapserver.Handle(s, operation("fail"), func(_ context.Context, req *text) (*text, error) {
		switch req.V {
		case "fault":
			return nil, soap.Faultf(soap.CodeClient, "chosen text")
		case "detail":
			return nil, &tooMuch{text{"7"}}
		case "panic":
			panic("secret in a panic")
		case "nil":
			return nil, nil
		case "illegal":
			return &text{"\x01"}, nil
		case "illegal fault":
			return nil, soap.Faultf(soap.CodeClient, "\x01")
		}
		return nil, errors.New("secret: " + req.V)
	})
	notify := operation("notify")
	notify.OneWay = true
	soapserver.HandleOneWay(s, notify, func(_ context.Context, req *text) error {
		if req.V == "bad" {
			return soap.Faultf(soap.CodeClient, "refused")
		}
		return nil
	})
	ping := &soap.Operation{Service: "{urn:x}Test", Name: "ping", Action: "urn:x/ping"}
	soapserver.Handle(s, ping, func(context.Context, *wire.Empty) (*wire.Empty, error) { return &wire.Empty{}, nil })
	bare := operation("bare")
	bare.Action = ""
	soapserver.Handle(s, bare, func(context.Context, *text) (*text, error) { return &text{"bare"}, nil })
	for _, n := range []string{"one", "two"} { // same body, told apart by action
		op := operation(n)
		op.Input = xml.Name{Space: "urn:x", Local: "same"}
		soapserver.Handle(s, op, func(context.Context, *text) (*text, error) { return &text{n}, nil })
	}
	return s, l
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	ns11 = "http://schemas.xmlsoap.org/soap/envelope/"
	ns12 = "http://www.w3.org/2003/05/soap-envelope"
)

func envelope(ns, header, body string) string {
	return `<s:Envelope xmlns:s="` + ns + `" xmlns="urn:x">` + header + `<s:Body>` + body + `</s:Body></s:Envelope>`
}

func post(t *testing.T, h http.Handler, body, contentType, action string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/svc", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if action != "" {
		r.Header.Set("SOAPAction", action)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	ct11 = "text/xml; charset=utf-8"
	ct12 = "application/soap+xml; charset=utf-8"
)
