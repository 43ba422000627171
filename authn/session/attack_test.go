package session

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// TestAttackSessionFixation: an identifier from before a login is worth nothing
// after it, whoever chose it.
func TestAttackSessionFixation(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		name := s.CookieName(get())
		chosen := &http.Cookie{Name: name, Value: strings.Repeat("A", 43)}
		mallory := s.login(t, &authn.Identity{Account: "mallory"}, false)
		for _, planted := range []*http.Cookie{chosen, mallory} {
			c := s.login(t, alice, false, planted)
			if c.Value == planted.Value {
				t.Errorf("%s: the identifier is what the browser had before", kind.name)
			}
			if id := s.who(t, planted); id != nil {
				t.Errorf("%s: the identifier from before is %v", kind.name, id)
			}
		}
		if a, b := s.login(t, alice, false), s.login(t, alice, false); a.Value == b.Value {
			t.Errorf("%s: two logins, one identifier", kind.name)
		}
	}
}

// TestAttackSessionCookies: what is no session of ours counts as none, and the
// log says why.
func TestAttackSessionCookies(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		c := s.login(t, alice, false)
		with := func(values ...string) (cs []*http.Cookie) {
			for _, v := range values {
				cs = append(cs, &http.Cookie{Name: c.Name, Value: v})
			}
			return cs
		}
		other := newSite(&Manager{Keys: []Key{NewKey()}}).login(t, alice, false)
		otherName := newSite(&Manager{Keys: kind.keys, Name: "other"}).login(t, alice, false)
		flipped := []byte(c.Value)
		flipped[len(flipped)-20] ^= 1
		for _, tt := range []struct {
			name    string
			cookies []*http.Cookie
			why     string
		}{
			{"two of one name", with(c.Value, c.Value), "several cookies"},
			{"ours and a planted one", with(strings.Repeat("A", 43), c.Value), "several cookies"},
			{"too long", with(strings.Repeat("A", maxCookie+1)), "too long"},
			{"cut off", with(c.Value[:len(c.Value)-1]), ""},
			{"cut off at the front", with(c.Value[:4]), ""},
			{"changed", with(string(flipped)), ""},
			{"nobody's", with(strings.Repeat("A", 43)), "no such session"},
			{"not base64", with(strings.Repeat("!", 43)), "malformed"},
			{"sealed with another key", with(other.Value), "key that is not in use"},
			{"sealed for another cookie", with(otherName.Value), ""},
			{"nothing sealed", with("1."), "malformed"},
			{"empty", with(""), "empty"},
			{"the name of plain HTTP", []*http.Cookie{{Name: "soapward", Value: c.Value}}, "-"},
		} {
			s.log.Reset()
			if id := s.who(t, tt.cookies...); id != nil {
				t.Errorf("%s, %s: let in as %v", kind.name, tt.name, id)
			}
			if tt.why == "-" {
				continue
			}
			if !strings.Contains(s.log.String(), "session cookie ignored") || !strings.Contains(s.log.String(), tt.why) {
				t.Errorf("%s, %s: log %q, want %q in it", kind.name, tt.name, s.log, tt.why)
			}
			if strings.Contains(s.log.String(), c.Value) {
				t.Errorf("%s, %s: the cookie is in the log", kind.name, tt.name)
			}
		}
		if s.who(t, c) == nil {
			t.Errorf("%s: the session itself does not work: %s", kind.name, s.log)
		}
	}
}

// TestAttackSessionStoreRead: who reads the store has no cookie from it.
func TestAttackSessionStoreRead(t *testing.T) {
	t.Parallel()
	store := NewMemory(0)
	s := newSite(&Manager{Store: store})
	c := s.login(t, alice, false)
	rows, err := store.SessionsOf(t.Context(), `CORP\alice`)
	if err != nil || len(rows) != 1 {
		t.Fatalf("rows %v, %v", rows, err)
	}
	secret, _ := decodeSecret(c.Value)
	if rows[0].ID == directory.SessionID(secret) || strings.Contains(fmt.Sprintf("%+v %s", rows[0], rows[0].Data), c.Value) {
		t.Error("the row has what the browser has")
	}
	if id := s.who(t, &http.Cookie{Name: c.Name, Value: encodeSecret(rows[0].ID)}); id != nil {
		t.Errorf("the row's name is a session: %v", id)
	}
}

// TestAttackLogoutOnServer: a cookie that somebody kept is worth nothing after a
// logout, on other nodes too, sealed or not.
func TestAttackLogoutOnServer(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		store := NewMemory(0)
		a, b := newSite(&Manager{Store: store, Keys: kind.keys}), newSite(&Manager{Store: store, Keys: kind.keys})
		c, second := a.login(t, alice, true), a.login(t, alice, true)
		if b.who(t, c) == nil {
			t.Fatalf("%s: the other node does not know the session", kind.name)
		}
		if err := a.End(httptest.NewRecorder(), get(c)); err != nil {
			t.Fatal(err)
		}
		if b.who(t, c) != nil || a.who(t, c) != nil {
			t.Errorf("%s: the session goes on after the logout", kind.name)
		}
		if b.who(t, second) == nil {
			t.Errorf("%s: the logout ended another session", kind.name)
		}
		// A late answer must not bring it back either.
		b.clock.Pass(5 * time.Minute)
		w := httptest.NewRecorder()
		b.Renew(http.NotFoundHandler()).ServeHTTP(w, get(c))
		for _, renewed := range w.Result().Cookies() {
			if b.who(t, renewed) != nil {
				t.Errorf("%s: renewal brings the session back", kind.name)
			}
		}
		if _, err := b.EndAll(t.Context(), `corp\ALICE`); err != nil {
			t.Fatal(err)
		}
		if a.who(t, second) != nil {
			t.Errorf("%s: the session goes on after EndAll", kind.name)
		}
		a.clock.Pass(6 * time.Minute)
		if fresh := a.login(t, alice, false); a.who(t, fresh) == nil {
			t.Errorf("%s: nobody can log in after EndAll: %s", kind.name, a.log)
		}
	}
}

// TestAttackForgottenLogout: a restart, or a flood, makes nobody forget a logout.
func TestAttackForgottenLogout(t *testing.T) {
	t.Parallel()
	keys := []Key{NewKey()}
	old := newSite(&Manager{Keys: keys})
	old.clock.Pass(-time.Hour)
	c := old.login(t, alice, true)
	restarted := newSite(&Manager{Keys: keys})
	if id := restarted.who(t, c); id != nil {
		t.Errorf("a session from before the restart, of which nobody knows whether it ended, is %v", id)
	}

	s := newSite(&Manager{Keys: keys, Store: NewMemory(10)})
	s.clock.Pass(time.Second)
	c = s.login(t, alice, true)
	if err := s.End(httptest.NewRecorder(), get(c)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.clock.Pass(time.Second)
		if err := s.End(httptest.NewRecorder(), get(s.login(t, &authn.Identity{Account: "mallory"}, true))); err != nil {
			t.Fatal(err)
		}
	}
	if id := s.who(t, c); id != nil {
		t.Errorf("other logouts brought %v back", id)
	}
	s.clock.Pass(time.Second)
	if s.who(t, s.login(t, alice, true)) == nil {
		t.Errorf("new sessions are refused: %s", s.log)
	}
}

// TestAttackUserNamedEnded: whoever may choose a name has the sessions of that
// name ended, at the first login or by an operator, and not the notes of what
// ended, which would bring the cookies of others back.
func TestAttackUserNamedEnded(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{Keys: []Key{NewKey()}})
	c := s.login(t, alice, true)
	if err := s.End(httptest.NewRecorder(), get(c)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"#ended", "#ENDED ", `\#ended`, "ended"} {
		if _, err := s.EndAll(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.DeleteSessionsOf(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if id := s.who(t, c); id != nil {
			t.Errorf("%q logged out, and %q brought the session back", id, name)
		}
	}
	if !strings.ContainsFunc(endedRows, unicode.IsControl) {
		t.Errorf("a user may be called %q", endedRows)
	}
}

// TestAttackLimitShortened: a logout is remembered for as long as the cookie that
// was given when sessions lasted longer.
func TestAttackLimitShortened(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{Keys: []Key{NewKey()}, Remember: 30 * 24 * time.Hour})
	c := s.login(t, alice, true)
	s.Remember = time.Hour
	if err := s.End(httptest.NewRecorder(), get(c)); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Store.SessionsOf(t.Context(), endedRows)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if lasts := rows[0].Expires.Sub(rows[0].Created); lasts < 30*24*time.Hour-time.Minute {
		t.Errorf("the logout is forgotten after %v, and the cookie lasts for 30 days", lasts)
	}
}

// TestAttackKeyRotation: an older key opens until it is removed, and no longer.
func TestAttackKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := NewKey(), NewKey()
	store := NewMemory(0)
	c := newSite(&Manager{Store: store, Keys: []Key{first}}).login(t, alice, true)
	rotated := newSite(&Manager{Store: store, Keys: []Key{second, first}})
	if rotated.who(t, c) == nil {
		t.Errorf("the older key does not open: %s", rotated.log)
	}
	fresh := rotated.login(t, alice, true)
	done := newSite(&Manager{Store: store, Keys: []Key{second}})
	if done.who(t, c) != nil || done.who(t, fresh) == nil {
		t.Errorf("after the rotation: %s", done.log)
	}
	rows := newSite(&Manager{Store: store})
	if rows.who(t, fresh) != nil {
		t.Error("a sealed session without any key")
	}
	for range 3 { // the zero value is no key
		weak := newSite(&Manager{Store: store, Keys: []Key{{}}})
		if c := weak.login(t, alice, false); isSealed(c.Value) {
			t.Error("sealed without a key")
		}
	}
}

// TestAttackCrossSiteRequest: another site cannot have a browser act with its
// session.
func TestAttackCrossSiteRequest(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{})
	c := s.login(t, alice, false)
	for _, tt := range []struct {
		name   string
		method string
		header map[string]string
		in     bool
	}{
		{"our own page", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{"typed or a bookmark", "GET", map[string]string{"Sec-Fetch-Site": "none"}, true},
		{"a link on another site", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		{"a program, no browser", "POST", nil, true},
		{"another site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		{"another host of our site", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, false},
		{"another site, method made up", "PURGE", map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
		{"an older browser, another origin", "POST", map[string]string{"Origin": "https://evil.test"}, false},
		{"an older browser, our origin", "POST", map[string]string{"Origin": "https://web.corp.test"}, true},
		{"an opaque origin", "DELETE", map[string]string{"Origin": "null"}, false},
		{"WebSocket of another site", "GET", map[string]string{"Upgrade": "websocket", "Origin": "https://evil.test"}, false},
		{"WebSocket of ours", "GET", map[string]string{"Upgrade": "websocket", "Origin": "https://web.corp.test"}, true},
	} {
		r := request(tt.method, c)
		for k, v := range tt.header {
			r.Header.Set(k, v)
		}
		res, err := s.Authenticate(r)
		if (res != nil) != tt.in || err != nil && !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v; let in should be %v", tt.name, res, err, tt.in)
		}
	}
}

// TestAttackCSRFToken: only the token of the same session counts.
func TestAttackCSRFToken(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		c, others := s.login(t, alice, false), s.login(t, &authn.Identity{Account: "mallory"}, false)
		w := httptest.NewRecorder()
		formToken := s.FormToken(w, get())
		good := s.Token(get(c))
		reached := false
		h := s.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
		flipped := []byte(good)
		flipped[5] ^= 1
		for _, tt := range []struct {
			name  string
			token string
			in    bool
		}{
			{"its own", good, true},
			{"its own, asked for again", s.Token(get(c)), true},
			{"none", "", false},
			{"of another session", s.Token(get(others)), false},
			{"of the form before the login", formToken, false},
			{"changed", string(flipped), false},
			{"cut off", good[:len(good)-1], false},
			{"zeros", strings.Repeat("A", len(good)), false},
		} {
			for _, way := range []string{"header", "field"} {
				r := request(http.MethodPost, c)
				if way == "header" {
					r.Header.Set(TokenHeader, tt.token)
				} else {
					body := httptest.NewRequest(http.MethodPost, "/", form(url.Values{TokenField: {tt.token}}))
					r.Body = body.Body
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				reached = false
				h.ServeHTTP(httptest.NewRecorder(), r)
				if reached != tt.in {
					t.Errorf("%s, %s by %s: reached %v, want %v", kind.name, tt.name, way, reached, tt.in)
				}
			}
		}
		if good == s.Token(get(c)) {
			t.Error("the token looks the same twice, so that compression can give it away")
		}
		if s.Token(get()) != "" {
			t.Error("a token without a session")
		}
		r := request(http.MethodPost, c)
		r.Header.Set(TokenHeader, good)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		reached = false
		if h.ServeHTTP(httptest.NewRecorder(), r); reached {
			t.Error("a request of another site with the right token")
		}
		// What came by another login has no session that could be abused.
		if h.ServeHTTP(httptest.NewRecorder(), request(http.MethodPost)); !reached {
			t.Error("a request without a session is refused")
		}
	}
}

// TestAttackLoginCSRF: another site cannot log a browser in, with a token that
// was given to somebody else.
func TestAttackLoginCSRF(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{})
	w := httptest.NewRecorder()
	tok := s.FormToken(w, get())
	c := cookieOf(t, w, "__Host-soapward-form")
	if !c.HttpOnly || !c.Secure || c.Path != "/" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %s", c.Raw)
	}
	w2 := httptest.NewRecorder()
	otherTok := s.FormToken(w2, get())
	post := func(token string, site string, cs ...*http.Cookie) error {
		r := request(http.MethodPost, cs...)
		r.Header.Set(TokenHeader, token)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		return s.CheckForm(r)
	}
	other := cookieOf(t, w2, c.Name)
	for _, tt := range []struct {
		name string
		err  error
		ok   bool
	}{
		{"ours", post(tok, "same-origin", c), true},
		{"no cookie", post(tok, "same-origin"), false},
		{"no token", post("", "same-origin", c), false},
		{"another browser's token", post(otherTok, "same-origin", c), false},
		{"another browser's cookie", post(tok, "same-origin", other), false},
		{"planted beside ours", post(otherTok, "same-origin", c, other), false},
		{"another site", post(tok, "cross-site", c), false},
		{"another host of our site", post(tok, "same-site", c), false},
	} {
		if (tt.err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	// Two tabs share the cookie, so that both work.
	w3 := httptest.NewRecorder()
	if again := s.FormToken(w3, get(c)); post(again, "", c) != nil || len(w3.Header()) != 0 {
		t.Error("a second tab ends the first")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := NewMemory(100)
	now := time.Now()
	put := func(i int) directory.SessionID {
		s := &directory.Session{ID: directory.SessionID{byte(i), byte(i >> 8)}, User: fmt.Sprint("user", i%7), Created: now, Seen: now, Expires: now.Add(time.Hour)}
		if err := m.PutSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	used := put(0)
	for i := 1; i < 1000; i++ {
		put(i)
		if err := m.TouchSession(t.Context(), used, now); err != nil {
			t.Fatalf("the session in use was dropped: %v", err)
		}
	}
	if len(m.rows) != 100 || m.order.Len() != 100 {
		t.Errorf("%d rows, %d in order, want 100", len(m.rows), m.order.Len())
	}
	n := 0
	for i := range 7 {
		ss, err := m.SessionsOf(t.Context(), fmt.Sprint("USER", i))
		if err != nil || slices.ContainsFunc(ss, func(s directory.Session) bool { return s.User != fmt.Sprint("user", i) }) {
			t.Errorf("SessionsOf = %v, %v", ss, err)
		}
		d, err := m.DeleteSessionsOf(t.Context(), fmt.Sprint("user", i))
		if err != nil || d != len(ss) {
			t.Errorf("DeleteSessionsOf = %d, %v, want %d", d, err, len(ss))
		}
		n += d
	}
	if n != 100 || len(m.rows) != 0 || len(m.users) != 0 || m.order.Len() != 0 {
		t.Errorf("%d deleted, %d rows and %d users left", n, len(m.rows), len(m.users))
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			s := newSite(&Manager{Keys: kind.keys})
			w := httptest.NewRecorder()
			if err := s.Start(w, get(), alice, false); err != nil {
				b.Fatal(err)
			}
			r := get(w.Result().Cookies()[0])
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
