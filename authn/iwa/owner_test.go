package iwa

import (
	"errors"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAttackLoginAtAnotherService: a connection that logged in at one service
// of a server is not logged in at its others, which may know other accounts or
// take Kerberos only. It was.
func TestAttackLoginAtAnotherService(t *testing.T) {
	t.Parallel()
	ours := &Authenticator{NTLM: accounts(t)}
	c := connect(t, ours)
	res, err := c.login("NTLM", initiator("alice"))
	wantUser(t, res, err, `CORP\alice`)
	for name, other := range map[string]*Authenticator{
		"other accounts": {NTLM: accounts(t)},
		"Kerberos only":  {Kerberos: oneLeg{}},
	} {
		c.a = other
		if res, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("%s: %+v, %v; want ErrNoCredentials", name, res, err)
		}
	}
	c.a = ours
	res, err = c.ask("", nil)
	wantUser(t, res, err, `CORP\alice`)
}

// TestAttackHandshakeAtAnotherService: a handshake ends where it began.
func TestAttackHandshakeAtAnotherService(t *testing.T) {
	t.Parallel()
	c := connect(t, &Authenticator{NTLM: accounts(t)})
	i := initiator("alice")
	negotiate, _, err := i.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.ask("NTLM", negotiate)
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := decodeToken(res.Continue.Param)
	if err != nil {
		t.Fatal(err)
	}
	authenticate, _, err := i.Step(t.Context(), challenge)
	if err != nil {
		t.Fatal(err)
	}
	c.a = &Authenticator{NTLM: accounts(t)}
	_, err = c.ask("NTLM", authenticate)
	wantReason(t, err, authn.ReasonOutOfOrder)
}
