package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Millisecond)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// site is a Manager with its clock and its debug log.
type site struct {
	*Manager
	clock *clock
	log   *bytes.Buffer
}

func newSite(m *Manager) *site {
	s := &site{Manager: m, clock: newClock(), log: new(bytes.Buffer)}
	if m.Store == nil {
		m.Store = NewMemory(0)
	}
	m.Now = s.clock.Now
	m.Logger = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return s
}

// kinds are the two kinds of sessions.
var kinds = []struct {
	name string
	keys []Key
}{
	{"row", nil},
	{"sealed", []Key{NewKey()}},
}

var alice = &authn.Identity{
	Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice", SID: "S-1-5-21-1-2-3-1104",
	Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}, {SID: "S-1-1-0"}}, Mechanism: "form",
}

// get is a request over TLS with cookies.
func get(cookies ...*http.Cookie) *http.Request { return request(http.MethodGet, cookies...) }

func request(method string, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(method, "https://web.corp.test/", nil)
	r.TLS = &tls.ConnectionState{}
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return r
}

// login starts a session and returns its cookie.
func (s *site) login(t *testing.T, id *authn.Identity, remember bool, had ...*http.Cookie) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := s.Start(w, get(had...), id, remember); err != nil {
		t.Fatal(err)
	}
	return cookieOf(t, w, s.CookieName(get()))
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder, name string) *http.Cookie {
	t.Helper()
	var found *http.Cookie
	for _, c := range w.Result().Cookies() {
		if c.Name == name {
			if found != nil {
				t.Fatalf("two cookies of the name %s", name)
			}
			found = c
		}
	}
	if found == nil {
		t.Fatalf("no cookie %s in %v", name, w.Header())
	}
	return found
}

// who returns whom the cookies belong to, or nil.
func (s *site) who(t *testing.T, cookies ...*http.Cookie) *authn.Identity {
	t.Helper()
	res, err := s.Authenticate(get(cookies...))
	if errors.Is(err, authn.ErrNoCredentials) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return res.Identity
}

func TestSession(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(&Manager{Keys: kind.keys})
			in := *alice
			in.AuthTime = s.clock.Now()
			c := s.login(t, &in, false)
			if c.Name != "__Host-soapward" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" ||
				c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
				t.Errorf("cookie %s", c.Raw)
			}
			got := s.who(t, c)
			if got == nil {
				t.Fatalf("not logged in: %s", s.log)
			}
			want := in
			want.Expires = s.clock.Now().Add(DefaultAbsolute)
			if !got.AuthTime.Equal(want.AuthTime) || !got.Expires.Equal(want.Expires) {
				t.Errorf("times %v %v, want %v %v", got.AuthTime, got.Expires, want.AuthTime, want.Expires)
			}
			got.AuthTime, got.Expires, want.AuthTime, want.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("identity %+v\nwant %+v", *got, want)
			}

			w := httptest.NewRecorder()
			if err := s.End(w, get(c)); err != nil {
				t.Fatal(err)
			}
			if gone := cookieOf(t, w, c.Name); gone.MaxAge >= 0 || gone.Value != "" {
				t.Errorf("cookie after the end: %s", gone.Raw)
			}
			if id := s.who(t, c); id != nil {
				t.Errorf("still logged in as %v", id)
			}
		})
	}
}

// TestWholeIdentity: what identities are given later comes back as well.
func TestWholeIdentity(t *testing.T) {
	t.Parallel()
	var id authn.Identity
	v := reflect.ValueOf(&id).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(v.Type().Field(i).Name)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 2, 2))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
			f.SetMapIndex(reflect.New(f.Type().Key()).Elem(), reflect.MakeSlice(f.Type().Elem(), 1, 1))
		}
	}
	id.AuthTime, id.Expires = time.Now().Round(0), time.Now().Add(time.Hour).Round(0)
	data, err := encodeIdentity(&id, packRowAbove)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decodeIdentity(data)
	if err != nil {
		t.Fatal(err)
	}
	if !got.AuthTime.Equal(id.AuthTime) || !got.Expires.Equal(id.Expires) {
		t.Errorf("times %v, %v", got.AuthTime, got.Expires)
	}
	got.AuthTime, got.Expires = id.AuthTime, id.Expires
	if !reflect.DeepEqual(*got, id) {
		t.Errorf("got  %+v\nwant %+v", *got, id)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		m        *Manager // Idle, Absolute, Remember; nil: defaults
		remember bool
		expires  time.Duration // of the identity; zero: none
		every    time.Duration // between requests
		lasts    time.Duration // the last request that is let in
	}{
		{name: "idle", every: 20 * time.Minute},
		{name: "used, to the absolute limit", every: 19 * time.Minute, lasts: 12*time.Hour - 17*time.Minute},
		{name: "kept logged in", remember: true, every: 24 * time.Hour, lasts: 9 * 24 * time.Hour},
		{name: "nobody is kept", m: &Manager{Remember: -1}, remember: true, every: 20 * time.Minute},
		{name: "settings", m: &Manager{Idle: time.Hour, Absolute: 2 * time.Hour}, every: 50 * time.Minute, lasts: 100 * time.Minute},
		{name: "no idle limit", m: &Manager{Idle: -1}, every: 5 * time.Hour, lasts: 10 * time.Hour},
		{name: "not beyond the ticket", expires: time.Hour, every: 15 * time.Minute, lasts: 45 * time.Minute},
	} {
		for _, kind := range kinds {
			t.Run(tt.name+", "+kind.name, func(t *testing.T) {
				t.Parallel()
				m := &Manager{Keys: kind.keys}
				if tt.m != nil {
					m.Idle, m.Absolute, m.Remember = tt.m.Idle, tt.m.Absolute, tt.m.Remember
				}
				s := newSite(m)
				id := *alice
				if tt.expires > 0 {
					id.Expires = s.clock.Now().Add(tt.expires)
				}
				c := s.login(t, &id, tt.remember)
				begin, last := s.clock.Now(), time.Duration(0)
				for s.clock.Now().Sub(begin) < 11*24*time.Hour {
					s.clock.Pass(tt.every)
					if s.who(t, c) == nil {
						break
					}
					last = s.clock.Now().Sub(begin)
					w := httptest.NewRecorder()
					s.Renew(http.NotFoundHandler()).ServeHTTP(w, get(c))
					for _, renewed := range w.Result().Cookies() {
						c = renewed
					}
				}
				if last != tt.lasts {
					t.Errorf("lasted %v, want %v: %s", last, tt.lasts, s.log)
				}
			})
		}
	}
}

// TestSeen: the store is not written to at each request.
func TestSeen(t *testing.T) {
	t.Parallel()
	store := &counting{Memory: NewMemory(0)}
	s := newSite(&Manager{Store: store})
	c := s.login(t, alice, false)
	for range 90 {
		s.clock.Pass(2 * time.Second)
		if s.who(t, c) == nil {
			t.Fatal("not logged in")
		}
	}
	if store.touched != 3 {
		t.Errorf("written %d times in three minutes, want 3", store.touched)
	}
}

type counting struct {
	*Memory
	touched int
}

func (c *counting) TouchSession(ctx context.Context, id directory.SessionID, seen time.Time) error {
	c.touched++
	return c.Memory.TouchSession(ctx, id, seen)
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		if c := s.login(t, alice, true); c.MaxAge != int(DefaultRemember/time.Second) || !c.Expires.Equal(s.clock.Now().Add(DefaultRemember).Truncate(time.Second)) {
			t.Errorf("%s: cookie %s", kind.name, c.Raw)
		}
	}
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewRequest(http.MethodGet, "http://web.corp.test/", nil)
	for _, tt := range []struct {
		name   string
		m      *Manager
		err    error
		cookie string
		secure bool
	}{
		{"refused", &Manager{}, ErrInsecure, "", false},
		{"development", &Manager{AllowInsecureHTTP: true}, nil, "soapward", false},
		{"behind a proxy", &Manager{TLSAtProxy: true}, nil, "__Host-soapward", true},
		{"another name", &Manager{TLSAtProxy: true, Name: "hr"}, nil, "__Host-hr", true},
	} {
		s, w := newSite(tt.m), httptest.NewRecorder()
		if err := s.Start(w, plain, alice, false); !errors.Is(err, tt.err) {
			t.Errorf("%s: Start = %v, want %v", tt.name, err, tt.err)
		}
		if tt.cookie == "" {
			if len(w.Header()) != 0 {
				t.Errorf("%s: header %v", tt.name, w.Header())
			}
			continue
		}
		if c := cookieOf(t, w, tt.cookie); c.Secure != tt.secure {
			t.Errorf("%s: cookie %s", tt.name, c.Raw)
		}
	}
}

func TestListAndEnd(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{})
	ctx := t.Context()
	a, b := s.login(t, alice, false), s.login(t, alice, true)
	bob := s.login(t, &authn.Identity{Account: "bob", Domain: "CORP"}, false)
	list, err := s.Sessions(ctx, `corp\ALICE`)
	if err != nil || len(list) != 2 || list[0].User != `CORP\alice` || list[0].Peer != "192.0.2.1" {
		t.Fatalf("Sessions = %+v, %v; want two of alice", list, err)
	}
	id, ok := s.Present(get(a))
	if other, _ := s.Present(get(b)); !ok || id == other || (id != list[0].ID && id != list[1].ID) {
		t.Errorf("Present = %x, %v", id, ok)
	}
	for _, r := range []*http.Request{get(), get(&http.Cookie{Name: a.Name, Value: "x"}), get(&http.Cookie{Name: a.Name, Value: a.Value + "x"})} {
		if id, ok := s.Present(r); ok {
			t.Errorf("Present = %x of %v", id, r.Cookies())
		}
	}
	if err := s.EndSession(ctx, id); err != nil {
		t.Fatal(err)
	}
	if s.who(t, a) != nil || s.who(t, b) == nil {
		t.Error("EndSession did not end the one it names")
	}
	if n, err := s.EndAll(ctx, `corp\alice`); n != 1 || err != nil {
		t.Errorf("EndAll = %d, %v; want 1", n, err)
	}
	if s.who(t, b) != nil || s.who(t, bob) == nil {
		t.Error("EndAll did not end alice's sessions only")
	}
	s.clock.Pass(DefaultIdle)
	if list, err = s.Sessions(ctx, `CORP\bob`); len(list) != 0 || err != nil {
		t.Errorf("Sessions = %v, %v; want none that expired", list, err)
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	s := newSite(&Manager{})
	c := s.login(t, alice, false)
	s.Store = away{}
	if res, err := s.Authenticate(get(c)); res != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("Authenticate = %v, %v; want ErrUnavailable", res, err)
	}
	if err := s.End(httptest.NewRecorder(), get(c)); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("End = %v; a logout that did not happen must not look like one", err)
	}
	if err := s.Start(httptest.NewRecorder(), get(), alice, false); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("Start = %v", err)
	}
}

// away is a store that cannot be reached.
type away struct{ Store }

var errAway = fmt.Errorf("dial: %w", authn.ErrUnavailable)

func (away) PutSession(context.Context, *directory.Session) error { return errAway }
func (away) Session(context.Context, directory.SessionID) (*directory.Session, error) {
	return nil, errAway
}

// TestSlidingRace: requests of one session at the same time, with its end among
// them. After the end nobody is let in, and no late request brings it back.
func TestSlidingRace(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		s.Logger = slog.New(slog.DiscardHandler)
		c := s.login(t, alice, false)
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for range 10 {
					s.clock.Pass(time.Second)
					w := httptest.NewRecorder()
					_, err := s.Authenticate(get(c))
					if err != nil && !errors.Is(err, authn.ErrNoCredentials) {
						t.Error(err)
					}
					s.Renew(http.NotFoundHandler()).ServeHTTP(w, get(c))
					if i == 20 {
						if err := s.End(w, get(c)); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		if id := s.who(t, c); id != nil {
			t.Errorf("%s: came back as %v", kind.name, id)
		}
	}
}

func TestTouchNeverGoesBack(t *testing.T) {
	t.Parallel()
	m, now := NewMemory(0), time.Now()
	row := &directory.Session{User: "a", Created: now, Seen: now, Expires: now.Add(time.Hour)}
	if err := m.PutSession(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{5 * time.Minute, time.Minute} {
		if err := m.TouchSession(t.Context(), row.ID, now.Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := m.Session(t.Context(), row.ID); err != nil || !got.Seen.Equal(now.Add(5*time.Minute)) {
		t.Errorf("Session = %v, %v", got, err)
	}
}

func TestLargeIdentity(t *testing.T) {
	t.Parallel()
	// A hundred groups fit into a cookie.
	usual := *alice
	for i := range 100 {
		usual.Groups = append(usual.Groups, authn.Group{
			SID:  authn.SID(fmt.Sprintf("S-1-5-21-1111111111-2222222222-3333333333-%d", 1100+i*7%1000)),
			Name: fmt.Sprintf(`CORP\Share %c%c read %d`, 'A'+i%26, 'a'+i*5%26, i),
		})
	}
	s := newSite(&Manager{Keys: kinds[1].keys})
	if c := s.login(t, &usual, false); !isSealed(c.Value) || s.who(t, c) == nil {
		t.Errorf("a session with 100 groups is not sealed, or not known: %s", s.log)
	}
	many := *alice
	for i := range 1000 {
		many.Groups = append(many.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1111111111-2222222222-3333333333-%d", i)), Name: fmt.Sprintf(`CORP\Group %d`, i)})
	}
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		c := s.login(t, &many, false)
		if id := s.who(t, c); id == nil || !reflect.DeepEqual(id.Groups, many.Groups) {
			t.Errorf("%s: %d groups did not come back", kind.name, len(many.Groups))
		}
		if len(c.Value) > maxCookie {
			t.Errorf("%s: cookie of %d bytes", kind.name, len(c.Value))
		}
	}
	huge := *alice
	for i := range 3000 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		huge.Groups = append(huge.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-%x", sum))})
	}
	if err := newSite(&Manager{}).Start(httptest.NewRecorder(), get(), &huge, false); err == nil || !strings.Contains(err.Error(), "groups") {
		t.Errorf("identity beyond the bound: %v", err)
	}
}

func form(values url.Values) *strings.Reader { return strings.NewReader(values.Encode()) }
