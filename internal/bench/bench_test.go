// Package bench measures what docs/benchmarks.md says about speed: soapward
// beside a named peer, in one run, as ratios. `make bench` runs it.
package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

// users are the accounts of the service. Each one's password is its name.
var users = []string{"alice", "bob"}

// payload is as long as a small SOAP order.
var payload = bytes.Repeat([]byte("x"), 417)

// contestant is one way to make the same call.
type contestant struct {
	name string
	call func() error
	took []time.Duration // of a call, in each round
}

// race warms the contestants up and has them make calls in turn, round by
// round, so that a slow moment of the machine hits all of them.
func race(tb testing.TB, cs []*contestant, rounds, calls int) {
	tb.Helper()
	for round := -1; round < rounds; round++ {
		for i := range cs {
			c := cs[(max(round, 0)+i)%len(cs)]
			runtime.GC()
			begin := time.Now()
			for range calls {
				if err := c.call(); err != nil {
					tb.Fatalf("%s: %v", c.name, err)
				}
			}
			if round >= 0 {
				c.took = append(c.took, time.Since(begin)/time.Duration(calls))
			}
		}
	}
}

// median returns the median of a, or of a divided by b round by round.
func median(a, b []time.Duration) float64 {
	v := make([]float64, len(a))
	for i := range a {
		v[i] = float64(a[i])
		if b != nil {
			v[i] /= float64(b[i])
		}
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// serveEcho sends the request's body back and says in a header whom it saw.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	if id := authn.FromContext(r.Context()); id != nil {
		w.Header().Set("X-Seen", id.Account)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(b)
}

// startEcho serves serveEcho. With a login it wants that.
func startEcho(tb testing.TB, login *iwa.Authenticator) (url string) {
	tb.Helper()
	var h http.Handler = http.HandlerFunc(serveEcho)
	if login != nil {
		m := &authn.Middleware{Authenticators: []authn.Authenticator{login}, Logger: slog.New(slog.DiscardHandler)}
		h = m.Wrap(h)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	tb.Cleanup(s.Close)
	return s.URL
}

type userKey struct{}

// byUser is a source that takes the user from the request's context.
type byUser map[string]authclient.Credential

func (b byUser) Credential(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
	user, _ := ctx.Value(userKey{}).(string)
	return b[user], nil
}

// wrongUserError says that the service saw somebody else than the caller.
type wrongUserError struct{ seen string }

func (e wrongUserError) Error() string { return "service saw " + e.seen }

// post makes a call as user; an empty one makes it without a login. It names
// the user both ways, in the context and as go-ntlmssp wants it.
func post(c *http.Client, url, user string) error {
	ctx := context.WithValue(context.Background(), userKey{}, user)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	if user != "" {
		req.SetBasicAuth(`CORP\`+user, user)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || int(n) != len(payload) {
		return fmt.Errorf("status %d, %d bytes, %w", resp.StatusCode, n, err)
	}
	if seen := resp.Header.Get("X-Seen"); !strings.EqualFold(seen, user) {
		return wrongUserError{seen}
	}
	return nil
}
