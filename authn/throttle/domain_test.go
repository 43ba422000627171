package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// domainLogin is one NTLM login at v of a client at an address.
func domainLogin(ctx context.Context, v ntlm.Verifier, names ntlm.Names, addr, user, password string) error {
	cred, err := ntlm.NewCredential(user, authn.NewSecret(password))
	if err != nil {
		return err
	}
	ctx = authn.WithClient(ctx, netip.MustParseAddr(addr))
	a, i := (&ntlm.Mechanism{Verifier: v, Names: names}).NewAcceptor(authn.Exchange{}), &ntlm.Initiator{Credential: cred}
	var fromClient, fromServer []byte
	for range 2 {
		if fromClient, _, err = i.Step(ctx, fromServer); err != nil {
			return err
		}
		if fromServer, _, err = a.Step(ctx, fromClient); err != nil {
			return err
		}
	}
	return nil
}

// TestAttackDomainAccountLocked: guesses here do not lock the account in a real
// domain, which the same guesses without us do.
func TestAttackDomainAccountLocked(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	dc.Administer(t, "samba-tool domain passwordsettings set --account-lockout-threshold=5 --account-lockout-duration=30 --reset-account-lockout-after=30")
	v, err := netlogon.New(netlogon.Config{
		Account: adtest.GW01 + "$", Secrets: netlogon.Password(authn.NewSecret(adtest.Password(t, adtest.GW01))),
		Domain: adtest.NetBIOS, DNSDomain: strings.ToLower(adtest.Realm), Controllers: []string{dc.IP},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	limit := &throttle.Limiter{
		Store: throttle.NewMemory(0), Logger: slog.New(slog.DiscardHandler),
		Canonical: throttle.Names{Domains: [][]string{{adtest.NetBIOS, adtest.Realm}}}.Canonical,
	}
	guarded, right := limit.NTLM(v), adtest.Password(t, adtest.Bob)
	spellings := []string{`CORP\bob`, `corp.test\BOB`, `CORP\Bob`, "bob@corp.test"}
	blocked := 0
	for i := range 20 {
		err := domainLogin(t.Context(), guarded, v.Names(), "192.0.2.7", spellings[i%len(spellings)], fmt.Sprint("guess ", i))
		var b *authn.BlockedError
		switch {
		case errors.As(err, &b):
			blocked++
		case !errors.Is(err, authn.ErrBadCredentials):
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if blocked != 17 {
		t.Errorf("%d of 20 guesses were kept from the controller, want 17", blocked)
	}
	shown := dc.Administer(t, "samba-tool user show bob --attributes=badPwdCount,lockoutTime")
	if m := regexp.MustCompile(`badPwdCount: (\d+)`).FindStringSubmatch(shown); m == nil || m[1] != "3" {
		t.Errorf("the controller counted, want 3:\n%s", shown)
	}
	if err := domainLogin(t.Context(), guarded, v.Names(), "192.0.2.7", `CORP\bob`, right); err == nil {
		t.Error("the right password was taken while blocked")
	}
	if err := domainLogin(t.Context(), guarded, v.Names(), "192.0.2.8", `CORP\bob`, right); err != nil {
		t.Errorf("bob from elsewhere: %v", err)
	}
	// The domain does lock accounts.
	for i := range 5 {
		_ = domainLogin(t.Context(), v, v.Names(), "192.0.2.7", `CORP\bob`, fmt.Sprint("guess ", i))
	}
	err = domainLogin(t.Context(), v, v.Names(), "192.0.2.8", `CORP\bob`, right)
	var refused *authn.RefusedError
	if !errors.As(err, &refused) || refused.Reason != authn.ReasonLockedOut {
		t.Errorf("five guesses without us: %v, want the account locked", err)
	}
}
