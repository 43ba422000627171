package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// world is a realm with its store, directory and clock.
type world struct {
	*Provisioner
	store *memory
	dir   *source
	clock *clockAt
	log   *logged
}

func newWorld(tb testing.TB, users ...directory.User) *world {
	tb.Helper()
	w := &world{store: newMemory(tb, users...), dir: &source{accounts: []*directory.Account{aliceAccount()}}, clock: &clockAt{t: start}, log: &logged{}}
	w.Provisioner = &Provisioner{Realm: "corp", Store: w.store, Source: w.dir, Now: w.clock.now, Logger: w.log.logger()}
	return w
}

func (w *world) login(tb testing.TB, id *authn.Identity) *authn.Identity {
	tb.Helper()
	out, err := w.Provision(tb.Context(), id)
	if err != nil {
		tb.Fatalf("login of %s: %v", id, err)
	}
	return out
}

func (w *world) refused(tb testing.TB, id *authn.Identity, want authn.Reason) {
	tb.Helper()
	out, err := w.Provision(tb.Context(), id)
	var re *authn.RefusedError
	if !errors.As(err, &re) || re.Reason != want || out != nil {
		tb.Fatalf("login of %s = %v, %v, want refusal %q", id, out, err, want)
	}
	if re.Mechanism != id.Mechanism || re.User != id.String() {
		tb.Errorf("the refusal is about %q, %q", re.Mechanism, re.User)
	}
}

func TestFirstLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.login(t, aliceIdentity())
	u := w.store.user(t, `corp\ALICE`)
	if u.Realm != "corp" || u.SID != sid(1104) || u.DisplayName != "Alice Ash" || u.Email != "alice@example.com" || u.Phone != "+49 170 1" ||
		u.UPN != "alice@corp.test" || !u.Password.IsEmpty() || len(u.Groups) != 2 || !u.Refreshed.Equal(start) || !u.LastLogin.Equal(start) {
		t.Errorf("user is %+v", u)
	}
	if id.DisplayName != "Alice Ash" || id.UPN != "alice@corp.test" || len(id.Groups) != 2 || id.Mechanism != "NTLM" {
		t.Errorf("identity is %+v", id)
	}

	// Groups that the mechanism asserts stay as they are.
	pac := aliceIdentity()
	pac.Groups = []authn.Group{{SID: sid(999)}}
	if got := w.login(t, pac); !slices.Equal(got.Groups, pac.Groups) || got == pac {
		t.Errorf("groups = %v", got.Groups)
	}
	if len(pac.Groups) != 1 || pac.DisplayName != "" {
		t.Error("the mechanism's identity was modified")
	}

	// But they get the names that the directory has for them, as a PAC has none.
	known := u.Groups[0]
	pac.Groups = []authn.Group{{SID: known.SID}, {SID: sid(999)}, {SID: sid(998), Name: `CORP\Own`}}
	for range 2 { // by the names of the login before
		want := []authn.Group{known, {SID: sid(999)}, {SID: sid(998), Name: `CORP\Own`}}
		if got := w.login(t, pac); known.Name == "" || !slices.Equal(got.Groups, want) {
			t.Errorf("groups = %v, want %v", got.Groups, want)
		}
	}
	if pac.Groups[0].Name != "" {
		t.Error("the mechanism's groups were modified")
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login(t, aliceIdentity())
	w.dir.accounts[0].Email, w.dir.accounts[0].Phone = "ash@example.com", ""
	w.dir.accounts[0].Groups = w.dir.accounts[0].Groups[1:]

	for range 50 { // each request of a client that sends Basic
		w.login(t, aliceIdentity())
	}
	if w.dir.asked != 1 || w.store.logins != 1 || w.store.writes != 1 || w.store.reads > 2+50 {
		t.Errorf("50 requests at once: %d times asked, %d logins, %d writes, %d reads, want 1, 1, 1, and one for each", w.dir.asked, w.store.logins, w.store.writes, w.store.reads)
	}
	w.clock.add(time.Minute)
	if id := w.login(t, aliceIdentity()); len(id.Groups) != 1 {
		t.Errorf("groups = %v, want those of now", id.Groups)
	}
	u := w.store.user(t, `CORP\alice`)
	if u.Email != "ash@example.com" || u.Phone != "" || len(u.Groups) != 1 || u.Version != 2 {
		t.Errorf("user is %+v", u)
	}

	// What has not changed is not written, but for the time once an hour.
	w.dir.accounts[0].Groups = slices.Clone(w.dir.accounts[0].Groups)
	for range 59 {
		w.clock.add(time.Minute)
		w.login(t, aliceIdentity())
	}
	if v := w.store.user(t, `CORP\alice`).Version; v != 2 {
		t.Errorf("version %d after an hour without changes, want 2", v)
	}
	w.clock.add(time.Minute)
	w.login(t, aliceIdentity())
	if u := w.store.user(t, `CORP\alice`); u.Version != 3 || !u.Refreshed.Equal(w.clock.now()) {
		t.Errorf("version %d, refreshed %v, want 3 and now", u.Version, u.Refreshed)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	user := func(s directory.State) directory.User {
		return directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104), State: s, Roles: []string{"payroll"}}
	}
	disabled := aliceAccount()
	disabled.Disabled = true
	expired := aliceAccount()
	expired.Expires = start
	away := fmt.Errorf("ldap: %w", authn.ErrUnavailable)
	for _, tt := range []struct {
		name    string
		state   directory.State
		account *directory.Account // nil: gone
		err     error
		want    authn.Reason
		after   directory.State
		ended   bool
	}{
		{name: "active", account: aliceAccount(), after: directory.Active},
		{name: "active, directory away", err: away, after: directory.Active},
		{name: "active, not in the directory", after: directory.Active},
		{name: "active, disabled now", account: disabled, want: authn.ReasonDisabled, after: directory.DisabledByDirectory, ended: true},
		{name: "active, expired now", account: expired, want: authn.ReasonAccountExpired, after: directory.DisabledByDirectory, ended: true},
		{name: "operator", state: directory.DisabledByOperator, account: aliceAccount(), want: authn.ReasonDisabled, after: directory.DisabledByOperator},
		{name: "enabled again", state: directory.DisabledByDirectory, account: aliceAccount(), after: directory.Active},
		{name: "still disabled", state: directory.DisabledByDirectory, account: disabled, want: authn.ReasonDisabled, after: directory.DisabledByDirectory},
		{name: "still gone", state: directory.DisabledByDirectory, want: authn.ReasonDisabled, after: directory.DisabledByDirectory},
		{name: "disabled, directory away", state: directory.DisabledByDirectory, err: away, want: "unavailable", after: directory.DisabledByDirectory},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, user(tt.state))
			w.dir.accounts, w.dir.err = nil, tt.err
			if tt.account != nil {
				w.dir.accounts = []*directory.Account{tt.account}
			}
			switch tt.want {
			case "":
				w.login(t, aliceIdentity())
			case "unavailable":
				if _, err := w.Provision(t.Context(), aliceIdentity()); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
					t.Errorf("error %v, want ErrUnavailable", err)
				}
			default:
				w.refused(t, aliceIdentity(), tt.want)
			}
			u := w.store.user(t, `CORP\alice`)
			if u.State != tt.after || len(u.Roles) != 1 {
				t.Errorf("state %v, roles %v, want %v and one", u.State, u.Roles, tt.after)
			}
			if got := len(w.store.ended) > 0; got != tt.ended {
				t.Errorf("sessions ended: %v, want %v", got, tt.ended)
			}
		})
	}
}

// TestAttackDisabledGoesOn: whom an operator disabled, at whichever node, is out
// with the next request, unless somebody chose otherwise. Users went on for five
// seconds, and for a minute while another of their requests asked the directory.
func TestAttackDisabledGoesOn(t *testing.T) {
	t.Parallel()
	for _, reread := range []time.Duration{0, 5 * time.Second} {
		w := newWorld(t)
		w.RereadAfter = reread
		w.login(t, aliceIdentity())
		u := w.store.user(t, `CORP\alice`)
		u.State = directory.DisabledByOperator
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if reread > 0 {
			w.clock.add(reread - 1)
			w.login(t, aliceIdentity())
			w.clock.add(1)
		}
		w.refused(t, aliceIdentity(), authn.ReasonDisabled)
		if w.dir.asked != 1 {
			t.Errorf("the directory was asked %d times, want once", w.dir.asked)
		}
	}
}

// What an operator granted comes with the login, and nothing else does: no login
// brings roles of its own.
func TestGrantedRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := aliceIdentity()
	id.Roles = []string{"admin"}
	if got := w.login(t, id).Roles; len(got) > 0 {
		t.Errorf("roles of a first login = %q, want none", got)
	}
	u := w.store.user(t, `CORP\alice`)
	u.Roles = []string{"editor"}
	if err := w.store.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := w.login(t, aliceIdentity()).Roles; !slices.Equal(got, u.Roles) {
		t.Errorf("roles = %q, want %q", got, u.Roles)
	}
}

func TestKnownOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, directory.User{Realm: "corp", Name: `CORP\bob`, SID: sid(1105)})
	w.KnownOnly = true
	w.refused(t, aliceIdentity(), authn.ReasonPolicy)
	var re *authn.RefusedError
	if _, err := w.Provision(t.Context(), aliceIdentity()); !errors.As(err, &re) || re.Hint == "" {
		t.Errorf("error %v has no hint how to allow it", err)
	}
	w.login(t, &authn.Identity{Account: "bob", Domain: "CORP", SID: sid(1105)})
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104), Roles: []string{"payroll"}})
	w.dir.accounts[0].Name = `CORP\ash`
	id := aliceIdentity()
	id.Account = "ash"
	out := w.login(t, id)
	u := w.store.user(t, `CORP\ash`)
	if u.SID != sid(1104) || len(u.Roles) != 1 || u.ID != 1 || out.String() != `CORP\ash` {
		t.Errorf("user is %+v, identity %s", u, out)
	}
	if !slices.Equal(w.store.ended, []string{`CORP\alice`}) {
		t.Errorf("sessions ended: %q, want those of the old name", w.store.ended)
	}
	// A login that knows the Kerberos realm only does not rename anybody.
	w.Source = nil
	w.clock.add(time.Hour)
	id.Domain = "CORP.TEST"
	if out := w.login(t, id); out.String() != `CORP\ash` {
		t.Errorf("identity %s, want that of the user", out)
	}
}

// Two accounts swapped their names.
func TestNamesSwapped(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104), Roles: []string{"a"}},
		directory.User{Realm: "corp", Name: `CORP\bob`, SID: sid(1105), Roles: []string{"b"}})
	w.dir.accounts = []*directory.Account{{Name: `CORP\bob`, SID: sid(1104)}, {Name: `CORP\alice`, SID: sid(1105)}}
	w.login(t, &authn.Identity{Account: "bob", Domain: "CORP", SID: sid(1104)})
	w.login(t, &authn.Identity{Account: "alice", Domain: "CORP", SID: sid(1105)})
	if a, b := w.store.user(t, `CORP\bob`), w.store.user(t, `CORP\alice`); a.Roles[0] != "a" || b.Roles[0] != "b" || a.State+b.State != directory.Active {
		t.Errorf("bob is %+v, alice %+v", a, b)
	}
}

// The mechanism knows no SID: the directory's answer says who it is.
func TestLoginWithoutSID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104), Roles: []string{"payroll"}})
	id := aliceIdentity()
	id.SID = ""
	if out := w.login(t, id); out.SID != sid(1104) {
		t.Errorf("SID %q", out.SID)
	}
	if len(w.store.users) != 1 {
		t.Errorf("users: %q", w.store.names())
	}

	// A user made by hand, by name, becomes that of the account.
	w = newWorld(t, directory.User{Name: `corp\alice`, Roles: []string{"payroll"}})
	w.login(t, aliceIdentity())
	if u := w.store.user(t, `CORP\alice`); u.SID != sid(1104) || u.Realm != "corp" || len(u.Roles) != 1 || u.Name != `CORP\alice` {
		t.Errorf("user is %+v", u)
	}
}

// A realm without a directory keeps what logins say.
func TestWithoutSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Source = nil
	id := aliceIdentity()
	id.Groups, id.DisplayName = []authn.Group{{SID: sid(7)}}, "Alice"
	w.login(t, id)
	if u := w.store.user(t, `CORP\alice`); u.DisplayName != "Alice" || len(u.Groups) != 1 {
		t.Errorf("user is %+v", u)
	}
	id = aliceIdentity()
	id.Groups = []authn.Group{{SID: sid(8)}, {SID: sid(7)}}
	w.clock.add(time.Minute)
	w.login(t, id)
	if u := w.store.user(t, `CORP\alice`); u.DisplayName != "Alice" || len(u.Groups) != 2 {
		t.Errorf("user is %+v", u)
	}
	// One whom the directory disabled before stays so: nobody can say that he is
	// enabled.
	u := w.store.user(t, `CORP\alice`)
	u.State = directory.DisabledByDirectory
	if err := w.store.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Minute)
	w.refused(t, id, authn.ReasonDisabled)
}

func TestFirstLoginOnTwoNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := &Provisioner{Realm: "corp", Store: w.store, Source: w.dir, Now: w.clock.now, Logger: w.log.logger()}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			p := w.Provisioner
			if i%2 == 1 {
				p = other
			}
			if id, err := p.Provision(t.Context(), aliceIdentity()); err != nil || len(id.Groups) != 2 {
				t.Errorf("login: %v, %v", id, err)
			}
		})
	}
	wg.Wait()
	if len(w.store.users) != 1 {
		t.Errorf("users: %q, want one", w.store.names())
	}

	// The other node is faster between our look and our write.
	w = newWorld(t)
	w.store.before = func(what string, _ *directory.User) {
		w.store.before = nil
		if what != "create" {
			t.Errorf("%s before create", what)
		}
		if err := w.store.CreateUser(t.Context(), &directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104)}); err != nil {
			t.Error(err)
		}
	}
	w.login(t, aliceIdentity())
	if u := w.store.user(t, `CORP\alice`); len(w.store.users) != 1 || u.Email == "" {
		t.Errorf("user is %+v, of %q", u, w.store.names())
	}
}

// An operator's change between our look and our write is not lost.
func TestConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104)})
	w.store.before = func(string, *directory.User) {
		w.store.before = nil
		u := w.store.user(t, `CORP\alice`)
		u.Roles = []string{"payroll"}
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Error(err)
		}
	}
	w.login(t, aliceIdentity())
	if u := w.store.user(t, `CORP\alice`); len(u.Roles) != 1 || u.Email == "" {
		t.Errorf("user is %+v", u)
	}
}

// fixed is an authenticator that lets everybody in as one caller.
type fixed struct {
	res *authn.Result
	err error
}

func (f fixed) Authenticate(*http.Request) (*authn.Result, error) { return f.res, f.err }
func (f fixed) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: "NTLM"}}
}
func (f fixed) VerifyPassword(context.Context, string, string) (*authn.Identity, error) {
	return f.res.Identity, f.err
}

func TestWrap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	inner := &authn.Result{Identity: aliceIdentity(), Persistent: true}
	res, err := w.Wrap(fixed{res: inner}).Authenticate(r)
	if err != nil || len(res.Identity.Groups) != 2 || !res.Persistent || res.Fresh || len(inner.Identity.Groups) != 0 {
		t.Errorf("result %+v, %v", res, err)
	}
	if w.store.logins != 0 {
		t.Error("a request on a connection that is logged in counts as a login")
	}
	inner.Fresh = true
	if res, err = w.Wrap(fixed{res: inner}).Authenticate(r); err != nil || !res.Fresh || w.store.logins != 1 {
		t.Errorf("result %+v, %v, %d logins", res, err, w.store.logins)
	}
	leg := &authn.Result{Continue: &authn.Challenge{Scheme: "NTLM"}}
	if res, err = w.Wrap(fixed{res: leg}).Authenticate(r); res != leg || err != nil {
		t.Errorf("a leg of a handshake: %+v, %v", res, err)
	}
	if _, err = w.Wrap(fixed{err: authn.ErrNoCredentials}).Authenticate(r); !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("error %v", err)
	}
	if c := w.Wrap(fixed{}).Challenges(r); len(c) != 1 || c[0].Scheme != "NTLM" {
		t.Errorf("challenges %v", c)
	}
	if id, err := w.Verifier(fixed{res: inner}).VerifyPassword(t.Context(), "alice", "x"); err != nil || len(id.Groups) != 2 {
		t.Errorf("verifier: %v, %v", id, err)
	}
	bad := &authn.RefusedError{Reason: authn.ReasonWrongPassword}
	if id, err := w.Verifier(fixed{res: &authn.Result{}, err: bad}).VerifyPassword(t.Context(), "alice", "x"); id != nil || !errors.Is(err, bad) {
		t.Errorf("verifier: %v, %v", id, err)
	}
}

// A directory may hold anything.
func TestTextOfTheDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Jürgen 日本", "Jürgen 日本"},
		{"control", "a\x00b\nc\x1b[2J", "abc[2J"},
		{"not UTF-8", "a\xffb", "ab"},
		{"cut between runes", string(slices.Repeat([]byte("é"), 300)), string(slices.Repeat([]byte("é"), 256))},
		{"cut within a rune", "x" + string(slices.Repeat([]byte("é"), 300)), "x" + string(slices.Repeat([]byte("é"), 255))},
	} {
		if got := text(tt.in); got != tt.want {
			t.Errorf("%s: text(%.20q) = %.20q of %d bytes, want %.20q of %d", tt.name, tt.in, got, len(got), tt.want, len(tt.want))
		}
	}
	w := newWorld(t)
	w.dir.accounts[0].Email = "a\x00@example.com"
	w.login(t, aliceIdentity())
}

// Memory does not grow with the number of users who were ever seen.
func TestMemoryBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 * maxKnown {
		w.entry(&authn.Identity{Account: fmt.Sprint("user", i), Domain: "CORP"})
	}
	if n := len(w.known); n > maxKnown {
		t.Errorf("%d users in memory, want at most %d", n, maxKnown)
	}
}
