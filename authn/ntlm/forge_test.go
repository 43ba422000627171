package ntlm

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/soapward/soapward/authn"
)

// forger is a client that knows alice's password and bends the protocol. Its
// zero value is a correct client; each hook changes one thing before what
// depends on it is computed, raw after everything.
type forger struct {
	user, domain string // "" means alice of CORP

	negotiate func(*Negotiate)
	pairs     func(AVPairs) AVPairs // of the answer
	response  func(nt []byte) []byte
	auth      func(*Authenticate) // without the MIC
	baseMAC   bool                // make the MIC with the base key
	raw       func(auth []byte) []byte
}

// avSet is a hook that sets a pair.
func avSet(id AVID, value []byte) func(AVPairs) AVPairs {
	return func(ps AVPairs) AVPairs { return ps.set(id, value) }
}

// avDelete is a hook that removes a pair.
func avDelete(id AVID) func(AVPairs) AVPairs {
	return func(ps AVPairs) AVPairs {
		var out AVPairs
		for _, p := range ps {
			if p.ID != id {
				out = append(out, p)
			}
		}
		return out
	}
}

func (f *forger) first() []byte {
	m := Negotiate{Flags: initiatorOffers}
	if f.negotiate != nil {
		f.negotiate(&m)
	}
	return m.Append(nil)
}

// second answers the challenge that follows neg.
func (f *forger) second(t testing.TB, neg, challenge []byte) []byte {
	t.Helper()
	c, err := ParseChallenge(challenge)
	if err != nil {
		t.Fatal(err)
	}
	ps := append(AVPairs(nil), c.TargetInfo...).
		set(AVFlags, []byte{AVFlagMIC, 0, 0, 0}).
		set(AVChannelBindings, make([]byte, 16))
	if f.pairs != nil {
		ps = f.pairs(ps)
	}
	m := Authenticate{Flags: c.Flags, Domain: "CORP", User: "alice", Workstation: "PC1", MIC: zeroMIC[:], LMResponse: make([]byte, 24)}
	if f.user != "" || f.domain != "" {
		m.User, m.Domain = f.user, f.domain
	}
	owf := ntowfv2(HashPassword(testPassword), m.User, m.Domain)
	ft, _ := c.TargetInfo.Get(AVTimestamp)
	blob := appendBlob(nil, le.Uint64(ft), specClientChallenge, ps)
	proof := ntProof(&owf, &c.ServerChallenge, blob)
	m.NTResponse = append(proof[:], blob...)
	if f.response != nil {
		m.NTResponse = f.response(m.NTResponse)
	}
	base := sessionBaseKey(&owf, &proof)
	exported := [16]byte(base)
	if c.Flags.Has(FlagKeyExchange | FlagSign) {
		exported = specRandomKey
		key := exchangeKey(base, exported[:])
		m.SessionKey = key[:]
	}
	if f.auth != nil {
		f.auth(&m)
	}
	b := m.Append(nil)
	if f.baseMAC {
		exported = base
	}
	if m.MIC != nil {
		mic := messageMIC(&exported, neg, challenge, b)
		copy(b[authenticateVersion:], mic[:])
	}
	if f.raw != nil {
		b = f.raw(b)
	}
	return b
}

// login runs the exchange and returns what the acceptor decided at the last
// step it got to.
func (f *forger) login(t testing.TB, a authn.Acceptor) (*authn.Identity, error) {
	t.Helper()
	ctx := context.Background()
	neg := f.first()
	challenge, id, err := a.Step(ctx, neg)
	if err != nil {
		return id, err
	}
	_, id, err = a.Step(ctx, f.second(t, neg, challenge))
	return id, err
}

// recorder is a verifier that remembers what it was asked.
type recorder struct {
	Verifier
	asked []Attempt
}

func (r *recorder) VerifyNTLM(ctx context.Context, a *Attempt) (*authn.Identity, SessionBaseKey, error) {
	c := *a
	c.Response = bytes.Clone(a.Response)
	r.asked = append(r.asked, c)
	return r.Verifier.VerifyNTLM(ctx, a)
}

// newMechanism returns m with test names, clock and accounts, and its verifier.
func newMechanism(t testing.TB, m Mechanism) (*Mechanism, *recorder) {
	t.Helper()
	r := &recorder{Verifier: testAccounts(t)}
	m.Verifier, m.Names, m.Now = r, testNames, testClock
	return &m, r
}

func mustRefuse(t *testing.T, id *authn.Identity, err error, reason authn.Reason) *authn.RefusedError {
	t.Helper()
	var re *authn.RefusedError
	if id != nil || !errors.As(err, &re) || !errors.Is(err, authn.ErrBadCredentials) {
		t.Fatalf("identity %v, err %v; want a refusal for %s", id, err, reason)
	}
	if re.Reason != reason || re.Mechanism != "NTLM" {
		t.Fatalf("%v; want reason %s", re, reason)
	}
	return re
}

func TestForgerZeroIsCorrect(t *testing.T) {
	t.Parallel()
	m, r := newMechanism(t, Mechanism{RequireMIC: true})
	id, err := new(forger).login(t, m.NewAcceptor(authn.Exchange{}))
	if err != nil || id.String() != `CORP\alice` || len(r.asked) != 1 {
		t.Errorf("identity %v, err %v, asked %d times", id, err, len(r.asked))
	}
}
