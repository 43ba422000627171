package spnego

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// Acceptor is the server side of one negotiation. It is used by one goroutine
// at a time. NewAcceptor makes it.
type Acceptor struct {
	mechanisms []authn.Mechanism
	exchange   authn.Exchange

	inner       authn.Acceptor
	chosen      asn1.ObjectIdentifier // as the client spelled it
	list        []byte                // DER that the mechListMIC covers
	micRequired bool
	micSent     bool
	announced   bool            // the client knows what was chosen
	pending     *authn.Identity // complete but for the client's MIC
}

var _ authn.Acceptor = (*Acceptor)(nil)

// A rewinder is a MessageSigner that mechListMIC leaves as it was before, but
// for sequence numbers (MS-SPNG 3.3.5.1). It also forgets its cipher, which is
// most of what it keeps while the client's MIC is on its way.
type rewinder interface{ RewindSigner() }

// NewAcceptor starts a negotiation of one of mechanisms. The client's order
// of preference decides.
func NewAcceptor(mechanisms []authn.Mechanism, x authn.Exchange) *Acceptor {
	return &Acceptor{mechanisms: mechanisms, exchange: x}
}

// Step implements authn.Acceptor. Its errors are *authn.RefusedError, or what
// the chosen mechanism returned.
func (a *Acceptor) Step(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	if a.inner == nil && a.chosen == nil {
		return a.first(ctx, token)
	}
	t, err := ParseResp(token)
	if err != nil {
		return nil, nil, refuse(authn.ReasonMalformed, "", err)
	}
	if a.pending != nil {
		reply, id, err := a.finish(&NegTokenResp{}, t.MechListMIC)
		if id != nil && t.State == AcceptCompleted {
			reply = nil // RFC 4178 4.2.2: the client expects nothing more, and MIT's fails if something comes
		}
		return reply, id, err
	}
	if len(t.ResponseToken) == 0 {
		return nil, nil, refuse(authn.ReasonOutOfOrder, "", errors.New("spnego: client sent no mechanism token"))
	}
	return a.run(ctx, t.ResponseToken, t.MechListMIC)
}

func (a *Acceptor) first(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	t, err := ParseInit(token)
	if err != nil {
		return nil, nil, refuse(authn.ReasonMalformed, "", err)
	}
	index, mech := a.choose(t.MechTypes)
	optimistic := t.MechToken
	ntlm := KindOf(optimistic) == KindNTLM
	if ntlm && !t.MechTypes[0].Equal(OIDNTLM) {
		// Windows puts an NTLM token behind a list that begins with Kerberos
		// when it could get no ticket (MS-SPNG 3.1.5.2). Behind a list that
		// begins with NTLM it says nothing of tickets (RFC 4178 4.2.1).
		index, mech = a.chooseNTLM(t.MechTypes)
	} else if index > 0 {
		optimistic = nil // it belongs to a mechanism that was not chosen
	}
	switch {
	case mech == nil && ntlm:
		return nil, nil, refuse(authn.ReasonMechanism, noCommonHint([]asn1.ObjectIdentifier{OIDNTLM}, a.mechanisms),
			errors.New("spnego: NTLM token inside Negotiate"))
	case mech == nil:
		return nil, nil, refuse(authn.ReasonMechanism, noCommonHint(t.MechTypes, a.mechanisms),
			fmt.Errorf("spnego: no common mechanism, client offers %s", mechanismNames(t.MechTypes)))
	}
	a.chosen, a.list = t.MechTypes[index], bytes.Clone(t.MechTypeList) // of a token that may be large
	a.micRequired = index > 0                                          // RFC 4178 5
	a.inner = mech.NewAcceptor(a.exchange)
	if len(optimistic) == 0 {
		reply, err := a.reply(&NegTokenResp{State: AcceptIncomplete})
		return reply, nil, err
	}
	return a.run(ctx, optimistic, t.MechListMIC)
}

// run gives the mechanism its token.
func (a *Acceptor) run(ctx context.Context, token, peerMIC []byte) ([]byte, *authn.Identity, error) {
	out, id, err := a.inner.Step(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	resp := &NegTokenResp{State: AcceptIncomplete, ResponseToken: out}
	if id == nil {
		reply, err := a.reply(resp)
		return reply, nil, err
	}
	a.pending = id
	return a.finish(resp, peerMIC)
}

// finish ends the negotiation, once the client's MIC is there if it has to be.
func (a *Acceptor) finish(resp *NegTokenResp, peerMIC []byte) ([]byte, *authn.Identity, error) {
	signer, _ := a.inner.(authn.MessageSigner)
	id := a.pending
	switch {
	case len(peerMIC) > 0:
		if signer == nil {
			return nil, nil, refuse(authn.ReasonIntegrity, "", errors.New("spnego: mechListMIC from a mechanism without integrity"))
		}
		if err := signer.VerifyMIC(a.list, peerMIC); err != nil {
			return nil, nil, refuse(authn.ReasonIntegrity,
				"something between client and server changed the list of mechanisms",
				fmt.Errorf("spnego: mechListMIC: %w", err))
		}
	case !a.micRequired:
		resp.State = AcceptCompleted
		reply, err := a.reply(resp)
		return reply, id, err
	case signer == nil || a.micSent:
		return nil, nil, refuse(authn.ReasonIntegrity, "", errors.New("spnego: mechListMIC missing although the client's first mechanism was not chosen"))
	}
	if !a.micSent {
		mic, err := signer.GetMIC(a.list)
		if err != nil {
			return nil, nil, refuse(authn.ReasonIntegrity, "", fmt.Errorf("spnego: mechListMIC: %w", err))
		}
		resp.MechListMIC, a.micSent = mic, true
		if r, ok := signer.(rewinder); ok {
			r.RewindSigner()
		}
	}
	if len(peerMIC) == 0 {
		resp.State = AcceptIncomplete
		reply, err := a.reply(resp)
		return reply, nil, err
	}
	resp.State = AcceptCompleted
	reply, err := a.reply(resp)
	return reply, id, err
}

// reply marshals resp; the first one names the mechanism (RFC 4178 4.2.2).
func (a *Acceptor) reply(resp *NegTokenResp) ([]byte, error) {
	if !a.announced {
		a.announced = true
		resp.SupportedMech = a.chosen
		if a.micRequired && resp.State == AcceptIncomplete {
			resp.State = RequestMIC
		}
	}
	return resp.Marshal()
}

// choose returns the first of the client's mechanisms that we have.
func (a *Acceptor) choose(offered []asn1.ObjectIdentifier) (int, authn.Mechanism) {
	for i, oid := range offered {
		for _, m := range a.mechanisms {
			if sameMechanism(oid, m.OID()) {
				return i, m
			}
		}
	}
	return -1, nil
}

func (a *Acceptor) chooseNTLM(offered []asn1.ObjectIdentifier) (int, authn.Mechanism) {
	for i, oid := range offered {
		if !oid.Equal(OIDNTLM) {
			continue
		}
		for _, m := range a.mechanisms {
			if m.OID().Equal(OIDNTLM) {
				return i, m
			}
		}
	}
	return -1, nil
}

func sameMechanism(a, b asn1.ObjectIdentifier) bool {
	return a.Equal(b) || isKerberos(a) && isKerberos(b)
}

func refuse(reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: "Negotiate", Reason: reason, Hint: hint, Err: err}
}
