package soapserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

type userKey struct{}

func userOf(ctx context.Context) string {
	u, _ := ctx.Value(userKey{}).(string)
	return u
}

// run calls an operation through one interceptor.
func run(ctx context.Context, ic soapserver.Interceptor, op *soap.Operation, req any, fn soapserver.Func) (any, error) {
	return ic(fn)(ctx, op, req)
}

func TestObserveAndLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, result string }{
		{"ok", "<echo><v>1</v></echo>", "ok"},
		{"chosen fault", "<fail><v>fault</v></fail>", "fault"},
		{"declared fault", "<fail><v>detail</v></fail>", "fault"},
		{"internal", "<fail><v>x</v></fail>", "error"},
		{"panic", "<fail><v>panic</v></fail>", "panic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t)
			var mu sync.Mutex
			var got []string
			var l logs
			s.Interceptors = []soapserver.Interceptor{
				soapserver.LogCalls(slog.New(slog.NewTextHandler(&l, nil)), func(context.Context) string { return `CORP\alice` }),
				soapserver.Observe(func(_ context.Context, o soapserver.Outcome) {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, o.Operation.Name+" "+o.Result())
				}),
			}
			post(t, s, envelope(ns11, "", tt.body), ct11, "")
			op, _, _ := strings.Cut(tt.body[1:], ">")
			if len(got) != 1 || got[0] != op+" "+tt.result {
				t.Errorf("observed %q", got)
			}
			line := l.String()
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, "op={urn:x}"+op+` user=CORP\\alice result=`+tt.result+" dur=") && !strings.Contains(line, "op={urn:x}"+op+` user=CORP\alice result=`+tt.result+" dur=") {
				t.Errorf("logged %s", line)
			}
			if strings.Contains(line, "secret") {
				t.Errorf("the line tells more than it should: %s", line)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ic := soapserver.Timeouts(time.Second, map[string]time.Duration{"{urn:x}slow": time.Minute, "endless": 0})
		wait := func(ctx context.Context, _ *soap.Operation, _ any) (any, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Hour):
				return &text{"done"}, nil
			}
		}
		for _, tt := range []struct {
			op    string
			after time.Duration
		}{{"quick", time.Second}, {"slow", time.Minute}, {"endless", time.Hour}} {
			begin := time.Now()
			_, err := run(t.Context(), ic, operation(tt.op), &text{}, wait)
			if d := time.Since(begin); d != tt.after {
				t.Errorf("%s ended after %s", tt.op, d)
			}
			var f *soap.Fault
			if tt.op != "endless" && (!errors.As(err, &f) || f.Reason != "the operation took too long" || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("%s: %v", tt.op, err)
			}
		}
		// A caller who gives up is not told that the operation took too long.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := run(ctx, ic, operation("quick"), &text{}, wait); err != context.Canceled {
			t.Errorf("got %v", err)
		}
	})
}

// checked is a message with a Validate method, such as the generator makes.
type checked struct{ text }

func (x *checked) Validate() error {
	if x.V == "bad" {
		return errors.New("checked.V: not one of the values")
	}
	return nil
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
		ran        bool
	}{
		{"valid", "<twice><v>good</v></twice>", 200, ">good<", true},
		{"request", "<twice><v>bad</v></twice>", 500, "invalid request: checked.V: not one of the values", false},
		{"answer", "<twice><v>turn bad</v></twice>", 500, "internal error (reference ", true},
	} {
		s, l := newService(t)
		ran := false
		soapserver.Handle(s, operation("twice"), func(_ context.Context, req *checked) (*checked, error) {
			ran = true
			return &checked{text{strings.TrimPrefix(req.V, "turn ")}}, nil
		})
		s.Interceptors = []soapserver.Interceptor{soapserver.Validate}
		w := post(t, s, envelope(ns11, "", tt.body), ct11, "")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || ran != tt.ran {
			t.Errorf("%s: %d %s, ran %v; log %s", tt.name, w.Code, w.Body, ran, l)
		}
		if tt.name == "answer" && !strings.Contains(l.String(), "checked.V") {
			t.Errorf("log %s", l)
		}
	}
}

func TestRequireRoles(t *testing.T) {
	t.Parallel()
	table := soapserver.Roles{
		"{urn:x}echo": {"reader", "writer"},
		"echo":        {"nobody"},
		"delete":      {"writer"},
		"ping":        {soapserver.AnyCaller},
		"bare":        {},
	}
	has := func(ctx context.Context, role string) bool { return userOf(ctx) == role }
	ic := soapserver.RequireRoles(table, has)
	for _, tt := range []struct {
		user, op string
		in       bool
	}{
		{"reader", "echo", true}, {"writer", "echo", true}, {"nobody", "echo", false}, {"", "echo", false},
		{"reader", "delete", false}, {"writer", "delete", true},
		{"", "ping", true},
		{"writer", "bare", false}, {"", "bare", false},
		{"writer", "notify", false}, {"*", "notify", false}, {"*", "delete", false},
	} {
		ctx := context.WithValue(t.Context(), userKey{}, tt.user)
		_, err := run(ctx, ic, operation(tt.op), &text{}, func(context.Context, *soap.Operation, any) (any, error) { return &wire.Empty{}, nil })
		if (err == nil) != tt.in {
			t.Errorf("%q at %s: %v", tt.user, tt.op, err)
		}
		var d *soapserver.DeniedError
		if err != nil && (!errors.As(err, &d) || d.Operation != "{urn:x}"+tt.op) {
			t.Errorf("%q at %s: %v", tt.user, tt.op, err)
		}
	}

	// What the caller sees, and what the log does.
	s, l := newService(t)
	s.Interceptors = []soapserver.Interceptor{ic}
	w := post(t, s, envelope(ns12, "", "<delete/>"), ct12, "")
	body := w.Body.String()
	_, ref, ok := strings.Cut(body, "access denied (reference ")
	if w.Code != 403 || !ok || !strings.Contains(body, ":Sender<") || strings.Contains(body, "writer") {
		t.Errorf("%d %s", w.Code, body)
	}
	if ref, _, _ := strings.Cut(ref, ")"); ref == "" || !strings.Contains(l.String(), "ref="+ref) || !strings.Contains(l.String(), "needs one of the roles writer") {
		t.Errorf("log %s of %s", l, body)
	}

	err := table.Check(s.Operations())
	if err == nil || !strings.Contains(err.Error(), "nobody can call {urn:x}fail, {urn:x}notify, {urn:x}one, {urn:x}two") {
		t.Errorf("got %v", err)
	}
	table = soapserver.Roles{"ech": {"a"}}
	for _, op := range s.Operations() {
		table[op.Name] = []string{"a"}
	}
	if err := table.Check(s.Operations()); err == nil || err.Error() != "soapserver: roles: there is no operation ech" {
		t.Errorf("got %v", err)
	}
	delete(table, "ech")
	if err := table.Check(s.Operations()); err != nil {
		t.Error(err)
	}
}

// noSuchRight is an error that says that it is a refusal.
type noSuchRight struct{ refused bool }

func (noSuchRight) Error() string  { return "the cause" }
func (e noSuchRight) Denied() bool { return e.refused }

func TestAuthorize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"allowed", nil, 200, ">x<"},
		{"denied", fmt.Errorf("wrapped: %w", noSuchRight{true}), 403, "access denied (reference "},
		{"not a refusal", noSuchRight{false}, 503, "authorization is not available at the moment (reference "},
		{"another error", errors.New("the cause"), 503, "authorization is not available at the moment (reference "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, l := newService(t)
			ran := false
			soapserver.Handle(s, operation("twice"), func(_ context.Context, req *text) (*text, error) {
				ran = true
				return req, nil
			})
			s.Interceptors = []soapserver.Interceptor{soapserver.Authorize(func(_ context.Context, op *soap.Operation) error {
				if op.Name != "twice" {
					t.Errorf("asked for %s", op)
				}
				return tt.err
			})}
			w := post(t, s, envelope(ns11, "", "<twice><v>x</v></twice>"), ct11, "")
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || ran != (tt.err == nil) {
				t.Errorf("%d %s, ran %v; want %d %s", w.Code, w.Body, ran, tt.status, tt.want)
			}
			if strings.Contains(w.Body.String(), "cause") || strings.Contains(l.String(), "the cause") != (tt.err != nil) {
				t.Errorf("the cause is for the log only: %s\nlog %s", w.Body, l)
			}
		})
	}
}
