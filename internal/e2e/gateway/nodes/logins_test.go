package nodes

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/internal/e2e/gateway/rig"
)

// heed is how long one node may go on with what ended at the other: PostgreSQL tells
// it, which takes some milliseconds, and more on a busy machine.
const heed = time.Second

// Each arrangement in turn: they share two processors, and end processes.
func TestNodes(t *testing.T) {
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			c := startCluster(t, &a)
			for _, tt := range []struct {
				name string
				test func(*testing.T, *cluster)
			}{
				{"Kerberos", testKerberos},
				{"Kerberos replayed at the other node", testReplay},
				{"NTLM", testNTLM},
				{"session after Kerberos", testSession},
				{"Basic", testBasic},
				{"form and logout", testForm},
				{"guessing", testGuessing},
				{"roles", testRoles},
				{"reload under load", testReload},
				{"one node killed under load", testKilled},
				{"store killed", testStore},
			} {
				t.Run(tt.name, func(t *testing.T) { tt.test(t, c) })
			}
		})
	}
}

func testKerberos(t *testing.T, c *cluster) {
	for _, user := range []string{"alice", "bob"} {
		client := c.client(t, c.kerberos(t, user), rig.Fresh)
		c.onBoth(t, user, func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Kerberos) }, is(`CORP\`+user))
	}
	client := c.client(t, rig.Fresh)
	c.onBoth(t, "nobody", func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Kerberos) }, status(http.StatusUnauthorized))
}

// A token is good once, at whichever node.
func testReplay(t *testing.T, c *cluster) {
	k, err := rig.KerberosOf(t, c.DC, "alice")
	if err != nil {
		t.Fatal(err)
	}
	client := c.client(t, rig.Fresh)
	token, err := rig.TokenOf(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	send := func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Kerberos, "Authorization", token) }
	first, err := send()
	if err != nil {
		t.Fatal(err)
	}
	if err := is(`CORP\alice`)(first); err != nil {
		t.Fatalf("a token: %v, %s", err, lines([]rig.Line{c.why(t, first)}))
	}
	c.onBoth(t, "the token again", send, func(a *rig.Answer) error {
		if l := c.why(t, a); a.Status != http.StatusUnauthorized || l.Word() != "replay" {
			return fmt.Errorf("status %d, the log says %s", a.Status, l.Text)
		}
		return nil
	})
}

func testNTLM(t *testing.T, c *cluster) {
	for path, user := range map[string]string{rig.NTLM: `CORP\bob`, rig.Internal: "dora"} {
		if !c.http {
			client := c.client(t, rig.As(rig.NTLMOf(t, user)))
			for range 2 {
				a, err := client.Get(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				if err := is(user)(a); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			continue
		}
		// It is not offered, and not taken from a client that does not wait for that.
		client := c.client(t)
		c.onBoth(t, path, func() (*rig.Answer, error) { return client.Get(t.Context(), path) }, func(a *rig.Answer) error {
			if offered := a.Header.Values("WWW-Authenticate"); a.Status != http.StatusUnauthorized || len(offered) > 0 {
				return fmt.Errorf("status %d, offers %q", a.Status, offered)
			}
			return nil
		})
		for range 4 {
			if a := handshake(t, client, path, user); a.Status != http.StatusUnauthorized {
				t.Errorf("%s: NTLM is taken through a balancer that mixes connections: status %d, user %q", path, a.Status, a.User())
			}
		}
		for _, n := range c.nodes {
			if log := n.Log(); !strings.Contains(log, "NTLM is not offered") || !strings.Contains(log, "header X-Forwarded-For") ||
				!strings.Contains(log, "one connection per client") {
				t.Errorf("node %s does not name the balancer as the cause", n.Name)
			}
		}
	}
	if !c.http {
		fresh := c.client(t, rig.As(rig.NTLMOf(t, `CORP\alice`)), rig.Fresh)
		for range 4 {
			a, err := fresh.Get(t.Context(), rig.NTLM)
			if err != nil {
				t.Fatal(err)
			}
			if err := is(`CORP\alice`)(a); err != nil {
				t.Error(err)
			}
		}
		return
	}
	// One that keeps a connection for each client takes it, where the service
	// says so, and nowhere else.
	kept := rig.HAProxy(t, c.DC, rig.Balancing{Nodes: c.ports, HTTP: true, Kept: true})
	for _, user := range []string{`CORP\alice`, `CORP\bob`} {
		client := rig.NewClient(t, c.DC, kept, rig.As(rig.NTLMOf(t, user)))
		for range 3 {
			a, err := client.Get(t.Context(), rig.Kept)
			if err != nil {
				t.Fatal(err)
			}
			if err := is(user)(a); err != nil {
				t.Error(err)
			}
		}
		if a, err := client.Get(t.Context(), rig.NTLM); err == nil && a.Status == http.StatusOK {
			t.Errorf("NTLM is taken where nobody allowed it, as %s", a.User())
		}
	}
}

// handshake does all of an NTLM login by hand, whatever the server offers, and
// returns the last answer.
func handshake(t *testing.T, client *rig.Client, path, user string) *rig.Answer {
	t.Helper()
	i, err := rig.NTLMOf(t, user).NewInitiator("NTLM", authclient.Target{Scheme: "https", Host: rig.Host + ":443", SPN: "HTTP/" + rig.Host}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var challenge []byte
	for {
		token, _, err := i.Step(t.Context(), challenge)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Get(t.Context(), path, "Authorization", "NTLM "+base64.StdEncoding.EncodeToString(token))
		if err != nil {
			t.Fatal(err)
		}
		text, ok := strings.CutPrefix(a.Header.Get("WWW-Authenticate"), "NTLM ")
		if !ok {
			return a
		}
		if challenge, err = base64.StdEncoding.DecodeString(text); err != nil {
			t.Fatal(err)
		}
	}
}

// A session that began at one node counts at the other.
func testSession(t *testing.T, c *cluster) {
	client := c.client(t, rig.KeepCookies, rig.Fresh)
	k, err := rig.KerberosOf(t, c.DC, "alice")
	if err != nil {
		t.Fatal(err)
	}
	token, err := rig.TokenOf(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Get(t.Context(), rig.Session, "Authorization", token)
	if err != nil {
		t.Fatal(err)
	}
	if err := is(`CORP\alice`)(a); err != nil {
		t.Fatalf("%v, %v", err, c.why(t, a))
	}
	c.onBoth(t, "session", func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Session) }, is(`CORP\alice`))
	other := c.client(t, rig.KeepCookies, rig.Fresh)
	c.onBoth(t, "another client", func() (*rig.Answer, error) { return other.Get(t.Context(), rig.Session) }, status(http.StatusUnauthorized))
}

func testBasic(t *testing.T, c *cluster) {
	for path, user := range map[string]string{rig.Basic: "carol", rig.Domain: `CORP\alice`} {
		client := c.client(t, rig.As(rig.BasicOf(t, user)), rig.Fresh)
		c.onBoth(t, path, func() (*rig.Answer, error) { return client.Get(t.Context(), path) }, is(user))
	}
	key := c.client(t, rig.Header("X-Api-Key", c.Key.Reveal()), rig.Fresh)
	c.onBoth(t, "key", func() (*rig.Answer, error) { return key.Get(t.Context(), rig.Custom) }, is("batch"))
}

// logIn logs a user in by the form, each page at any node.
func (c *cluster) logIn(t *testing.T, client *rig.Client, user, password string) {
	t.Helper()
	a, err := client.LogIn(t.Context(), rig.Form, user, password)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusSeeOther || !strings.HasSuffix(a.Header.Get("Location"), rig.Form) {
		t.Fatalf("the form answers %d, location %q, body %.300q", a.Status, a.Header.Get("Location"), a.Body)
	}
}

// Pages of the form, the session after it, and its end: each at any node.
func testForm(t *testing.T, c *cluster) {
	client := c.client(t, rig.KeepCookies, rig.Fresh)
	c.logIn(t, client, "carol", rig.Password)
	get := func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Form) }
	c.onBoth(t, "session", get, is("carol"))

	// Somebody has a copy of the cookies, which the end of the session does not
	// take from him.
	u, err := url.Parse(client.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	thief := c.client(t, rig.Fresh, rig.Header("Cookie", cookies(client.Cookies(u))))
	stolen := func() (*rig.Answer, error) { return thief.Get(t.Context(), rig.Form) }
	c.onBoth(t, "copy", stolen, is("carol"))
	if a, err := client.LogOut(t.Context()); err != nil || a.Status >= 400 {
		t.Fatalf("logout: %+v, %v", a, err)
	}
	ended := time.Now()
	eventually(t, heed, func() error {
		for range 4 { // both nodes
			if a, err := stolen(); err != nil || a.Status != http.StatusUnauthorized {
				return fmt.Errorf("after the logout: %v, %v", a, err)
			}
		}
		return nil
	})
	t.Logf("the logout counted at both nodes after %v", time.Since(ended).Round(time.Millisecond))
	c.onBoth(t, "after the logout", stolen, status(http.StatusUnauthorized))
	c.onBoth(t, "after the logout", get, status(http.StatusUnauthorized))
}

func cookies(list []*http.Cookie) string {
	var all []string
	for _, k := range list {
		all = append(all, k.Name+"="+k.Value)
	}
	return strings.Join(all, "; ")
}

// Failures at one node and the other are counted together, and the block counts
// at both.
func testGuessing(t *testing.T, c *cluster) {
	const address = "127.0.0.66"
	wrong := func(user, password string) rig.Option {
		b := rig.BasicOf(t, user)
		return rig.Header("Authorization", basic(b.User, password))
	}
	guess := c.client(t, rig.Fresh, rig.From(address), wrong("emil", "a wrong password"))
	right := c.client(t, rig.Fresh, rig.From(address), wrong("emil", rig.Password))
	elsewhere := c.client(t, rig.Fresh, rig.From("127.0.0.67"), wrong("emil", rig.Password))
	if a, err := right.Get(t.Context(), rig.Basic); err != nil || is("emil")(a) != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	seen := map[int]bool{}
	for range 3 {
		a, err := guess.Get(t.Context(), rig.Basic)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != http.StatusUnauthorized {
			t.Errorf("a wrong password: status %d", a.Status)
		}
		seen[c.nodeOf(t, a)] = true
	}
	if len(seen) < 2 {
		t.Errorf("one node had all the failures: %v", seen)
	}
	c.onBoth(t, "the right password, blocked", func() (*rig.Answer, error) { return right.Get(t.Context(), rig.Basic) }, func(a *rig.Answer) error {
		if a.Status != http.StatusTooManyRequests {
			return fmt.Errorf("status %d", a.Status)
		}
		return nil
	})
	if c.tellsClient() { // otherwise all clients are the balancer
		c.onBoth(t, "from elsewhere", func() (*rig.Answer, error) { return elsewhere.Get(t.Context(), rig.Basic) }, is("emil"))
	}
	c.nodes[0].Run(t, "user", "unblock", "emil")
	c.onBoth(t, "unblocked", func() (*rig.Answer, error) { return right.Get(t.Context(), rig.Basic) }, is("emil"))
	if !c.tellsClient() {
		return
	}
	// Who tries many names is kept out by his address, and nobody else is.
	for i := range 20 {
		many := c.client(t, rig.Fresh, rig.From("127.0.0.68"), wrong(fmt.Sprintf("name%d", i), "a wrong password"))
		if a, err := many.Get(t.Context(), rig.Basic); err != nil || a.Status != http.StatusUnauthorized {
			t.Fatalf("name %d: %+v, %v", i, a, err)
		}
	}
	hugo := c.client(t, rig.Fresh, rig.From("127.0.0.68"), wrong("hugo", rig.Password))
	c.onBoth(t, "from a blocked address", func() (*rig.Answer, error) { return hugo.Get(t.Context(), rig.Basic) }, status(http.StatusTooManyRequests))
	c.onBoth(t, "from elsewhere", func() (*rig.Answer, error) { return elsewhere.Get(t.Context(), rig.Basic) }, is("emil"))
}

// A role that is granted, and taken away, counts at both nodes within seconds,
// also for who is logged in.
func testRoles(t *testing.T, c *cluster) {
	client := c.client(t, rig.KeepCookies, rig.Fresh)
	c.logIn(t, client, "fred", rig.Password)
	pay := func() (*rig.Answer, error) { return client.Get(t.Context(), rig.Form+"pay") }
	soon := func(what string, check func(*rig.Answer) error) {
		t.Helper()
		eventually(t, heed, func() error {
			for range 4 {
				a, err := pay()
				if err == nil {
					err = check(a)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
			}
			return nil
		})
		c.onBoth(t, what, pay, check)
	}
	c.onBoth(t, "without the role", pay, status(http.StatusForbidden))
	c.nodes[0].Run(t, "user", "roles", "fred", "--grant", "payroll")
	soon("granted", is("fred"))
	c.nodes[1].Run(t, "user", "roles", "fred", "--revoke", "payroll")
	soon("revoked", status(http.StatusForbidden))
	c.nodes[0].Run(t, "user", "disable", "fred")
	soon("disabled", status(http.StatusUnauthorized))
}
