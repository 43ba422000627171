package ntlm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAttackMIC is CVE-2019-1040 and its relatives: somebody in between changes
// AUTHENTICATE. tamper has no key; forger has.
func TestAttackMIC(t *testing.T) {
	t.Parallel()
	tamper := func(f func(m *Authenticate)) func([]byte) []byte {
		return func(b []byte) []byte {
			m, err := ParseAuthenticate(b)
			if err != nil {
				t.Fatal(err)
			}
			m.NTResponse, m.MIC = bytes.Clone(m.NTResponse), bytes.Clone(m.MIC)
			f(m)
			return m.Append(nil)
		}
	}
	withoutFlag := func(m *Authenticate) {
		i := bytes.Index(m.NTResponse, []byte{byte(AVFlags), 0, 4, 0, AVFlagMIC})
		m.NTResponse[i+4] = 0
	}
	for _, tt := range []struct {
		name   string
		f      forger
		m      Mechanism
		reason authn.Reason // "" means accepted
	}{
		{name: "untouched", f: forger{raw: tamper(func(*Authenticate) {})}},
		{name: "bit flipped", f: forger{raw: tamper(func(m *Authenticate) { m.MIC[3] ^= 1 })}, reason: authn.ReasonIntegrity},
		{name: "zeroed", f: forger{raw: tamper(func(m *Authenticate) { clear(m.MIC) })}, reason: authn.ReasonIntegrity},
		{name: "removed", f: forger{raw: tamper(func(m *Authenticate) { m.MIC = nil })}, reason: authn.ReasonIntegrity},
		{name: "removed with its version", f: forger{raw: tamper(func(m *Authenticate) {
			m.MIC, m.Version = nil, Version{}
			m.Flags &^= FlagVersion
		})}, reason: authn.ReasonIntegrity},
		{name: "removed with its flag", f: forger{raw: tamper(func(m *Authenticate) { m.MIC = nil; withoutFlag(m) })}, reason: authn.ReasonWrongPassword},
		{name: "kept without its flag", f: forger{raw: tamper(withoutFlag)}, reason: authn.ReasonWrongPassword},
		{name: "signing removed", f: forger{raw: tamper(func(m *Authenticate) { m.Flags &^= FlagSign | FlagSeal | FlagAlwaysSign })}, reason: authn.ReasonIntegrity},
		{name: "flags added", f: forger{raw: tamper(func(m *Authenticate) { m.Flags |= FlagIdentify })}, reason: authn.ReasonIntegrity},
		{name: "workstation changed", f: forger{raw: tamper(func(m *Authenticate) { m.Workstation = "PC2" })}, reason: authn.ReasonIntegrity},
		{name: "LM response changed", f: forger{raw: tamper(func(m *Authenticate) { m.LMResponse = make([]byte, 23) })}, reason: authn.ReasonIntegrity},
		{name: "key replaced", f: forger{raw: tamper(func(m *Authenticate) { m.SessionKey = make([]byte, 16) })}, reason: authn.ReasonIntegrity},
		{name: "key removed", f: forger{raw: tamper(func(m *Authenticate) { m.SessionKey = nil })}, reason: authn.ReasonMalformed},
		{name: "key of 15 bytes", f: forger{raw: tamper(func(m *Authenticate) { m.SessionKey = m.SessionKey[:15] })}, reason: authn.ReasonMalformed},
		{name: "user's case changed", f: forger{raw: tamper(func(m *Authenticate) { m.User = "Alice" })}, reason: authn.ReasonIntegrity},

		{name: "client without MIC", f: forger{pairs: avDelete(AVFlags)}},
		{name: "client without MIC, one required", f: forger{pairs: avDelete(AVFlags)}, m: Mechanism{RequireMIC: true}, reason: authn.ReasonIntegrity},
		{name: "client without MIC, binding required", f: forger{pairs: avDelete(AVFlags)}, m: Mechanism{Binding: authn.BindingRequired}, reason: authn.ReasonIntegrity},
		{name: "MIC keyed on the base key in spite of key exchange", f: forger{baseMAC: true}, reason: authn.ReasonIntegrity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, r := newMechanism(t, tt.m)
			a := m.NewAcceptor(authn.Exchange{})
			id, err := tt.f.login(t, a)
			if tt.reason == "" {
				if err != nil || id == nil {
					t.Fatalf("identity %v, err %v", id, err)
				}
				return
			}
			mustRefuse(t, id, err, tt.reason)
			if len(r.asked) > 1 || tt.reason == authn.ReasonMalformed && len(r.asked) != 0 {
				t.Errorf("verifier was asked %d times", len(r.asked))
			}
			if _, err := a.(authn.MessageSigner).GetMIC(nil); err == nil {
				t.Error("a refused exchange signs")
			}
		})
	}
}

// TestAttackEveryBit flips one bit of each byte of each message on its way. The
// MIC covers all three, so nobody may be logged in.
func TestAttackEveryBit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, _ := newMechanism(t, Mechanism{RequireMIC: true})
	cred, err := NewCredential(`CORP\alice`, authn.NewSecret(testPassword))
	if err != nil {
		t.Fatal(err)
	}
	// run flips byte at of message msg and reports whether there is one.
	run := func(msg, at int) (more bool) {
		a, i := m.NewAcceptor(authn.Exchange{}), &Initiator{Credential: cred, TargetName: "HTTP/gw01", Workstation: "PC1"}
		flip := func(n int, b []byte) []byte {
			if n == msg && at < len(b) {
				more = true
				b[at] ^= 1 << (at % 8)
			}
			return b
		}
		neg, _, err := i.Step(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		challenge, _, err := a.Step(ctx, flip(0, neg))
		if err != nil {
			return more
		}
		auth, _, err := i.Step(ctx, flip(1, challenge))
		if err != nil {
			return more
		}
		_, id, err := a.Step(ctx, flip(2, auth))
		switch {
		case more && (id != nil || err == nil):
			t.Errorf("message %d, byte %d flipped: logged in as %v", msg, at, id)
		case !more && err != nil:
			t.Fatalf("unharmed exchange: %v", err)
		}
		return more
	}
	for msg := range 3 {
		n := 0
		for run(msg, n) {
			n++
		}
		if n < 32 {
			t.Errorf("message %d: %d bytes tried", msg, n)
		}
	}
}

// TestAttackSessionKey: the session key is unwrapped only where both sides
// agreed on it (MS-NLMP 3.2.5.1.2).
func TestAttackSessionKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		negotiate Flags // removed from the offer
		auth      Flags // added to the answer
		exchanged bool
		signs     bool
	}{
		{"agreed", 0, 0, true, true},
		{"not offered", FlagKeyExchange, 0, false, true},
		{"not offered, claimed in the answer", FlagKeyExchange, FlagKeyExchange, false, true},
		{"no signing or sealing", FlagSign | FlagSeal, 0, false, false},
		{"no signing", FlagSign, 0, true, true}, // sealing signs as well
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newMechanism(t, Mechanism{})
			a := m.NewAcceptor(authn.Exchange{}).(*acceptor)
			var base SessionBaseKey
			f := forger{
				negotiate: func(n *Negotiate) { n.Flags &^= tt.negotiate },
				pairs:     avDelete(AVFlags),
				auth: func(am *Authenticate) {
					owf := ntowfv2(HashPassword(testPassword), am.User, am.Domain)
					proof := [16]byte(am.NTResponse)
					base = sessionBaseKey(&owf, &proof)
					key := exchangeKey(base, specRandomKey[:])
					am.SessionKey = key[:]
					am.Flags |= tt.auth
				},
			}
			if _, err := f.login(t, a); err != nil {
				t.Fatal(err)
			}
			want := [16]byte(base)
			if tt.exchanged {
				want = specRandomKey
			}
			if a.signer.exported != want {
				t.Errorf("session key: exchanged %v, want %v", a.signer.exported == specRandomKey, tt.exchanged)
			}
			if _, err := a.GetMIC([]byte("x")); (err == nil) != tt.signs || err != nil && !errors.Is(err, errNotSigned) {
				t.Errorf("GetMIC: %v, want it to sign %v", err, tt.signs)
			}
		})
	}
}

// TestAttackChannelBinding: an answer made for another TLS connection, such as
// that of a machine in the middle, is refused.
func TestAttackChannelBinding(t *testing.T) {
	t.Parallel()
	ours, other := authn.ChannelBinding("tls-server-end-point:ours"), authn.ChannelBinding("tls-server-end-point:other")
	value := func(cb authn.ChannelBinding) func(AVPairs) AVPairs {
		h := cb.GSSHash()
		return avSet(AVChannelBindings, h[:])
	}
	absent := avDelete(AVChannelBindings)
	zero := avSet(AVChannelBindings, make([]byte, 16))
	for _, tt := range []struct {
		name   string
		policy authn.BindingPolicy
		conn   authn.ChannelBinding
		sent   func(AVPairs) AVPairs
		reason authn.Reason
	}{
		{"supported, right", authn.BindingSupported, ours, value(ours), ""},
		{"supported, absent", authn.BindingSupported, ours, absent, ""},
		{"supported, zero", authn.BindingSupported, ours, zero, ""},
		{"supported, wrong", authn.BindingSupported, ours, value(other), authn.ReasonChannelBinding},
		{"supported, hash of nothing", authn.BindingSupported, ours, value(nil), authn.ReasonChannelBinding},
		{"supported, plain HTTP", authn.BindingSupported, nil, zero, ""},
		{"supported, bound client on plain HTTP", authn.BindingSupported, nil, value(other), authn.ReasonChannelBinding},
		{"supported, hash of nothing on plain HTTP", authn.BindingSupported, nil, value(nil), authn.ReasonChannelBinding},
		{"required, right", authn.BindingRequired, ours, value(ours), ""},
		{"required, absent", authn.BindingRequired, ours, absent, authn.ReasonChannelBinding},
		{"required, zero", authn.BindingRequired, ours, zero, authn.ReasonChannelBinding},
		{"required, wrong", authn.BindingRequired, ours, value(other), authn.ReasonChannelBinding},
		{"required, plain HTTP", authn.BindingRequired, nil, zero, ""},
		{"off, wrong", authn.BindingOff, ours, value(other), ""},
		{"off, absent", authn.BindingOff, ours, absent, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, r := newMechanism(t, Mechanism{Binding: tt.policy})
			f := forger{pairs: tt.sent}
			id, err := f.login(t, m.NewAcceptor(authn.Exchange{Bindings: authn.Bindings{tt.conn}, TLS: len(tt.conn) > 0}))
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if re := mustRefuse(t, id, err, tt.reason); re.Hint == "" || re.User != `CORP\alice` {
				t.Errorf("refusal %+v without a hint or user", re)
			}
			if len(r.asked) != 0 {
				t.Error("verifier was asked")
			}
		})
	}
}

// TestAttackTargetName: an answer that the client made for another service is
// refused.
func TestAttackTargetName(t *testing.T) {
	t.Parallel()
	ours := []string{"HTTP/gw01.corp.test", "http/gw01", "alias.corp.test", "HTTP/port.corp.test:8443", "HTTP/[::1]"}
	for _, tt := range []struct {
		sent  string
		flags byte
		ours  []string
		m     Mechanism
		ok    bool
	}{
		{sent: "HTTP/gw01.corp.test", ours: ours, ok: true},
		{sent: "http/GW01.CORP.TEST", ours: ours, ok: true},
		{sent: "HTTP/gw01:8080", ours: ours, ok: true},
		{sent: "HTTP/alias.corp.test:443", ours: ours, ok: true},
		{sent: "HTTP/port.corp.test:8443", ours: ours, ok: true},
		{sent: "HTTP/[::1]:8443", ours: ours, ok: true},
		{sent: "anything/at.all", ok: true},
		{sent: "", ours: ours, ok: true},

		{sent: "HTTP/port.corp.test:443", ours: ours},
		{sent: "HTTP/port.corp.test", ours: ours},
		{sent: "HTTP/gw02.corp.test", ours: ours},
		{sent: "cifs/gw01.corp.test", ours: ours},
		{sent: "HTTP/gw01.corp.test.evil", ours: ours},
		{sent: "HTTP/gw01.corp.test/other", ours: ours},
		{sent: "HTTP/[::1", ours: ours},
		{sent: "HTTP/", ours: ours},
		{sent: "/", ours: ours},

		{sent: "", ours: ours, m: Mechanism{Binding: authn.BindingRequired}},
		{sent: "HTTP/gw01", ours: ours, m: Mechanism{Binding: authn.BindingRequired}, ok: true},
		// A name that the client itself does not trust counts as none.
		{sent: "HTTP/gw01", flags: AVFlagUntrustedName, ours: ours, m: Mechanism{Binding: authn.BindingRequired}},
		{sent: "HTTP/other", flags: AVFlagUntrustedName, ours: ours, ok: true},
	} {
		t.Run(fmt.Sprintf("%q flags %d policy %d", tt.sent, tt.flags, tt.m.Binding), func(t *testing.T) {
			t.Parallel()
			tt.m.TargetNames = tt.ours
			m, r := newMechanism(t, tt.m)
			f := forger{pairs: func(ps AVPairs) AVPairs {
				ps = ps.set(AVFlags, []byte{AVFlagMIC | tt.flags, 0, 0, 0})
				return ps.set(AVTargetName, appendUTF16(nil, tt.sent))
			}}
			id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			mustRefuse(t, id, err, authn.ReasonWrongTarget)
			if len(r.asked) != 0 {
				t.Error("verifier was asked")
			}
		})
	}
}

// TestAttackBindingUnknown: a server that was not told which certificate it
// presents does not take "required" for "none".
func TestAttackBindingUnknown(t *testing.T) {
	t.Parallel()
	hash := authn.ChannelBinding("tls-server-end-point:some").GSSHash()
	for _, tt := range []struct {
		name   string
		policy authn.BindingPolicy
		sent   func(AVPairs) AVPairs
		reason authn.Reason
	}{
		{"required, bound client", authn.BindingRequired, avSet(AVChannelBindings, hash[:]), authn.ReasonChannelBinding},
		{"required, client without", authn.BindingRequired, avDelete(AVChannelBindings), authn.ReasonChannelBinding},
		{"supported, bound client", authn.BindingSupported, avSet(AVChannelBindings, hash[:]), ""},
		{"supported, client without", authn.BindingSupported, avDelete(AVChannelBindings), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newMechanism(t, Mechanism{Binding: tt.policy})
			f := forger{pairs: tt.sent}
			id, err := f.login(t, m.NewAcceptor(authn.Exchange{TLS: true}))
			if tt.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			mustRefuse(t, id, err, tt.reason)
		})
	}
}
