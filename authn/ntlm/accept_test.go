package ntlm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAcceptorChallenge: a challenge agrees to what was offered and to nothing
// more.
func TestAcceptorChallenge(t *testing.T) {
	t.Parallel()
	const base = FlagNTLM | FlagTargetInfo | FlagExtendedSecurity
	for _, tt := range []struct {
		name    string
		offered Flags
		names   Names
		want    Flags
		target  string
	}{
		{"least", FlagUnicode | FlagExtendedSecurity, testNames, base | FlagUnicode, ""},
		// What curl offers.
		{"OEM only", FlagOEM | FlagRequestTarget | FlagNTLM | FlagAlwaysSign | FlagExtendedSecurity, testNames,
			base | FlagOEM | FlagRequestTarget | FlagAlwaysSign | FlagTargetTypeDomain, "CORP"},
		{"both character sets", FlagUnicode | FlagOEM | FlagExtendedSecurity, testNames, base | FlagUnicode, ""},
		{"all", 0xffffffff &^ FlagDatagram, testNames, base | FlagUnicode | FlagRequestTarget | FlagSign | FlagSeal |
			FlagAlwaysSign | FlagTargetTypeDomain | FlagVersion | Flag128 | FlagKeyExchange | Flag56, "CORP"},
		{"no domain", FlagUnicode | FlagExtendedSecurity | FlagRequestTarget, Names{Computer: "GW01"},
			base | FlagUnicode | FlagRequestTarget | FlagTargetTypeServer, "GW01"},
		{"no names", FlagUnicode | FlagExtendedSecurity | FlagRequestTarget, Names{},
			base | FlagUnicode | FlagRequestTarget | FlagTargetTypeServer, ""},
		{"OEM, domain outside ASCII", FlagOEM | FlagExtendedSecurity | FlagRequestTarget, Names{Domain: "CÖRP"},
			base | FlagOEM | FlagRequestTarget | FlagTargetTypeDomain, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &Mechanism{Verifier: noUsers(t), Names: tt.names, Now: testClock}
			neg := Negotiate{Flags: tt.offered &^ (FlagDomainSupplied | FlagWorkstationSupplied)}
			b, id, err := m.NewAcceptor(authn.Exchange{}).Step(t.Context(), neg.Append(nil))
			if err != nil || id != nil {
				t.Fatalf("identity %v, err %v", id, err)
			}
			c, err := ParseChallenge(b)
			if err != nil {
				t.Fatal(err)
			}
			if c.Flags != tt.want || c.TargetName != tt.target {
				t.Errorf("flags %v, target %q\nwant  %v, target %q", c.Flags, c.TargetName, tt.want, tt.target)
			}
			if got := c.TargetInfo.Text(AVDomain); got != tt.names.Domain {
				t.Errorf("domain %q in the target info, want %q", got, tt.names.Domain)
			}
			if ft, ok, err := timestamp(c.TargetInfo); !ok || err != nil || ft != filetime(testTime) {
				t.Errorf("timestamp %d, %v, %v", ft, ok, err)
			}
		})
	}
}

// TestAcceptorOEM serves a client that knows no Unicode, as curl does.
func TestAcceptorOEM(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"alice", "ALICE@corp.test"} {
		m, r := newMechanism(t, Mechanism{})
		f := forger{user: user, negotiate: func(n *Negotiate) { n.Flags ^= FlagUnicode | FlagOEM }}
		id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
		if err != nil || id.String() != `CORP\alice` || r.asked[0].User != user {
			t.Errorf("identity %v, err %v, asked %v", id, err, r.asked)
		}
	}
}

// failing is a verifier that cannot or will not tell.
type failing struct {
	id  *authn.Identity
	key SessionBaseKey
	err error
}

func (f failing) VerifyNTLM(context.Context, *Attempt) (*authn.Identity, SessionBaseKey, error) {
	return f.id, f.key, f.err
}

func TestAcceptorVerifierError(t *testing.T) {
	t.Parallel()
	shared := &authn.RefusedError{Reason: authn.ReasonLockedOut, Hint: "unblock"}
	t.Cleanup(func() { // after the parallel subtests
		if shared.User != "" || shared.Mechanism != "" {
			t.Errorf("the verifier's error was modified: %+v", shared)
		}
	})
	for _, tt := range []struct {
		name    string
		v       failing
		is, not error
	}{
		{"unavailable", failing{err: fmt.Errorf("dial dc1: %w", authn.ErrUnavailable)}, authn.ErrUnavailable, authn.ErrBadCredentials},
		{"cancelled", failing{err: context.Canceled}, context.Canceled, authn.ErrBadCredentials},
		{"refused", failing{err: shared}, authn.ErrBadCredentials, authn.ErrUnavailable},
		{"refused, wrapped", failing{err: fmt.Errorf("dc1: %w", shared)}, authn.ErrBadCredentials, authn.ErrUnavailable},
		{"nothing", failing{}, nil, authn.ErrBadCredentials},
		{"no key", failing{id: &authn.Identity{Account: "alice"}}, nil, authn.ErrBadCredentials},
		{"no identity", failing{key: SessionBaseKey{1}}, nil, authn.ErrBadCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &Mechanism{Verifier: tt.v, Names: testNames}
			id, err := new(forger).login(t, m.NewAcceptor(authn.Exchange{}))
			if id != nil || err == nil || tt.is != nil && !errors.Is(err, tt.is) || errors.Is(err, tt.not) {
				t.Errorf("identity %v, err %v; want %v and not %v", id, err, tt.is, tt.not)
			}
			var re *authn.RefusedError
			if errors.As(err, &re) && (re.User != `CORP\alice` || re.Mechanism != "NTLM" || re.Hint != "unblock") {
				t.Errorf("refusal %+v", re)
			}
		})
	}
}

// TestAcceptorAttempt: the verifier is told what the client sent.
func TestAcceptorAttempt(t *testing.T) {
	t.Parallel()
	m, r := newMechanism(t, Mechanism{})
	m.testOnlyChallenge = func() [8]byte { return specServerChallenge }
	if _, err := (&forger{user: "Alice", domain: "corp.test"}).login(t, m.NewAcceptor(authn.Exchange{Peer: "192.0.2.1:5"})); err != nil {
		t.Fatal(err)
	}
	at := r.asked[0]
	if at.User != "Alice" || at.Domain != "corp.test" || at.Workstation != "PC1" || at.Peer != "192.0.2.1:5" || at.ServerChallenge != specServerChallenge {
		t.Errorf("attempt %#v %q %q", at, at.Workstation, at.Peer)
	}
	if _, err := ParseResponse(at.Response); err != nil {
		t.Error(err)
	}
}

// TestAcceptorInputIsNotKept: a caller may use its buffers again.
func TestAcceptorInputIsNotKept(t *testing.T) {
	t.Parallel()
	m, _ := newMechanism(t, Mechanism{RequireMIC: true})
	var f forger
	a := m.NewAcceptor(authn.Exchange{})
	neg := f.first()
	buf := []byte(string(neg))
	challenge, _, err := a.Step(t.Context(), buf)
	if err != nil {
		t.Fatal(err)
	}
	auth := f.second(t, neg, challenge)
	clear(buf)
	clear(challenge)
	if _, _, err := a.Step(t.Context(), auth); err != nil {
		t.Error(err)
	}
}

// TestRefusalText: what the log shows is words.
func TestRefusalText(t *testing.T) {
	t.Parallel()
	m, _ := newMechanism(t, Mechanism{})
	f := forger{response: func([]byte) []byte { return make([]byte, 24) }}
	id, err := f.login(t, m.NewAcceptor(authn.Exchange{}))
	re := mustRefuse(t, id, err, authn.ReasonWeak)
	if got, want := re.Error(), "authn: NTLM refused: weak-protocol: NTLMv1 response"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if re.User != `CORP\alice` || !strings.Contains(re.Hint, "NTLMv2") {
		t.Errorf("user %q, hint %q", re.User, re.Hint)
	}
}
