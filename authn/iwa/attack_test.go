package iwa

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/spnego"
)

// TestAttackAuthenticateWithoutNegotiate: an AUTHENTICATE that was made for
// another connection's challenge is refused on this one.
func TestAttackAuthenticateWithoutNegotiate(t *testing.T) {
	t.Parallel()
	a := &Authenticator{NTLM: accounts(t)}
	c := connect(t, a)
	i := initiator("alice")
	out, _, _ := i.Step(c.ctx, nil)
	res, err := c.ask("NTLM", out)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := base64.StdEncoding.DecodeString(res.Continue.Param)
	authenticate, _, err := i.Step(c.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = connect(t, a).ask("NTLM", authenticate)
	wantReason(t, err, authn.ReasonOutOfOrder)

	res, err = c.ask("NTLM", authenticate)
	wantUser(t, res, err, `CORP\alice`)
	_, err = c.ask("NTLM", authenticate) // replay on the right connection
	wantReason(t, err, authn.ReasonOutOfOrder)
	if _, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("after the replay the connection is still logged in: %v", err)
	}
}

// TestAttackHandshakeTakenOver: a request without credentials, as another
// client behind a multiplexing proxy sends, ends the handshake.
func TestAttackHandshakeTakenOver(t *testing.T) {
	t.Parallel()
	c := connect(t, &Authenticator{NTLM: accounts(t)})
	i := initiator("alice")
	out, _, _ := i.Step(c.ctx, nil)
	res, err := c.ask("NTLM", out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
		t.Fatalf("err = %v, want ErrNoCredentials", err)
	}
	in, _ := base64.StdEncoding.DecodeString(res.Continue.Param)
	out, _, _ = i.Step(c.ctx, in)
	_, err = c.ask("NTLM", out)
	wantReason(t, err, authn.ReasonOutOfOrder)
}

// TestAttackSharedConnection: NTLM through a proxy that shares connections is
// refused, and the log names the cause.
func TestAttackSharedConnection(t *testing.T) {
	t.Parallel()
	t.Run("two users on one connection", func(t *testing.T) {
		t.Parallel()
		c := connect(t, &Authenticator{NTLM: accounts(t)})
		res, err := c.login("NTLM", initiator("alice"))
		wantUser(t, res, err, `CORP\alice`)
		_, err = c.login("NTLM", initiator("bob"))
		wantReason(t, err, authn.ReasonPolicy)
		if !strings.Contains(err.Error(), `login of CORP\alice`) {
			t.Errorf("err = %v does not name the cause", err)
		}
		if _, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("the connection is still logged in: %v", err)
		}
	})
	t.Run("the same user again", func(t *testing.T) {
		t.Parallel()
		c := connect(t, &Authenticator{NTLM: accounts(t)})
		for range 2 {
			res, err := c.login("NTLM", initiator("alice"))
			wantUser(t, res, err, `CORP\alice`)
		}
	})
	for _, header := range forwardingHeaders {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			a := &Authenticator{NTLM: accounts(t)}
			c := connect(t, a)
			c.head.Set(header, "proxy")
			_, err := c.login("NTLM", initiator("alice"))
			wantReason(t, err, authn.ReasonPolicy)
			if !strings.Contains(err.Error(), header) {
				t.Errorf("err = %v does not name the header", err)
			}

			c = connect(t, a) // logs in directly, then a proxied request comes
			res, err := c.login("NTLM", initiator("alice"))
			wantUser(t, res, err, `CORP\alice`)
			c.head.Set(header, "proxy")
			_, err = c.ask("", nil)
			wantReason(t, err, authn.ReasonPolicy)

			c = connect(t, &Authenticator{NTLM: a.NTLM, AllowForwarded: true})
			c.head.Set(header, "proxy")
			res, err = c.login("NTLM", initiator("alice"))
			wantUser(t, res, err, `CORP\alice`)
		})
	}
}

// TestAttackKerberosConnectionShared: a connection that a proxy may share does
// not stay logged in by Kerberos either.
func TestAttackKerberosConnectionShared(t *testing.T) {
	t.Parallel()
	a := &Authenticator{Kerberos: rawKerberos{}, KerberosPerConnection: true}
	t.Run("proxy", func(t *testing.T) {
		t.Parallel()
		c := connect(t, a)
		c.head.Set("Via", "1.1 proxy")
		res, err := c.ask("Negotiate", kerberosToken(t, "alice"))
		wantUser(t, res, err, `CORP\alice`)
		if res.Persistent {
			t.Error("the client is told that the connection stays logged in")
		}
		if res, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("request without a token: %+v, %v; want ErrNoCredentials", res, err)
		}
	})
	t.Run("proxy shows later", func(t *testing.T) {
		t.Parallel()
		c := connect(t, a)
		res, err := c.ask("Negotiate", kerberosToken(t, "alice"))
		wantUser(t, res, err, `CORP\alice`)
		c.head.Set("X-Forwarded-For", "10.0.0.1")
		_, err = c.ask("", nil)
		wantReason(t, err, authn.ReasonPolicy)
	})
	t.Run("two users", func(t *testing.T) {
		t.Parallel()
		c := connect(t, a)
		for _, user := range []string{"alice", "bob"} {
			res, err := c.ask("Negotiate", kerberosToken(t, user))
			wantUser(t, res, err, `CORP\`+user)
		}
		if res, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("request without a token: %+v, %v; want ErrNoCredentials", res, err)
		}
	})
}

// TestAttackNTLMOverHTTP2: streams of several users share a connection.
func TestAttackNTLMOverHTTP2(t *testing.T) {
	t.Parallel()
	out, _, err := initiator("alice").Step(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*connection){
		"HTTP/2":         func(c *connection) { c.proto = 2 },
		"no ConnContext": func(c *connection) { c.ctx = context.Background() },
	} {
		c := connect(t, &Authenticator{Kerberos: oneLeg{}, NTLM: accounts(t)})
		change(c)
		if res, err := c.ask("NTLM", out); !errors.Is(err, authn.ErrConnState) {
			t.Errorf("%s: %v, %v; want ErrConnState", name, res, err)
		}
		wrapped, _, _ := spnego.NewInitiator(spnego.OIDNTLM, initiator("alice")).Step(context.Background(), nil)
		if res, err := c.ask("Negotiate", wrapped); err == nil {
			t.Errorf("%s: NTLM inside SPNEGO: %v, want an error", name, res)
		}
	}
}

// TestAttackNTLMOnKerberosOnly: a route without NTLM refuses it, raw and
// wrapped, and says what went wrong at the client.
func TestAttackNTLMOnKerberosOnly(t *testing.T) {
	t.Parallel()
	for scheme, i := range map[string]authn.Initiator{
		"Negotiate": initiator("alice"),
		"negotiate": spnego.NewInitiator(spnego.OIDNTLM, initiator("alice")),
	} {
		_, err := connect(t, &Authenticator{Kerberos: oneLeg{}}).login(scheme, i)
		wantReason(t, err, authn.ReasonMechanism)
	}
}
