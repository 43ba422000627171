package kerberos

import (
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

// A KDC has one answer to what is not allowed; the PAC tells the rest.
func TestEvidenceSensitive(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for _, tc := range []struct {
		user      string
		sensitive bool
	}{{"alice", false}, {"bob", true}} {
		id, err := runExchange(t, r.client(t, tc.user).NewInitiator(appSPN, InitiatorConfig{}), r.mechanism(t, "svc-app", appSPN), authn.Exchange{})
		if err != nil {
			t.Fatal(err)
		}
		self, err := r.client(t, "svc-app").S4U2Self(t.Context(), tc.user)
		if err != nil {
			t.Fatal(err)
		}
		for name, ev := range map[string]*Evidence{"own": id.Evidence.(*Evidence), "S4U2Self": self} {
			if sensitive, known := ev.Sensitive(); sensitive != tc.sensitive || !known || ev.Account() != tc.user {
				t.Errorf("%s, %s: sensitive %v, known %v, account %q", tc.user, name, sensitive, known, ev.Account())
			}
		}
	}
	if err := r.Update("alice", func(a *kdc.Account) { a.NoPAC = true }); err != nil {
		t.Fatal(err)
	}
	for _, ev := range []*Evidence{nil, mustSelf(t, r.client(t, "svc-app"), "alice")} {
		if sensitive, known := ev.Sensitive(); sensitive || known || ev.Account() != "" {
			t.Errorf("no PAC: sensitive %v, known %v, account %q", sensitive, known, ev.Account())
		}
	}
}

func mustSelf(t *testing.T, c *Client, user string) *Evidence {
	t.Helper()
	ev, err := c.S4U2Self(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// A ticket that was made before the account got the right was used for a
// quarter of an hour more.
func TestS4URightGivenLater(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-plain")
	_, err := c.S4U2Proxy(t.Context(), mustSelf(t, c, "alice"), backSPN)
	if !errors.Is(err, ErrNotDelegable) || strings.Contains(err.Error(), "or the user is sensitive") {
		t.Fatalf("got %v, want the right that is missing and nothing else", err)
	}
	if err := r.Update("svc-plain", func(a *kdc.Account) { a.TrustedToAuth = true }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.S4U2Proxy(t.Context(), mustSelf(t, c, "alice"), backSPN); err != nil {
		t.Error(err)
	}
	if s := r.Stats(); s.S4U2Self != 2 {
		t.Errorf("%d S4U2Self, want 2", s.S4U2Self)
	}
}

// A service account that is sensitive itself gets no forwardable tickets, and
// was told to get a right that it had.
func TestS4UClientIsSensitive(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	if err := r.Update("svc-app", func(a *kdc.Account) { a.Sensitive = true }); err != nil {
		t.Fatal(err)
	}
	c := r.client(t, "svc-app")
	if _, err := c.S4U2Proxy(t.Context(), mustSelf(t, c, "alice"), backSPN); !errors.Is(err, ErrLimitedClient) || !errors.Is(err, ErrNotDelegable) {
		t.Errorf("got %v", err)
	}
	if err := r.Update("svc-app", func(a *kdc.Account) { a.Sensitive = false }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.S4U2Proxy(t.Context(), mustSelf(t, c, "alice"), backSPN); err != nil {
		t.Errorf("not sensitive any more: %v", err)
	}
}

// What a KDC adds to an error is anybody's, and was logged whatever its length.
func TestAttackKDCErrorText(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	e := newKDCError(opProxy, "CORP.TEST", &krb5.KDCReqBody{}, "svc", &krb5.ErrorMessage{Text: strings.Repeat("ä\n", 1<<16)}, r.clock.now())
	if len(e.Text) > 300 || strings.ContainsAny(e.Error(), "\n") {
		t.Errorf("%d bytes: %.300s", len(e.Text), e.Error())
	}
}
