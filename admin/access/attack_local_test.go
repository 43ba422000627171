package access

import (
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// TestAttackAdminSameAnswer: the browser cannot tell who is a local administrator,
// by words or by time.
func TestAttackAdminSameAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin")
	w.local("away", func(u *directory.User) { u.State = directory.DisabledByOperator })
	w.local("clerk", func(u *directory.User) { u.LocalAdmin = false })
	if err := w.store.CreateUser(t.Context(), &directory.User{Name: "bare", LocalAdmin: true}); err != nil {
		t.Fatal(err)
	}
	s := w.site()
	varying := regexp.MustCompile(`(name="csrf" value="[^"]*"|Date:\[[^]]*\]|Content-Length:\[[^]]*\]|value="(admin|away|clerk|bare|nobody)")`)
	first := ""
	for _, tt := range []struct{ user, secret, reason string }{
		{"admin", wrongSecret, "wrong-password"},
		{"nobody", secretPassword, "unknown-user"},
		{"away", secretPassword, "account-disabled"},
		{"clerk", secretPassword, "policy"},
		{"bare", secretPassword, "policy"},
	} {
		b := s.browser()
		began := time.Now()
		a := b.password(tt.user, tt.secret)
		if took := time.Since(began); took < 240*time.Millisecond {
			t.Errorf("%s: refused after %v", tt.user, took)
		}
		got := varying.ReplaceAllString(fmt.Sprint(a.StatusCode, a.Header, a.text), "*")
		if first == "" {
			first = got
		}
		if a.StatusCode != 401 || got != first {
			t.Errorf("%s:\n got %s\nwant %s", tt.user, got, first)
		}
		want(t, w.decisions(), "local refused "+tt.user+" "+tt.reason)
		if valueOf(b, "__Host-"+pendingCookie) != "" {
			t.Errorf("%s goes on", tt.user)
		}
	}
}

// TestAttackAdminLockedOut: guesses elsewhere do not keep an administrator out:
// neither at services from his address, nor here from other addresses, nor all
// that come by this machine.
func TestAttackAdminLockedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	// At a service, whose failures are in the same store.
	service := &throttle.Limiter{Store: w.store, Now: w.clock}
	ctx := authn.WithClient(t.Context(), addrOf("192.0.2.7"))
	for i := range 22 {
		_, _ = service.Password(refusing{}).VerifyPassword(ctx, []string{"admin", fmt.Sprint("user", i)}[min(i/3, 1)], randomText())
	}
	for _, key := range []string{throttle.AddressKey(addrOf("192.0.2.7")), "user admin at 192.0.2.7"} {
		if b, err := w.store.BlockOf(t.Context(), w.clock(), key); err != nil || b == nil {
			blocks, _ := w.store.Blocks(t.Context(), w.clock())
			t.Fatalf("the service has no block of %s: %v, %v", key, err, blocks)
		}
	}
	s := w.siteFrom("192.0.2.7")
	s.browser().signInLocal("admin", w.code(secret))
	w.later(time.Minute)

	// Here, from another address.
	guess := func(from string, user string, status int) {
		t.Helper()
		b := s.browser()
		b.header["Test-From"] = from
		b.password(user, wrongSecret).expect(status)
	}
	for range 3 {
		guess("198.51.100.1", "admin", 401)
	}
	guess("198.51.100.1", "admin", 429)
	s.browser().signInLocal("admin", w.code(secret))
	w.later(time.Minute)

	// An address is blocked for all names...
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			b := s.browser()
			b.header["Test-From"] = "198.51.100.2"
			b.password(fmt.Sprint("user", i), wrongSecret)
			b = s.browser()
			b.header["Test-From"] = "127.0.0.1"
			b.password(fmt.Sprint("user", i), wrongSecret)
		})
	}
	wait.Wait()
	guess("198.51.100.2", "anybody", 429)
	// ... but this machine is not: it is everybody's address behind a proxy here.
	guess("127.0.0.1", "anybody", 401)
	b := s.browser()
	b.header["Test-From"] = "127.0.0.1"
	b.signInLocal("admin", w.code(secret))
}

// TestAttackAdminCodes: six digits are not guessed: wrong ones block, a right
// password forgives none of them, and neither do other addresses.
func TestAttackAdminCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.siteFrom("192.0.2.7")
	b := s.browser()
	for i, status := range []int{401, 401, 401, 429} {
		b.password("admin", secretPassword).expect(303) // each time anew
		if a := b.second("000000"); a.StatusCode != status {
			t.Fatalf("guess %d: %d, want %d", i, a.StatusCode, status)
		}
	}
	b.second(w.code(secret)).expect(429)
	s.program(http.MethodPost, tokenPath, "", map[string]string{"user": "admin", "password": secretPassword, "code": w.code(secret)}).expect(429)
	// From many addresses.
	blocked := 0
	for i := range maxWrongCodes {
		b := s.browser()
		b.header["Test-From"] = fmt.Sprint("198.51.100.", i)
		b.password("admin", secretPassword).expect(303)
		if b.second("000000").StatusCode == 429 {
			blocked++
		}
	}
	if blocked == 0 {
		t.Error("nothing bounds guesses from many addresses")
	}
}

// TestAttackAdminCodesAtOnce: so many codes are tried at the same time, from as many
// addresses, that most are judged before anybody is blocked. A right one behind too
// many wrong ones is of no use.
func TestAttackAdminCodesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, secret := w.local("admin")
	s := w.site()
	count := func(n int) {
		t.Helper()
		for range n { // as those that are judged at the same time count
			if _, err := w.store.AddFailure(t.Context(), w.clock(), w.clock().Add(-wrongCodesIn), codeKey(u)); err != nil {
				t.Fatal(err)
			}
		}
	}
	count(maxWrongCodes - 1)
	for range 3 { // right ones are not counted
		s.browser().signInLocal("admin", w.code(secret))
		w.later(time.Minute)
	}
	count(1)
	b := s.browser()
	b.password("admin", secretPassword).expect(303)
	b.second(w.code(secret)).expect(429)
	w.later(wrongCodesIn + time.Minute)
	s.browser().signInLocal("admin", w.code(secret))
}

// TestAttackAdminCodeReplay: a code counts once, also at the same time.
func TestAttackAdminCodeReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	code := w.code(secret)
	one, two := s.browser(), s.browser()
	one.password("admin", secretPassword).expect(303, codePath)
	two.password("admin", secretPassword).expect(303, codePath)
	one.second(code).expect(303, home)
	two.second(code).expect(401, wrongCode)

	w = newWorld(t)
	u, secret := w.local("admin")
	code = w.code(secret)
	c := w.access.core()
	var in atomic.Int32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			r := newRequest(http.MethodPost, "https://gw.test"+codePath)
			if c.judgeCode(r, u, code) == nil {
				in.Add(1)
			}
		})
	}
	wait.Wait()
	if in.Load() != 1 {
		t.Errorf("one code let %d in", in.Load())
	}
	if first, second := tryOf(code), tryOf(code); first == second { // a throttle.Limiter gives equal tries at one time one verdict
		t.Error("two tries of a code may share a verdict")
	}
}

// TestAttackAdminPendingSignIn: what stands between password and code is of the
// user as he is now, and over soon.
func TestAttackAdminPendingSignIn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, u *directory.User){
		"disabled":               func(_ *world, u *directory.User) { u.State = directory.DisabledByOperator },
		"no local administrator": func(_ *world, u *directory.User) { u.LocalAdmin = false },
		"another password":       func(_ *world, u *directory.User) { u.Password = directory.NewPasswordHash("$argon2id$other") },
		"late":                   func(w *world, _ *directory.User) { w.later(pendingFor + time.Second) },
		"local switched off": func(w *world, _ *directory.User) {
			w.change(func(c *config.Config) { c.Admin.Local.Disabled = true })
		},
	} {
		w := newWorld(t)
		u, secret := w.local("admin")
		b := w.site().browser()
		b.password("admin", secretPassword).expect(303, codePath)
		page := b.get(codePath).expect(200)
		u, err := w.store.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		change(w, u)
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if a := b.do(http.MethodPost, codePath, page.fields("code", w.code(secret))); a.Header.Get("Location") == home {
			t.Errorf("%s: signed in", name)
		}
		if a := b.get(home); a.StatusCode == 200 {
			t.Errorf("%s: there is a session", name)
		}
	}
	// It is nobody's session in the list.
	w := newWorld(t)
	w.local("admin")
	w.site().browser().password("admin", secretPassword).expect(303, codePath)
	if list, err := w.store.Sessions(t.Context(), w.clock(), directory.SessionQuery{}); err != nil || len(list) != 0 {
		t.Errorf("listed: %v, %v", list, err)
	}
}
