package soapclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
)

func response(status int, ct, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {ct}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func dial(cause error) error {
	return &url.Error{Op: "Post", URL: "http://h/", Err: &net.OpError{Op: "dial", Net: "tcp", Err: cause}}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	read := &url.Error{Op: "Post", URL: "http://h/", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}
	proxy := &url.Error{Op: "Post", URL: "http://h/", Err: &net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}}
	noName := &url.Error{Op: "Post", URL: "http://h/", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}}
	busy := func(after string) func() (*http.Response, error) {
		return func() (*http.Response, error) { return response(503, "text/plain", "busy", "Retry-After", after), nil }
	}
	fail := func(err error) func() (*http.Response, error) {
		return func() (*http.Response, error) { return nil, err }
	}
	fault := func() (*http.Response, error) {
		return response(500, ct11, envelope(ns11, "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault>")), nil
	}
	tests := []struct {
		name       string
		idempotent bool
		fail       func() (*http.Response, error) // the first two tries
		tries      int
		waits      time.Duration // exactly, if not zero
		limit      time.Duration // of the context
	}{
		{"refused connection", false, fail(dial(syscall.ECONNREFUSED)), 3, 0, 0},
		{"proxy refused", false, fail(proxy), 3, 0, 0},
		{"no such name", false, fail(noName), 1, 0, 0},
		{"broken connection", false, fail(read), 1, 0, 0},
		{"broken connection, idempotent", true, fail(read), 3, 0, 0},
		{"no answer", false, fail(io.ErrUnexpectedEOF), 1, 0, 0},
		{"no answer, idempotent", true, fail(io.ErrUnexpectedEOF), 3, 0, 0},
		{"busy", false, busy("1"), 1, 0, 0},
		{"busy, idempotent", true, busy("1"), 3, 2 * time.Second, 0},
		{"busy for long", true, busy("3600"), 1, 0, 0},
		{"busy beyond the deadline", true, busy("5"), 1, 0, 3 * time.Second},
		{"fault", true, fault, 1, 0, 0},
		{"other error", true, fail(errors.New("certificate is not trusted")), 1, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				told := 0
				c := &soapclient.Client{URL: "http://h/", HTTP: doer(func(r *http.Request) (*http.Response, error) {
					if b, err := io.ReadAll(r.Body); err != nil || len(b) == 0 {
						t.Errorf("try %d sends %q, %v", tries, b, err)
					}
					if tries++; tries < 3 {
						return tt.fail()
					}
					return response(200, ct11, envelope(ns11, "<echoResponse><v>hi</v></echoResponse>")), nil
				})}
				p := soapclient.RetryPolicy{OnRetry: func(context.Context, *soap.Operation, time.Duration, error) { told++ }}
				if tt.idempotent {
					p.Idempotent = func(op *soap.Operation) bool { return op == echo }
				}
				c.Interceptors = []soapclient.Interceptor{soapclient.Retry(p)}
				ctx := t.Context()
				if tt.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
					defer cancel()
				}
				begin := time.Now()
				res, err := soapclient.Call[text, text](ctx, c, echo, &text{"x"})
				if tries != tt.tries || told != tries-1 {
					t.Errorf("%d tries, %d told, %v", tries, told, err)
				}
				if (err == nil) != (tt.tries == 3) || err == nil && res.V != "hi" {
					t.Errorf("got %v, %v", res, err)
				}
				d := time.Since(begin)
				if tt.waits > 0 && d != tt.waits || tt.tries == 1 && d != 0 || d > 10*time.Second {
					t.Errorf("took %s", d)
				}
			})
		})
	}
}

// By default nothing is sent twice.
func TestNoRetryByDefault(t *testing.T) {
	t.Parallel()
	tries := 0
	c := &soapclient.Client{URL: "http://h/", HTTP: doer(func(*http.Request) (*http.Response, error) {
		tries++
		return nil, dial(syscall.ECONNREFUSED)
	})}
	if err := soapclient.Send(t.Context(), c, echo, &text{}); err == nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestClientInterceptors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var results []string
	for _, r := range []*http.Response{
		response(200, ct11, envelope(ns11, "<echoResponse/>")),
		response(500, ct11, envelope(ns11, "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault>")),
		response(404, "text/plain", "x"),
		nil,
	} {
		c := &soapclient.Client{URL: "http://h/", HTTP: doer(func(*http.Request) (*http.Response, error) {
			if r == nil {
				return nil, fmt.Errorf("slow: %w", context.DeadlineExceeded)
			}
			return r, nil
		})}
		c.Interceptors = []soapclient.Interceptor{
			soapclient.LogCalls(slog.New(slog.NewTextHandler(&log, nil))),
			soapclient.Observe(func(_ context.Context, o soapclient.Outcome) {
				results = append(results, o.Operation.Name+" "+o.Result())
			}),
		}
		_, _ = soapclient.Call[text, text](t.Context(), c, echo, &text{})
	}
	if got := strings.Join(results, ", "); got != "echo ok, echo fault, echo http, echo timeout" {
		t.Errorf("observed %s", got)
	}
	for _, want := range []string{"op={urn:x}echo result=ok dur=", "result=fault", `error="soap: fault Server: no"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in %s", want, log.String())
		}
	}
	// An interceptor sees the messages, and can answer itself.
	c := &soapclient.Client{Interceptors: []soapclient.Interceptor{func(soapclient.Func) soapclient.Func {
		return func(_ context.Context, _ *soap.Operation, req wire.Marshaler, res wire.Unmarshaler) error {
			res.(*text).V = "cached " + req.(*text).V
			return nil
		}
	}}}
	if res, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"x"}); err != nil || res.V != "cached x" {
		t.Errorf("got %v, %v", res, err)
	}
}

// checked is a message with a Validate method, such as the generator makes.
type checked struct{ text }

func (x *checked) Validate() error {
	if x.V == "bad" {
		return errors.New("checked.V: not one of the values")
	}
	return nil
}

func TestClientValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, send, answer string
		on                 bool
		sent               bool
		err                string
	}{
		{"off", "bad", "bad", false, true, ""},
		{"valid", "a", "b", true, true, ""},
		{"request", "bad", "b", true, false, "soapclient: echo: invalid request: checked.V: "},
		{"answer", "a", "bad", true, true, "soapclient: echo: invalid answer: checked.V: "},
	} {
		sent := false
		c := &soapclient.Client{URL: "http://h/", Validate: tt.on, HTTP: doer(func(*http.Request) (*http.Response, error) {
			sent = true
			return response(200, ct11, envelope(ns11, "<echoResponse><v>"+tt.answer+"</v></echoResponse>")), nil
		})}
		_, err := soapclient.Call[checked, checked](t.Context(), c, echo, &checked{text{tt.send}})
		if sent != tt.sent || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: sent %v, %v", tt.name, sent, err)
		}
	}
}
