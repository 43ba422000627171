package spnego

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"testing"

	"github.com/soapward/soapward/authn"
)

// fake is a mechanism of n client tokens. Its MIC of a message is the message
// with the sender's name before it.
type fake struct {
	oid  asn1.ObjectIdentifier
	legs int
}

func (f fake) OID() asn1.ObjectIdentifier { return f.oid }
func (f fake) NewAcceptor(authn.Exchange) authn.Acceptor {
	return &fakeAcceptor{fakeSigner: fakeSigner{"server", "client"}, f: f}
}

type fakeSigner struct{ self, peer string }

func (s fakeSigner) GetMIC(msg []byte) ([]byte, error) { return append([]byte(s.self), msg...), nil }
func (s fakeSigner) VerifyMIC(msg, mic []byte) error {
	if !bytes.Equal(mic, append([]byte(s.peer), msg...)) {
		return errors.New("fake: MIC mismatch")
	}
	return nil
}

type fakeAcceptor struct {
	fakeSigner
	f   fake
	got int
}

func (a *fakeAcceptor) Step(_ context.Context, token []byte) ([]byte, *authn.Identity, error) {
	a.got++
	if want := fmt.Sprintf("%v-%d", a.f.oid, a.got); string(token) != want {
		return nil, nil, fmt.Errorf("fake: token %q, want %q", token, want)
	}
	if a.got == a.f.legs {
		return []byte("final"), &authn.Identity{Account: "alice"}, nil
	}
	return []byte("more"), nil, nil
}

type fakeInitiator struct {
	fakeSigner
	f    fake
	sent int
}

func newFakeInitiator(f fake) *fakeInitiator {
	return &fakeInitiator{fakeSigner: fakeSigner{"client", "server"}, f: f}
}

func (i *fakeInitiator) Step(_ context.Context, token []byte) ([]byte, bool, error) {
	if string(token) == "final" {
		return nil, true, nil
	}
	i.sent++
	return fmt.Appendf(nil, "%v-%d", i.f.oid, i.sent), false, nil
}

// run drives client and server to their end.
func run(client authn.Initiator, server authn.Acceptor) (id *authn.Identity, legs int, err error) {
	ctx := context.Background()
	var toClient []byte
	for legs = 1; legs < 10; legs++ {
		toServer, done, err := client.Step(ctx, toClient)
		if err != nil {
			return nil, legs, fmt.Errorf("client: %w", err)
		}
		if id != nil {
			if !done {
				return nil, legs, errors.New("client is not satisfied when the server is")
			}
			return id, legs - 1, nil
		}
		if toClient, id, err = server.Step(ctx, toServer); err != nil {
			return nil, legs, fmt.Errorf("server: %w", err)
		}
	}
	return nil, legs, errors.New("no end")
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	kerberos, ntlm := fake{OIDKerberos, 1}, fake{OIDNTLM, 2}
	for _, tt := range []struct {
		name   string
		client fake
		server []authn.Mechanism
		legs   int
	}{
		{"one leg", kerberos, []authn.Mechanism{kerberos, ntlm}, 1},
		{"two legs", ntlm, []authn.Mechanism{kerberos, ntlm}, 2},
		{"only mechanism", ntlm, []authn.Mechanism{ntlm}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, legs, err := run(NewInitiator(tt.client.oid, newFakeInitiator(tt.client)), NewAcceptor(tt.server, authn.Exchange{}))
			if err != nil || id == nil || legs != tt.legs {
				t.Errorf("id %v, legs %d, err %v; want %d legs", id, legs, err, tt.legs)
			}
		})
	}
}

// initToken is a client's first token with any list of mechanisms.
func initToken(t testing.TB, token string, mechs ...asn1.ObjectIdentifier) []byte {
	t.Helper()
	b, err := (&NegTokenInit{MechTypes: mechs, MechToken: []byte(token)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func respToken(t testing.TB, r NegTokenResp) []byte {
	t.Helper()
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var oidUnknown = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}

// TestAttackMechListDowngrade: when the client's first mechanism is not
// chosen, the exchange ends only after the client signed the list it sent.
func TestAttackMechListDowngrade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	ntlm := fake{OIDNTLM, 1}
	list, err := marshalMechTypes([]asn1.ObjectIdentifier{oidUnknown, OIDNTLM})
	if err != nil {
		t.Fatal(err)
	}
	good, _ := fakeSigner{"client", "server"}.GetMIC(list)
	for _, tt := range []struct {
		name string
		mic  []byte
		late bool // the MIC comes in a leg of its own
		ok   bool
	}{
		{"signed", good, false, true},
		{"signed in a leg of its own", good, true, true},
		{"signature of another list", append(bytes.Clone(good), 0), false, false},
		{"wrong signature in a leg of its own", []byte("client"), true, false},
		{"no signature", nil, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := NewAcceptor([]authn.Mechanism{ntlm}, authn.Exchange{})
			reply, id, err := a.Step(ctx, initToken(t, "token of the unknown mechanism", oidUnknown, OIDNTLM))
			if err != nil || id != nil {
				t.Fatalf("first leg: id %v, err %v", id, err)
			}
			first, err := ParseResp(reply)
			if err != nil || first.State != RequestMIC || !first.SupportedMech.Equal(OIDNTLM) {
				t.Fatalf("first reply %+v, err %v; want request-mic", first, err)
			}
			second := NegTokenResp{State: noState, ResponseToken: []byte(OIDNTLM.String() + "-1")}
			if !tt.late {
				second.MechListMIC = tt.mic
			}
			reply, id, err = a.Step(ctx, respToken(t, second))
			if tt.late {
				if err != nil || id != nil {
					t.Fatalf("second leg: id %v, err %v; want to be asked for the MIC", id, err)
				}
				reply, id, err = a.Step(ctx, respToken(t, NegTokenResp{State: noState, MechListMIC: tt.mic}))
			}
			if (id != nil) != tt.ok || (err == nil) != tt.ok {
				t.Fatalf("id %v, err %v; want ok %v", id, err, tt.ok)
			}
			if !tt.ok && !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("err %v is not ErrBadCredentials", err)
			}
			if tt.ok {
				last, err := ParseResp(reply)
				if err != nil || last.State != AcceptCompleted {
					t.Errorf("last reply %+v, err %v", last, err)
				}
			}
		})
	}
}

// TestAttackOptionalMICWrong: a MIC that nobody asked for must still be right.
func TestAttackOptionalMICWrong(t *testing.T) {
	t.Parallel()
	b, err := (&NegTokenInit{MechTypes: []asn1.ObjectIdentifier{OIDKerberos}, MechToken: []byte(OIDKerberos.String() + "-1"), MechListMIC: []byte("bad")}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := NewAcceptor([]authn.Mechanism{fake{OIDKerberos, 1}}, authn.Exchange{}).Step(context.Background(), b)
	if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("id %v, err %v; want a refusal", id, err)
	}
}

func TestAcceptorRefuses(t *testing.T) {
	t.Parallel()
	kerberos := []authn.Mechanism{fake{OIDKerberos, 1}}
	for _, tt := range []struct {
		name   string
		token  []byte
		reason authn.Reason
	}{
		{"nothing in common", initToken(t, "x", oidUnknown), authn.ReasonMechanism},
		{"NTLM behind Kerberos, not enabled", initToken(t, "NTLMSSP\x00\x01", OIDKerberos, OIDNTLM), authn.ReasonMechanism},
		{"NTLM first, nothing else", initToken(t, "NTLMSSP\x00\x01", OIDNTLM, oidUnknown), authn.ReasonMechanism},
		{"empty", nil, authn.ReasonMalformed},
		{"continuation first", respToken(t, NegTokenResp{State: noState, ResponseToken: []byte("x")}), authn.ReasonMalformed},
		{"trailing byte", append(initToken(t, "x", OIDKerberos), 0), authn.ReasonMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, id, err := NewAcceptor(kerberos, authn.Exchange{}).Step(context.Background(), tt.token)
			var re *authn.RefusedError
			if id != nil || !errors.As(err, &re) || re.Reason != tt.reason {
				t.Errorf("id %v, err %v; want reason %s", id, err, tt.reason)
			}
		})
	}
}

// TestNTLMBehindKerberos is the list of a Windows client that got no ticket.
func TestNTLMBehindKerberos(t *testing.T) {
	t.Parallel()
	a := NewAcceptor([]authn.Mechanism{fake{OIDKerberos, 1}, ntlmFake{}}, authn.Exchange{})
	reply, id, err := a.Step(context.Background(), initToken(t, "NTLMSSP\x00\x01", OIDMSKerberos, OIDKerberos, OIDNTLM))
	if err != nil || id != nil {
		t.Fatalf("id %v, err %v", id, err)
	}
	r, err := ParseResp(reply)
	if err != nil || !r.SupportedMech.Equal(OIDNTLM) || r.State != RequestMIC || string(r.ResponseToken) != "challenge" {
		t.Errorf("reply %+v, err %v", r, err)
	}
}

// MIT's client says that it is done when it sends its MIC last, and fails if
// there is an answer to that.
func TestNothingAfterTheLastMIC(t *testing.T) {
	t.Parallel()
	a := NewAcceptor([]authn.Mechanism{fake{OIDNTLM, 1}}, authn.Exchange{})
	list, err := marshalMechTypes([]asn1.ObjectIdentifier{oidUnknown, OIDNTLM})
	if err != nil {
		t.Fatal(err)
	}
	mic, _ := fakeSigner{"client", "server"}.GetMIC(list)
	for n, token := range [][]byte{
		initToken(t, "x", oidUnknown, OIDNTLM),
		respToken(t, NegTokenResp{State: noState, ResponseToken: []byte(OIDNTLM.String() + "-1")}),
		respToken(t, NegTokenResp{State: AcceptCompleted, MechListMIC: mic}),
	} {
		reply, id, err := a.Step(context.Background(), token)
		if last := n == 2; err != nil || (id != nil) != last || (len(reply) == 0) != last {
			t.Errorf("leg %d: reply %x, identity %v, err %v", n, reply, id, err)
		}
	}
}

// A client that prefers NTLM may still have a ticket: where NTLM is not enabled
// it is asked for that, with a MIC. Such a client was refused once.
func TestKerberosBehindNTLM(t *testing.T) {
	t.Parallel()
	a := NewAcceptor([]authn.Mechanism{fake{OIDKerberos, 1}}, authn.Exchange{})
	reply, id, err := a.Step(context.Background(), initToken(t, "NTLMSSP\x00\x01", OIDNTLM, OIDKerberos))
	if err != nil || id != nil {
		t.Fatalf("id %v, err %v", id, err)
	}
	r, err := ParseResp(reply)
	if err != nil || !r.SupportedMech.Equal(OIDKerberos) || r.State != RequestMIC || len(r.ResponseToken) != 0 {
		t.Errorf("reply %+v, err %v", r, err)
	}
	_, id, err = a.Step(context.Background(), respToken(t, NegTokenResp{State: noState, ResponseToken: []byte("NTLMSSP\x00\x01")}))
	if id != nil {
		t.Errorf("identity %v by the token of NTLM and without a MIC, err %v", id, err)
	}
}

type ntlmFake struct{}

func (ntlmFake) OID() asn1.ObjectIdentifier                { return OIDNTLM }
func (ntlmFake) NewAcceptor(authn.Exchange) authn.Acceptor { return ntlmFake{} }
func (ntlmFake) Step(context.Context, []byte) ([]byte, *authn.Identity, error) {
	return []byte("challenge"), nil, nil
}

func TestInitiatorRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		resp NegTokenResp
	}{
		{"reject", NegTokenResp{State: Reject}},
		{"other mechanism", NegTokenResp{State: AcceptCompleted, SupportedMech: OIDNTLM, ResponseToken: []byte("final")}},
		{"completed without proof", NegTokenResp{State: AcceptCompleted}},
		{"wrong mechListMIC", NegTokenResp{State: AcceptCompleted, ResponseToken: []byte("final"), MechListMIC: []byte("bad")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := NewInitiator(OIDKerberos, newFakeInitiator(fake{OIDKerberos, 1}))
			if _, _, err := i.Step(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			_, done, err := i.Step(context.Background(), respToken(t, tt.resp))
			if err == nil || done {
				t.Errorf("done %v, err %v; want an error", done, err)
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	in := initToken(t, "token", OIDKerberos, OIDNTLM)
	resp := respToken(t, NegTokenResp{State: AcceptIncomplete, SupportedMech: OIDKerberos, ResponseToken: []byte("x"), MechListMIC: []byte("y")})
	for n := range in {
		if _, err := ParseInit(in[:n]); err == nil {
			t.Errorf("ParseInit accepts the first %d bytes", n)
		}
	}
	for n := range resp {
		if _, err := ParseResp(resp[:n]); err == nil {
			t.Errorf("ParseResp accepts the first %d bytes", n)
		}
	}
}

func FuzzParseInit(f *testing.F) {
	f.Add(initToken(f, "token", OIDKerberos, OIDMSKerberos, OIDNTLM))
	f.Add(initToken(f, "NTLMSSP\x00\x01\x00\x00\x00", OIDNTLM))
	f.Fuzz(func(t *testing.T, b []byte) {
		KindOf(b)
		tok, err := ParseInit(b)
		if err != nil {
			return
		}
		again, err := tok.Marshal()
		if err != nil {
			t.Fatalf("marshal what was accepted: %v", err)
		}
		tok2, err := ParseInit(again)
		if err != nil || !bytes.Equal(tok2.MechTypeList, tok.MechTypeList) || !bytes.Equal(tok2.MechToken, tok.MechToken) {
			t.Fatalf("round trip: %+v, %v; want %+v", tok2, err, tok)
		}
	})
}

func FuzzParseResp(f *testing.F) {
	f.Add(respToken(f, NegTokenResp{State: AcceptCompleted, SupportedMech: OIDKerberos, ResponseToken: []byte("x"), MechListMIC: []byte("y")}))
	f.Add(respToken(f, NegTokenResp{State: noState, ResponseToken: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := ParseResp(b)
		if err != nil {
			return
		}
		again, err := tok.Marshal()
		if err != nil {
			t.Fatalf("marshal what was accepted: %v", err)
		}
		tok2, err := ParseResp(again)
		if err != nil || tok2.State != tok.State || !tok2.SupportedMech.Equal(tok.SupportedMech) || !bytes.Equal(tok2.ResponseToken, tok.ResponseToken) {
			t.Fatalf("round trip: %+v, %v; want %+v", tok2, err, tok)
		}
	})
}

// TestAttackLongMechList: the list that the mechListMIC covers, which is kept
// for all of the negotiation, is bounded.
func TestAttackLongMechList(t *testing.T) {
	t.Parallel()
	long := append(asn1.ObjectIdentifier{1, 3}, make([]int, 200)...)
	for _, tt := range []struct {
		oids []asn1.ObjectIdentifier
		ok   bool
	}{
		{[]asn1.ObjectIdentifier{OIDKerberos, OIDMSKerberos, OIDNTLM, oidUnknown}, true},
		{[]asn1.ObjectIdentifier{OIDKerberos, long}, true},
		{[]asn1.ObjectIdentifier{OIDKerberos, long, long}, false},
	} {
		a := NewAcceptor([]authn.Mechanism{fake{OIDKerberos, 1}}, authn.Exchange{})
		_, id, err := a.Step(t.Context(), initToken(t, OIDKerberos.String()+"-1", tt.oids...))
		if (id != nil) != tt.ok || (err == nil) != tt.ok {
			t.Errorf("%d mechanisms: id %v, %v; want ok %v", len(tt.oids), id, err, tt.ok)
		}
	}
}
