package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/e2e/peers"
)

const alice = `it\alice@corp.test`

// testProvider: logins at the provider, what role they give, and how they end.
func testProvider(t *testing.T, o *office) {
	b := o.borrow(t)
	b.Open(o.at("/users?search=a"))
	if !strings.HasPrefix(b.URL(), o.at("/login?return=")) {
		t.Fatalf("without a session: at %s", b.URL())
	}
	b.Click("main a.primary")
	o.atProvider(b, "alice")
	b.Wait("the page that was asked for", func() bool { return b.URL() == o.at("/users?search=a") })
	if got := o.who(b); !strings.Contains(got, alice) || !strings.Contains(got, "administrator") || !strings.Contains(got, "by it") {
		t.Errorf("who: %q", got)
	}

	// The provider is asked while the session lives, and may be away for a while.
	refreshes := func() (n int) {
		for _, e := range o.provider.Events() {
			if e.Event == "grant.success" && e.Grant == "refresh_token" {
				n++
			}
		}
		return n
	}
	o.age(t, alice)
	b.Open(o.at("/users"))
	if n := refreshes(); n != 1 || !b.Has("#search") {
		t.Errorf("%d refreshes: at %s: %s", n, b.URL(), b.Text("body"))
	}
	o.provider.SetDown(true)
	o.age(t, alice)
	b.Open(o.at("/users"))
	if !b.Has("#search") {
		t.Errorf("while the provider is away: at %s: %s", b.URL(), b.Text("body"))
	}
	o.provider.SetDown(false)

	// The end is one at the provider too.
	b.Open(o.at("/"))
	b.Click("form[action='/console/logout'] button")
	b.Wait("the provider's question", func() bool {
		return strings.HasPrefix(b.URL(), o.provider.Issuer+"/session/end") && b.Has("button[name=logout]")
	})
	b.Submit("button[name=logout]")
	b.Wait("the way back", func() bool { return strings.HasPrefix(b.URL(), o.at("/login")) })
	b.Wait("the refresh token to be taken back", func() bool { return o.provider.Asked("/token/revocation") > 0 })
	b.Open(o.at("/users"))
	if !strings.HasPrefix(b.URL(), o.at("/login?return=")) {
		t.Errorf("signed out: at %s: %s", b.URL(), b.Text("body"))
	}

	// Who signs out at the provider is out here.
	o.signIn(b, "alice")
	b.Open(o.provider.Issuer + "/session/end")
	b.Submit("button[name=logout]")
	o.provider.Await(t, "backchannel.success")
	b.Open(o.at("/users"))
	if !strings.HasPrefix(b.URL(), o.at("/login?return=")) {
		t.Errorf("signed out at the provider: at %s: %s", b.URL(), b.Text("body"))
	}

	// Roles by claims. Who has none is told so.
	for _, tt := range []struct {
		user, role   string
		can, cannot  string // elements of the page of sessions
		page, wanted string
	}{
		{"olga", "operator", "form[action='/console/sessions/end']", "", "/configuration", "takes the role administrator"},
		{"victor", "viewer", "table", "form[action='/console/sessions/end']", "/users", "takes the role administrator"},
	} {
		b = o.borrow(t)
		o.signIn(b, tt.user)
		if got := o.who(b); !strings.Contains(got, `it\`+tt.user+"@corp.test") || !strings.Contains(got, tt.role) {
			t.Errorf("%s: %q", tt.user, got)
		}
		b.Open(o.at("/sessions"))
		if !b.Has(tt.can) || tt.cannot != "" && b.Has(tt.cannot) {
			t.Errorf("%s: sessions: %s", tt.user, b.Text("body"))
		}
		b.Open(o.at(tt.page))
		if got := b.Text("main"); !strings.Contains(got, tt.wanted) {
			t.Errorf("%s: %s: %s", tt.user, tt.page, got)
		}
	}
	b = o.borrow(t)
	o.signIn(b, "erin")
	if got := b.Text("main"); !strings.Contains(got, "You are") || !strings.Contains(got, `it\erin@corp.test`) {
		t.Errorf("with no role: at %s: %s", b.URL(), got)
	}
	o.look(t, "login-norole")
	b.Open(o.at("/users"))
	if b.Has("#search") {
		t.Error("who has no role sees users")
	}

	// A role that the configuration takes away is gone with the next request.
	b = o.borrow(t)
	o.signIn(b, "alice")
	o.edit(t, func(s string) string { return strings.Replace(s, "value: admins", "value: bosses", 1) })
	b.Open(o.at("/users"))
	if b.Has("#search") || !strings.Contains(b.Text("main"), "none of the roles") {
		t.Errorf("without her role: at %s: %s", b.URL(), b.Text("body"))
	}
	o.put(t, o.config)
	b.Open(o.at("/login"))
	b.Click("main a.primary") // the session ended with the role; that at the provider did not
	b.Wait("the way back", func() bool { return b.URL() == o.at("/") })
	b.Open(o.at("/users"))
	if !b.Has("#search") {
		t.Errorf("with her role again: at %s: %s", b.URL(), b.Text("body"))
	}
}

// age has the provider asked at the next request of each session of a user.
func (o *office) age(t *testing.T, user string) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: o.Dir + "/users.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	ss, err := st.SessionsOf(t.Context(), user)
	if err != nil || len(ss) == 0 {
		t.Fatal(len(ss), err)
	}
	for _, s := range ss {
		g := *s.Grant
		g.Due = time.Now().Add(-time.Second)
		if err := st.PutGrant(t.Context(), s.ID, &g, nil); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // at the latest then the gateway reads the rows again
}

// testBadProvider: whatever becomes of the provider, the local administrator comes in,
// and nobody as somebody else.
func testBadProvider(t *testing.T, o *office) {
	for _, tt := range []struct {
		name  string
		begin func(t *testing.T)
		end   func(t *testing.T)
		want  string // on the page that the sign-in of alice ends at; empty: she is in
		log   string
		look  string
	}{
		{"slow", func(*testing.T) { o.provider.SetPause("/token", 5*time.Second) }, func(*testing.T) { o.provider.SetPause("/token", 0) }, "The provider it cannot be used now", "token endpoint", "login-slow"},
		{"other keys", func(*testing.T) { o.renew(t, "", nil) }, nil, "", "", ""},
		{"another issuer", func(*testing.T) { o.renew(t, "https://id.evil.test", nil) }, nil, "Sign-in was refused", "login-mixed-up", "login-refused"},
		{"another subject with the name of alice", func(*testing.T) {
			other := staff()
			mallory := other["alice"]
			mallory["groups"] = []string{"admins"}
			o.renew(t, o.provider.Issuer, map[string]map[string]any{"mallory": mallory})
		}, func(*testing.T) { o.renew(t, "", staff()) }, "Sign-in was refused", "another subject of the provider", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := o.borrow(t)
			before := len(o.String())
			tt.begin(t)
			user := "alice"
			if strings.HasPrefix(tt.name, "another subject") {
				user = "mallory"
			}
			o.signIn(b, user)
			if tt.want == "" {
				if b.URL() != o.at("/") {
					t.Errorf("at %s: %s", b.URL(), b.Text("body"))
				}
			} else {
				if got := b.Text("main"); !strings.Contains(got, tt.want) {
					t.Errorf("at %s: %s", b.URL(), got)
				}
				if tt.look != "" {
					o.look(t, tt.look)
				}
				if got := o.who(b); got != "" {
					t.Errorf("in as %s", got)
				}
				if got := o.refusals(before); !strings.Contains(got, tt.log) {
					t.Errorf("the log does not say %q: %s", tt.log, got)
				}
			}
			o.signInLocally(t, b)
			if tt.end != nil {
				tt.end(t)
			}
		})
	}
	t.Run("down", func(t *testing.T) {
		b := o.borrow(t)
		o.provider.SetDown(true)
		defer o.provider.SetDown(false)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_ = b.Try(ctx, http.MethodPost, "/url", map[string]string{"url": o.at("/login/it")}, nil) // the browser may be led where nobody is
		o.put(t, o.config+"# begun again while the provider is away\n")
		o.signInLocally(t, b)
		o.put(t, o.config)
	})
	t.Run("another provider with the same names", func(t *testing.T) {
		b := o.borrow(t)
		_, cert, ca := certificate(t)
		other := peers.StartProvider(t, peers.ProviderConfig{
			Redirects: []string{o.server + "/console/login/it/callback"}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, CAFile: ca, Users: staff(),
		})
		o.edit(t, func(s string) string { return strings.Replace(s, o.provider.Issuer, other.Issuer, 1) })
		defer o.put(t, o.config)
		b.Open(o.at("/login"))
		b.Click("main a.primary")
		ours := o.provider
		o.provider = other
		defer func() { o.provider = ours }()
		before := len(o.String())
		o.atProvider(b, "alice")
		b.Wait("the way back", func() bool { return strings.HasPrefix(b.URL(), o.server+"/") })
		if got := b.Text("main"); !strings.Contains(got, "Sign-in was refused") {
			t.Errorf("at %s: %s", b.URL(), got)
		}
		if got := o.refusals(before); !strings.Contains(got, "another subject of the provider") {
			t.Errorf("log: %s", got)
		}
		o.signInLocally(t, b)
	})
}

// refusals are the lines of the log after some bytes that tell of one.
func (o *office) refusals(after int) string {
	var out []string
	for line := range strings.Lines(o.String()[after:]) {
		if strings.Contains(line, "refused") || strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			out = append(out, line)
		}
	}
	return fmt.Sprint(out)
}
