package ntlm

import (
	"bytes"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// specTime is the time of MS-NLMP 4.2.1: zero as a FILETIME.
func specTime() time.Time { return fromFiletime(0) }

// specAcceptor is an acceptor that has sent a challenge of MS-NLMP 4.2, and the
// verifier that it asks, which knows the user of MS-NLMP 4.2.1. None of those
// challenges has a timestamp, and two lack extended session security, so that
// no acceptor sends them by itself.
func specAcceptor(t *testing.T, challenge string) (*acceptor, *recorder) {
	t.Helper()
	accounts, err := NewAccounts("Domain", "", Account{Name: "User", Password: authn.NewSecret("Password")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseChallenge(unhex(t, challenge))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Verifier: accounts}
	return &acceptor{
		m:     &Mechanism{Verifier: r, Names: Names{Domain: "Domain", Computer: "Server"}, Now: specTime, testOnlyNoTimestamp: true},
		state: stateChallenged, offered: c.Flags, agreed: c.Flags,
		challenge: c.ServerChallenge, sent: specTime(),
	}, r
}

// TestSpecAccepted: the client's message of MS-NLMP 4.2.4.3 logs in, and both
// ends then hold the keys of MS-NLMP 4.2.4.4. A byte of the response changed is
// refused.
func TestSpecAccepted(t *testing.T) {
	t.Parallel()
	auth := unhex(t, specAuthenticate)
	a, _ := specAcceptor(t, specChallenge)
	_, id, err := a.Step(t.Context(), auth)
	if err != nil || id.String() != `Domain\User` || !id.AuthTime.Equal(specTime()) {
		t.Fatalf("identity %v, err %v; want the user of the specification", id, err)
	}
	a.derive()
	if want := unhex(t, "59f600973cc4960a25480a7c196e4c58"); !bytes.Equal(a.in.sealKey[:], want) {
		t.Errorf("client's sealing key\n got %x\nwant %x", a.in.sealKey, want)
	}
	if want := unhex(t, "4788dc861b4782f35d43fd98fe1a2d39"); !bytes.Equal(a.in.signKey[:], want) {
		t.Errorf("client's signing key\n got %x\nwant %x", a.in.signKey, want)
	}
	text := appendUTF16(nil, "Plaintext")
	sealed := unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f")
	a.in.open()
	a.in.handle.XORKeyStream(sealed, sealed) // as GSS_UnwrapEx does
	if !bytes.Equal(sealed, text) {
		t.Errorf("unsealed %x, want %x", sealed, text)
	}
	if err := a.VerifyMIC(text, unhex(t, "010000007fb38ec5c55d497600000000")); err != nil {
		t.Errorf("signature of the specification: %v", err)
	}

	m, err := ParseAuthenticate(auth)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(auth, m.NTResponse)
	for i := range m.NTResponse {
		bad := bytes.Clone(auth)
		bad[begin+i] ^= 1
		a, _ := specAcceptor(t, specChallenge)
		if _, id, err := a.Step(t.Context(), bad); err == nil || id != nil {
			t.Errorf("byte %d of the response changed: identity %v, err %v", i, id, err)
		}
	}
}

// TestSpecInitiator has the initiator answer the challenge of MS-NLMP 4.2.4.3
// with the values of 4.2.1. Its message is that of the specification but for
// what the table names.
func TestSpecInitiator(t *testing.T) {
	t.Parallel()
	draws := [][]byte{specClientChallenge[:], specRandomKey[:]}
	i := &Initiator{
		Credential:  Credential{User: "User", Domain: "Domain", Password: authn.NewSecret("Password")},
		Workstation: "COMPUTER",
		Now:         specTime,
		testOnlyRandom: func(b []byte) {
			copy(b, draws[0])
			draws = draws[1:]
		},
	}
	if _, _, err := i.Step(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got, done, err := i.Step(t.Context(), unhex(t, specChallenge))
	if err != nil || !done {
		t.Fatalf("done %v, err %v", done, err)
	}
	want, err := ParseAuthenticate(unhex(t, specAuthenticate))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := ParseResponse(want.NTResponse)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		reason string
		change func()
	}{
		{"the version of the system is nobody's business", func() {
			want.Flags &^= FlagVersion
			want.Version = Version{}
		}},
		{"a target that the server does not name is not asked for again", func() { want.Flags &^= FlagRequestTarget }},
		{"the LMv2 response is one more value to crack the password with", func() {
			want.LMResponse = make([]byte, 24)
		}},
		{"MS-NLMP 3.1.5.1.2 adds the channel binding; zeros say that there is no TLS", func() {
			resp.Pairs = append(resp.Pairs, AVPair{AVChannelBindings, make([]byte, 16)})
		}},
	} {
		t.Logf("differs: %s", d.reason)
		d.change()
	}
	blob := appendBlob(nil, 0, specClientChallenge, resp.Pairs)
	owf := [16]byte(unhex(t, "0c868a403bfd7a93a3001ef22ef02e3f")) // MS-NLMP 4.2.4.1.1
	proof := hmacMD5(owf[:], specServerChallenge[:], blob)
	want.NTResponse = append(proof[:], blob...)
	base := hmacMD5(owf[:], proof[:])
	key := exchangeKey(base, specRandomKey[:])
	want.SessionKey = key[:]
	if w := want.Append(nil); !bytes.Equal(got, w) {
		t.Errorf("AUTHENTICATE\n got %x\nwant %x", got, w)
	}
	if len(draws) != 0 {
		t.Errorf("%d random values were not drawn", len(draws))
	}
	// What is left of the message is the specification's own bytes: names at
	// their offsets, and the keys that come of RandomSessionKey.
	spec := unhex(t, specAuthenticate)
	if names := spec[72:108]; !bytes.Equal(got[64:100], names) {
		t.Errorf("names\n got %x\nwant %x", got[64:100], names)
	}
	i.derive()
	if want := unhex(t, "59f600973cc4960a25480a7c196e4c58"); !bytes.Equal(i.out.sealKey[:], want) {
		t.Errorf("sealing key\n got %x\nwant %x", i.out.sealKey, want)
	}

	// And the acceptor takes it.
	a, _ := specAcceptor(t, specChallenge)
	_, id, err := a.Step(t.Context(), got)
	if err != nil || id.String() != `Domain\User` {
		t.Fatalf("identity %v, err %v", id, err)
	}
	checkSigners(t, a, i)
}

// TestSpecChallengeMade: an acceptor that is offered the flags of MS-NLMP
// 4.2.4.3 makes the challenge there, but for what the table names.
func TestSpecChallengeMade(t *testing.T) {
	t.Parallel()
	m := &Mechanism{
		Verifier: noUsers(t), Names: Names{Domain: "Domain", Computer: "Server"}, Now: specTime,
		testOnlyChallenge: func() [8]byte { return specServerChallenge },
	}
	neg := Negotiate{Flags: specFlags | FlagRequestTarget}
	got, _, err := m.NewAcceptor(authn.Exchange{}).Step(t.Context(), neg.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParseChallenge(unhex(t, specChallenge))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		reason string
		change func()
	}{
		{"one character set, not both", func() { want.Flags &^= FlagOEM }},
		{"a member of a domain names the domain", func() {
			want.Flags ^= FlagTargetTypeServer | FlagTargetTypeDomain
			want.TargetName = "Domain"
		}},
		{"MS-NLMP 3.2.5.1.1 has a server that can answer for a target say so", func() { want.Flags |= FlagRequestTarget }},
		{"a timestamp makes clients add a MIC", func() {
			want.TargetInfo = append(want.TargetInfo, AVPair{AVTimestamp, make([]byte, 8)})
		}},
		{"the version of a server of today", func() { want.Version = Version{Major: 10, Build: 17763, Revision: 15} }},
	} {
		t.Logf("differs: %s", d.reason)
		d.change()
	}
	if w := want.Append(nil); !bytes.Equal(got, w) {
		t.Errorf("CHALLENGE\n got %x\nwant %x", got, w)
	}
}
