package kerberos

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kdc"
)

func TestProtocolTransition(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	front := r.client(t, "svc-app")
	for _, user := range []string{"alice", "ALICE", "alice@CORP.TEST", "alice@corp.test", "alice.liddell@example.com"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			ev, err := front.S4U2Self(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			if !ev.Asserted() || !ev.Forwardable() {
				t.Errorf("asserted %v, forwardable %v", ev.Asserted(), ev.Forwardable())
			}
			tkt, err := front.S4U2Proxy(t.Context(), ev, backSPN)
			if err != nil {
				t.Fatal(err)
			}
			i := tkt.NewInitiator(InitiatorConfig{})
			i.now = r.clock.now
			id, err := runExchange(t, i, r.mechanism(t, "svc-back", backSPN), authn.Exchange{})
			if err != nil {
				t.Fatal(err)
			}
			if id.Account != "alice" {
				t.Errorf("the back end sees %v", id)
			}
		})
	}
}

func TestConstrainedDelegationWithCallersTicket(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for name, tc := range map[string]struct {
		service, spn, user, target string
		err                        []string // nil: works
		not                        bool     // ErrNotDelegable
	}{
		"listed":           {"svc-plain", "HTTP/plain.corp.test", "alice", backSPN, nil, false},
		"resource-based":   {"svc-plain", "HTTP/plain.corp.test", "alice", "HTTP/rbcd.corp.test", nil, false},
		"not listed":       {"svc-plain", "HTTP/plain.corp.test", "alice", appSPN, []string{"msDS-AllowedToDelegateTo", "sensitive"}, false},
		"sensitive caller": {"svc-plain", "HTTP/plain.corp.test", "bob", backSPN, []string{"sensitive", "not forwardable"}, true},
		"unknown service":  {"svc-plain", "HTTP/plain.corp.test", "alice", "HTTP/nowhere.corp.test", []string{"setspn"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := runExchange(t, r.client(t, tc.user).NewInitiator(tc.spn, InitiatorConfig{}), r.mechanism(t, tc.service, tc.spn), authn.Exchange{})
			if err != nil {
				t.Fatal(err)
			}
			tkt, err := r.client(t, tc.service).S4U2Proxy(t.Context(), id.Evidence.(*Evidence), tc.target)
			if tc.err == nil {
				if err != nil || tkt.Client() != tc.user+"@CORP.TEST" {
					t.Fatalf("%v, %v", tkt, err)
				}
				return
			}
			if err == nil || errors.Is(err, ErrNotDelegable) != tc.not {
				t.Fatalf("got %v", err)
			}
			for _, s := range tc.err {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%v: does not say %q", err, s)
				}
			}
		})
	}
}

func TestS4U2SelfRefusals(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for name, tc := range map[string]struct {
		service, user, says string
	}{
		"no such user":    {"svc-app", "nobody", "does not exist"},
		"disabled":        {"svc-app", "dave", "disabled"},
		"NetBIOS name":    {"svc-app", `CORP\alice`, "want an account name or a UPN"},
		"empty":           {"svc-app", "", "want an account name or a UPN"},
		"service name":    {"svc-app", "HTTP/x", "want an account name or a UPN"},
		"user as service": {"alice", "bob", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev, err := r.client(t, tc.service).S4U2Self(t.Context(), tc.user)
			if tc.says == "" { // harmless: evidence that nothing can be done with
				if err == nil {
					_, err = r.client(t, tc.service).S4U2Proxy(t.Context(), ev, backSPN)
				}
				if err == nil {
					t.Error("a user acts for another")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

func TestS4U2SelfWithoutTrustIsNoEvidenceForProxy(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-plain")
	ev, err := c.S4U2Self(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.S4U2Proxy(t.Context(), ev, backSPN)
	if !errors.Is(err, ErrNotDelegable) || !strings.Contains(err.Error(), "TrustedToAuthForDelegation") {
		t.Errorf("got %v", err)
	}
	var ke *KDCError
	if !errors.As(err, &ke) || ke.Name != "KDC_ERR_BADOPTION" {
		t.Errorf("the KDC's error is lost: %v", err)
	}
}

func TestS4UTicketsAreSharedAndExpire(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-app")
	work := func() {
		t.Helper()
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				ev, err := c.S4U2Self(t.Context(), "alice")
				if err == nil {
					_, err = c.S4U2Proxy(t.Context(), ev, backSPN)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	work()
	if s := r.Stats(); s.S4U2Self != 1 || s.S4U2Proxy != 1 {
		t.Errorf("%d S4U2Self and %d S4U2Proxy, want one each", s.S4U2Self, s.S4U2Proxy)
	}
	r.clock.add(s4uLife + time.Second)
	work()
	if s := r.Stats(); s.S4U2Self != 2 || s.S4U2Proxy != 2 {
		t.Errorf("after %v: %d S4U2Self and %d S4U2Proxy, want two each", s4uLife, s.S4U2Self, s.S4U2Proxy)
	}
	if err := r.Update("alice", func(a *kdc.Account) { a.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	r.clock.add(s4uLife + time.Second)
	if _, err := c.S4U2Self(t.Context(), "alice"); err == nil {
		t.Error("a disabled user is still acted for")
	}
}

// The account name of one user may be the UPN of another, as far as it goes.
func TestAttackS4UNameOfAnotherUser(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	// mallory is written like a UPN that belongs to trent.
	for _, a := range []kdc.Account{
		{Name: "mallory", Password: "pw-mallory", UPN: "m@example.com"},
		{Name: "trent", Password: "pw-trent", UPN: "mallory@corp.test"},
	} {
		if err := r.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	c := r.client(t, "svc-app")
	seen := map[string]string{}
	for _, user := range []string{"mallory@corp.test", "mallory@CORP.TEST", "mallory"} {
		ev, err := c.S4U2Self(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		tkt, err := c.S4U2Proxy(t.Context(), ev, backSPN)
		if err != nil {
			t.Fatal(err)
		}
		i := tkt.NewInitiator(InitiatorConfig{})
		i.now = r.clock.now
		id, err := runExchange(t, i, r.mechanism(t, "svc-back", backSPN), authn.Exchange{})
		if err != nil {
			t.Fatal(err)
		}
		if seen[user] = id.Account; ev.SID() != id.SID {
			t.Errorf("%s: evidence of %s, the back end sees %s", user, ev.SID(), id.SID)
		}
	}
	for user, want := range map[string]string{"mallory@corp.test": "trent", "mallory@CORP.TEST": "mallory", "mallory": "mallory"} {
		if seen[user] != want {
			t.Errorf("%s is %s, want %s", user, seen[user], want)
		}
	}
}

// A ticket in the service's own name would give the caller the service's
// rights. Samba answers so to what it does not understand.
func TestAttackS4UTicketOfTheServiceItself(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"alice", "alice.liddell@example.com"} {
		r := startRealm(t)
		r.SetFault(kdc.Fault{IgnoreS4UUser: true})
		_, err := r.client(t, "svc-app").S4U2Self(t.Context(), user)
		if err == nil || !strings.Contains(err.Error(), "ignored the user's name") {
			t.Errorf("%s: got %v", user, err)
		}
	}
}

// docs/threat-model.md 22: not every KDC refuses members of Protected Users.
func TestAttackS4UForProtectedUser(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	if _, err := r.client(t, "svc-app").S4U2Self(t.Context(), "carol"); !errors.Is(err, ErrNotDelegable) {
		t.Errorf("got %v", err)
	}
}

// The checks were left out without a word where the login was made with a key
// of another type than the ticket's, or by no key.
func TestAttackS4UUnconfirmed(t *testing.T) {
	t.Parallel()
	for name, types := range map[string][]string{
		"all types": nil,
		"aes128":    {"aes128-cts-hmac-sha1-96"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRealm(t)
			cfg := r.config()
			cfg.ETypes = types
			byKeytab, err := NewKeytabClient(cfg, "svc-app", r.keytab(t, "svc-app"))
			if err != nil {
				t.Fatal(err)
			}
			byKeytab.c.testOnlyNow = r.clock.now
			for _, c := range []*Client{r.clientWith(t, cfg, "svc-app", "pw-app"), byKeytab} {
				if _, err := c.S4U2Self(t.Context(), "carol"); !errors.Is(err, ErrNotDelegable) {
					t.Errorf("member of Protected Users: %v", err)
				}
				ev, err := c.S4U2Self(t.Context(), "alice")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(string(ev.SID()), "S-1-5-21-") {
					t.Errorf("evidence of SID %q", ev.SID())
				}
			}
		})
	}
	t.Run("no key", func(t *testing.T) {
		t.Parallel()
		r := startRealm(t)
		with := r.client(t, "svc-app")
		tgt, err := with.c.tgt(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := newClientFor(r.config(), tgt.client, tgt.crealm, &ticketLogin{first: tgt})
		if err != nil {
			t.Fatal(err)
		}
		c.c.testOnlyNow = r.clock.now
		ev, err := c.S4U2Self(t.Context(), "alice")
		if ev != nil || !errors.Is(err, ErrNoServiceKey) || !strings.Contains(err.Error(), "use a keytab") {
			t.Errorf("%v, %v", ev, err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		t.Parallel()
		r := startRealm(t)
		cfg := r.config()
		cfg.ETypes = []string{"aes128-cts-hmac-sha1-96"}
		c := r.clientWith(t, cfg, "svc-app", "pw-app")
		if err := c.Login(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.SetPassword("svc-app", "changed"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.S4U2Self(t.Context(), "alice"); !errors.Is(err, ErrNoServiceKey) || !strings.Contains(err.Error(), "password was changed") {
			t.Error(err)
		}
	})
}

// After the account's password was changed and the keytab exported again,
// tickets did not open until the next login.
func TestS4USelfNewKeytab(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	path := filepath.Join(t.TempDir(), "app.keytab")
	export := func() {
		t.Helper()
		b, err := r.Keytab("svc-app")
		if err != nil {
			t.Fatal(err)
		}
		writeKeytab(t, path, 0o600, b)
	}
	export()
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewKeytabClient(r.config(), "svc-app", k)
	if err != nil {
		t.Fatal(err)
	}
	c.c.testOnlyNow = r.clock.now
	if err := c.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.SetPassword("svc-app", "changed"); err != nil {
		t.Fatal(err)
	}
	export()
	k.now = func() time.Time { return time.Now().Add(2 * keytabRecheck) }
	ev, err := c.S4U2Self(t.Context(), "alice")
	if err != nil || ev.SID() == "" {
		t.Errorf("%v, %v", ev, err)
	}
	if s := r.Stats(); s.AS > 2 { // one, and the proof asked for
		t.Errorf("%d AS requests", s.AS)
	}
}

func TestAttackS4UForSensitiveUser(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-app")
	ev, err := c.S4U2Self(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.S4U2Proxy(t.Context(), ev, backSPN); !errors.Is(err, ErrNotDelegable) {
		t.Errorf("got %v", err)
	}
}

// Threat 22. Who was disabled was passed on for as long as the caller's ticket
// lasted, most of a day, with the ticket that was got before.
func TestAttackPassedOnAfterDisabled(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	id, err := runExchange(t, r.client(t, "alice").NewInitiator("HTTP/plain.corp.test", InitiatorConfig{}), r.mechanism(t, "svc-plain", "HTTP/plain.corp.test"), authn.Exchange{})
	if err != nil {
		t.Fatal(err)
	}
	ev, c := id.Evidence.(*Evidence), r.client(t, "svc-plain")
	if _, err := c.S4U2Proxy(t.Context(), ev, backSPN); err != nil {
		t.Fatal(err)
	}
	if err := r.Update("alice", func(a *kdc.Account) { a.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	r.clock.add(s4uLife + time.Second)
	if tkt, err := c.S4U2Proxy(t.Context(), ev, backSPN); err == nil {
		t.Errorf("passed on with the %v", tkt)
	}
}

func TestAttackExpiredEvidence(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-app")
	ev, err := c.S4U2Self(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.S4U2Proxy(t.Context(), ev, backSPN); err != nil {
		t.Fatal(err)
	}
	r.clock.add(ev.Expires().Sub(r.clock.now()))
	if _, err := c.S4U2Proxy(t.Context(), ev, backSPN); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	if _, err := c.S4U2Proxy(t.Context(), nil, backSPN); err == nil {
		t.Error("no evidence was taken")
	}
}
