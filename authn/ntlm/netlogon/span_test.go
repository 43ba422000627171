package netlogon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
)

// spans notes what ended.
type spans struct {
	mu    sync.Mutex
	ended []string
}

func (s *spans) Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error)) {
	return ctx, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, fmt.Sprint(name, attrs, " ", err != nil))
	}
}
func (*spans) SetHeader(context.Context, http.Header) {}

// Each controller that is asked about a login is a span.
func TestSpans(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, netlogon.Config{
		Account: "GW01", Secrets: netlogon.Password(authn.NewSecret("x")), Domain: "CORP",
		Controllers: []string{"127.0.0.1:1", "127.0.0.1:2"}, Logger: slog.New(slog.DiscardHandler),
	})
	log := new(spans)
	if _, err := login(authn.WithSpans(t.Context(), log), v, v.Names(), `CORP\alice`, "x"); !errors.Is(err, authn.ErrUnavailable) {
		t.Fatal(err)
	}
	want := []string{"netlogon[server=127.0.0.1:1] true", "netlogon[server=127.0.0.1:2] true"}
	if !slices.Equal(log.ended, want) {
		t.Errorf("spans %q, want %q", log.ended, want)
	}
}
