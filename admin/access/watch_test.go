package access

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// held is a world whose API follows logins, of which there are none, and whose
// requests are looked at all the time.
func held(t *testing.T) (w *world, s *site) {
	t.Helper()
	w = newWorld(t)
	w.access.testOnlyWatchEvery, w.looked = time.Millisecond, make(chan struct{})
	w.areas = api.New(&admintest.Fake{Answer: func(context.Context, string, []any) (any, error) { return &admin.LoginPage{}, nil }})
	return w, w.site()
}

// follow begins a stream, and returns it when it has begun.
func (b *browser) follow(bearer string) *bufio.Reader {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site.server.URL+api.Prefix+"logins/follow?newer_id=1", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); resp.StatusCode != http.StatusOK || err != nil || line != "\n" {
		b.t.Fatalf("%d %q, %v", resp.StatusCode, line, err)
	}
	return lines
}

// TestAttackStreamOutlivesSession: who is thrown out reads on by a stream that he
// opened before. It ends as if it were over, so that who comes again is told why.
func TestAttackStreamOutlivesSession(t *testing.T) {
	t.Parallel()
	change := func(w *world, name string, f func(u *directory.User)) error {
		u, err := w.store.User(w.t.Context(), name)
		if err != nil {
			return err
		}
		f(u)
		return w.store.UpdateUser(w.t.Context(), u)
	}
	endAll := func(w *world, name string) error {
		n, err := w.store.DeleteSessionsOf(w.t.Context(), name)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d sessions", n)
		}
		return err
	}
	const alice, vera = `it\alice@example.com`, `it\vera@example.com`
	for _, tt := range []struct {
		name  string
		user  string // of a browser; empty: the token of a local administrator
		throw func(w *world, name string) error
	}{
		{"session ended", alice, endAll},
		{"token ended", "", endAll},
		{"token is over", "", func(w *world, _ string) error { w.later(tokenLasts + time.Second); return nil }},
		{"session is over", vera, func(w *world, _ string) error { w.later(13 * time.Hour); return nil }},
		{"user disabled", alice, func(w *world, name string) error {
			return change(w, name, func(u *directory.User) { u.State = directory.DisabledByOperator })
		}},
		{"local administrator no more", "", func(w *world, name string) error {
			return change(w, name, func(u *directory.User) { u.LocalAdmin = false })
		}},
		{"role taken", vera, func(w *world, _ string) error {
			w.change(func(c *config.Config) { c.Admin.Roles.Viewer = nil })
			return nil
		}},
		{"role lowered", alice, func(w *world, _ string) error {
			w.change(func(c *config.Config) { c.Admin.Roles = config.AdminRoles{Viewer: []string{"gwadmins"}} })
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, s := held(t)
			b, bearer, name := s.browser(), "", tt.user
			if name == "" {
				var secret string
				name = "admin"
				_, secret = w.local(name)
				bearer = s.token(map[string]string{"user": name, "password": secretPassword, "code": w.code(secret)}).Token
			} else {
				b.signIn(w.it, strings.TrimPrefix(name, `it\`)).expect(303)
			}
			lines := b.follow(bearer)
			if err := tt.throw(w, name); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(lines); err != nil {
				t.Errorf("it ended with %v, after %q", err, rest)
			}
			if log := w.log.String(); !strings.Contains(log, "ended with his login") || !strings.Contains(log, fmt.Sprintf("user=%q", name)) && !strings.Contains(log, "user="+name) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestAttackWatchMeetsBug: what is asked beside a request, such as a provider that
// answers with what nobody thought of, meets a bug. That ended the process, since
// servers recover what their requests do themselves.
func TestAttackWatchMeetsBug(t *testing.T) {
	t.Parallel()
	w, s := held(t)
	var broken atomic.Bool
	parts := w.access.o.Parts
	w.access.o.Parts = func() Parts {
		if broken.Load() {
			panic("a bug")
		}
		return parts()
	}
	b := s.browser()
	b.signIn(w.it, "vera@example.com").expect(303)
	lines := b.follow("")
	broken.Store(true)
	if rest, err := io.ReadAll(lines); err != nil {
		t.Errorf("it ended with %v, after %q", err, rest)
	}
	broken.Store(false)
	if log := w.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "a bug") || !strings.Contains(log, "watch.go") {
		t.Errorf("log: %s", log)
	}
	b.get(home).expect(200)
}

// TestWatched: a request whose session goes on is left alone, and nothing is asked
// when it was answered. One that changes something is not watched.
func TestWatched(t *testing.T) {
	t.Parallel()
	w, _ := held(t)
	began, end := make(chan context.Context), make(chan struct{})
	w.areas = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- context.WithValue(r.Context(), methodKey{}, r.Method)
		<-end
	})
	s := w.site()
	b := s.browser()
	b.signIn(w.it, "alice@example.com").expect(303)
	answered := make(chan *answer)
	go func() { answered <- b.get(api.Prefix + "me") }()
	ctx := <-began
	for range 5 {
		<-w.looked
	}
	if err := ctx.Err(); err != nil {
		t.Fatalf("it ended: %v", err)
	}
	end <- struct{}{}
	(<-answered).expect(200)
	if ctx.Err() == nil {
		t.Error("it is watched still")
	}

	_, secret := w.local("admin")
	bearer := s.token(map[string]string{"user": "admin", "password": secretPassword, "code": w.code(secret)}).Token
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		go func() { answered <- s.program(method, api.Prefix+"users", bearer, nil) }()
	}
	var posted context.Context
	for range 2 {
		if r := <-began; r.Value(methodKey{}) == http.MethodPost {
			posted = r
		} else {
			ctx = r
		}
	}
	s.program(http.MethodDelete, tokenPath, bearer, nil).expect(204)
	<-ctx.Done()
	if err := posted.Err(); err != nil {
		t.Errorf("a change was ended: %v", err)
	}
	for range 2 {
		end <- struct{}{}
		(<-answered).expect(200)
	}
}

type methodKey struct{}
