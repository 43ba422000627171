package netlogon_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/internal/adtest"
)

// TestSetPassword changes the account's password and shows which one is in
// force by opening channels.
func TestSetPassword(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	old := config(t, dc, adtest.GW11)
	if err := netlogon.Probe(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	secret := authn.NewSecret("zweites Paßwort, 256 Bits würdig: \U0001F511")
	if err := netlogon.SetPassword(t.Context(), old, secret); err != nil {
		t.Fatal(err)
	}
	renewed := old
	renewed.Secrets = netlogon.Password(secret)
	if err := netlogon.Probe(t.Context(), renewed); err != nil {
		t.Errorf("new password: %v", err)
	}
	// Windows and Samba let the password before the last one in for a while, so
	// that it is no error for the old one to work.
	wrong := old
	wrong.Secrets = netlogon.Password(authn.NewSecret("never was"))
	if err := netlogon.Probe(t.Context(), wrong); !errors.Is(err, netlogon.ErrAccount) {
		t.Errorf("wrong password: %v, want ErrAccount", err)
	}
	// Where not all were asked, one of the others may know it.
	wrong.Controllers = []string{dc.IP, "127.0.0.1:1"}
	if err := netlogon.Probe(t.Context(), wrong); err == nil || errors.Is(err, netlogon.ErrAccount) || !strings.Contains(err.Error(), "soapward join") {
		t.Errorf("wrong password, and a controller out of reach: %v; want the refusal in the text only", err)
	}
	// While a password is being changed, either may be in force.
	both := old
	both.Secrets = func() ([]authn.Secret, error) {
		return []authn.Secret{authn.NewSecret("never was"), secret}, nil
	}
	v := newVerifier(t, both)
	if id, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob)); err != nil || id.Account != "bob" {
		t.Errorf("login with the second password: %v, %v", id, err)
	}
	missing := old
	missing.Account = "NOSUCH"
	if err := netlogon.Probe(t.Context(), missing); !errors.Is(err, netlogon.ErrAccount) {
		t.Errorf("no such account: %v, want ErrAccount", err)
	}
}

func TestSetPasswordRefused(t *testing.T) {
	t.Parallel()
	c := netlogon.Config{
		Account: "GW01", Domain: "CORP", Controllers: []string{"127.0.0.1:1"},
		Secrets: netlogon.Password(authn.NewSecret("x")),
	}
	for name, s := range map[string]string{"empty": "", "too long": string(make([]rune, 257))} {
		if err := netlogon.SetPassword(t.Context(), c, authn.NewSecret(s)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
