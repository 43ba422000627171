package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// TestAttackTokenRenewedTwice has commands find a token that is over at the same
// time: the provider's refresh token, which is good once, is used once, and each
// command works.
func TestAttackTokenRenewedTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("login", "--server", o.server)
	before := o.kept().Refresh.Reveal()
	o.change(func(l *serverLogin) { l.Expires = time.Now().Add(-time.Minute) })
	asked := o.provider.Requests("/token")
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			if code, out, errs := o.run("whoami", "--server", o.server); code != 0 {
				t.Errorf("exit code %d: %s%s", code, out, errs)
			}
		})
	}
	running.Wait()
	if n := o.provider.Requests("/token") - asked; n != 1 || o.kept().Refresh.Reveal() == before {
		t.Errorf("the provider was asked %d times, want once", n)
	}

	// One who is no administrator any more is told so.
	o.provider.Revoke("alice")
	o.change(func(l *serverLogin) { l.Expires = time.Now().Add(-time.Minute) })
	if code, _, errs := o.run("whoami"); code != 1 || !strings.Contains(errs, "is over: the provider it says no") || !strings.Contains(errs, "soapward login") {
		t.Errorf("a revoked login: %d, %s", code, errs)
	}
}

// TestAttackTokenFile has others read the file of tokens, own it, or put another
// in its place.
func TestAttackTokenFile(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(tokenSet{Servers: map[string]*serverLogin{"https://gw": {Name: "alice"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		dir, file os.FileMode
		content   string
		want      string
	}{
		{"as it should be", 0o700, 0o600, string(good), ""},
		{"in a directory that others list", 0o755, 0o600, string(good), ""},
		{"readable by the group", 0o700, 0o640, string(good), "chmod 600"},
		{"readable by all", 0o700, 0o604, string(good), "chmod 600"},
		{"writable by all", 0o700, 0o602, string(good), "chmod 600"},
		{"in a directory of a group", 0o770, 0o600, string(good), "chmod 700"},
		{"in a directory of all", 0o777, 0o600, string(good), "chmod 700"},
		{"damaged", 0o700, 0o600, `{"servers":{"marked"`, "log in again"},
		{"of another type", 0o700, 0o600, `{"servers":{"x":{"token":["marked"]}}}`, "log in again"},
		{"without end", 0o700, 0o600, `{"last":"` + strings.Repeat("x", maxTokenFile) + `"}`, "log in again"},
		{"with nothing for a server", 0o700, 0o600, `{"servers":{"x":null}}`, ""},
		{"empty", 0o700, 0o600, `{}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "soapward")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			f := &tokenFile{filepath.Join(dir, "tokens.json")}
			for _, err := range []error{os.WriteFile(f.path, []byte(tt.content), 0o600), os.Chmod(f.path, tt.file), os.Chmod(dir, tt.dir)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			told := func(err error) bool {
				var b strings.Builder
				if err != nil {
					printError(&b, err, false)
				}
				return (err == nil) == (tt.want == "") && strings.Contains(b.String(), tt.want) && !strings.Contains(b.String(), "marked")
			}
			if _, err := f.read(); !told(err) {
				t.Errorf("read: %v", err)
			}
			err := f.change(t.Context(), func(all *tokenSet, _ func() error) error {
				all.Servers["https://new"] = &serverLogin{Name: "bob"}
				return nil
			})
			if !told(err) {
				t.Errorf("change: %v", err)
			}
			if tt.want != "" {
				if b, err := os.ReadFile(f.path); err != nil || string(b) != tt.content {
					t.Errorf("what was there is now %.100s, %v", b, err)
				}
				return
			}
			info, err := os.Stat(f.path)
			if all, rerr := f.read(); err != nil || rerr != nil || info.Mode().Perm() != 0o600 || all.Servers["https://new"].Name != "bob" {
				t.Errorf("%v, %v, %v", info, err, rerr)
			}
		})
	}
	l := &serverLogin{}
	l.Token.Secret, l.Refresh.Secret = authn.NewSecret("marked-a"), authn.NewSecret("marked-b")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(verb, *l); strings.Contains(got, "marked") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// TestTokenFileLocked has many change the file at once: nothing gets lost.
func TestTokenFileLocked(t *testing.T) {
	t.Parallel()
	f := &tokenFile{filepath.Join(t.TempDir(), "soapward", "tokens.json")}
	const n = 20
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			if err := f.change(t.Context(), func(all *tokenSet, _ func() error) error {
				all.Servers[fmt.Sprint("https://", i)] = &serverLogin{}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if all, err := f.read(); err != nil || len(all.Servers) != n {
		t.Errorf("%d logins, %v; want %d", len(all.Servers), err, n)
	}
	unlock, err := f.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := f.lock(ended); err == nil {
		t.Error("the lock was taken twice")
	}
	unlock()
}

// 38h. A gateway that somebody else runs names the client of another one: the ID token
// that it gets is good there. The user is told before he logs in.
func TestAttackLoginPassedOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("login", "--server", o.server)
	var client atomic.Value
	client.Store("desktop")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"kind": "unavailable", "error": "not now"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"local": true, "providers": []any{map[string]any{"name": "it", "issuer": o.provider.Issuer, "client_id": client.Load()}}})
	}))
	t.Cleanup(evil.Close)
	const warning = "warning: "
	_, _, errs := o.run("login", "--server", evil.URL)
	want := warning + evil.URL + " takes logins of the same client (desktop at " + o.provider.Issuer + ") as " + o.server + ": "
	if at, asked := strings.Index(errs, want), strings.Index(errs, "Log in at it"); at < 0 || asked < at {
		t.Errorf("no warning before the login: %s", errs)
	}
	client.Store("another")
	if _, _, errs := o.run("login", "--server", evil.URL); strings.Contains(errs, warning) {
		t.Errorf("another client: %s", errs)
	}
	if _, _, errs := o.run("login", "--server", o.server); strings.Contains(errs, warning) {
		t.Errorf("the same gateway: %s", errs)
	}
}
