package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/authn"
)

const marked = "marked-token"

// at returns a client of a server that answers as h.
func at(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &client.Client{URL: s.URL, Token: func(context.Context, bool) (authn.Secret, error) { return authn.NewSecret(marked), nil }}
}

// answers writes an answer of a type.
func answers(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server that does not answer is left, with an error that says why and not that
// somebody cancelled it; what takes long by itself has its time.
func TestAdminServerSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client.Client{URL: "https://gw.test", HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}}
		for _, tt := range []struct {
			name string
			do   func(context.Context) error
			want time.Duration
		}{
			{"a list", func(ctx context.Context) error { _, err := c.ListBlocks(ctx); return err }, 3 * time.Minute},
			{"a stream", func(ctx context.Context) error { return c.Follow(ctx, admin.LoginQuery{}, nil) }, 3 * time.Minute},
			{"all passwords", func(ctx context.Context) error { _, err := c.ClearPasswords(ctx); return err }, time.Hour},
		} {
			begun := time.Now()
			err := tt.do(t.Context())
			var lost *client.TransportError
			if !errors.As(err, &lost) || errors.Is(err, context.Canceled) || time.Since(begun) != tt.want {
				t.Errorf("%s: %v after %s, want a TransportError after %s", tt.name, err, time.Since(begun), tt.want)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := tt.do(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s that somebody cancelled: %v", tt.name, err)
			}
		}
	})
}

// A server that answers with something else than a gateway does is told from one
// that refuses.
func TestAttackAdminServerAnswers(t *testing.T) {
	t.Parallel()
	const json = "application/json"
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		want   string
		sentry error
	}{
		{"a page", answers(200, "text/html", "<html>"), "text/html", client.ErrAnswer},
		{"a page that refuses", answers(403, "text/html", "<html>"), "403 Forbidden", client.ErrAnswer},
		{"no type", answers(200, "", "{}"), "Content-Type", client.ErrAnswer},
		{"another type", answers(200, json, `{"users":7}`), "cannot unmarshal", client.ErrAnswer},
		{"no object", answers(200, json, `[]`), "cannot unmarshal", client.ErrAnswer},
		{"half an answer", answers(200, json, `{"users":[`), "unexpected end", client.ErrAnswer},
		{"depth", answers(200, json, strings.Repeat("[", 1_000_000)), "", client.ErrAnswer},
		{"an error of another kind", answers(500, json, `{"error":{"code":7}}`), "500", client.ErrAnswer},
		{"an error that says nothing", answers(500, json, `{}`), "500", client.ErrAnswer},
		{"an error without end", answers(500, json, `{"kind":"x","error":"`+strings.Repeat("x", 1<<20)+`"}`), "500", client.ErrAnswer},
		{"informal", answers(299, json, `null`), "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := at(t, tt.h).ListUsers(t.Context(), admin.UserQuery{})
			var refused *admin.Error
			var transport *client.TransportError
			switch {
			case tt.sentry == nil && err == nil:
			case errors.As(err, &refused), !errors.As(err, &transport), !errors.Is(err, tt.sentry), !strings.Contains(err.Error(), tt.want):
				t.Errorf("%v; want %v with %q", err, tt.sentry, tt.want)
			case len(err.Error()) > 600:
				t.Errorf("%d bytes of error", len(err.Error()))
			}
		})
	}
}

// An answer without end is read up to a bound.
func TestAttackAdminServerFloods(t *testing.T) {
	t.Parallel()
	flood := func(media, begin string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, err := io.WriteString(w, begin)
			for chunk := strings.Repeat(" ", 1<<16); err == nil; {
				_, err = io.WriteString(w, chunk)
			}
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := at(t, flood("application/json", `{"users":`)).ListUsers(t.Context(), admin.UserQuery{})
	if !errors.Is(err, client.ErrAnswer) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a page: %v", err)
	}
	_, err = at(t, flood("application/jsonl", `{"progress":`)).Synchronise(t.Context(), "corp", admin.SyncOptions{}, nil)
	if !errors.Is(err, client.ErrAnswer) || !strings.Contains(err.Error(), "a line of more than") {
		t.Errorf("a line: %v", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<30 {
		t.Errorf("%d MiB were used", grown>>20)
	}
}

// The token and passwords go to the server that was named, and nowhere else.
func TestAttackAdminTokenLedAway(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := at(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL+"/?x="+marked, status) })
		c.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
		for name, call := range map[string]func() error{
			"list":     func() error { _, err := c.ListUsers(t.Context(), admin.UserQuery{}); return err },
			"password": func() error { _, err := c.SetPassword(t.Context(), "x", admin.NewPassword{}); return err },
			"sync":     func() error { _, err := c.Synchronise(t.Context(), "x", admin.SyncOptions{}, nil); return err },
		} {
			if err := call(); !errors.Is(err, client.ErrRedirect) {
				t.Errorf("%d, %s: %v", status, name, err)
			}
		}
	}
	if n := stolen.Load(); n != 0 {
		t.Errorf("%d requests came to another server", n)
	}
}

func TestAttackAdminPlainHTTP(t *testing.T) {
	t.Parallel()
	sent := false
	c := &client.Client{HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		sent = true
		return nil, errors.New("sent")
	})}}
	for _, tt := range []struct{ url, want string }{
		{"http://gw.corp.test:9180", "plain HTTP"},
		{"http://127.0.0.1.evil.test", "plain HTTP"},
		{"http://localhost.evil.test", "plain HTTP"},
		{"http://192.0.2.1", "plain HTTP"},
		{"http://[::ffff:192.0.2.1]:1", "plain HTTP"},
		{"http://0.0.0.0", "plain HTTP"},
		{"https://user:pass@gw.corp.test", "nothing else"},
		{"https://gw.corp.test/path", "nothing else"},
		{"https://gw.corp.test?x", "nothing else"},
		{"https://gw.corp.test#x", "nothing else"},
		{"gw.corp.test", "want https://"},
		{"gw.corp.test:9180", "not the address"},
		{"//gw.corp.test", "want https://"},
		{"ftp://gw.corp.test", "want https://"},
		{"file:///etc/passwd", "want https://"},
		{"https://", "want https://"},
		{"", "want https://"},
		{"https://gw\x00", "not the address"},
	} {
		c.URL = tt.url
		if _, err := c.ListUsers(t.Context(), admin.UserQuery{}); err == nil || sent || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s: %v", tt.url, err)
		}
	}
	for url, want := range map[string]string{
		"https://GW.corp.test/": "https://gw.corp.test", "https://gw.corp.test:443": "https://gw.corp.test", "https://gw.corp.test:9180": "https://gw.corp.test:9180",
		"http://127.0.0.1:9180": "http://127.0.0.1:9180", "http://localhost": "http://localhost", "http://[::1]:80": "http://[::1]", "https://[2001:DB8::1]:8443": "https://[2001:db8::1]:8443",
	} {
		if got, err := client.CheckURL(url); got != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", url, got, err, want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A token that is refused is renewed once, and the request is sent again with its
// body.
func TestRenew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		good     string
		status   int
		requests int
		renewals int
		kind     admin.Kind
	}{
		{"the first is good", "Bearer t0", 401, 1, 0, ""},
		{"the second is good", "Bearer t1", 401, 2, 1, ""},
		{"none is good", "Bearer no", 401, 2, 1, "unauthenticated"},
		{"forbidden is not a matter of the token", "Bearer no", 403, 1, 0, "unauthenticated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var requests, renewals int
			c := at(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				if b, _ := io.ReadAll(r.Body); !strings.Contains(string(b), `"name":"carol"`) {
					t.Errorf("the body is %q", b)
				}
				if r.Header.Get("Authorization") != tt.good {
					answers(tt.status, "application/json", `{"kind":"unauthenticated","error":"no"}`)(w, r)
					return
				}
				answers(201, "application/json", `{"name":"carol"}`)(w, r)
			})
			c.Token = func(_ context.Context, renew bool) (authn.Secret, error) {
				if renew {
					renewals++
				}
				return authn.NewSecret(fmt.Sprint("t", renewals)), nil
			}
			u, err := c.AddUser(t.Context(), admin.NewUser{Name: "carol"})
			var e *admin.Error
			if tt.kind == "" && (err != nil || u.Name != "carol") || tt.kind != "" && (!errors.As(err, &e) || e.Kind != tt.kind) {
				t.Errorf("%v, %v", u, err)
			}
			if requests != tt.requests || renewals != tt.renewals {
				t.Errorf("%d requests and %d renewals", requests, renewals)
			}
		})
	}
	c := at(t, answers(200, "application/json", "{}"))
	no := errors.New("not logged in")
	c.Token = func(context.Context, bool) (authn.Secret, error) { return authn.Secret{}, no }
	if _, err := c.Roles(t.Context()); !errors.Is(err, no) {
		t.Errorf("%v", err)
	}
}

// Streams that break off are not taken for the whole, and end with their reader.
func TestStreams(t *testing.T) {
	t.Parallel()
	const lines = "application/jsonl"
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"no summary":       {answers(200, lines, `{"progress":{"done":1,"total":2}}`+"\n"), "ended without a summary"},
		"nothing":          {answers(200, lines, ""), "ended without a summary"},
		"half a line":      {answers(200, lines, `{"progress":`), "unexpected end|EOF"},
		"no JSON":          {answers(200, lines, "<html>\n"), "invalid character"},
		"no lines":         {answers(200, "application/json", "{}"), "Content-Type"},
		"an error at once": {answers(409, "application/json", `{"kind":"conflict","error":"another node does"}`), "another node does"},
		"an error later":   {answers(200, lines, "\n\n"+`{"error":{"kind":"refused","error":"too many"}}`+"\n"), "too many"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", lines)
			_, _ = io.WriteString(w, `{"progress":{"done":1,"total":2}}`+"\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sum, err := at(t, tt.h).Synchronise(t.Context(), "corp", admin.SyncOptions{}, nil)
			found := false
			for want := range strings.SplitSeq(tt.want, "|") {
				found = found || err != nil && strings.Contains(err.Error(), want)
			}
			if sum != nil || !found {
				t.Errorf("%v, %v; want %q", sum, err, tt.want)
			}
		})
	}

	left := make(chan struct{})
	hanging := at(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", lines)
		_, _ = io.WriteString(w, `{"id":1}`+"\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithCancel(t.Context())
	err := hanging.Follow(ctx, admin.LoginQuery{}, func(l admin.Login) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the server does not see that the client left")
	}
	enough := errors.New("enough")
	fake := &admintest.Fake{}
	fake.Answer = func(_ context.Context, _ string, args []any) (any, error) {
		q := admintest.Fill[admin.LoginQuery]()
		q.Ref, q.Since, q.Until, q.After, q.Limit = "", time.Time{}, time.Time{}, "", 1000
		if got := args[0]; got == (admin.LoginQuery{Limit: 1}) {
			return &admin.LoginPage{}, nil // where it begins
		} else if got != q {
			t.Errorf("asked %+v, want %+v", got, q)
		}
		return &admin.LoginPage{Logins: []admin.Login{{ID: 7, User: "x"}}}, nil
	}
	err = gateway(t, fake).Follow(t.Context(), admintest.Fill[admin.LoginQuery](), func(l admin.Login) error {
		if l.ID != 7 || l.User != "x" {
			t.Errorf("got %+v", l)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("following ended with %v", err)
	}
}

// Tokens and passwords are in no error.
func TestAttackAdminTokenInError(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(nil)
	refusing.Close()
	for name, c := range map[string]*client.Client{
		"nobody there": {URL: refusing.URL},
		"no TLS":       {URL: strings.Replace(refusing.URL, "http:", "https:", 1)},
		"echoed":       at(t, func(w http.ResponseWriter, r *http.Request) { answers(200, "text/html", "")(w, r) }),
	} {
		c.Token = func(context.Context, bool) (authn.Secret, error) { return authn.NewSecret(marked), nil }
		_, err := c.AddUser(t.Context(), admin.NewUser{Name: "x", Password: authn.NewSecret(marked)})
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "error", err)
		if err == nil || strings.Contains(err.Error()+log.String(), marked) {
			t.Errorf("%s: %v", name, err)
		}
		if want := name == "nobody there" || name == "no TLS"; client.Unreachable(err) != want {
			t.Errorf("%s: unreachable is %v, %v", name, !want, err)
		}
	}
}
