package session

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type secretEvidence string

func (secretEvidence) EvidenceKind() string { return "password" }

func TestAttackEvidenceInSession(t *testing.T) {
	t.Parallel()
	const marked = "marked-pa55word"
	with := *alice
	with.Evidence = secretEvidence(marked)
	for _, kind := range kinds {
		store := NewMemory(0)
		s := newSite(&Manager{Keys: kind.keys, Store: store})
		c := s.login(t, &with, false)
		if id := s.who(t, c); id == nil || id.Evidence != nil {
			t.Errorf("%s: evidence without leave: %v", kind.name, id)
		}
		if len(s.evidence.kept) != 0 {
			t.Errorf("%s: evidence is in memory without leave", kind.name)
		}
		rows, err := store.SessionsOf(t.Context(), `CORP\alice`)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if bytes.Contains(row.Data, []byte(marked)) {
				t.Errorf("%s: the password is in the row", kind.name)
			}
		}
		if kind.keys != nil {
			opened, err := s.open(c.Value)
			if err != nil || bytes.Contains(opened.Data, []byte(marked)) {
				t.Errorf("%s: the password is in the cookie, or %v", kind.name, err)
			}
		}
	}
}

// Evidence that the operator allows is gone when the session is, without
// anybody asking.
func TestAttackEvidenceOutlivesSession(t *testing.T) {
	t.Parallel()
	with := *alice
	with.Evidence = secretEvidence("x")
	for _, kind := range kinds {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(&Manager{Keys: kind.keys, AllowEvidence: true})
			s.Now = time.Now
			keeps := func() int {
				synctest.Wait()
				s.evidence.mu.Lock()
				defer s.evidence.mu.Unlock()
				return len(s.evidence.kept)
			}
			c := s.login(t, &with, false)
			time.Sleep(15 * time.Minute) // of the test's own clock
			if id := s.who(t, c); id == nil || id.Evidence != with.Evidence {
				t.Fatalf("%s: no evidence: %v", kind.name, id)
			}
			time.Sleep(15 * time.Minute)
			if keeps() != 1 {
				t.Errorf("%s: evidence of a session in use is gone", kind.name)
			}
			time.Sleep(5 * time.Minute)
			if keeps() != 0 {
				t.Errorf("%s: evidence outlives an idle session", kind.name)
			}
			c = s.login(t, &with, false)
			if err := s.End(httptest.NewRecorder(), get(c)); err != nil || keeps() != 0 {
				t.Errorf("%s: evidence outlives a logout: %v", kind.name, err)
			}
			s.login(t, &with, false)
			if _, err := s.EndAll(t.Context(), `corp\alice`); err != nil || keeps() != 0 {
				t.Errorf("%s: evidence outlives the end of all sessions: %v", kind.name, err)
			}
			time.Sleep(time.Second) // what began in the moment of the end is over too
			c = s.login(t, &with, true)
			time.Sleep(21 * time.Minute)
			if id := s.who(t, c); id == nil || id.Evidence != nil || keeps() != 0 {
				t.Errorf("%s: evidence of somebody who is kept logged in is kept as long: %v", kind.name, id)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	k := NewKey()
	text := k.Reveal()
	m := &Manager{Keys: []Key{k}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "k", k, "ks", m.Keys, "m", fmt.Sprint(m.Keys))
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, m.Keys) + fmt.Sprintf(verb, struct{ K Key }{k})
	}
	if strings.Contains(out, text) || strings.Contains(out, fmt.Sprintf("%x", k.k.secret)) || strings.Contains(out, fmt.Sprint(k.k.secret)) {
		t.Errorf("key printed: %s", out)
	}
	back, err := ParseKey(text + "\n")
	if err != nil || back.Reveal() != text {
		t.Errorf("ParseKey = %v, %v", back, err)
	}
	for _, bad := range []string{"", "x", text[:20], text + text} {
		if _, err := ParseKey(bad); err == nil || !strings.Contains(err.Error(), "openssl") {
			t.Errorf("ParseKey(%q) = %v", bad, err)
		}
	}
}
