package login_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
)

// Clients name a domain for people who type none: that of their computer, or the
// computer itself. Where all users are internal ones it does not matter, as at a
// Windows server that is in no domain.
func TestInternalNTLMDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	srv := w.serve(c, s, "staff")
	for _, user := range []string{"dora", `STAFF\dora`, `LAPTOP-7\dora`, `CORP\DORA`, `corp.test\dora`} {
		as := &authclient.NTLM{User: user, Password: authn.NewSecret(marked + "dora")}
		if got := get(t, w.client(srv, as), srv.URL); got != "200 dora by NTLM" {
			t.Errorf("%s: %s", user, got)
		}
		as.Password = authn.NewSecret(marked + "carol")
		if got := get(t, w.client(srv, as), srv.URL); !strings.Contains(got, "refused the NTLM login") {
			t.Errorf("%s with a wrong password: %s", user, got)
		}
	}
}

// TestAttackGuessesByDomain: where the domain does not matter, guesses with one
// domain after the other are one user's guesses.
func TestAttackGuessesByDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(strings.Replace(both, "realms:", "throttle: {user: [{failures: 4, block: 1h}], address: [{failures: 200, block: 1h}]}\nrealms:", 1))
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	srv := w.serve(c, s, "staff")
	last := ""
	for i := range 6 {
		as := &authclient.NTLM{User: fmt.Sprintf(`MADE-UP-%d\dora`, i), Password: authn.NewSecret("guess")}
		if i%2 == 0 {
			as.User = []string{"dora", `STAFF\dora`, `staff\DORA`}[i/2]
		}
		last = get(t, w.client(srv, as), srv.URL)
	}
	if !strings.HasPrefix(last, fmt.Sprint(http.StatusTooManyRequests)) {
		t.Errorf("after six guesses: %s, want 429", last)
	}
}
