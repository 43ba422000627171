package login

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

	"github.com/soapward/soapward/authn"
)

func soap(agent, authorization string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	r.Header.Set("User-Agent", agent)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// A SOAP client that was asked three times and sent nothing is named, once an
// hour; one that logs in is not.
func TestClientsNamed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	c := &clients{testOnlyNow: func() time.Time { return now }}
	offered := []string{"Negotiate", "NTLM"}
	named := func() int { return strings.Count(b.String(), "does not send") }
	for range 10 { // one leg without, one with credentials: as each login
		c.refused(soap("good", ""), log, "r", offered)
		c.sent(soap("good", "NTLM x"), "ntlm", offered)
	}
	if named() != 0 {
		t.Errorf("a client that logs in is named: %s", &b)
	}
	for range 10 {
		c.refused(soap("mute", ""), log, "r", offered)
	}
	if named() != 1 || !strings.Contains(b.String(), "user_agent=mute") || !strings.Contains(b.String(), `offered="Negotiate, NTLM"`) {
		t.Errorf("named %d times, want once: %s", named(), &b)
	}
	c.refused(soap("basic", "Basic abc"), log, "r", offered)
	if named() != 2 || !strings.Contains(b.String(), "sent=Basic") || strings.Contains(b.String(), "abc") {
		t.Errorf("one that sends another scheme: %s", &b)
	}
	now = now.Add(nameAgain)
	c.refused(soap("mute", ""), log, "r", offered)
	if named() != 3 {
		t.Errorf("named %d times, want again after an hour", named())
	}
	r := httptest.NewRequest("GET", "/", nil)
	for range 10 {
		c.refused(r, log, "r", offered)
	}
	if named() != 3 {
		t.Error("a client that sends no SOAP is named")
	}
}

// TestAttackGatewayUserAgents: user agents without end take no memory without end.
func TestAttackGatewayUserAgents(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	c := new(clients)
	for i := range 5 * maxClients {
		c.refused(soap(fmt.Sprint(i, strings.Repeat("x", 4000)), ""), log, "r", nil)
	}
	size := 0
	for agent := range c.of {
		size += len(agent)
	}
	if len(c.of) > maxClients || size > maxClients*maxAgent {
		t.Errorf("%d user agents of %d bytes are kept", len(c.of), size)
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"*trident*", "mozilla (trident/7.0)", true}, {"*trident*", "trident", true}, {"trident", "trident", true},
		{"trident", "tridents", false}, {"a*b*c", "aXXbYYc", true}, {"a*b*c", "ac", false}, {"a*b", "ab", true},
		{"ab*ba", "aba", false}, {"*", "", true}, {"", "", true}, {"", "x", false}, {"x*", "xyz", true}, {"*z", "xyz", true}, {"a**c", "abc", true},
	} {
		if got := like(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q like %q: %v", tt.text, tt.pattern, got)
		}
	}
}

type fixed struct {
	sid authn.SID
	err error
}

func (f fixed) ResolveSID(context.Context, string) (authn.SID, error) { return f.sid, f.err }

func TestResolver(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("%w: gone", authn.ErrUnavailable)
	rs := resolvers{
		{domains: []string{"CORP", "corp.test"}, base: "DC=corp,DC=test", ask: fixed{sid: "S-1-5-21-1"}},
		{domains: []string{"OTHER"}, base: "DC=other,DC=test", ask: fixed{sid: "S-1-5-21-2"}},
		{domains: []string{"GONE"}, ask: fixed{err: away}},
	}
	for _, tt := range []struct {
		name string
		want authn.SID
		err  error
	}{
		{`CORP\Payroll`, "S-1-5-21-1", nil}, {`other\Payroll`, "S-1-5-21-2", nil}, {`Corp.Test\x`, "S-1-5-21-1", nil},
		{"CN=x,DC=other,DC=test", "S-1-5-21-2", nil}, {"CN=x,dc=Corp,dc=test", "S-1-5-21-1", nil},
		{`BUILTIN\Administrators`, "S-1-5-21-1", nil}, {`GONE\x`, "", authn.ErrUnavailable},
	} {
		got, err := rs.ResolveSID(t.Context(), tt.name)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %s, %v; want %s, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	// A directory that is away must not make a name unknown.
	rs = resolvers{{ask: fixed{}}, {ask: fixed{err: away}}}
	if _, err := rs.ResolveSID(t.Context(), `X\y`); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("%v, want that nobody could say", err)
	}
}
