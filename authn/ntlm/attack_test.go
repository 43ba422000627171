package ntlm

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// TestAttackChallengeUnique: each exchange has a challenge of its own.
func TestAttackChallengeUnique(t *testing.T) {
	t.Parallel()
	m, _ := newMechanism(t, Mechanism{})
	seen := map[[8]byte]bool{{}: true}
	for range 1000 {
		b, _, err := m.NewAcceptor(authn.Exchange{}).Step(t.Context(), new(forger).first())
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChallenge(b)
		if err != nil {
			t.Fatal(err)
		}
		if seen[c.ServerChallenge] {
			t.Fatalf("challenge %x twice", c.ServerChallenge)
		}
		seen[c.ServerChallenge] = true
	}
}

// TestAttackReplay: an answer serves the challenge it was made for, once.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, r := newMechanism(t, Mechanism{})
	var f forger
	neg := f.first()
	first := m.NewAcceptor(authn.Exchange{})
	challenge, _, err := first.Step(ctx, neg)
	if err != nil {
		t.Fatal(err)
	}
	answer := f.second(t, neg, challenge)
	if _, _, err := first.Step(ctx, answer); err != nil {
		t.Fatal(err)
	}
	r.asked = nil

	t.Run("same connection", func(t *testing.T) {
		_, id, err := first.Step(ctx, answer)
		mustRefuse(t, id, err, authn.ReasonOutOfOrder)
	})
	t.Run("connection without a challenge", func(t *testing.T) {
		_, id, err := m.NewAcceptor(authn.Exchange{}).Step(ctx, answer)
		mustRefuse(t, id, err, authn.ReasonOutOfOrder)
	})
	if len(r.asked) != 0 {
		t.Errorf("verifier was asked %d times", len(r.asked))
	}
	t.Run("connection with a challenge of its own", func(t *testing.T) {
		a := m.NewAcceptor(authn.Exchange{})
		if _, _, err := a.Step(ctx, neg); err != nil {
			t.Fatal(err)
		}
		_, id, err := a.Step(ctx, answer)
		mustRefuse(t, id, err, authn.ReasonWrongPassword)
	})
}

// TestAttackSecondTry: a challenge is dead after whatever came for it.
func TestAttackSecondTry(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var f forger
	neg := f.first()
	for _, tt := range []struct {
		name string
		bad  func(good []byte) []byte
	}{
		{"wrong answer", func(b []byte) []byte { b[len(b)-30] ^= 1; return b }},
		{"garbage", func([]byte) []byte { return []byte("x") }},
		{"nothing", func([]byte) []byte { return nil }},
		{"NEGOTIATE again", func([]byte) []byte { return neg }},
		{"CHALLENGE", func([]byte) []byte { return unhex(t, specChallenge) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newMechanism(t, Mechanism{})
			a := m.NewAcceptor(authn.Exchange{})
			challenge, _, err := a.Step(ctx, neg)
			if err != nil {
				t.Fatal(err)
			}
			good := f.second(t, neg, challenge)
			if _, id, err := a.Step(ctx, tt.bad(bytes.Clone(good))); err == nil || id != nil {
				t.Fatalf("identity %v, err %v", id, err)
			}
			_, id, err := a.Step(ctx, good)
			mustRefuse(t, id, err, authn.ReasonOutOfOrder)
		})
	}
}

// TestAttackStaleChallenge: a challenge cannot be kept for later.
func TestAttackStaleChallenge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		after    time.Duration
		ok       bool
	}{
		{"in time", 0, 2 * time.Minute, true},
		{"late", 0, 2*time.Minute + 1, false},
		{"own lifetime, in time", time.Second, time.Second, true},
		{"own lifetime, late", time.Second, 2 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, r := newMechanism(t, Mechanism{ChallengeLifetime: tt.lifetime})
			now := testTime
			m.Now = func() time.Time { return now }
			a := m.NewAcceptor(authn.Exchange{})
			var f forger
			neg := f.first()
			challenge, _, err := a.Step(t.Context(), neg)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(tt.after)
			_, id, err := a.Step(t.Context(), f.second(t, neg, challenge))
			if tt.ok {
				if err != nil || !id.AuthTime.Equal(now) {
					t.Errorf("identity %+v, err %v", id, err)
				}
				return
			}
			mustRefuse(t, id, err, authn.ReasonExpired)
			if len(r.asked) != 0 {
				t.Error("verifier was asked")
			}
		})
	}
}

// TestAttackWeakProtocol: nothing below NTLMv2 reaches the verifier.
func TestAttackWeakProtocol(t *testing.T) {
	t.Parallel()
	v1 := bytes.Repeat([]byte{0x67}, 24)
	for _, tt := range []struct {
		name   string
		f      forger
		reason authn.Reason
		hint   string // a word of it
		detail string // likewise
	}{
		{"NTLMv1", forger{response: func([]byte) []byte { return v1 }}, authn.ReasonWeak, "LmCompatibilityLevel", "NTLMv1"},
		{"NTLMv1 with extended session security", forger{
			response: func([]byte) []byte { return v1 },
			auth: func(m *Authenticate) {
				m.LMResponse = append(bytes.Clone(specClientChallenge[:]), make([]byte, 16)...)
			},
		}, authn.ReasonWeak, "LmCompatibilityLevel", "NTLMv1"},
		{"LM only", forger{
			response: func([]byte) []byte { return nil },
			auth:     func(m *Authenticate) { m.LMResponse = v1 },
		}, authn.ReasonWeak, "LmCompatibilityLevel", "LM response only"},
		{"offers NTLMv1 only", forger{negotiate: func(m *Negotiate) { m.Flags &^= FlagExtendedSecurity }}, authn.ReasonWeak, "LmCompatibilityLevel", "NTLMv1"},
		{"anonymous by flag", forger{auth: func(m *Authenticate) { m.Flags |= FlagAnonymous }}, authn.ReasonAnonymous, "logged on", ""},
		{"anonymous by absence", forger{
			response: func([]byte) []byte { return nil },
			auth:     func(m *Authenticate) { m.User, m.Domain, m.LMResponse = "", "", []byte{0} },
		}, authn.ReasonAnonymous, "logged on", ""},
		{"no user", forger{auth: func(m *Authenticate) { m.User = "" }}, authn.ReasonAnonymous, "logged on", ""},
		{"one byte more than NTLMv1", forger{response: func(nt []byte) []byte { return nt[:25] }}, authn.ReasonMalformed, "", "25 bytes"},
		{"response of another type", forger{response: func(nt []byte) []byte { nt[17] = 2; return nt }}, authn.ReasonMalformed, "", "type 1.2"},
		{"connectionless", forger{negotiate: func(m *Negotiate) { m.Flags |= FlagDatagram }}, authn.ReasonMalformed, "", "connectionless"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, r := newMechanism(t, Mechanism{})
			id, err := tt.f.login(t, m.NewAcceptor(authn.Exchange{}))
			re := mustRefuse(t, id, err, tt.reason)
			if !strings.Contains(re.Hint, tt.hint) || !strings.Contains(re.Error(), tt.detail) {
				t.Errorf("%q with hint %q; want %q and %q in them", re, re.Hint, tt.detail, tt.hint)
			}
			if len(r.asked) != 0 {
				t.Errorf("verifier was asked %v", r.asked)
			}
		})
	}
}

// TestAttackLMResponseIgnored: a correct LMv2 response beside a wrong NTLMv2
// response proves nothing, and no verifier sees it.
func TestAttackLMResponseIgnored(t *testing.T) {
	t.Parallel()
	m, r := newMechanism(t, Mechanism{})
	a := m.NewAcceptor(authn.Exchange{}).(*acceptor)
	f := forger{
		response: func(nt []byte) []byte { nt[0] ^= 1; return nt },
		auth: func(am *Authenticate) {
			owf := ntowfv2(HashPassword(testPassword), am.User, am.Domain)
			lm := hmacMD5(owf[:], a.challenge[:], specClientChallenge[:])
			am.LMResponse = append(lm[:], specClientChallenge[:]...)
		},
	}
	id, err := f.login(t, a)
	mustRefuse(t, id, err, authn.ReasonWrongPassword)
	if len(r.asked) != 1 || len(r.asked[0].Response) <= responseV1 {
		t.Errorf("verifier was asked %v", r.asked)
	}
}

// TestAttackTargetInfo: what the server said must come back as it was.
func TestAttackTargetInfo(t *testing.T) {
	t.Parallel()
	for _, id := range []AVID{AVComputer, AVDomain, AVDNSComputer, AVDNSDomain, AVDNSForest, AVTimestamp} {
		for _, tt := range []struct {
			name string
			f    func(AVPairs) AVPairs
		}{
			{"removed", avDelete(id)},
			{"emptied", avSet(id, nil)},
			{"changed", func(ps AVPairs) AVPairs {
				v, _ := ps.Get(id)
				v = bytes.Clone(v)
				v[0] ^= 1
				return ps.set(id, v)
			}},
		} {
			t.Run(fmt.Sprintf("%d %s", id, tt.name), func(t *testing.T) {
				t.Parallel()
				m, r := newMechanism(t, Mechanism{})
				got, err := (&forger{pairs: tt.f}).login(t, m.NewAcceptor(authn.Exchange{}))
				mustRefuse(t, got, err, authn.ReasonWrongTarget)
				if len(r.asked) != 0 {
					t.Error("verifier was asked")
				}
			})
		}
	}
}

// TestAttackMalformedAnswer: syntax that a lenient parser would let pass.
func TestAttackMalformedAnswer(t *testing.T) {
	t.Parallel()
	put16 := func(at, v int) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint16(b[at:], uint16(v)); return b }
	}
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(b[at:], v); return b }
	}
	// Positions of the fields' descriptors (MS-NLMP 2.2.1.3).
	const lm, nt, user, key = 12, 20, 36, 52
	for _, tt := range []struct {
		name string
		f    forger
	}{
		{"offset behind the end", forger{raw: put32(nt+4, 1<<16)}},
		{"offset that wraps", forger{raw: put32(user+4, 0xffffffff)}},
		{"offset into the header", forger{raw: put32(key+4, 8)}},
		{"offset into the flags", forger{raw: put32(key+4, 63)}},
		{"field over the end", forger{raw: put16(key, 0xffff)}},
		{"LM field over the end", forger{raw: put16(lm, 0xfff0)}},
		{"field into the MIC", forger{raw: put32(key+4, 80)}},
		{"truncated", forger{raw: func(b []byte) []byte { return b[:len(b)-1] }}},
		{"header only", forger{raw: func(b []byte) []byte { return b[:64] }}},
		{"oversize", forger{raw: func(b []byte) []byte { return append(b, make([]byte, maxMessage)...) }}},
		{"odd UTF-16", forger{raw: put16(user, 9)}},
		{"half a surrogate pair", forger{raw: func(b []byte) []byte {
			at := le.Uint32(b[user+4:])
			copy(b[at:], []byte{0x00, 0xd8, 'x', 0})
			return b
		}}},
		{"NUL in the user", forger{user: "alice\x00x", domain: "CORP"}},
		{"line break in the domain", forger{user: "alice", domain: "CORP\r\nx"}},
		{"no character set", forger{auth: func(m *Authenticate) { m.Flags &^= FlagUnicode | FlagOEM }}},
		{"character set not offered", forger{auth: func(m *Authenticate) { m.Flags ^= FlagUnicode | FlagOEM }}},
		{"MIC announced, no room", forger{auth: func(m *Authenticate) { m.MIC = nil }}},
		{"AV flags of 3 bytes", forger{pairs: avSet(AVFlags, []byte{2, 0, 0})}},
		{"channel binding of 15 bytes", forger{pairs: avSet(AVChannelBindings, make([]byte, 15))}},
		{"AV pair twice", forger{pairs: func(ps AVPairs) AVPairs { return append(ps, ps[0]) }}},
		{"AV flags twice", forger{pairs: func(ps AVPairs) AVPairs { return append(ps, AVPair{AVFlags, make([]byte, 4)}) }}},
		{"too many AV pairs", forger{pairs: func(ps AVPairs) AVPairs {
			for id := AVID(100); id < 100+maxAVPairs; id++ {
				ps = append(ps, AVPair{ID: id})
			}
			return ps
		}}},
		{"AV pairs without an end", forger{response: func(nt []byte) []byte { return nt[:len(nt)-8] }}},
		{"AV pair over the end", forger{response: func(nt []byte) []byte { le.PutUint16(nt[proofSize+blobHeader+2:], 0xffff); return nt }}},
		{"end of AV pairs with a value", forger{response: func(nt []byte) []byte { nt[len(nt)-6] = 4; return nt }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, r := newMechanism(t, Mechanism{})
			id, err := tt.f.login(t, m.NewAcceptor(authn.Exchange{}))
			reason := authn.ReasonMalformed
			if strings.HasPrefix(tt.name, "MIC announced") || tt.name == "field into the MIC" {
				reason = authn.ReasonIntegrity
			}
			mustRefuse(t, id, err, reason)
			if len(r.asked) != 0 {
				t.Error("verifier was asked")
			}
		})
	}
}

// TestAttackOEMNames: a name in an unknown code page is refused with a hint; a
// guess could make it somebody else's.
func TestAttackOEMNames(t *testing.T) {
	t.Parallel()
	m, r := newMechanism(t, Mechanism{})
	f := forger{
		negotiate: func(m *Negotiate) { m.Flags ^= FlagUnicode | FlagOEM },
		auth:      func(m *Authenticate) { m.User = "j\x81rgen" },
	}
	id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
	if re := mustRefuse(t, id, err, authn.ReasonMalformed); !strings.Contains(re.Hint, "Unicode") {
		t.Errorf("hint %q", re.Hint)
	}
	if len(r.asked) != 0 {
		t.Error("verifier was asked")
	}
}

// TestAttackTruncation cuts each message everywhere.
func TestAttackTruncation(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, r := newMechanism(t, Mechanism{})
	var f forger
	neg := (&Negotiate{Flags: initiatorOffers | FlagDomainSupplied | FlagWorkstationSupplied | FlagVersion, Domain: "CORP", Workstation: "PC1"}).Append(nil)
	for n := range len(neg) {
		_, id, err := m.NewAcceptor(authn.Exchange{}).Step(ctx, neg[:n])
		mustRefuse(t, id, err, authn.ReasonMalformed)
	}
	neg = f.first()
	for n := 0; ; n++ {
		a := m.NewAcceptor(authn.Exchange{})
		challenge, _, err := a.Step(ctx, neg)
		if err != nil {
			t.Fatal(err)
		}
		answer := f.second(t, neg, challenge)
		if n == len(answer) {
			break
		}
		_, id, err := a.Step(ctx, answer[:n])
		if id != nil || err == nil {
			t.Fatalf("%d of %d bytes: identity %v, err %v", n, len(answer), id, err)
		}
		if n < len(challenge) {
			if c, err := ParseChallenge(challenge[:n]); err == nil {
				t.Fatalf("%d of %d bytes are a challenge: %+v", n, len(challenge), c)
			}
		}
	}
	if len(r.asked) != 0 {
		t.Errorf("verifier was asked %d times", len(r.asked))
	}
}

// TestAttackDomainSpoof: what the client says of itself does not get into the
// identity, and a verifier cannot leave evidence behind.
func TestAttackDomainSpoof(t *testing.T) {
	t.Parallel()
	for _, f := range []forger{
		{user: "ALICE", domain: "corp.test"},
		{user: `CORP\alice`},
		{user: "alice@corp.test"},
		{user: "alice", domain: "."},
		{auth: func(m *Authenticate) { m.Workstation = `CORP\Administrator` }},
	} {
		m, r := newMechanism(t, Mechanism{})
		m.Verifier = evidenceVerifier{r}
		id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
		if err != nil {
			t.Errorf("%s, %s: %v", f.user, f.domain, err)
			continue
		}
		if id.Account != "alice" || id.Domain != "CORP" || id.SID != "S-1-5-21-1-2-3-1001" || len(id.Groups) != 1 {
			t.Errorf("%s, %s: identity %+v", f.user, f.domain, id)
		}
		if id.Evidence != nil || id.Mechanism != "NTLM" {
			t.Errorf("%s, %s: evidence %v, mechanism %q", f.user, f.domain, id.Evidence, id.Mechanism)
		}
	}
	for _, f := range []forger{
		{user: "alice", domain: "EVIL"},
		{user: `EVIL\alice`},
		{user: "alice@evil.test"},
		{user: "alice", domain: "CORP.TEST.evil"},
	} {
		m, _ := newMechanism(t, Mechanism{})
		id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
		mustRefuse(t, id, err, authn.ReasonUnknownUser)
	}
}

// evidenceVerifier leaves what an NTLM login must not leave.
type evidenceVerifier struct{ Verifier }

type fakeEvidence struct{}

func (fakeEvidence) EvidenceKind() string { return "fake" }

func (v evidenceVerifier) VerifyNTLM(ctx context.Context, a *Attempt) (*authn.Identity, SessionBaseKey, error) {
	id, key, err := v.Verifier.VerifyNTLM(ctx, a)
	if id != nil {
		id.Evidence, id.Mechanism = fakeEvidence{}, "Kerberos"
	}
	return id, key, err
}

// TestAttackLargeNegotiate: the first message, which is kept until somebody
// answers, is bounded.
func TestAttackLargeNegotiate(t *testing.T) {
	t.Parallel()
	var f forger
	for size, ok := range map[int]bool{maxNegotiate: true, maxNegotiate + 1: false, maxMessage: false} {
		neg := f.first()
		neg = append(neg, make([]byte, size-len(neg))...)
		m, _ := newMechanism(t, Mechanism{})
		a := m.NewAcceptor(authn.Exchange{})
		challenge, id, err := a.Step(t.Context(), neg)
		if !ok {
			mustRefuse(t, id, err, authn.ReasonMalformed)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		// The caller's messages are not held on to, and the MIC covers all of it.
		good := f.second(t, neg, challenge)
		clear(neg)
		clear(challenge)
		if _, id, err := a.Step(t.Context(), good); err != nil || id == nil {
			t.Errorf("%d bytes: identity %v, %v", size, id, err)
		}
	}
}
