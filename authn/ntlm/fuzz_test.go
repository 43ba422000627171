package ntlm

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/soapward/soapward/authn"
)

// FuzzNegotiate: parsing never panics, and what was accepted reads the same
// after it was written anew.
func FuzzNegotiate(f *testing.F) {
	f.Add((&Negotiate{Flags: initiatorOffers}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzCodec(t, b, func(b []byte) (*Negotiate, error) { return ParseNegotiate(b) }, (*Negotiate).Append)
	})
}

// FuzzChallenge is FuzzNegotiate for CHALLENGE, and has an initiator answer.
func FuzzChallenge(f *testing.F) {
	f.Add(unhex(f, specChallenge))
	cred := Credential{User: "u", Hash: HashPassword("p")}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzCodec(t, b, func(b []byte) (*Challenge, error) {
			m, err := ParseChallenge(b)
			if m != nil && !m.Flags.Has(FlagTargetInfo) {
				m.TargetInfo = nil
			}
			return m, err
		}, (*Challenge).Append)

		i := &Initiator{Credential: cred, TargetName: "HTTP/x", Binding: authn.ChannelBinding("b")}
		if _, _, err := i.Step(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		reply, done, err := i.Step(context.Background(), bytes.Clone(b))
		if done != (err == nil) || done != (reply != nil) {
			t.Fatalf("reply %x, done %v, err %v", reply, done, err)
		}
		if !done {
			return
		}
		// Whatever the server said, the answer is NTLMv2 and well formed.
		m, err := ParseAuthenticate(reply)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseResponse(m.NTResponse)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := r.Pairs.Get(AVChannelBindings); !bytes.Equal(v, hashOf(i.Binding)) || r.Pairs.Text(AVTargetName) != "HTTP/x" {
			t.Fatalf("answer is not bound: %v", r.Pairs)
		}
	})
}

func hashOf(cb authn.ChannelBinding) []byte {
	h := cb.GSSHash()
	return h[:]
}

// FuzzAuthenticate is FuzzNegotiate for AUTHENTICATE and the response in it.
func FuzzAuthenticate(f *testing.F) {
	f.Add(unhex(f, specAuthenticate))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzCodec(t, b, func(b []byte) (*Authenticate, error) { return ParseAuthenticate(b) }, (*Authenticate).Append)
		m, err := ParseAuthenticate(b)
		if err != nil {
			return
		}
		r, err := ParseResponse(m.NTResponse)
		if err != nil {
			if !errors.Is(err, errSyntax) {
				t.Fatal(err)
			}
			return
		}
		// The blob is of one form but for its reserved bytes and its end.
		blob := appendBlob(nil, filetime(r.Time), r.ClientChallenge, r.Pairs)
		again, err := ParseResponse(append(r.Proof[:], blob...))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("response reads differently:\n%+v\n%+v\n%v", r, again, err)
		}
	})
}

// fuzzCodec checks a parser and its inverse with one input.
func fuzzCodec[M any](t *testing.T, b []byte, parse func([]byte) (*M, error), appendTo func(*M, []byte) []byte) {
	in := bytes.Clone(b)
	m, err := parse(b)
	if !bytes.Equal(b, in) {
		t.Fatal("parser changed its input")
	}
	if (m == nil) == (err == nil) {
		t.Fatalf("message %v, err %v", m, err)
	}
	if err != nil {
		if !errors.Is(err, errSyntax) {
			t.Fatal(err)
		}
		return
	}
	out := appendTo(m, nil)
	if len(out) > maxMessage {
		return // fields may lie over each other
	}
	again, err := parse(out)
	if err != nil {
		t.Fatalf("does not read what it wrote: %v\n in %x\nout %x", err, in, out)
	}
	if third := appendTo(again, nil); !bytes.Equal(third, out) {
		t.Fatalf("the form written is not stable\n in %x\nout %x\nnow %x", in, out, third)
	}
}

// FuzzAcceptor sends two messages to an acceptor of a server without users.
// Nobody gets in, and every error is a refusal.
func FuzzAcceptor(f *testing.F) {
	var forge forger
	neg := forge.first()
	m := &Mechanism{Verifier: noUsers(f), Names: testNames, Now: testClock, TargetNames: []string{"HTTP/gw01"}}
	m.testOnlyChallenge = func() [8]byte { return specServerChallenge }
	challenge, _, err := m.NewAcceptor(authn.Exchange{}).Step(context.Background(), neg)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(neg, forge.second(f, neg, challenge))
	f.Add(neg, unhex(f, specAuthenticate))
	binding := authn.ChannelBinding("b")
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, x := range []authn.Exchange{{}, {Bindings: authn.Bindings{binding}}} {
			a := m.NewAcceptor(x)
			for n, token := range [][]byte{first, second} {
				reply, id, err := a.Step(context.Background(), token)
				if id != nil {
					t.Fatalf("logged in as %v", id)
				}
				if (reply == nil) == (err == nil) {
					t.Fatalf("step %d: reply %x, err %v", n, reply, err)
				}
				if err != nil && !errors.Is(err, authn.ErrBadCredentials) {
					t.Fatalf("step %d: %v", n, err)
				}
				if reply == nil {
					continue
				}
				c, err := ParseChallenge(reply)
				if err != nil {
					t.Fatal(err)
				}
				// Nothing is agreed to that the client did not offer.
				neg, err := ParseNegotiate(token)
				if err != nil {
					t.Fatal(err)
				}
				ours := FlagNTLM | FlagTargetInfo | FlagTargetTypeDomain | FlagTargetTypeServer
				if extra := c.Flags &^ (neg.Flags | ours); extra != 0 {
					t.Fatalf("flags %v were not offered", extra)
				}
			}
		}
	})
}

func noUsers(t testing.TB) *Accounts {
	t.Helper()
	as, err := NewAccounts("CORP", "corp.test")
	if err != nil {
		t.Fatal(err)
	}
	return as
}
