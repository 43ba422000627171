package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// Accounts that the test of remedies changes: each case has its own.
func reasonAccounts() ([]adtest.User, []adtest.Service) {
	user := func(name string) adtest.User { return adtest.User{Name: name, Password: name + "-s3cret"} }
	users := []adtest.User{
		{Name: "r-sensitive", Password: "r-sensitive-s3cret", Sensitive: true},
		{Name: "r-sensitive2", Password: "r-sensitive2-s3cret", Sensitive: true},
		{Name: "r-disabled", Password: "r-disabled-s3cret", Disabled: true},
		{Name: "r-expired", Password: "r-expired-s3cret", Expired: true},
		{Name: "r-locked", Password: "r-locked-s3cret", Locked: true},
		{Name: "r o'protected", Password: "r-protected-s3cret", Protected: true},
		{Name: "r-change", Password: "r-change-s3cret", MustChange: true},
		user("r-user"), user("r-later"), user("r-later2"),
	}
	service := func(name string, transition bool, to ...string) adtest.Service {
		return adtest.Service{
			Name: name, Password: name + "-s3cret", SPNs: []string{"HTTP/" + name + ".corp.test"}, EncTypes: 24,
			Transition: transition, DelegateTo: to,
		}
	}
	return users, []adtest.Service{
		service("rs-noright", false, adtest.BackendSPN),
		service("rs-nothing", true),
		service("rs-ticket", false),
		service("rs-late", true, "HTTP/late.corp.test"),
		service("rs-limited", true, adtest.BackendSPN),
		service("rs-hop", false),
		service("rs-resource", false),
		service("rs-both", false),
		service("rs-back", false),
	}
}

// callers makes the identities that logins leave.
type callers struct {
	*testing.T
	dc *adtest.DC
}

func (c callers) ntlm(user string) *authn.Identity {
	c.Helper()
	return &authn.Identity{Account: user, Domain: adtest.NetBIOS, SID: authn.SID(c.dc.SID(c, user)), Mechanism: authn.MechanismNTLM}
}

func (c callers) kerberos(user, service string) *authn.Identity {
	c.Helper()
	client, err := kerberos.NewPasswordClient(krbConfig(c.T, c.dc), user, authn.NewSecret(user+"-s3cret"))
	if err != nil {
		c.Fatal(err)
	}
	return c.ticket(client, service, "HTTP/"+service+".corp.test")
}

func (c callers) ticket(client *kerberos.Client, service, spn string) *authn.Identity {
	c.Helper()
	id, err := login(c.Context(), client, spn, domainKerberos(c.T, c.dc, service))
	if err != nil {
		c.Fatal(err)
	}
	return id
}

func (c callers) basic(user, pw string) *authn.Identity {
	c.Helper()
	id := c.ntlm(user)
	id.Mechanism, id.Evidence = "Basic", &password.Secret{User: user, Password: authn.NewSecret(pw)}
	return id
}

func targetOf(spn string) authclient.Target {
	return authclient.Target{Scheme: "https", Host: strings.TrimPrefix(spn, "HTTP/") + ":443", SPN: spn}
}

// seenByBackend logs in at the back end of the fixture and returns whom it sees.
func (c callers) seenByBackend(cred authclient.Credential) *authn.Identity {
	c.Helper()
	in, err := cred.NewInitiator(authclient.SchemeNegotiate, targetOf(adtest.BackendSPN), nil)
	if err != nil {
		c.Fatal(err)
	}
	token, _, err := in.Step(c.Context(), nil)
	if err != nil {
		c.Fatal(err)
	}
	m := domainKerberos(c.T, c.dc, adtest.Backend)
	reply, id, err := spnego.NewAcceptor([]authn.Mechanism{m}, authn.Exchange{}).Step(c.Context(), token)
	if err != nil {
		c.Fatal(err)
	}
	if _, done, err := in.Step(c.Context(), reply); err != nil || !done {
		c.Fatal(done, err)
	}
	return id
}

// Each cause has its own reason, and the commands that the error prints, run as
// they stand, mend it: the same call then succeeds.
func TestDelegationReasons(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	users, services := reasonAccounts()
	dc.Add(t, users, services)
	c := callers{t, dc}
	transition := delegation.Upstream{SPN: adtest.BackendSPN, ProtocolTransition: true}
	byTicket := delegation.Upstream{SPN: adtest.BackendSPN}

	// Logins first, then what happened to the accounts since.
	later, later2 := c.kerberos("r-later", "rs-noright"), c.kerberos("r-later2", "rs-both")
	dc.Administer(t, "samba-tool user disable r-later && samba-tool user disable r-later2 && samba-tool user sensitive rs-limited on")
	kinit := testenv.Need(t, "kinit")
	cache := filepath.Join(t.TempDir(), "cache")
	testenv.Run(t, dc.Env(), adtest.Password(t, adtest.Alice)+"\n", kinit, "-F", "-c", "FILE:"+cache, "alice@"+adtest.Realm)
	notForwardable, err := kerberos.NewCacheClient(krbConfig(t, dc), cache)
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name     string
		service  string
		id       *authn.Identity
		upstream delegation.Upstream
		reason   delegation.Reason
		cause    []string // in it
		remedy   int      // which one is run, counted from 1; 0: none
		again    bool     // with transition configured besides, as the remedy says
		fails    string   // what the cause says after the remedy; empty: it works
	}{
		{name: "sensitive, NTLM", service: adtest.Web, id: c.ntlm("r-sensitive"), upstream: transition,
			reason: delegation.ReasonSensitive, cause: []string{"marked as sensitive", "KDC_ERR_BADOPTION"}, remedy: 1},
		{name: "sensitive, own ticket", service: "rs-noright", id: c.kerberos("r-sensitive2", "rs-noright"), upstream: byTicket,
			reason: delegation.ReasonSensitive, cause: []string{"marked as sensitive"}},
		{name: "disabled", service: adtest.Web, id: c.ntlm("r-disabled"), upstream: transition,
			reason: delegation.ReasonAccountDisabled, cause: []string{"disabled", "KDC_ERR_POLICY"}, remedy: 1},
		{name: "disabled since the login", service: "rs-noright", id: later, upstream: byTicket,
			reason: delegation.ReasonAccountDisabled, cause: []string{"disabled", "KDC_ERR_POLICY"}, remedy: 1},
		{name: "disabled since the login, and not listed", service: "rs-both", id: later2, upstream: byTicket,
			reason: delegation.ReasonAccountDisabled, cause: []string{"disabled", "KDC_ERR_BADOPTION"}, remedy: 1, fails: "msDS-AllowedToDelegateTo"},
		{name: "locked out", service: adtest.Web, id: c.ntlm("r-locked"), upstream: transition,
			reason: delegation.ReasonAccountDisabled, cause: []string{"disabled or locked out", "KDC_ERR_CLIENT_REVOKED"}, remedy: 2},
		{name: "expired", service: adtest.Web, id: c.ntlm("r-expired"), upstream: transition,
			reason: delegation.ReasonAccountExpired, cause: []string{"expired", "KDC_ERR_NAME_EXP"}, remedy: 1},
		{name: "password must be changed", service: adtest.Web, id: c.ntlm("r-change"), upstream: transition,
			reason: delegation.ReasonPasswordExpired, cause: []string{"must be changed", "KDC_ERR_KEY_EXPIRED"}},
		{name: "Protected Users", service: adtest.Web, id: c.ntlm("r o'protected"), upstream: transition,
			reason: delegation.ReasonProtectedUser, cause: []string{"Protected Users"}, remedy: 2},
		{name: "unknown account", service: adtest.Web, upstream: transition, reason: delegation.ReasonUnknownUser, cause: []string{"KDC_ERR_C_PRINCIPAL_UNKNOWN"},
			id: &authn.Identity{Account: "nobody", Domain: adtest.NetBIOS, SID: authn.SID(dc.DomainSID + "-4711"), Mechanism: authn.MechanismNTLM}},
		{name: "no right for transition", service: "rs-noright", id: c.ntlm("r-user"), upstream: transition,
			reason: delegation.ReasonNoTransitionRight, cause: []string{"rs-noright has no right", "KDC_ERR_BADOPTION"}, remedy: 1},
		{name: "target not listed, NTLM", service: "rs-nothing", id: c.ntlm("r-user"), upstream: transition,
			reason: delegation.ReasonNotAllowedTarget, cause: []string{"msDS-AllowedToDelegateTo", "KDC_ERR_BADOPTION"}, remedy: 1},
		{name: "target not listed, own ticket", service: "rs-ticket", id: c.kerberos("r-user", "rs-ticket"), upstream: byTicket,
			reason: delegation.ReasonNotAllowedTarget, cause: []string{"msDS-AllowedToDelegateTo", "KDC_ERR_BADOPTION"}, remedy: 1},
		{name: "resource-based, which this KDC does not have", service: "rs-resource", id: c.kerberos("r-user", "rs-resource"),
			upstream: delegation.Upstream{SPN: "HTTP/rs-back.corp.test", Account: "rs-back"},
			reason:   delegation.ReasonNotAllowedTarget, cause: []string{"resource-based"}, remedy: 2, fails: "this KDC does not support that (resource-based delegation)"},
		{name: "target unknown", service: "rs-late", id: c.ntlm("r-user"),
			upstream: delegation.Upstream{SPN: "HTTP/late.corp.test", ProtocolTransition: true, Account: "rs-back"},
			reason:   delegation.ReasonUnknownTarget, cause: []string{"HTTP/late.corp.test", "KDC_ERR_S_PRINCIPAL_UNKNOWN"}, remedy: 1},
		{name: "our own account is sensitive", service: "rs-limited", id: c.ntlm("r-user"), upstream: transition,
			reason: delegation.ReasonServiceAccount, cause: []string{"rs-limited, which acts for callers, is itself"}, remedy: 1},
		{name: "double hop", service: "rs-hop", id: c.ntlm("r-user"), upstream: byTicket,
			reason: delegation.ReasonDoubleHop, cause: []string{"double hop"}, remedy: 2, again: true},
		{name: "client asked for a ticket that is not forwardable", service: adtest.Front, upstream: byTicket,
			id:     c.ticket(notForwardable, adtest.Front, adtest.FrontSPN),
			reason: delegation.ReasonNotForwardable, cause: []string{"the account is not sensitive"}},
		{name: "wrong password", service: adtest.Web, id: c.basic("r-user", "of another store"), upstream: transition,
			reason: delegation.ReasonWrongPassword, cause: []string{"KDC_ERR_PREAUTH_FAILED"}},
	}
	// A refusal is remembered for some seconds, which pass once for all.
	var mended []func(t *testing.T)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := delegator(t, dc, tt.service, tt.upstream, io.Discard)
			_, _, err := d.Delegate(t.Context(), tt.id, targetOf(tt.upstream.SPN))
			var de *delegation.Error
			if !errors.As(err, &de) || de.Reason != tt.reason {
				t.Fatalf("%v, want reason %s", err, tt.reason)
			}
			slog.New(slog.NewTextHandler(t.Output(), nil)).Info("refused", slog.Any("cause", de))
			for _, s := range tt.cause {
				if !strings.Contains(de.Cause, s) {
					t.Errorf("cause %q does not say %q", de.Cause, s)
				}
			}
			if tt.remedy == 0 {
				if len(de.Remedies) == 0 {
					t.Error("no remedies")
				}
				return
			}
			r := de.Remedies[tt.remedy-1]
			if len(r.Samba) == 0 || len(r.PowerShell) != len(r.Samba) || !strings.Contains(de.Remedy, r.Samba[0]) {
				t.Fatalf("remedy %+v, as text %q", r, de.Remedy)
			}
			for _, line := range r.Samba {
				dc.Administer(t, line)
			}
			upstream := tt.upstream
			if tt.again {
				upstream.ProtocolTransition = true
				d = delegator(t, dc, tt.service, upstream, io.Discard)
			}
			mended = append(mended, func(t *testing.T) { afterRemedy(t, dc, d, tt.id, upstream.SPN, tt.fails) })
		})
	}
	for _, f := range mended {
		f(t)
	}
}

// afterRemedy makes a call again that was refused. It works now, or its cause
// says what fails.
func afterRemedy(t *testing.T, dc *adtest.DC, d *delegation.Delegator, id *authn.Identity, spn, fails string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var cred authclient.Credential
	err := testenv.Poll(ctx, func() error {
		var err error
		if cred, _, err = d.Delegate(ctx, id, targetOf(spn)); fails == "" {
			return err
		}
		var de *delegation.Error
		if !errors.As(err, &de) || !strings.Contains(de.Cause, fails) {
			return fmt.Errorf("%w, want %q", err, fails)
		}
		return nil
	})
	switch {
	case err != nil:
		t.Errorf("after the remedy: %v", err)
	case fails == "" && spn == adtest.BackendSPN:
		if seen := (callers{t, dc}).seenByBackend(cred); seen.SID != id.SID {
			t.Errorf("the back end sees %v instead of %v", seen, id)
		}
	}
}

// The lines of the manual, for its accounts.
func TestDelegationManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/howto-delegation.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^samba-tool .*$`).FindAllString(string(manual), -1)
	if len(lines) != 3 {
		t.Fatalf("%d lines for samba-tool: %q", len(lines), lines)
	}
	dc := adtest.Start(t)
	dc.Add(t, nil, []adtest.Service{
		{Name: "svc-hr", Password: "hr-s3cret", SPNs: []string{"HTTP/hr.corp.test"}, EncTypes: 24},
		{Name: "svc-ledger", Password: "ledger-s3cret", SPNs: []string{"HTTP/ledger.corp.test"}, EncTypes: 24},
	})
	for _, line := range lines {
		dc.Administer(t, line)
	}
	d := delegator(t, dc, "svc-hr", delegation.Upstream{SPN: "HTTP/ledger.corp.test", ProtocolTransition: true}, t.Output())
	id := callers{t, dc}.ntlm(adtest.Alice)
	if _, m, err := d.Delegate(t.Context(), id, targetOf("HTTP/ledger.corp.test")); err != nil || m != delegation.Transition {
		t.Error(m, err)
	}
}
