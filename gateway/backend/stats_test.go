package backend

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
)

// A request that is on its way is active, its connection is idle afterwards.
func TestConnections(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	defer s.Close()
	f := serve(t, s.URL)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.Get(f.url); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	<-arrived
	if active, idle := f.proxy.Connections(); active != 1 || idle != 0 {
		t.Errorf("%d active, %d idle, want 1 and 0", active, idle)
	}
	close(release)
	<-done
	eventually(t, func() error {
		if active, idle := f.proxy.Connections(); active != 0 || idle != 1 {
			return fmt.Errorf("%d active, %d idle, want 0 and 1", active, idle)
		}
		return nil
	})
}

// spans notes what ended.
type spans struct {
	mu    sync.Mutex
	ended []string
}

func (s *spans) Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error)) {
	return context.WithValue(ctx, s, name), func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, fmt.Sprint(name, attrs, " ", err != nil))
	}
}

func (s *spans) SetHeader(ctx context.Context, h http.Header) {
	h.Set("Traceparent", fmt.Sprint("within ", ctx.Value(s)))
}

// The way to a server is a span, to which the server's own belong.
func TestSpans(t *testing.T) {
	t.Parallel()
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Traceparent") }))
	defer s.Close()
	log := new(spans)
	f := serve(t, s.URL, around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(authn.WithSpans(r.Context(), log)))
		})
	}))
	for _, method := range []string{http.MethodGet, http.MethodTrace} { // TRACE is refused
		r, err := http.NewRequest(method, f.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Traceparent", "of the client")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	f.lastTrail(t, 2)
	log.mu.Lock()
	defer log.mu.Unlock()
	if want := []string{"upstream[service=hr] false", "upstream[service=hr] true"}; !slices.Equal(log.ended, want) || got != "within upstream" {
		t.Errorf("spans %q, the server got %q; want %q", log.ended, got, want)
	}
}
