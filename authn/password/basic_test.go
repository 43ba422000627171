package password

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// secretPassword is looked for in everything printed.
const secretPassword = "Pa55w0rd-ünï:with:colons"

// stub knows alice. It records what it was asked.
type stub struct {
	asked []string
	err   error
}

var stubIdentity = &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "LDAP"}

func (s *stub) VerifyPassword(_ context.Context, user, pw string) (*authn.Identity, error) {
	s.asked = append(s.asked, user)
	switch {
	case s.err != nil:
		return nil, s.err
	case user == `CORP\alice` && pw == secretPassword:
		return stubIdentity, nil
	}
	return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword}
}

// request carries the header value, if any, over TLS or not.
func request(authorization string, overTLS bool) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://host/", nil)
	if overTLS {
		r.TLS = &tls.ConnectionState{}
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func basic(user, pw string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pw))
}

func TestBasic(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		header   string
		plain    bool
		insecure bool
	}{
		{name: "TLS", header: basic(`CORP\alice`, secretPassword)},
		{name: "scheme in lower case", header: "b" + basic(`CORP\alice`, secretPassword)[1:]},
		{name: "plain HTTP allowed", header: basic(`CORP\alice`, secretPassword), plain: true, insecure: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &Basic{Verifier: &stub{}, AllowInsecureHTTP: tt.insecure, Now: func() time.Time { return now }}
			res, err := b.Authenticate(request(tt.header, !tt.plain))
			if err != nil {
				t.Fatal(err)
			}
			id := res.Identity
			if id == nil || res.Continue != nil || !res.Fresh {
				t.Fatalf("result %+v", res)
			}
			if id.String() != `CORP\alice` || id.Mechanism != "Basic" || !id.AuthTime.Equal(now) {
				t.Errorf("identity %+v", id)
			}
			if id == stubIdentity || stubIdentity.Evidence != nil || stubIdentity.Mechanism != "LDAP" {
				t.Error("the verifier's identity was modified")
			}
			ev, ok := id.Evidence.(*Secret)
			if !ok || ev.User != `CORP\alice` || ev.Password.Reveal() != secretPassword || ev.EvidenceKind() != "password" {
				t.Errorf("evidence %#v", id.Evidence)
			}
		})
	}
}

func TestBasicPassesOn(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "Negotiate TlRMTVNTUAAB", "Bearer abc"} {
		v := &stub{}
		res, err := (&Basic{Verifier: v}).Authenticate(request(header, true))
		if res != nil || !errors.Is(err, authn.ErrNoCredentials) || len(v.asked) != 0 {
			t.Errorf("%q: result %v, err %v, asked %q", header, res, err, v.asked)
		}
	}
}

func TestAttackBasicRefused(t *testing.T) {
	t.Parallel()
	raw := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		name   string
		header string
		plain  bool
		reason authn.Reason
		asked  bool // whether the verifier may be asked
		user   string
	}{
		{name: "wrong password", header: basic("alice", "x"), reason: authn.ReasonWrongPassword, asked: true, user: "alice"},
		{name: "plain HTTP", header: basic(`CORP\alice`, secretPassword), plain: true, reason: authn.ReasonPolicy},
		// An LDAP bind with a name and no password succeeds (RFC 4513 5.1.2).
		{name: "empty password", header: basic(`CORP\alice`, ""), reason: authn.ReasonAnonymous, user: `CORP\alice`},
		{name: "empty user", header: basic("", secretPassword), reason: authn.ReasonAnonymous},
		{name: "both empty", header: basic("", ""), reason: authn.ReasonAnonymous},
		{name: "NUL ends the password", header: basic(`CORP\alice`, "x\x00y"), reason: authn.ReasonMalformed},
		{name: "NUL before an empty password", header: basic(`CORP\alice`, "\x00"), reason: authn.ReasonMalformed},
		{name: "line break in the user", header: basic("alice\r\nX: y", "x"), reason: authn.ReasonMalformed},
		{name: "C1 control", header: basic("al\u0085ice", "x"), reason: authn.ReasonMalformed},
		{name: "no colon", header: raw("alice"), reason: authn.ReasonMalformed},
		{name: "Latin-1", header: raw("j\xfcrgen:x"), reason: authn.ReasonMalformed},
		{name: "not base64", header: "Basic !!!!", reason: authn.ReasonMalformed},
		{name: "base64 with stray bits", header: "Basic YTpiYR==", reason: authn.ReasonMalformed},
		{name: "nothing", header: "Basic", reason: authn.ReasonMalformed},
		{name: "oversize", header: basic("alice", strings.Repeat("x", maxCredentials)), reason: authn.ReasonMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := &stub{}
			res, err := (&Basic{Verifier: v}).Authenticate(request(tt.header, !tt.plain))
			var re *authn.RefusedError
			if res != nil || !errors.As(err, &re) || !errors.Is(err, authn.ErrBadCredentials) {
				t.Fatalf("result %v, err %v; want a refusal", res, err)
			}
			if re.Reason != tt.reason || re.Mechanism != "Basic" || re.User != tt.user {
				t.Errorf("refusal %+v; want reason %s, user %q", re, tt.reason, tt.user)
			}
			if (len(v.asked) != 0) != tt.asked {
				t.Errorf("verifier was asked %q", v.asked)
			}
			if tt.reason == authn.ReasonPolicy && !strings.Contains(re.Hint, "https") {
				t.Errorf("hint %q names no remedy", re.Hint)
			}
		})
	}
}

// TestAttackBasicSameAnswer: the client cannot tell why it was refused.
func TestAttackBasicSameAnswer(t *testing.T) {
	t.Parallel()
	var first string
	for _, reason := range []authn.Reason{authn.ReasonWrongPassword, authn.ReasonUnknownUser, authn.ReasonDisabled, authn.ReasonLockedOut} {
		b := &Basic{Verifier: &stub{err: &authn.RefusedError{Reason: reason}}, Realm: "corp"}
		var log bytes.Buffer
		mw := &authn.Middleware{
			Authenticators: []authn.Authenticator{b},
			Logger:         slog.New(slog.NewTextHandler(&log, nil)),
			Deny:           func(w http.ResponseWriter, _ *http.Request, status int, _ string) { w.WriteHeader(status) },
		}
		w := httptest.NewRecorder()
		mw.Wrap(http.NotFoundHandler()).ServeHTTP(w, request(basic("alice", "x"), true))
		got := fmt.Sprint(w.Code, w.Header(), w.Body)
		if first == "" {
			first = got
		}
		if w.Code != http.StatusUnauthorized || got != first {
			t.Errorf("%s:\n got %s\nwant %s", reason, got, first)
		}
		if !strings.Contains(log.String(), string(reason)) || !strings.Contains(log.String(), "claimed_user=alice") {
			t.Errorf("log does not tell %s: %s", reason, &log)
		}
	}
}

func TestBasicVerifierError(t *testing.T) {
	t.Parallel()
	shared := &authn.RefusedError{Reason: authn.ReasonLockedOut}
	t.Cleanup(func() { // after the parallel subtests
		if shared.User != "" || shared.Mechanism != "" {
			t.Errorf("the verifier's error was modified: %+v", shared)
		}
	})
	for _, tt := range []struct {
		name    string
		err     error
		is, not error
	}{
		{"unavailable", fmt.Errorf("dial ldaps://dc1: %w", authn.ErrUnavailable), authn.ErrUnavailable, authn.ErrBadCredentials},
		{"cancelled", context.Canceled, context.Canceled, authn.ErrBadCredentials},
		{"refused", shared, authn.ErrBadCredentials, authn.ErrUnavailable},
		{"nobody's user", authn.ErrNoCredentials, authn.ErrBadCredentials, authn.ErrNoCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, err := (&Basic{Verifier: &stub{err: tt.err}}).Authenticate(request(basic("alice", "x"), true))
			if res != nil || !errors.Is(err, tt.is) || errors.Is(err, tt.not) {
				t.Errorf("result %v, err %v; want %v and not %v", res, err, tt.is, tt.not)
			}
		})
	}
}

func TestBasicChallenges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		b    Basic
		tls  bool
		want string
	}{
		{"TLS", Basic{}, true, `[Basic realm="soapward", charset="UTF-8"]`},
		{"plain HTTP", Basic{}, false, "[]"},
		{"plain HTTP allowed", Basic{AllowInsecureHTTP: true}, false, `[Basic realm="soapward", charset="UTF-8"]`},
		{"realm", Basic{Realm: "a \"b\" \\ c\r\nX: y"}, true, `[Basic realm="a \"b\" \\ cX: y", charset="UTF-8"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(tt.b.Challenges(request("", tt.tls))); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	s := &Secret{User: "alice", Password: authn.NewSecret(secretPassword)}
	id := &authn.Identity{Account: "alice", Evidence: s}
	j, err := json.Marshal([]any{s, *s, id})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("test", "a", s, "b", *s, "c", id, "d", []any{s, *s})
	}
	out := string(j) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(strings.Repeat(verb+" ", 4), s, *s, id, []any{s})
	}
	if strings.Contains(out, secretPassword) || strings.Contains(out, fmt.Sprintf("%x", secretPassword)) {
		t.Errorf("password printed: %s", out)
	}
}
