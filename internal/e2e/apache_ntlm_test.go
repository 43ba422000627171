package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/testenv"
)

// The users of Apache with gss-ntlmssp.
var ntlmUsers = map[string]string{
	"alice": "alice-at-apache", "bob": "bob-at-apache", "carol": "Grüße-ß-Ω-𝄞", "zoë": "plain",
}

// startNTLMApache starts Apache whose mod_auth_gssapi takes NTLM inside
// Negotiate, by gss-ntlmssp, in front of a handler, or of that of startApache.
func startNTLMApache(t *testing.T, dc *adtest.DC, tls bool, handler ...http.Handler) *peers.Apache {
	t.Helper()
	testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
	c := peers.NewApacheConf(t, "backend.corp.test", append(handler, nil)[0])
	if tls {
		c.CertFile, c.KeyFile = dc.CAFile, dc.KeyFile
	}
	var users strings.Builder
	for name, password := range ntlmUsers {
		fmt.Fprintf(&users, "CORP:%s:%s\n", name, password)
	}
	file := filepath.Join(c.Dir, "users")
	if err := os.WriteFile(file, []byte(users.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.DropRoot(t, file)
	return c.Start(t, []string{"NTLM_USER_FILE=" + file, "NETBIOS_COMPUTER_NAME=BACKEND", "NETBIOS_DOMAIN_NAME=CORP"})
}

func atApache(user string) *authclient.NTLM {
	return &authclient.NTLM{User: `CORP\` + user, Password: authn.NewSecret(ntlmUsers[user])}
}

// insideNegotiate is an NTLM credential that does not take the scheme NTLM.
type insideNegotiate struct{ *authclient.NTLM }

func (insideNegotiate) Schemes() []string { return []string{authclient.SchemeNegotiate} }

// NTLM at a server that others wrote, which offers it by itself and inside
// Negotiate.
func TestOurNTLMAtApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, url := range []string{"http", "https"} {
		a := startNTLMApache(t, dc, url == "https")
		for _, scheme := range []string{authclient.SchemeNTLM, authclient.SchemeNegotiate} {
			by := func(c *authclient.NTLM) authclient.Source {
				if scheme == authclient.SchemeNegotiate {
					return authclient.Static(insideNegotiate{c})
				}
				return authclient.Static(c)
			}
			for _, tt := range []struct {
				name       string
				credential *authclient.NTLM
				user       string
			}{
				{"password", atApache("alice"), "alice"},
				{"hash", &authclient.NTLM{User: `CORP\alice`, Hash: ntlm.HashPassword(ntlmUsers["alice"])}, "alice"},
				{"password outside of ASCII", atApache("carol"), "carol"},
			} {
				t.Run(url+" "+scheme+" "+tt.name, func(t *testing.T) {
					t.Parallel()
					loginAtApache(t, ourClient(t, dc, by(tt.credential)), a, tt.user)
				})
			}
			t.Run(url+" "+scheme+" refused", func(t *testing.T) {
				t.Parallel()
				for _, c := range []*authclient.NTLM{
					{User: `CORP\alice`, Password: authn.NewSecret("wrong")},
					{User: `CORP\nobody`, Password: authn.NewSecret("x")},
					{User: `CORP\alice`, Hash: ntlm.HashPassword("wrong")},
					// gss-ntlmssp compares names in the locale of the process, which
					// Apache leaves at "C", where there are no such letters. In
					// another it is right: TestPeerGSSNTLMSSP of authn/ntlm.
					atApache("zoë"),
				} {
					_, answer, err := post(t.Context(), t, ourClient(t, dc, by(c)), a.URL("/"), "<a/>")
					var refused *authclient.RefusedError
					if !errors.As(err, &refused) || refused.Proxy || refused.Scheme != scheme {
						t.Errorf("%s: answer %q, error %v, want a refusal of %s", c.User, answer, err, scheme)
					}
				}
			})
		}
	}
}

func loginAtApache(t *testing.T, client *http.Client, a *peers.Apache, user string) {
	t.Helper()
	for _, body := range []string{"<a/>", strings.Repeat("<line/>", 1<<20/7), ""} {
		status, answer, err := post(t.Context(), t, client, a.URL("/x"), body)
		if want := `CORP\` + user + "\n" + body; err != nil || status != http.StatusOK || answer != want {
			t.Errorf("status %d, %v, answer %.100q, want %.100q", status, err, answer, want)
		}
	}
	resp, err := client.Get(a.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET: status %d", resp.StatusCode)
	}
}

// Two users through one client: NTLM is the connection's, at Apache too.
func TestAttackNTLMUsersMixedAtApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	a := startNTLMApache(t, dc, false)
	client := ourClient(t, dc, contextSource{})
	var wg sync.WaitGroup
	for _, user := range []string{"alice", "bob"} {
		credential := atApache(user)
		for worker := range 6 {
			wg.Go(func() {
				for i := range 10 {
					body := fmt.Sprintf("%s %d %d", user, worker, i)
					_, answer, err := post(withCredential(t.Context(), credential), t, client, a.URL("/"), body)
					if want := `CORP\` + user + "\n" + body; err != nil || answer != want {
						t.Errorf("answer %q, %v, want %q", answer, err, want)
					}
				}
			})
		}
	}
	wg.Wait()
}
