package kerberos

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

func TestInitiatorMessageIntegrity(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	i := r.client(t, "alice").NewInitiator(appSPN, InitiatorConfig{})
	token, done, err := i.Step(t.Context(), nil)
	if err != nil || done {
		t.Fatalf("first step: done %v, %v", done, err)
	}
	if _, err := i.GetMIC([]byte("x")); err == nil {
		t.Error("a MIC before the exchange was complete")
	}
	a := r.mechanism(t, "svc-app", appSPN).NewAcceptor(authn.Exchange{})
	reply, _, err := a.Step(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err = i.Step(t.Context(), reply); err != nil || !done {
		t.Fatalf("second step: done %v, %v", done, err)
	}
	as := a.(authn.MessageSigner)
	for range 2 { // sequence numbers advance
		mic, err := i.GetMIC([]byte("list"))
		if err != nil {
			t.Fatal(err)
		}
		if err := as.VerifyMIC([]byte("list"), mic); err != nil {
			t.Errorf("acceptor: %v", err)
		}
		if mic, err = as.GetMIC([]byte("list")); err != nil {
			t.Fatal(err)
		}
		if err := i.VerifyMIC([]byte("list"), mic); err != nil {
			t.Errorf("initiator: %v", err)
		}
		if err := i.VerifyMIC([]byte("other"), mic); err == nil {
			t.Error("a MIC of another message was taken")
		}
	}
	if _, _, err := i.Step(t.Context(), reply); err == nil {
		t.Error("a token after the end was taken")
	}
}

func TestInitiatorWithoutMutual(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	i := r.client(t, "alice").NewInitiator(appSPN, InitiatorConfig{InsecureNoMutual: true})
	token, done, err := i.Step(t.Context(), nil)
	if err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	reply, id, err := r.mechanism(t, "svc-app", appSPN).NewAcceptor(authn.Exchange{}).Step(t.Context(), token)
	if err != nil || id.Account != "alice" || len(reply) != 0 {
		t.Errorf("%v, reply of %d bytes, %v", id, len(reply), err)
	}
}

func TestInitiatorChannelBinding(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	ours, theirs := authn.ChannelBinding("tls-server-end-point:ours"), authn.ChannelBinding("tls-server-end-point:theirs")
	for name, tc := range map[string]struct {
		client, server authn.ChannelBinding
		policy         authn.BindingPolicy
		ok             bool
	}{
		"same":              {ours, ours, authn.BindingRequired, true},
		"another":           {theirs, ours, authn.BindingSupported, false},
		"none, required":    {nil, ours, authn.BindingRequired, false},
		"none, supported":   {nil, ours, authn.BindingSupported, true},
		"server looks away": {theirs, ours, authn.BindingOff, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := r.mechanism(t, "svc-app", appSPN)
			m.Binding = tc.policy
			_, err := runExchange(t, c.NewInitiator(appSPN, InitiatorConfig{Binding: tc.client}), m, authn.Exchange{Bindings: authn.Bindings{tc.server}})
			if (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInitiatorForwardsTGTOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	for _, forward := range []bool{false, true} {
		m := r.mechanism(t, "svc-app", appSPN)
		m.AllowForwardedTGT = true
		id, err := runExchange(t, c.NewInitiator(appSPN, InitiatorConfig{Forward: forward}), m, authn.Exchange{})
		if err != nil {
			t.Fatal(err)
		}
		ev := id.Evidence.(*Evidence)
		if ev.HasForwardedTGT() != forward {
			t.Fatalf("forwarded %v, want %v", ev.HasForwardedTGT(), forward)
		}
		if !forward {
			if _, err := NewForwardedClient(r.config(), ev); err == nil {
				t.Error("a client without a TGT")
			}
			continue
		}
		fc, err := NewForwardedClient(r.config(), ev)
		if err != nil {
			t.Fatal(err)
		}
		fc.c.testOnlyNow = r.clock.now
		id, err = runExchange(t, fc.NewInitiator(backSPN, InitiatorConfig{}), r.mechanism(t, "svc-back", backSPN), authn.Exchange{})
		if err != nil || id.Account != "alice" {
			t.Errorf("with the forwarded TGT: %v, %v", id, err)
		}
		r.clock.add(11 * time.Hour)
		if _, err := fc.Ticket(t.Context(), backSPN); err == nil || !strings.Contains(err.Error(), "log in again") {
			t.Errorf("after the TGT's end: %v", err)
		}
	}
	if s := r.Stats(); s.Forward != 1 {
		t.Errorf("%d TGTs forwarded", s.Forward)
	}
	if _, err := runExchange(t, r.client(t, "bob").NewInitiator(appSPN, InitiatorConfig{Forward: true}), r.mechanism(t, "svc-app", appSPN), authn.Exchange{}); err == nil {
		t.Error("the TGT of a sensitive account was forwarded")
	}
}

func TestInitiatorServiceErrorDropsTicket(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	i := c.NewInitiator(appSPN, InitiatorConfig{})
	if _, _, err := i.Step(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	m := krb5.ErrorMessage{STime: r.clock.now(), Code: krb5.CodeModified, Realm: "CORP.TEST", SName: krb5.NewPrincipalName(krb5.NameService, appSPN)}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	token, err := krb5.FrameToken(krb5.OIDKerberos(), krb5.TokenError, b)
	if err != nil {
		t.Fatal(err)
	}
	before := r.Stats().TGS
	if _, _, err := i.Step(t.Context(), token); err == nil || !strings.Contains(err.Error(), "KRB_AP_ERR_MODIFIED") || !strings.Contains(err.Error(), "keytab") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Ticket(t.Context(), appSPN); err != nil {
		t.Fatal(err)
	}
	if r.Stats().TGS == before {
		t.Error("the ticket that did not work is still in use")
	}
}

func TestInitiatorExpiredTicket(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	tkt, err := r.client(t, "alice").Ticket(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	r.clock.add(11 * time.Hour)
	i := tkt.NewInitiator(InitiatorConfig{})
	i.now = r.clock.now
	if _, _, err := i.Step(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	if _, _, err := (&Ticket{}).NewInitiator(InitiatorConfig{}).Step(t.Context(), nil); err == nil {
		t.Error("a token from no ticket")
	}
}

// docs/threat-model.md 21: who cannot read the ticket cannot answer for the service.
func TestAttackServerDoesNotProveItself(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	m := r.mechanism(t, "svc-app", appSPN)
	answer := func(t *testing.T) (*Initiator, []byte) {
		t.Helper()
		i := c.NewInitiator(appSPN, InitiatorConfig{})
		token, done, err := i.Step(t.Context(), nil)
		if err != nil || done {
			t.Fatalf("done %v before the service proved itself, %v", done, err)
		}
		reply, _, err := m.NewAcceptor(authn.Exchange{}).Step(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		return i, reply
	}
	_, older := answer(t)
	forge := func(t *testing.T, key krb5.Key, p krb5.EncAPRepPart) []byte {
		t.Helper()
		plain, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := krb5.Seal(key, krb5.UsageAPRepPart, 0, plain)
		if err != nil {
			t.Fatal(err)
		}
		b, err := (&krb5.APRep{EncPart: sealed}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		token, err := krb5.FrameToken(krb5.OIDKerberos(), krb5.TokenAPRep, b)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	guess, err := krb5.RandomKey(krb5.AES256SHA1)
	if err != nil {
		t.Fatal(err)
	}
	for name, reply := range map[string]func(t *testing.T, i *Initiator, good []byte) []byte{
		"none":              func(*testing.T, *Initiator, []byte) []byte { return nil },
		"of another AP-REQ": func(*testing.T, *Initiator, []byte) []byte { return older },
		"our AP-REQ back": func(t *testing.T, i *Initiator, _ []byte) []byte {
			token, _, err := c.NewInitiator(appSPN, InitiatorConfig{}).Step(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return token
		},
		"with a guessed key": func(t *testing.T, i *Initiator, _ []byte) []byte {
			return forge(t, guess, krb5.EncAPRepPart{CTime: i.sent.ctime, CUSec: i.sent.cusec})
		},
		"other microseconds": func(t *testing.T, i *Initiator, _ []byte) []byte {
			return forge(t, i.ticket.open().key, krb5.EncAPRepPart{CTime: i.sent.ctime, CUSec: (i.sent.cusec + 1) % 1_000_000})
		},
		"cut short": func(_ *testing.T, _ *Initiator, good []byte) []byte { return good[:len(good)-1] },
		"altered": func(_ *testing.T, _ *Initiator, good []byte) []byte {
			b := bytes.Clone(good)
			b[len(b)-1] ^= 1
			return b
		},
		"without framing": func(_ *testing.T, _ *Initiator, good []byte) []byte {
			_, _, body, err := krb5.UnframeToken(good)
			if err != nil {
				t.Fatal(err)
			}
			return body
		},
		"oversized": func(*testing.T, *Initiator, []byte) []byte { return make([]byte, maxToken+1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, good := answer(t)
			_, done, err := i.Step(t.Context(), reply(t, i, good))
			if err == nil || done {
				t.Fatalf("done %v, %v", done, err)
			}
			// The exchange is over: the right answer comes too late.
			if _, done, err := i.Step(t.Context(), good); err == nil || done {
				t.Errorf("after the failure: done %v, %v", done, err)
			}
			if _, err := i.GetMIC(nil); !errors.Is(err, errNoContext) {
				t.Errorf("a MIC from an exchange that failed: %v", err)
			}
		})
	}
}

// After the service's password was changed, each login was refused until the
// cached ticket ended.
func TestInitiatorRefused(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	start := func() *Initiator {
		i := c.NewInitiator(backSPN, InitiatorConfig{})
		if i.Refused() {
			t.Error("refused before it began")
		}
		if _, _, err := i.Step(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		return i
	}
	start()
	for _, pw := range []string{"new1", "new2", "new3"} { // the last but one may still be good
		if err := r.SetPassword("svc-back", pw); err != nil {
			t.Fatal(err)
		}
	}
	m := r.mechanism(t, "svc-back", backSPN)
	young := start()
	if young.Refused() {
		t.Error("a new ticket is asked for again")
	}
	r.clock.add(minRefused)
	first, second := start(), start()
	if _, err := runExchange(t, c.NewInitiator(backSPN, InitiatorConfig{}), m, authn.Exchange{}); err == nil {
		t.Fatal("the service takes a ticket sealed with its old key")
	}
	if !first.Refused() {
		t.Error("an old ticket is not replaced")
	}
	if _, err := runExchange(t, c.NewInitiator(backSPN, InitiatorConfig{}), m, authn.Exchange{}); err != nil {
		t.Error(err)
	}
	if !second.Refused() {
		t.Error("one that used the old ticket too is not told to try again")
	}
	if start().Refused() {
		t.Error("the new ticket is replaced")
	}
	if n := r.Stats().TGS; n != 2 {
		t.Errorf("%d tickets", n)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "svc-app")
	proxy := func() *Ticket {
		ev, err := c.S4U2Self(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		tkt, err := c.S4U2Proxy(t.Context(), ev, backSPN)
		if err != nil {
			t.Fatal(err)
		}
		return tkt
	}
	for name, get := range map[string]func() *Ticket{"delegated": proxy, "own": func() *Ticket {
		tkt, err := c.Ticket(t.Context(), backSPN)
		if err != nil {
			t.Fatal(err)
		}
		return tkt
	}} {
		before := get()
		if c.Forget(before) || get().open() != before.open() {
			t.Errorf("%s: a new ticket is forgotten", name)
		}
		r.clock.add(minRefused)
		if !c.Forget(before) || get().open() == before.open() {
			t.Errorf("%s: an old ticket is not forgotten", name)
		}
		if !c.Forget(before) {
			t.Errorf("%s: no news that it was replaced", name)
		}
	}
}

// A panic while a ticket was fetched ended the process.
func TestCachePanic(t *testing.T) {
	t.Parallel()
	s := newCache()
	_, err := s.get(t.Context(), "x", time.Now, func(context.Context, *ticket) (*ticket, error) { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v", err)
	}
	want := &ticket{end: time.Now().Add(time.Hour)}
	got, err := s.get(t.Context(), "x", time.Now, func(context.Context, *ticket) (*ticket, error) { return want, nil })
	if got != want || err != nil {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}
