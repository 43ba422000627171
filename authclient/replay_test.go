package authclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
)

// replaying is a client that keeps bodies in dir.
func replaying(t *testing.T, c authclient.Credential, replay authclient.Replay) *http.Client {
	t.Helper()
	tr := &authclient.Transport{Source: authclient.Static(c), Replay: &replay}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// once is a body that can be read once only, of unknown length.
func once(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }

func TestReplay(t *testing.T) {
	t.Parallel()
	const memory, disk = 1000, 5000
	for _, tt := range []struct {
		size int
		want bool // a login that has to be asked for can be made
	}{
		{0, true}, {1, true}, {memory - 1, true}, {memory, true}, {memory + 1, true},
		{memory + disk - 1, true}, {memory + disk, true}, {memory + disk + 1, false}, {1 << 20, false},
	} {
		t.Run(strconv.Itoa(tt.size), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			dir := t.TempDir()
			c := replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: memory, Disk: disk, Dir: dir})
			body := bytes.Repeat([]byte("x"), tt.size)
			status, text, err := do(c, "POST", s.URL, once(body))
			var large *authclient.BodyTooLargeError
			switch {
			case !tt.want && (!errors.As(err, &large) || large.Limit != memory+disk || s.requests.Load() != 0):
				t.Errorf("%d, %v after %d requests, want %d bytes to be the limit", status, err, s.requests.Load(), memory+disk)
			case tt.want && (err != nil || text != fmt.Sprintf(`CORP\alice body=%d err=<nil>`, tt.size)):
				t.Errorf("%d %q, %v", status, text, err)
			}
			// Logged in by now, or after this.
			if _, _, err := do(c, "GET", s.URL, nil); err != nil {
				t.Fatal(err)
			}
			before := s.requests.Load()
			if _, text, err := do(c, "POST", s.URL, once(body)); err != nil || text != fmt.Sprintf(`CORP\alice body=%d err=<nil>`, tt.size) || s.requests.Load() != before+1 {
				t.Errorf("on a connection that is logged in: %q, %v, %d requests", text, err, s.requests.Load()-before)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A body on the way to a server that is known to take a ticket is not held up,
// however long it is.
func TestReplayStreamsWithTicket(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	srv := newServer(t, func(a *iwa.Authenticator) { a.Kerberos = &kerberos.Mechanism{Keytab: d.keytab} })
	c := replaying(t, &authclient.Kerberos{Client: d.client(t, "alice", "a")}, authclient.Replay{Memory: 1000})
	if _, text, err := do(c, "POST", srv.URL, strings.NewReader("x")); err != nil || !strings.Contains(text, "alice") {
		t.Fatalf("%q, %v", text, err)
	}
	before := srv.requests.Load()
	if _, text, err := do(c, "POST", srv.URL, once(make([]byte, 1<<20))); err != nil || !strings.HasSuffix(text, "body=1048576 err=<nil>") || srv.requests.Load() != before+1 {
		t.Errorf("%q, %v, %d requests", text, err, srv.requests.Load()-before)
	}
}

// A server that asks for a login on a connection that was logged in gets the
// body again if it was kept.
func TestReplayOfStream(t *testing.T) {
	t.Parallel()
	const memory = 1 << 16
	for _, tt := range []struct {
		size, reads int // reads: what the server reads of it before it refuses
		want        bool
	}{
		{100, 0, true}, {100, 100, true}, {memory, memory, true}, {memory + 1, memory + 1, false},
	} {
		t.Run(fmt.Sprint(tt.size, tt.reads), func(t *testing.T) {
			t.Parallel()
			var forget atomic.Bool
			s := newServer(t, nil)
			inner := s.Config.Handler
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" && forget.CompareAndSwap(true, false) {
					_, _ = io.CopyN(io.Discard, r.Body, int64(tt.reads))
					w.Header().Set("WWW-Authenticate", "NTLM")
					w.Header().Set("Connection", "close")
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				inner.ServeHTTP(w, r)
			})
			c := replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: memory})
			if _, _, err := do(c, "GET", s.URL, nil); err != nil {
				t.Fatal(err)
			}
			forget.Store(true)
			_, text, err := do(c, "POST", s.URL, once(bytes.Repeat([]byte("x"), tt.size)))
			if tt.want && (err != nil || text != fmt.Sprintf(`CORP\alice body=%d err=<nil>`, tt.size)) {
				t.Errorf("%q, %v", text, err)
			}
			if !tt.want && !errors.Is(err, authclient.ErrBodyNotReplayable) {
				t.Errorf("%q, %v, want that it cannot be sent again", text, err)
			}
		})
	}
}

// A server that wants a login for each request gets bodies that are kept whole,
// after the first that was not.
func TestReplayLoginForEachRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("WWW-Authenticate", "NTLM")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
	c := replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: 1000, Disk: 1 << 20, Dir: t.TempDir()})
	if _, _, err := do(c, "GET", s.URL, nil); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 10_000)
	if _, _, err := do(c, "POST", s.URL, once(body)); !errors.Is(err, authclient.ErrBodyNotReplayable) {
		t.Errorf("the first: %v", err)
	}
	for range 3 {
		if _, text, err := do(c, "POST", s.URL, once(body)); err != nil || text != `CORP\alice body=10000 err=<nil>` {
			t.Errorf("%q, %v", text, err)
		}
	}
}

func TestReplayBrokenBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	broken := errors.New("broken off")
	dir := t.TempDir()
	c := replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: 10, Disk: 1000, Dir: dir})
	for _, n := range []int{0, 5, 10, 11, 50} {
		body := io.MultiReader(bytes.NewReader(make([]byte, n)), iotest.ErrReader(broken))
		if _, _, err := do(c, "POST", s.URL, body); !errors.Is(err, broken) || s.requests.Load() > 0 {
			t.Errorf("after %d bytes: %v, %d requests", n, err, s.requests.Load())
		}
	}
	c = replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: 10, Disk: 1000, Dir: dir + "/none"})
	if _, _, err := do(c, "POST", s.URL, once(make([]byte, 100))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A client that stops in the middle of its body does not hold anything for ever.
func TestReplayClientGoesAway(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := replaying(t, ntlmCredential("alice"), authclient.Replay{Memory: 10})
	for _, warm := range []bool{false, true} {
		r, w := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", s.URL, r)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = w.Write([]byte("abc"))
			cancel()
		}()
		if _, err := c.Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("warm %v: %v", warm, err)
		}
		if _, err := w.Write([]byte("abc")); err == nil {
			t.Errorf("warm %v: the body is still read", warm)
		}
		if _, _, err := do(c, "GET", s.URL, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Bodies of many callers at once stay apart.
func TestAttackReplayMixedBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && r.Header.Get("X-Cold") != "" { // the connection counts for nothing
			w.Header().Set("WWW-Authenticate", "NTLM")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		w.Header().Set("X-Body", strconv.Itoa(bytes.Count(b, b[:min(1, len(b))])))
		w.Header().Set("X-First", string(b[:min(1, len(b))]))
		inner.ServeHTTP(w, r)
	})
	clients := map[string]*http.Client{}
	for _, user := range []string{"alice", "bob"} {
		clients[user] = replaying(t, ntlmCredential(user), authclient.Replay{Memory: 1000, Disk: 1 << 20, Dir: t.TempDir()})
	}
	var wg sync.WaitGroup
	for n := range 32 {
		user := []string{"alice", "bob"}[n%2]
		wg.Go(func() {
			for k := range 8 {
				letter, size := string(rune('A'+n)), 1+(n*k*997)%(1000+k%2*4000)
				req, err := http.NewRequest("POST", s.URL, once(bytes.Repeat([]byte(letter), size)))
				if err != nil {
					t.Error(err)
					return
				}
				if size <= 1000 {
					req.Header.Set("X-Cold", "1")
				}
				resp, err := clients[user].Do(req)
				if err != nil {
					t.Errorf("%s: %v", user, err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := fmt.Sprintf(`CORP\%s body=%d err=<nil>`, user, size); err != nil || string(text) != want || resp.Header.Get("X-First") != letter || resp.Header.Get("X-Body") != strconv.Itoa(size) {
					t.Errorf("%q (%s x %s), %v, want %q of %s", text, resp.Header.Get("X-First"), resp.Header.Get("X-Body"), err, want, letter)
				}
			}
		})
	}
	wg.Wait()
}
