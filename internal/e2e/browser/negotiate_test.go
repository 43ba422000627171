package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// trusting lets Chromium answer Negotiate, as a policy does on machines of a
// domain.
var trusting = []string{"--auth-server-allowlist=*.corp.test"}

// domain checks passwords by logging in at the domain controller and taking the
// ticket for our own service in, which proves that the controller is the real
// one.
type domain struct {
	config kerberos.Config
	accept authn.Mechanism
}

func (d *domain) VerifyPassword(ctx context.Context, user, pw string) (*authn.Identity, error) {
	_, account, _ := strings.Cut(user, `\`)
	client, err := kerberos.NewPasswordClient(d.config, account, authn.NewSecret(pw))
	if err != nil {
		return nil, &authn.RefusedError{Reason: authn.ReasonUnknownUser, User: user, Err: err}
	}
	if err := client.Login(ctx); errors.Is(err, authn.ErrBadCredentials) {
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user, Err: err}
	} else if err != nil {
		return nil, err
	}
	token, _, err := client.NewInitiator(adtest.WebSPN, kerberos.InitiatorConfig{}).Step(ctx, nil)
	if err != nil {
		return nil, err
	}
	_, id, err := d.accept.NewAcceptor(authn.Exchange{Peer: "form"}).Step(ctx, token)
	return id, err
}

// startDomainSite starts a service of the test domain.
func startDomainSite(t *testing.T, dc *adtest.DC, c form.Config) *site {
	t.Helper()
	keytab, err := kerberos.LoadKeytab(dc.Keytab(adtest.Web))
	if err != nil {
		t.Fatal(err)
	}
	config, err := kerberos.LoadConfig(dc.Krb5Conf)
	if err != nil {
		t.Fatal(err)
	}
	c.Windows = &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keytab}}
	c.Verifier = &domain{config: *config, accept: &kerberos.Mechanism{Keytab: keytab}}
	return startSite(t, c)
}

// TestDomain: members of the domain never see the form, and others see nothing
// else.
func TestDomain(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	s := startDomainSite(t, dc, form.Config{})
	ticket := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice))
	none := append(dc.Env(), "KRB5CCNAME=FILE:"+t.TempDir()+"/none")

	t.Run("ticket", func(t *testing.T) {
		b := peers.StartChrome(t, peers.ChromeConfig{Env: ticket, Args: trusting})
		b.Open(s.at("web.corp.test", "/pay"))
		if b.URL() != s.at("web.corp.test", "/pay") || b.Text("#who") != `CORP\alice by Kerberos` {
			t.Errorf("at %s: %s", b.URL(), b.Text("body"))
		}
	})
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"no ticket", trusting},
		{"server not trusted", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := peers.StartChrome(t, peers.ChromeConfig{Env: none, Args: tt.args})
			b.Open(s.at("web.corp.test", "/pay"))
			if b.URL() != s.at("web.corp.test", "/pay") || !b.Has("#password") {
				t.Fatalf("at %s: %s; want the form in place of the page", b.URL(), b.Text("body"))
			}
			if b.Has("#message") || b.Has("a") {
				t.Errorf("the form begins with %s", b.Text("body"))
			}
			b.SignIn(`CORP\alice`, "wrong")
			if got := b.Text("#message"); !strings.HasPrefix(got, "Invalid username or password") {
				t.Errorf("message %q", got)
			}
			b.SignIn(`CORP\alice`, adtest.Password(t, adtest.Alice))
			if b.URL() != s.at("web.corp.test", "/pay") || b.Text("#who") != `CORP\alice by form` {
				t.Errorf("at %s: %s", b.URL(), b.Text("body"))
			}
		})
	}
}

// TestDomainByLink: only who follows the link is asked for Negotiate, and gets a
// session by it.
func TestDomainByLink(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	s := startDomainSite(t, dc, form.Config{WindowsByLink: true})
	env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice))
	for _, tt := range []struct {
		name string
		env  []string
		who  string
	}{
		{"ticket", env, `CORP\alice by Kerberos`},
		{"no ticket", append(dc.Env(), "KRB5CCNAME=FILE:"+t.TempDir()+"/none"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := peers.StartChrome(t, peers.ChromeConfig{Env: tt.env, Args: trusting})
			b.Open(s.at("web.corp.test", "/pay"))
			if !b.Has("#password") {
				t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
			}
			b.Submit(".other a")
			if tt.who == "" {
				if got := b.Text("#message"); !strings.HasPrefix(got, "Your Windows account could not be used here.") {
					t.Errorf("message %q", got)
				}
				return
			}
			if b.URL() != s.at("web.corp.test", "/pay") || b.Text("#who") != tt.who {
				t.Errorf("at %s: %s", b.URL(), b.Text("body"))
			}
			if b.Cookie("__Host-soapward") == nil {
				t.Error("no session")
			}
		})
	}
}

// offering offers schemes, and takes nothing.
type offering []authn.Challenge

func (offering) Authenticate(*http.Request) (*authn.Result, error) {
	return nil, authn.ErrNoCredentials
}

func (o offering) Challenges(*http.Request) []authn.Challenge { return o }

// TestAttackPasswordWindow: a window of the browser's own, which looks the same
// for each site, never covers the form, whatever else the service offers.
func TestAttackPasswordWindow(t *testing.T) {
	t.Parallel()
	others := offering{{Scheme: "NTLM"}, {Scheme: "Basic", Param: `realm="x"`}}
	byForm := startSite(t, form.Config{Others: []authn.Authenticator{others}})
	withWindows := startSite(t, form.Config{Others: []authn.Authenticator{others}, Windows: offering{{Scheme: "Negotiate"}}})
	// A service without the form, which shows that the test sees the difference.
	bare := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("WWW-Authenticate", r.URL.Query().Get("offer"))
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `<input id="password">`)
	}))
	t.Cleanup(bare.Close)
	b := borrowChrome(t)
	b.Do(http.MethodPost, "/timeouts", map[string]any{"pageLoad": 5000}, nil)
	for _, tt := range []struct {
		name, url string
		want      bool
	}{
		{"form", byForm.at("web.corp.test", "/"), true},
		{"form and Negotiate", withWindows.at("web.corp.test", "/"), true},
		{"link to Windows", withWindows.at("web.corp.test", "/login/windows"), true},
		{"bare NTLM", bare.URL + "/?offer=NTLM", false},
		{"bare Basic", bare.URL + "/?offer=Basic+realm=x", false},
	} {
		b.Open("about:blank")
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		_ = b.Try(ctx, http.MethodPost, "/url", map[string]string{"url": tt.url}, nil) // it may wait for the window
		cancel()
		if got := b.Has("#password"); got != tt.want {
			t.Errorf("%s: page shown %v, want %v", tt.name, got, tt.want)
		}
	}
}
