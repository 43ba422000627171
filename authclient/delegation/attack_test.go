package delegation

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

// Threat 22. The name that logged in must mean the same account to the KDC.
func TestAttackTransitionToAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	id := *w.ntlmLogin("alice")
	id.SID = "S-1-5-21-9-9-9-1104" // alice of another domain that calls itself CORP
	_, _, err := d.Delegate(t.Context(), &id, target(backSPN))
	if !errors.Is(err, errOtherAccount) {
		t.Errorf("%v, want %v", err, errOtherAccount)
	}

	// A rule of the operator decides instead, where there is no SID.
	d = w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	d.Principal = func(id *authn.Identity) (string, error) {
		account, ok := map[string]string{"alice@idp.example": "bob", "bob@idp.example": "alice"}[id.Account]
		if !ok {
			return "", errors.New("test: no account")
		}
		return account, nil
	}
	for user, want := range map[string]string{"alice@idp.example": "bob", "bob@idp.example": "alice"} {
		c, m, err := d.Delegate(t.Context(), &authn.Identity{Account: user, Mechanism: "OIDC"}, target(backSPN))
		if err != nil || m != Transition {
			t.Fatal(m, err)
		}
		if seen := w.seenBy("back", backSPN, c); seen.Account != want {
			t.Errorf("for %s the back end sees %v, want %s", user, seen, want)
		}
	}
}

// Threat 22. A UPN that the login spelled like a realm meant the account of that
// name, which may be somebody else's.
func TestAttackUPNInCapitals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Update("alice", func(a *kdc.Account) { a.UPN = "a@corp.test" }); err != nil {
		t.Fatal(err)
	}
	if err := w.Update("bob", func(a *kdc.Account) { a.UPN = "alice@corp.test" }); err != nil {
		t.Fatal(err)
	}
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	d.AllowUPN = map[string][]string{"OIDC": {"corp.test"}}
	for _, upn := range []string{"alice@corp.test", "alice@CORP.TEST", "Alice@Corp.Test"} {
		c, _, err := d.Delegate(t.Context(), &authn.Identity{Account: "4711", UPN: upn, Mechanism: "OIDC"}, target(backSPN))
		if err != nil {
			t.Fatal(upn, err)
		}
		if seen := w.seenBy("back", backSPN, c); seen.Account != "bob" {
			t.Errorf("%s: the back end sees %v, want bob", upn, seen)
		}
	}
}

// Threat 22. A ticket got with the user's password was also for whoever logged
// in here under the name by another one, which the KDC never saw.
func TestAttackTicketOfAnotherPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN})
	right, wrong := w.passwordLogin("alice"), w.passwordLogin("alice")
	wrong.Evidence = &password.Secret{User: "alice", Password: authn.NewSecret("not hers")}
	var logins int64
	for again := range 2 { // nobody's wrong password is another's either
		c, m, err := d.Delegate(t.Context(), right, target(backSPN))
		if err != nil || m != Password {
			t.Fatal(m, err)
		}
		if seen := w.seenBy("back", backSPN, c); seen.SID != right.SID {
			t.Errorf("the back end sees %v", seen)
		}
		var de *Error
		if c, _, err := d.Delegate(t.Context(), wrong, target(backSPN)); c != nil || !errors.As(err, &de) || de.Reason != ReasonWrongPassword {
			t.Errorf("with a wrong password: %v, %v", c, err)
		}
		if n := w.Stats().AS; again == 0 {
			logins = n
		} else if n != logins {
			t.Errorf("%d more logins at the KDC", n-logins)
		}
	}
}

// Threat 22. A caller who spells his name differently at each login does not
// take up the room of others.
func TestAttackManySpellings(t *testing.T) {
	t.Parallel()
	id := &authn.Identity{Account: "alice", Domain: "CORP", SID: domainSID + "1-2-3-1104"}
	key := keyOf(Constrained, "alice@CORP.TEST", id, target(backSPN))
	if other := keyOf(Constrained, "aLiCe@CORP.TEST", id, target(strings.ToUpper(backSPN))); other != key {
		t.Errorf("%+v\n%+v", key, other)
	}
	// In a realm without SIDs they may be two users.
	id.SID = ""
	if keyOf(Constrained, "alice@MIT.TEST", id, target(backSPN)) == keyOf(Constrained, "Alice@MIT.TEST", id, target(backSPN)) {
		t.Error("two users share a ticket")
	}
}

// Threat 22. Where the KDC's ticket had no PAC, its SID was not compared.
func TestAttackTransitionWithoutSID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.ntlmLogin("alice")
	if err := w.Update("alice", func(a *kdc.Account) { a.NoPAC = true }); err != nil {
		t.Fatal(err)
	}
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	c, _, err := d.Delegate(t.Context(), id, target(backSPN))
	var de *Error
	if c != nil || !errors.As(err, &de) || !errors.Is(err, errNoSID) || !strings.Contains(de.Remedy, "NA_AUTH_DATA_REQUIRED") {
		t.Errorf("%v, %v, want %v", c, err, errNoSID)
	}
}

// A client that cannot see whose tickets it gets is an error that says so.
func TestTransitionWithoutKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	front, err := kerberos.NewForwardedClient(w.config(), w.kerberosLogin("front", "back", backSPN, true).Evidence.(*kerberos.Evidence))
	if err != nil {
		t.Fatal(err)
	}
	d.Client = front
	c, _, err := d.Delegate(t.Context(), w.ntlmLogin("alice"), target(backSPN))
	var de *Error
	if c != nil || !errors.As(err, &de) || !errors.Is(err, kerberos.ErrNoServiceKey) || !strings.Contains(de.Remedy, "keytab of front") {
		t.Errorf("%v, %v", c, err)
	}
}

// Threat 22. Tickets of one caller are never another's, whatever the callers
// share, and of many at once each gets its own.
func TestAttackMixedCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	ids := []*authn.Identity{w.ntlmLogin("alice"), w.ntlmLogin("bob"),
		w.kerberosLogin("alice", "front", frontSPN, false), w.kerberosLogin("bob", "front", frontSPN, false)}
	var wg sync.WaitGroup
	got := make([]map[authclient.Credential]bool, len(ids))
	var mu sync.Mutex
	for i := range ids {
		got[i] = map[authclient.Credential]bool{}
		for range 8 {
			wg.Go(func() {
				c, _, err := d.Delegate(t.Context(), ids[i], target(backSPN))
				if err != nil {
					t.Error(err)
					return
				}
				if ticket := c.(*authclient.Ticket).Ticket; ticket.Client() != ids[i].Account+"@CORP.TEST" {
					t.Errorf("%v got the %v", ids[i], ticket)
				}
				mu.Lock()
				defer mu.Unlock()
				got[i][c] = true
			})
		}
	}
	wg.Wait()
	keys := map[string]bool{}
	for i, cs := range got {
		if len(cs) != 1 {
			t.Errorf("caller %d got %d credentials in 8 calls at once, want one", i, len(cs))
		}
		for c := range cs {
			keys[c.Key()] = true
		}
	}
	if len(keys) != len(ids) {
		t.Errorf("%d connection keys for %d logins", len(keys), len(ids))
	}
}

// A refusal that anybody on the way to the KDC can make up turned the caller
// into the service account.
func TestAttackServiceAccountByForgedRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours := &authclient.Kerberos{Client: w.client("front")}
	byTicket, byNTLM := w.kerberosLogin("alice", "front", frontSPN, false), w.ntlmLogin("alice")
	for _, code := range []krb5.ErrorCode{krb5.CodeGeneric, krb5.CodeBadOption, krb5.CodePolicy, krb5.CodeClientUnknown, krb5.CodeClientRevoked} {
		for name, id := range map[string]*authn.Identity{"ticket": byTicket, "NTLM": byNTLM} {
			d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true, Service: ours})
			if err := d.Client.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.SetFault(kdc.Fault{Only: krb5.MsgTGSReq, Error: code})
			c, m, err := d.Delegate(t.Context(), id, target(backSPN))
			w.SetFault(kdc.Fault{})
			var de *Error
			if c != nil || m != "" || !errors.As(err, &de) || len(de.Tried) != 1 {
				t.Errorf("%v, caller by %s: credential %v, method %q, error %v", code, name, c, m, err)
			}
		}
	}
	w.SetFault(kdc.Fault{Corrupt: true})
	d := w.delegator("front", Upstream{SPN: backSPN, Service: ours})
	if c, m, err := d.Delegate(t.Context(), byTicket, target(backSPN)); c != nil || err == nil {
		t.Errorf("corrupt answers: method %q, error %v", m, err)
	}
}

// An outage must not change in whose name a request is made.
func TestAttackServiceAccountByOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.kerberosLogin("alice", "front", frontSPN, false)
	d := w.delegator("front", Upstream{SPN: backSPN, Service: &authclient.Kerberos{Client: w.client("front")}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, m, err := d.Delegate(t.Context(), id, target(backSPN))
	if c != nil || m != "" || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("credential %v, method %q, error %v, want ErrUnavailable", c, m, err)
	}
	var de *Error
	if !errors.As(err, &de) {
		t.Fatal(err)
	}
	if q, _ := de.SOAPFault(); q.Local != "Unavailable" {
		t.Errorf("subcode %v", q)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, _, err := w.delegator("front", d.Upstreams...).Delegate(ctx, id, target(backSPN)); c != nil || err == nil {
		t.Errorf("caller gone: credential %v, error %v", c, err)
	}
}
