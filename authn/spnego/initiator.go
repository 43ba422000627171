package spnego

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// ErrRejected means that the acceptor ended the negotiation with a reject.
var ErrRejected = errors.New("spnego: server rejected the negotiation")

// Initiator is the client side of a negotiation that offers one mechanism. It
// is used by one goroutine at a time. NewInitiator makes it.
type Initiator struct {
	oid   asn1.ObjectIdentifier
	inner authn.Initiator
	list  []byte

	innerDone    bool
	micRequested bool
	micSent      bool
	micVerified  bool
}

var (
	_ authn.Initiator         = (*Initiator)(nil)
	_ authn.ChallengeExpecter = (*Initiator)(nil)
)

// NewInitiator wraps inner, an initiator of the mechanism oid.
func NewInitiator(oid asn1.ObjectIdentifier, inner authn.Initiator) *Initiator {
	return &Initiator{oid: oid, inner: inner}
}

// ExpectsChallenge implements authn.ChallengeExpecter.
func (i *Initiator) ExpectsChallenge() bool {
	e, ok := i.inner.(authn.ChallengeExpecter)
	return ok && e.ExpectsChallenge()
}

// Step implements authn.Initiator.
func (i *Initiator) Step(ctx context.Context, token []byte) ([]byte, bool, error) {
	if i.list == nil {
		return i.first(ctx)
	}
	t, err := ParseResp(token)
	if err != nil {
		return nil, false, err
	}
	if t.State == Reject {
		return nil, false, ErrRejected
	}
	if t.SupportedMech != nil && !sameMechanism(t.SupportedMech, i.oid) {
		return nil, false, fmt.Errorf("spnego: server chose mechanism %v, which was not offered", t.SupportedMech)
	}
	i.micRequested = i.micRequested || t.State == RequestMIC

	var out NegTokenResp
	out.State = noState
	if !i.innerDone {
		if len(t.ResponseToken) == 0 {
			return nil, false, errors.New("spnego: server sent no mechanism token and so did not prove itself")
		}
		if out.ResponseToken, i.innerDone, err = i.inner.Step(ctx, t.ResponseToken); err != nil {
			return nil, false, err
		}
	}
	if err := i.mechListMIC(t, &out); err != nil {
		return nil, false, err
	}
	done := i.innerDone && (i.micVerified || !i.micRequested)
	if t.State == AcceptCompleted && !done && len(out.ResponseToken) == 0 {
		return nil, false, errors.New("spnego: server ended the negotiation before it was complete")
	}
	if len(out.ResponseToken) == 0 && len(out.MechListMIC) == 0 {
		return nil, done, nil
	}
	reply, err := out.Marshal()
	return reply, done, err
}

func (i *Initiator) first(ctx context.Context) ([]byte, bool, error) {
	out, done, err := i.inner.Step(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	i.innerDone = done
	if i.list, err = marshalMechTypes([]asn1.ObjectIdentifier{i.oid}); err != nil {
		return nil, false, err
	}
	reply, err := (&NegTokenInit{MechTypeList: i.list, MechToken: out}).Marshal()
	return reply, done, err
}

// mechListMIC verifies the server's MIC and adds ours where it is wanted.
func (i *Initiator) mechListMIC(t, out *NegTokenResp) error {
	if !i.innerDone {
		return nil
	}
	signer, _ := i.inner.(authn.MessageSigner)
	if len(t.MechListMIC) > 0 {
		if signer == nil {
			return errors.New("spnego: mechListMIC from a mechanism without integrity")
		}
		if err := signer.VerifyMIC(i.list, t.MechListMIC); err != nil {
			return fmt.Errorf("spnego: mechListMIC of the server: %w", err)
		}
		i.micVerified = true
	}
	wanted := i.micRequested || i.micVerified && t.State != AcceptCompleted
	if !wanted || i.micSent {
		return nil
	}
	if signer == nil {
		return errors.New("spnego: server asks for a mechListMIC, which the mechanism cannot make")
	}
	mic, err := signer.GetMIC(i.list)
	if err != nil {
		return fmt.Errorf("spnego: mechListMIC: %w", err)
	}
	out.MechListMIC, i.micSent = mic, true
	return nil
}
