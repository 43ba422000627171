package authn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
)

// TestObserve: each login and each refusal is told once, with the reference
// that the client and the log have; legs and anonymous requests are not.
func TestObserve(t *testing.T) {
	t.Parallel()
	alice := &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-500", Mechanism: "Test"}
	blocked := &authn.BlockedError{Mechanism: "NTLM", User: "alice", Key: "user alice at 192.0.2.1", Block: time.Hour, Left: 90 * time.Second}
	for _, tt := range []struct {
		name    string
		a       scripted
		header  string
		told    int
		outcome authn.Outcome
		reason  authn.Reason
		user    string
		mech    string
		status  int
	}{
		{"login", scripted{result: &authn.Result{Identity: alice, Fresh: true}}, "", 1, authn.OutcomeAccepted, "", `CORP\alice`, "Test", 200},
		{"rides on a login", scripted{result: &authn.Result{Identity: alice}}, "", 0, "", "", "", "", 200},
		{"leg", scripted{result: &authn.Result{Continue: &authn.Challenge{Scheme: "NTLM"}}}, "NTLM x", 0, "", "", "", "", 401},
		{"anonymous", scripted{err: authn.ErrNoCredentials}, "", 0, "", "", "", "", 401},
		{"scheme that nobody takes", scripted{err: authn.ErrNoCredentials}, "Bearer secret", 1, authn.OutcomeRefused, authn.ReasonMechanism, "", "", 401},
		{"refused", scripted{err: fmt.Errorf("x: %w", &authn.RefusedError{Mechanism: "NTLM", Reason: authn.ReasonWrongPassword, User: "alice"})}, "NTLM x", 1, authn.OutcomeRefused, authn.ReasonWrongPassword, "alice", "NTLM", 401},
		{"blocked", scripted{err: fmt.Errorf("x: %w", blocked)}, "NTLM x", 1, authn.OutcomeBlocked, "", "alice", "NTLM", 429},
		{"unavailable", scripted{err: fmt.Errorf("dial: %w", authn.ErrUnavailable)}, "NTLM x", 1, authn.OutcomeUnavailable, "", "", "", 503},
		{"overloaded", scripted{err: authn.ErrOverloaded}, "NTLM x", 1, authn.OutcomeUnavailable, "", "", "", 503},
		{"unexpected", scripted{err: errors.New("disk full")}, "NTLM x", 1, authn.OutcomeUnavailable, "", "", "", 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var told []*authn.Decision
			m := &authn.Middleware{
				Authenticators: []authn.Authenticator{tt.a},
				Logger:         slog.New(slog.NewTextHandler(&log, nil)),
				Observe: func(ctx context.Context, d *authn.Decision) {
					if ctx.Err() != nil {
						t.Error("the context ended with the request")
					}
					told = append(told, d)
				},
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			r.Header.Set("User-Agent", strings.Repeat("ü", 400))
			ctx, cancel := context.WithCancel(authn.WithClient(r.Context(), authn.ClientAddr(forwarded("192.0.2.7:1", xff))))
			cancel() // the client went away
			w := httptest.NewRecorder()
			m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r.WithContext(ctx))
			if w.Code != tt.status || len(told) != tt.told {
				t.Fatalf("status %d, told %d times; want %d, %d", w.Code, len(told), tt.status, tt.told)
			}
			if tt.told == 0 {
				return
			}
			d := told[0]
			if d.Outcome != tt.outcome || d.Reason != tt.reason || d.User != tt.user || d.Mechanism != tt.mech || d.Peer != "192.0.2.7" || d.Time.IsZero() {
				t.Errorf("decision %+v", d)
			}
			if (d.Identity != nil) != (tt.outcome == authn.OutcomeAccepted) {
				t.Errorf("identity %v with outcome %s", d.Identity, d.Outcome)
			}
			if len(d.UserAgent) > 300 || !utf8.ValidString(d.UserAgent) {
				t.Errorf("user agent %q is not shortened between characters", d.UserAgent)
			}
			if !strings.Contains(log.String(), "ref="+d.Ref) || !strings.Contains(log.String(), "peer=192.0.2.7") {
				t.Errorf("log %q lacks reference %s or client", log.String(), d.Ref)
			}
			if tt.outcome != authn.OutcomeAccepted && !strings.Contains(w.Body.String(), d.Ref) {
				t.Errorf("answer %q lacks reference %s", w.Body, d.Ref)
			}
			if strings.Contains(log.String()+d.Detail, "secret") {
				t.Errorf("the credentials are in %q or %q", log.String(), d.Detail)
			}
		})
	}
}

// TestBlocked: a blocked client is told how long to wait, and not asked for
// another password.
func TestBlocked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		block, left time.Duration
		text, after string
	}{
		{30 * time.Second, 29500 * time.Millisecond, "Please try again in a few minutes.", "30"},
		{30 * time.Minute, 20 * time.Minute, "Please try again in a few minutes.", "1200"},
		{time.Hour, time.Minute, "Please try again in 60 minutes.", "60"},
		{2*time.Hour - time.Second, 0, "Please try again in 120 minutes.", "1"},
	} {
		m := &authn.Middleware{
			Authenticators: []authn.Authenticator{scripted{challenge: "Basic", err: &authn.BlockedError{Block: tt.block, Left: tt.left}}},
			Logger:         slog.New(slog.DiscardHandler),
		}
		w := httptest.NewRecorder()
		m.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != tt.after || len(w.Header()["Www-Authenticate"]) != 0 {
			t.Errorf("%v: status %d, headers %v", tt.block, w.Code, w.Header())
		}
		if want := "Too many failed login attempts. " + tt.text; !strings.HasPrefix(w.Body.String(), want) {
			t.Errorf("%v: %q, want %q", tt.block, w.Body, want)
		}
	}
}
