package users

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	spn  = "HTTP/web.corp.test"
	good = "violet tractor lagoon"
)

// domain is an in-process KDC with two users, and the web's keytab.
type domain struct {
	keytab        string
	alice, alfred *kerberos.Client
}

func startDomain(t *testing.T) *domain {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{{Name: "alice", Password: good}, {Name: "alfred", Password: good}, {Name: "web", Password: "web", SPNs: []string{spn}}} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	dir := t.TempDir()
	d := &domain{keytab: filepath.Join(dir, "web.keytab")}
	conf := filepath.Join(dir, "krb5.conf")
	if err := k.WriteKeytab(d.keytab, spn); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteKrb5Conf(conf); err != nil {
		t.Fatal(err)
	}
	cfg, err := kerberos.LoadConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]**kerberos.Client{"alice": &d.alice, "alfred": &d.alfred} {
		if *c, err = kerberos.NewPasswordClient(*cfg, name, authn.NewSecret(good)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// poll waits for what another goroutine or node does.
func poll(t *testing.T, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, cond); err != nil {
		t.Error(err)
	}
}

// cookiesOf returns a copy of the cookies that a client has.
func cookiesOf(t *testing.T, c *client, n *node) http.CookieJar {
	t.Helper()
	u, err := url.Parse(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, c.http.Jar.Cookies(u))
	return jar
}

// mustBe fails the test unless whoami says that the caller is want, or refuses if
// want is empty.
func mustBe(t *testing.T, what, want string, a *answer) {
	t.Helper()
	switch {
	case want == "" && a.status != http.StatusUnauthorized:
		t.Errorf("%s: status %d as %q, want 401", what, a.status, a.who())
	case want != "" && a.who() != want:
		t.Errorf("%s: status %d as %q, want %s: %s", what, a.status, a.who(), want, a.body)
	}
}

// TestAttackOtherNode: what is done at one node counts at the other with the next
// request. They share nothing but a PostgreSQL.
func TestAttackOtherNode(t *testing.T) {
	t.Parallel()
	dom, dsn, key := startDomain(t), pgtest.Database(t), session.NewKey()
	accounts, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "nina", Password: authn.NewSecret(good)}, ntlm.Account{Name: "norbert", Password: authn.NewSecret(good)})
	if err != nil {
		t.Fatal(err)
	}
	cfg := nodeConfig{
		driver: "postgres", dsn: dsn, keytab: dom.keytab,
		ntlm: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "WEB"}},
	}
	sealed := cfg
	sealed.keys = []session.Key{key}
	a, b := startNode(t, cfg), startNode(t, cfg)
	sa, sb := startNode(t, sealed), startNode(t, sealed)
	asAlice := authclient.Static(&authclient.Kerberos{Client: dom.alice})
	asNina := func(name string) authclient.Source {
		return authclient.Static(&authclient.NTLM{User: `CORP\` + name, Password: authn.NewSecret(good)})
	}

	t.Run("block and unblock", func(t *testing.T) {
		t.Parallel()
		a.addUser(t, directory.User{Name: "bea"}, good)
		c := newClient(t)
		for i, n := range []*node{a, b, a} { // counted together
			ans, err := c.signIn(t.Context(), n, "bea", "wrong")
			if err != nil || ans.status != http.StatusUnauthorized {
				t.Fatalf("guess %d: %+v, %v", i, ans, err)
			}
		}
		for _, n := range []*node{b, a} {
			ans, err := c.signIn(t.Context(), n, "BEA", good)
			if err != nil || ans.status != http.StatusTooManyRequests || !strings.Contains(ans.body, "Too many failed login attempts") {
				t.Errorf("blocked: %v, %v", ans.status, err)
			}
			if ans := c.mustGet(t, n, whoami, basic(`corp\bea`, good)); ans.status != http.StatusTooManyRequests {
				t.Errorf("blocked, by Basic: %v", ans.status)
			}
		}
		blocks, err := b.store.Blocks(t.Context(), time.Now())
		blocks = slices.DeleteFunc(blocks, func(b directory.Block) bool { return !strings.Contains(b.Key, `corp\bea `) }) // those of other tests
		if err != nil || len(blocks) != 1 {
			t.Fatalf("blocks %+v, %v", blocks, err)
		}
		if was, err := b.store.Unblock(t.Context(), blocks[0].Key); !was || err != nil {
			t.Fatalf("unblock: %v, %v", was, err)
		}
		mustBe(t, "unblocked", "bea", c.mustGet(t, a, whoami, basic("bea", good)))
	})

	t.Run("record", func(t *testing.T) {
		t.Parallel()
		a.addUser(t, directory.User{Name: "rita"}, good)
		c := newClient(t)
		for range 3 {
			mustBe(t, "guess", "", c.mustGet(t, a, whoami, basic("rita", "wrong")))
		}
		c.mustGet(t, b, whoami, basic("rita", good))
		if _, err := c.signIn(t.Context(), a, "rita", good); err != nil {
			t.Fatal(err)
		}
		// Both nodes wrote into one record.
		for _, want := range []directory.LoginQuery{{Outcome: directory.Refused, Limit: 3}, {Outcome: directory.Blocked, Limit: 2}} {
			want.User = "rita"
			poll(t, func() error {
				got, err := a.store.Logins(t.Context(), want)
				if err != nil || len(got) != want.Limit {
					return fmt.Errorf("%s: %+v, %v", want.Outcome, got, err)
				}
				mechs := map[string]int{}
				for _, l := range got {
					mechs[l.Mechanism]++
				}
				if mechs[""] > 0 || want.Outcome == directory.Blocked && mechs["form"] != 1 {
					t.Fatalf("%s: mechanisms %v", want.Outcome, mechs) // blocked logins had none
				}
				return nil
			})
		}
	})

	for name, nodes := range map[string][2]*node{"rows": {a, b}, "sealed": {sa, sb}} {
		here, there := nodes[0], nodes[1]
		t.Run("sessions, "+name, func(t *testing.T) {
			t.Parallel()
			user := "sam " + name
			here.addUser(t, directory.User{Name: user}, good)
			c, stolen := newClient(t), newClient(t)
			c.mustSignIn(t, here, user, good)
			stolen.http.Jar = cookiesOf(t, c, here)
			mustBe(t, "there", user, c.mustGet(t, there, whoami, nil))
			mustBe(t, "a copy", user, stolen.mustGet(t, here, whoami, nil))
			c.signOut(t, there)
			mustBe(t, "a copy after the logout", "", stolen.mustGet(t, here, whoami, nil))
			mustBe(t, "a copy after the logout", "", stolen.mustGet(t, there, whoami, nil))

			other := newClient(t)
			c.mustSignIn(t, here, user, good)
			other.mustSignIn(t, there, user, good)
			if _, err := there.sessions.EndAll(t.Context(), strings.ToUpper(user)); err != nil {
				t.Fatal(err)
			}
			for _, n := range nodes {
				mustBe(t, "ended with all", "", c.mustGet(t, n, whoami, nil))
				mustBe(t, "ended with all", "", other.mustGet(t, n, whoami, nil))
			}
			c.mustSignIn(t, here, user, good)
			mustBe(t, "a new one", user, c.mustGet(t, there, whoami, nil))

			there.setState(t, user, directory.DisabledByOperator)
			mustBe(t, "disabled", "", c.mustGet(t, here, whoami, nil))
			there.setState(t, user, directory.Active)
			mustBe(t, "enabled, by the old session", "", c.mustGet(t, here, whoami, nil))
		})
	}

	t.Run("disabled, other logins", func(t *testing.T) {
		t.Parallel()
		a.addUser(t, directory.User{Name: "dora"}, good)
		krb, ntlm, pw := newClient(t).over(t, asAlice, spn), newClient(t).over(t, asNina("nina"), ""), newClient(t)
		for _, tt := range []struct {
			user string
			get  func() (*answer, error)
		}{
			{`CORP\alice`, func() (*answer, error) { return krb.get(t.Context(), a, whoami, nil) }},
			{`CORP\nina`, func() (*answer, error) { return ntlm.get(t.Context(), a, ntlmWhoami, nil) }}, // on one connection
			{"dora", func() (*answer, error) { return pw.get(t.Context(), a, whoami, basic("dora", good)) }},
		} {
			must := func(what string) {
				t.Helper()
				ans, err := tt.get()
				if err != nil {
					t.Fatalf("%s: %s: %v", tt.user, what, err)
				}
				mustBe(t, what, tt.user, ans)
			}
			must("at first")
			must("again")
			b.setState(t, tt.user, directory.DisabledByOperator)
			if ans, err := tt.get(); err == nil && ans.status != http.StatusUnauthorized {
				t.Errorf("%s is disabled: status %d as %q", tt.user, ans.status, ans.who())
			} // a client that logs in by itself says it with an error
			b.setState(t, tt.user, directory.Active)
			must("enabled")
		}
	})

	// A disabled user's browser sends a right ticket again and again. That is no
	// guess, and does not block the colleagues behind the same address.
	t.Run("disabled, and colleagues", func(t *testing.T) {
		t.Parallel()
		sa.addUser(t, directory.User{Name: "curt"}, good)
		if err := sa.store.CreateUser(t.Context(), &directory.User{Realm: realm, Name: `CORP\alfred`, State: directory.DisabledByOperator}); err != nil {
			t.Fatal(err)
		}
		krb := newClient(t)
		colleague := *krb.http
		krb.over(t, authclient.Static(&authclient.Kerberos{Client: dom.alfred}), spn)
		for range 30 {
			if ans, err := krb.get(t.Context(), sa, whoami, nil); err == nil && ans.status != http.StatusUnauthorized {
				t.Fatalf("disabled: status %d as %q", ans.status, ans.who())
			}
		}
		mustBe(t, "a colleague", "curt", (&client{http: &colleague}).mustGet(t, sa, whoami, basic("curt", good)))
	})

	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		// Two connections that did nothing else.
		mustBe(t, "Kerberos", `CORP\alice`, newClient(t).over(t, asAlice, spn).mustGet(t, sa, whoami, nil))
		token := sa.lastSent(t, "Negotiate")
		for _, n := range []*node{sb, sa} {
			mustBe(t, "a repeated ticket", "", newClient(t).mustGet(t, n, whoami, raw(token)))
			if !strings.Contains(n.log.String(), "reason="+string(authn.ReasonReplay)) {
				t.Error("the log does not name the replay")
			}
		}

		mustBe(t, "NTLM", `CORP\norbert`, newClient(t).over(t, asNina("norbert"), "").mustGet(t, sa, ntlmWhoami, nil))
		last := sa.lastSent(t, "NTLM")
		sa.mu.Lock()
		first := sa.sent[len(sa.sent)-2]
		sa.mu.Unlock()
		for _, n := range []*node{sb, sa} {
			mustBe(t, "a repeated response", "", newClient(t).mustGet(t, n, ntlmWhoami, raw(last)))
			c := newClient(t)
			if ans := c.mustGet(t, n, ntlmWhoami, raw(first)); !strings.HasPrefix(ans.header.Get("WWW-Authenticate"), "NTLM T") {
				t.Fatalf("no challenge: %v", ans.header)
			}
			mustBe(t, "a repeated response to another challenge", "", c.mustGet(t, n, ntlmWhoami, raw(last)))
		}
	})
}
