package users

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/slapdtest"
)

// people are the entries of the LDAP server.
const people = `dn: ou=people,dc=corp,dc=test
objectClass: organizationalUnit
ou: people

dn: uid=lena,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: lena
cn: Lena Lang
sn: Lang
mail: alice@corp.test
mobile: +49 100
userPassword: lena-m4rked

dn: uid=otto,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: otto
cn: Otto Ott
sn: Ott
userPassword: otto-m4rked

dn: uid=lokk,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: lokk
cn: Lock
sn: Lock
userPassword: lokk-m4rked
pwdAccountLockedTime: 000001010000Z

dn: cn=inner,dc=corp,dc=test
objectClass: groupOfNames
cn: inner
member: uid=lena,ou=people,dc=corp,dc=test

dn: cn=outer,dc=corp,dc=test
objectClass: groupOfNames
cn: outer
member: cn=inner,dc=corp,dc=test
`

const lenas = "lena-m4rked"

// openSlapd returns a directory of an LDAP server.
func openSlapd(t *testing.T, s *slapdtest.Server) *ldap.Directory {
	t.Helper()
	d := ldap.NewDirectory(ldap.DirectoryConfig{
		Kind: ldap.Standard, URLs: []string{s.URL}, BaseDN: slapdtest.BaseDN, Filter: "(uid={user})", DefaultDomain: "CORP",
		BindUser: slapdtest.AdminDN, BindPassword: authn.NewSecret(slapdtest.AdminPassword), Roots: s.Roots(),
	})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// A caller does one thing again and again.
type caller struct {
	name string
	user string // who it is; empty: a wrong password
	ask  func(context.Context) (*answer, error)

	right, away atomic.Int64 // answers so far: right ones, and 503
	first       atomic.Int64 // nanoseconds from back to the first right one
}

// loop asks until ctx ends and reports answers that are wrong.
func (c *caller) loop(ctx context.Context, back *atomic.Pointer[time.Time]) error {
	for ctx.Err() == nil {
		began := time.Now()
		a, err := c.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		right := false
		switch {
		case a.status == http.StatusServiceUnavailable:
			c.away.Add(1)
		case c.user == "":
			right = a.status == http.StatusUnauthorized || a.status == http.StatusTooManyRequests
		default:
			right = a.who() == c.user
		}
		switch {
		case right:
			c.right.Add(1)
			if b := back.Load(); b != nil && began.After(*b) {
				c.first.CompareAndSwap(0, int64(time.Since(*b)))
			}
		case a.status != http.StatusServiceUnavailable:
			return fmt.Errorf("%s: status %d as %q: %s", c.name, a.status, a.who(), message(a.body))
		}
	}
	return nil
}

// outage has callers at work while kill ends a server and start starts it again.
// needed are the callers who cannot get an answer in between; the others do not
// notice.
func outage(t *testing.T, callers []*caller, needed func(*caller) bool, kill, start func(), lasts time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var back atomic.Pointer[time.Time]
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, len(callers))
	for _, c := range callers {
		wg.Go(func() {
			if err := c.loop(ctx, &back); err != nil {
				failed <- err
			}
		})
	}
	wait := func(what string, done func(*caller) bool) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case err := <-failed:
				t.Fatal(err)
			case <-tick.C:
			}
			left := slices.DeleteFunc(slices.Clone(callers), done)
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s does not come so far", what, left[0].name)
			}
		}
	}
	wait("at first", func(c *caller) bool { return c.right.Load() > 2 })
	kill()
	killed := time.Now()
	before := map[*caller]int64{}
	for _, c := range callers {
		before[c] = c.right.Load()
	}
	wait("while it is away", func(c *caller) bool {
		if needed(c) {
			return c.away.Load() > 0
		}
		return c.right.Load() > before[c]+2
	})
	wait("while it is away", func(*caller) bool { return time.Since(killed) >= lasts })
	start()
	now := time.Now()
	back.Store(&now)
	wait("after it is back", func(c *caller) bool { return c.first.Load() > 0 })
	cancel()
	wg.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	for _, c := range callers {
		first := time.Duration(c.first.Load())
		t.Logf("%-28s %5d right, %5d times 503, right again after %v", c.name, c.right.Load(), c.away.Load(), first.Round(time.Millisecond))
		if first > 3*time.Second {
			t.Errorf("%s: right again after %v, want less than 3 s", c.name, first)
		}
		if !needed(c) && c.away.Load() > 0 {
			t.Errorf("%s: %d times 503, and it does not need what was away", c.name, c.away.Load())
		}
	}
}

// callersOf are the logins that there are: right ones and wrong ones, of internal
// users and of those of an LDAP server.
func callersOf(t *testing.T, n *node) (internal, external []*caller) {
	t.Helper()
	n.addUser(t, directory.User{Name: "ines"}, good)
	form := func(name, user, who, pw string) *caller {
		c := newClient(t)
		var token string
		call := &caller{name: name, user: who}
		call.ask = func(ctx context.Context) (a *answer, err error) {
			if token == "" {
				if token, err = c.formToken(ctx, n); err != nil {
					return nil, err
				}
			}
			a, err = c.post(ctx, n, "/login", fields(token, user, pw))
			if err != nil || a.status != http.StatusSeeOther {
				return a, err
			}
			a, err = c.get(ctx, n, whoami, nil) // whose session is it?
			token, c = "", newClient(t)
			return a, err
		}
		return call
	}
	pw := func(name, user, who, pw string) *caller {
		c := newClient(t)
		return &caller{name: name, user: who, ask: func(ctx context.Context) (*answer, error) { return c.get(ctx, n, whoami, basic(user, pw)) }}
	}
	session := func(name, user, who, pw string) *caller {
		c := newClient(t)
		c.mustSignIn(t, n, user, pw)
		return &caller{name: name, user: who, ask: func(ctx context.Context) (*answer, error) { return c.get(ctx, n, whoami, nil) }}
	}
	internal = []*caller{
		form("form, internal", "ines", "ines", good),
		form("form, internal, wrong", "ines", "", "wrong"),
		pw("Basic, internal", "ines", "ines", good),
		pw("Basic, internal, wrong", "ines", "", "wrong"),
		session("session, internal", "ines", "ines", good),
		session("session, LDAP", "lena", `CORP\lena`, lenas),
	}
	external = []*caller{
		form("form, LDAP", "lena", `CORP\lena`, lenas),
		form("form, LDAP, wrong", "otto", "", "wrong"),
		pw("Basic, LDAP", "lena", `CORP\lena`, lenas),
		pw("Basic, LDAP, wrong", "otto", "", "wrong"),
	}
	return internal, external
}

// many are rules under which wrong passwords are judged for a while.
var many = []throttle.Rule{{Failures: throttle.MaxFailures, Block: 30 * time.Second}}

// TestDatabaseCrashes: while the database is away each answer is 503, and not
// one is wrong.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	pg, s := pgtest.Start(t), slapdtest.Start(t, slapdtest.Config{LDIF: people})
	n := startNode(t, nodeConfig{
		driver: "postgres", dsn: pg.Database(t), directory: openSlapd(t, s), userRules: many, addressRules: []throttle.Rule{}, refusalTime: 50 * time.Millisecond,
	})
	internal, external := callersOf(t, n)
	outage(t, append(internal, external...), func(*caller) bool { return true },
		func() { pg.Kill(t) }, func() { pg.Start(t) }, time.Second)
}

// TestDirectoryCrashes: while the LDAP server is away, its users cannot log in,
// nor can anybody say whether a password that is not the one here is the one
// there. Those who need no LDAP server do not notice: internal users, and
// sessions.
func TestDirectoryCrashes(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{LDIF: people})
	n := startNode(t, nodeConfig{
		driver: "postgres", dsn: pgtest.Database(t), directory: openSlapd(t, s), userRules: many, addressRules: []throttle.Rule{}, refusalTime: 50 * time.Millisecond,
	})
	internal, external := callersOf(t, n)
	// Longer than the pauses between the tries to reach it.
	needed := func(c *caller) bool {
		return slices.Contains(external, c) || strings.HasSuffix(c.name, "internal, wrong")
	}
	outage(t, append(internal, external...), needed,
		func() { s.Kill(t) }, func() { s.Restart(t) }, 8*time.Second)
}
