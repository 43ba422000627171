package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// program returns the client of the command line.
func (w *world) program(tb testing.TB) *oidc.Provider {
	tb.Helper()
	return w.client(tb, func(c *oidc.Config) {
		c.ClientID, c.ClientSecret, c.DesktopClientID, c.Audiences = "desktop", authn.Secret{}, "", nil
	})
}

// visit does what a browser does, and returns the page in the end.
func visit(client *http.Client, at string) (status int, page string, h http.Header, err error) {
	res, err := client.Get(at)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), res.Header, err
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	w := setup(t, &oidctest.Options{TLS: true}, nil)
	w.Set(func(s *oidctest.Switches) { s.ClaimsInUserinfo = false })
	var shown string
	var page sync.WaitGroup
	n := &oidc.Native{Provider: w.program(t), Show: func(url, code string) { shown = url + code }, OpenBrowser: func(at string) error {
		page.Go(func() {
			status, text, h, err := visit(w.Client(), at)
			if err != nil || status != 200 || !strings.Contains(text, "You can close this window") || h.Get("Content-Security-Policy") == "" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%d %s %v %v", status, text, h, err)
			}
		})
		return errors.New("no browser")
	}}
	raw, tokens, err := n.Loopback(t.Context())
	page.Wait()
	if err != nil || tokens.Subject != "sub-alice" || tokens.Refresh.IsEmpty() || tokens.Nonce == "" || !strings.HasPrefix(shown, w.Issuer) {
		t.Fatalf("%+v, %v, shown %s", tokens, err, shown)
	}
	// What the gateway makes of it.
	id, _, err := w.us.VerifyIDToken(t.Context(), raw, tokens.Nonce, 5*time.Minute)
	if err != nil || id.String() != `it\alice@example.com` {
		t.Errorf("%v, %v", id, err)
	}
}

// What else runs on the machine, or pages in the browser, neither see the answer
// nor give another one.
func TestAttackOIDCLoopback(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, at, back string)
		want error
	}{
		{"others look around", func(t *testing.T, at, back string) {
			u, _ := url.Parse(back)
			state := stateOf(at)
			for _, path := range []string{"/?code=x&state=" + state, "/callback/?code=x&state=" + state, "/callback?code=x&state=y", "/callback?error=x", "/callback"} {
				if status, _, _, err := visit(http.DefaultClient, "http://"+u.Host+path); err != nil || status != 404 {
					t.Errorf("%s: %d, %v; want 404", path, status, err)
				}
			}
			req, _ := http.NewRequest(http.MethodGet, back+"?code=x&state="+state, nil)
			req.Host = "evil.example"
			if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != 404 {
				t.Errorf("another host: %v, %v", res, err)
			}
			if res, err := http.PostForm(back+"?code=x&state="+state, nil); err != nil || res.StatusCode != 404 {
				t.Errorf("posted: %v, %v", res, err)
			}
		}, nil},
		{"two answers", func(t *testing.T, at, back string) {
			_, page, _, _ := visit(http.DefaultClient, back+"?error=%3Cscript%3E&iss="+url.QueryEscape(w.Issuer)+"&state="+stateOf(at))
			if !strings.Contains(page, "The login failed") || strings.Contains(page, "<script>") {
				t.Errorf("page %s", page)
			}
			if status, _, _, err := visit(w.Client(), at); err == nil && status != http.StatusGone {
				t.Errorf("the second answer was taken: %d", status)
			}
		}, authn.ErrBadCredentials},
		{"of another issuer", func(_ *testing.T, at, back string) {
			_, _, _, _ = visit(http.DefaultClient, back+"?code=x&iss=https://evil.example&state="+stateOf(at))
		}, authn.ErrBadCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := &oidc.Native{Provider: w.program(t), OpenBrowser: func(at string) error {
				u, err := url.Parse(at)
				if err != nil {
					return err
				}
				back := u.Query().Get("redirect_uri")
				if !strings.HasPrefix(back, "http://127.0.0.1:") || !strings.HasSuffix(back, "/callback") {
					t.Errorf("it listens at %s", back)
				}
				go func() {
					tt.do(t, at, back)
					if tt.want == nil {
						_, _, _, _ = visit(w.Client(), at)
					}
				}()
				return nil
			}}
			raw, _, err := n.Loopback(t.Context())
			if !errors.Is(err, tt.want) || raw.IsEmpty() != (tt.want != nil) {
				t.Errorf("%v; want %v", err, tt.want)
			}
		})
	}
	t.Run("an answer while another one is looked at", func(t *testing.T) {
		t.Parallel()
		w := setup(t, nil, nil)
		asked, goOn := make(chan struct{}, 2), make(chan struct{})
		w.Set(func(s *oidctest.Switches) {
			s.Serve = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == oidctest.PathToken {
					asked <- struct{}{}
					<-goOn
				}
				return false
			}
		})
		n := &oidc.Native{Provider: w.program(t), OpenBrowser: func(at string) error {
			u, err := url.Parse(at)
			go func() { _, _, _, _ = visit(w.Client(), at) }()
			go func() {
				defer close(goOn)
				<-asked
				hasty := &http.Client{Timeout: 20 * time.Second}
				if status, _, _, err := visit(hasty, u.Query().Get("redirect_uri")+"?code=x&iss="+url.QueryEscape(w.Issuer)+"&state="+stateOf(at)); status != http.StatusGone {
					t.Errorf("the second answer was taken: %d, %v", status, err)
				}
			}()
			return err
		}}
		if _, tokens, err := n.Loopback(t.Context()); err != nil || tokens.Subject != "sub-alice" {
			t.Errorf("%+v, %v", tokens, err)
		}
	})
}

func stateOf(at string) string {
	u, _ := url.Parse(at)
	return u.Query().Get("state")
}

// Nothing listens any more once nobody waits.
func TestLoopbackEnds(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var back string
	n := &oidc.Native{Provider: w.program(t), Show: func(at, _ string) {
		u, _ := url.Parse(at)
		back = u.Query().Get("redirect_uri")
		cancel()
	}}
	if _, _, err := n.Loopback(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, _, _, err := visit(http.DefaultClient, back); err == nil {
		t.Error("the port still answers")
	}
	w.Set(func(s *oidctest.Switches) { s.Down = true })
	n = &oidc.Native{Provider: w.program(t)}
	if _, _, err := n.Loopback(t.Context()); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(s *oidctest.Switches)
		show func(w *world, code string)
		want error
		more string
	}{
		{"yes", nil, func(w *world, code string) { w.ApproveDevice(code, "alice") }, nil, ""},
		{"yes, after a while", func(s *oidctest.Switches) { s.SlowDown = 1 }, func(w *world, code string) { w.ApproveDevice(code, "alice") }, nil, ""},
		{"no", nil, func(w *world, code string) { w.DenyDevice(code) }, authn.ErrBadCredentials, "access_denied"},
		{"too late for the provider", nil, func(w *world, _ string) { w.clock.advance(time.Hour) }, authn.ErrBadCredentials, "in time"},
		{"too late for us", func(s *oidctest.Switches) { s.Lifetime = 2 * time.Second }, func(*world, string) {}, authn.ErrBadCredentials, "in time"},
		{"no such place", func(s *oidctest.Switches) { s.NoDevice = true }, nil, nil, "offers no login by a device code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, nil, nil)
			if tt.set != nil {
				w.Set(tt.set)
			}
			n := &oidc.Native{Provider: w.program(t), Show: func(at, code string) {
				if at != w.Issuer+"/activate?code="+code || !strings.HasPrefix(code, "CODE-") {
					t.Errorf("shown: %s, %s", at, code)
				}
				tt.show(w, code)
			}}
			raw, tokens, err := n.Device(t.Context())
			if tt.want != nil || tt.more != "" {
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.more) {
					t.Errorf("%v; want %v, %q", err, tt.want, tt.more)
				}
				return
			}
			if err != nil || tokens.Subject != "sub-alice" {
				t.Fatalf("%+v, %v", tokens, err)
			}
			if id, _, err := w.us.VerifyIDToken(t.Context(), raw, tokens.Nonce, 5*time.Minute); err != nil || id.String() != `it\alice@example.com` {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
}

// A provider that plays with the terminal, or sends the user where no TLS is.
func TestAttackOIDCDevice(t *testing.T) {
	t.Parallel()
	w := setup(t, &oidctest.Options{TLS: true}, nil)
	for name, change := range map[string]func(a map[string]any){
		"escape in the code":  func(a map[string]any) { a["user_code"] = "\x1b]0;x\x07" },
		"line in the code":    func(a map[string]any) { a["user_code"] = "A\nB" },
		"huge code":           func(a map[string]any) { a["user_code"] = strings.Repeat("A", 65) },
		"no code":             func(a map[string]any) { delete(a, "user_code") },
		"no device code":      func(a map[string]any) { delete(a, "device_code") },
		"escape in address":   func(a map[string]any) { a["verification_uri_complete"] = "https://id.example/\x1b[2J" },
		"script":              func(a map[string]any) { a["verification_uri_complete"] = "javascript:alert(1)" },
		"without TLS":         func(a map[string]any) { a["verification_uri"] = "http://id.example/" },
		"no address":          func(a map[string]any) { delete(a, "verification_uri") },
		"address of another":  func(a map[string]any) { a["verification_uri_complete"] = "https://www.bank.example@evil.example/" },
		"no object, but list": func(a map[string]any) { a["interval"] = "x" },
	} {
		w.Set(func(s *oidctest.Switches) { s.Answer = change })
		n := &oidc.Native{Provider: w.program(t), Show: func(at, code string) { t.Errorf("%s: shown: %q, %q", name, at, code) }}
		_, _, err := n.Device(t.Context())
		wantUnavailable(t, nil, err, "")
	}
}

// A poll that gets no answer is made again.
func TestDevicePoll(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	w.us = w.client(t, func(c *oidc.Config) {
		c.ClientID, c.ClientSecret, c.DesktopClientID, c.Audiences, c.Timeout = "desktop", authn.Secret{}, "", nil, time.Second
	})
	polls := 0
	var mu sync.Mutex
	w.Set(func(s *oidctest.Switches) {
		s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != oidctest.PathToken {
				return false
			}
			mu.Lock()
			polls++
			first := polls == 1
			mu.Unlock()
			if first {
				_ = r.ParseForm()
				<-r.Context().Done()
				return true
			}
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(400)
			fmt.Fprint(rw, `{"error": "access_denied"}`)
			return true
		}
	})
	n := &oidc.Native{Provider: w.us}
	if _, _, err := n.Device(t.Context()); !errors.Is(err, authn.ErrBadCredentials) || polls != 2 {
		t.Errorf("%v after %d polls", err, polls)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := n.Device(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("%v", err)
	}
}
