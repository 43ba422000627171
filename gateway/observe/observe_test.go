package observe

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// parse reads a configuration that is in dir.
func parse(t testing.TB, dir, text string) *config.Config {
	t.Helper()
	c, err := config.Parse(filepath.Join(dir, "c.yaml"), []byte(text+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// observer returns one with a log, and a directory for its files.
func observer(t testing.TB, text string, o Options) (_ *Observer, log *buffer, dir string) {
	t.Helper()
	log, dir = new(buffer), t.TempDir()
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Version == "" {
		o.Version = "v1.2.3"
	}
	ob, err := New(parse(t, dir, text), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := ob.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return ob, log, dir
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var alice = &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-1104", Mechanism: "Kerberos"}

// The reference is in the answer, whoever writes it, in the request that goes on
// to a backend, in the context and in both logs.
func TestRef(t *testing.T) {
	t.Parallel()
	ob, log, dir := observer(t, `access_log: {file: a.log}`, Options{})
	var seen, backend string
	h := ob.Wrap(trail.Inbound, ":443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, backend = authn.Ref(r.Context()), r.Header.Get(header)
		if got := trail.From(r.Context()).Ref; got != seen {
			t.Errorf("trail has %q, context %q", got, seen)
		}
		w.Header().Add(header, "of-the-backend")
		w.WriteHeader(http.StatusTeapot)
		ob.logger.InfoContext(r.Context(), "x", "ref", seen)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(header, "of-the-client")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if err := ob.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Values(header); len(got) != 1 || got[0] != seen || backend != seen || len(seen) != 10 {
		t.Errorf("client got %q, backend %q, handler %q: want one reference", got, backend, seen)
	}
	for name, text := range map[string]string{"access log": read(t, filepath.Join(dir, "a.log")), "log": log.String()} {
		if !strings.Contains(text, seen) {
			t.Errorf("%s has no %s: %s", name, seen, text)
		}
	}
}

// An outbound request does not tell our references to others.
func TestRefOutbound(t *testing.T) {
	t.Parallel()
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{})
	ob.Wrap(trail.Outbound, ":1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := r.Header[header]; ok {
			t.Errorf("header %q", r.Header)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

// A handler that panics is answered, logged and counted; one that aborts aborts.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		h            http.HandlerFunc
		status       int // zero: the connection breaks
		line, logged string
	}{
		{"at once", func(http.ResponseWriter, *http.Request) { panic("bug with\nlines") }, 500, `"status":500`, `level=ERROR msg=panic`},
		{"after the head", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(200)
			panic("bug")
		}, 0, `"refusal":"panic"`, `level=ERROR msg=panic`},
		{"abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, `"aborted":true`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ob, log, dir := observer(t, `access_log: {file: a.log}`, Options{})
			s := httptest.NewServer(ob.Wrap(trail.Inbound, ":443", tt.h))
			defer s.Close()
			resp, err := http.Get(s.URL)
			status := 0
			if err == nil {
				if _, err = bytes.NewBuffer(nil).ReadFrom(resp.Body); err == nil {
					status = resp.StatusCode
				}
				_ = resp.Body.Close()
			}
			if status != tt.status {
				t.Errorf("status %d, %v; want %d", status, err, tt.status)
			}
			s.Close()
			_ = ob.Close(t.Context())
			if line := read(t, filepath.Join(dir, "a.log")); !strings.Contains(line, tt.line) {
				t.Errorf("access log %s, want %s", line, tt.line)
			}
			if tt.logged == "" && strings.Contains(log.String(), "panic") || !strings.Contains(log.String(), tt.logged) {
				t.Errorf("log %s, want %q", log, tt.logged)
			}
			if strings.Contains(log.String(), "bug") && !strings.Contains(log.String(), "observe_test.go") {
				t.Errorf("log has no stack: %s", log)
			}
		})
	}
}

// A reload keeps the access log of the same name, opens another, and refuses
// what cannot be opened, with the one before in force.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	ob, log, dir := observer(t, `access_log: {file: a.log}`, Options{})
	h := ob.Wrap(trail.Inbound, ":443", http.NotFoundHandler())
	serve := func(path string) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	serve("/one")
	if err := ob.Reconfigure(parse(t, dir, `access_log: {file: b.log}`)); err != nil {
		t.Fatal(err)
	}
	serve("/two")
	if err := ob.Reconfigure(parse(t, dir, `access_log: {file: no/such/directory}`)); err == nil {
		t.Error("a log that cannot be opened is in force")
	}
	serve("/three")
	if err := ob.Reconfigure(parse(t, dir, `access_log: {file: log}`)); err != nil {
		t.Fatal(err)
	}
	serve("/four")
	if err := ob.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ob.Reconfigure(parse(t, dir, `access_log: {file: log}`)); err == nil {
		t.Error("reconfigured after it was closed")
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a.log", read(t, filepath.Join(dir, "a.log")), "/one"},
		{"b.log", read(t, filepath.Join(dir, "b.log")), "/two /three"},
		{"log", log.String(), "/four"},
	} {
		for _, path := range []string{"/one", "/two", "/three", "/four"} {
			if got, want := strings.Contains(tt.text, path), strings.Contains(tt.want, path); got != want {
				t.Errorf("%s: %s is there: %v, want %v", tt.name, path, got, want)
			}
		}
	}
}

func TestReloaded(t *testing.T) {
	t.Parallel()
	ob, log, _ := observer(t, `access_log: {file: off}`, Options{})
	ob.Reloaded(nil)
	ob.Reloaded(os.ErrNotExist)
	for _, want := range []string{`level=INFO msg="configuration reloaded"`, `level=ERROR msg="reload refused: the configuration before stays in force" cause="file does not exist"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log %s, want %s", log, want)
		}
	}
	for _, tt := range []struct{ name, want string }{
		{"soapward_reloads_total", `soapward_reloads_total{result="done"} 1`},
		{"soapward_reloads_total", `soapward_reloads_total{result="refused"} 1`},
		{"soapward_config_last_reload_successful", `soapward_config_last_reload_successful 0`},
	} {
		if got := scrape(t, ob); !strings.Contains(got, tt.want+"\n") {
			t.Errorf("metrics have no %s", tt.want)
		}
	}
}
