package iwa

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAttackLoginOutlivesItsRequest: where a proxy mixes the requests of several
// clients, nobody goes on as whoever logged in before on the same connection.
func TestAttackLoginOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	c := connect(t, &Authenticator{NTLM: accounts(t), PerRequest: true})
	for _, header := range []string{"", "X-Forwarded-For", "Via"} {
		if header != "" {
			c.head.Set(header, "proxy")
		}
		for _, user := range []string{"alice", "bob", "bob"} { // one after the other on one connection
			res, err := c.login("NTLM", initiator(user))
			wantUser(t, res, err, `CORP\`+user)
			if !res.Fresh || res.Persistent {
				t.Errorf("%s: fresh %v, persistent %v; want a login that is over", user, res.Fresh, res.Persistent)
			}
			if res, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
				t.Fatalf("a request after %s's login: %+v, %v; want ErrNoCredentials", user, res, err)
			}
		}
		if got := c.challenges(); got != "Negotiate NTLM" {
			t.Errorf("challenges %q behind %q", got, header)
		}
	}
}

// The same user at two clients logs in twice, though the proxy sends both over one
// connection: each needs a session of its own. Without a proxy the connection is
// one client's, which has one.
func TestPerRequestKerberosAtTwoClients(t *testing.T) {
	t.Parallel()
	token := kerberosToken(t, "alice")
	for header, again := range map[string]bool{"": false, "X-Forwarded-For": true, "Via": true} {
		c := connect(t, &Authenticator{Kerberos: rawKerberos{}, PerRequest: true})
		if header != "" {
			c.head.Set(header, "proxy")
		}
		for i, want := range []bool{true, again} {
			res, err := c.ask("Negotiate", token)
			wantUser(t, res, err, `CORP\alice`)
			if res.Fresh != want {
				t.Errorf("behind %q, login %d: fresh %v, want %v", header, i+1, res.Fresh, want)
			}
		}
	}
}

// A request of another client between two legs does not end the handshake.
func TestPerRequestHandshakeInterleaved(t *testing.T) {
	t.Parallel()
	c := connect(t, &Authenticator{NTLM: accounts(t), PerRequest: true})
	i := initiator("alice")
	first, _, err := i.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.ask("NTLM", first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
		t.Fatal(err)
	}
	challenge, err := base64.StdEncoding.DecodeString(res.Continue.Param)
	if err != nil {
		t.Fatal(err)
	}
	last, _, err := i.Step(t.Context(), challenge)
	if err != nil {
		t.Fatal(err)
	}
	res, err = c.ask("NTLM", last)
	wantUser(t, res, err, `CORP\alice`)
}
