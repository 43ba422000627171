package authclient

import (
	"context"
	"errors"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
)

// A RefusalObserver is an initiator that may have logged in with something out
// of date, such as a ticket sealed with a key that the server no longer has.
type RefusalObserver interface {
	// Refused tells the initiator that the server refused its login with 401.
	// It reports whether a new login may fare better, because it would be made
	// with something newer.
	Refused() (retry bool)
}

// renew reports whether the login that failed with err is to be tried again,
// with a credential that the source was asked for anew.
func (x *exchange) renew(err error) bool {
	var refused *RefusedError
	if !errors.As(err, &refused) || !x.body.canOpen() {
		return false
	}
	p := &x.server
	if refused.Proxy {
		p = &x.atProxy
	}
	observer, ok := p.initiator.(RefusalObserver)
	if !ok || !observer.Refused() {
		return false
	}
	if refused.Proxy {
		err = x.transport.askForProxy(x.req.Context(), x.route)
		p.credential = x.route.credential
	} else {
		p.credential, err = x.transport.credential(x.req, p.target)
	}
	if err != nil || p.credential == nil {
		return false
	}
	p.initiator = nil
	x.rekey()
	return true
}

// ticketInitiator is a SPNEGO exchange with a Kerberos ticket.
type ticketInitiator struct {
	*spnego.Initiator
	refused func() bool // may be nil
}

var (
	_ authn.ChallengeExpecter = (*ticketInitiator)(nil)
	_ RefusalObserver         = (*ticketInitiator)(nil)
)

// Step implements authn.Initiator. It also looks for refusals of the ticket
// that come with a reason.
func (i *ticketInitiator) Step(ctx context.Context, token []byte) ([]byte, bool, error) {
	reply, done, err := i.Initiator.Step(ctx, token)
	if errors.Is(err, kerberos.ErrTicketRefused) {
		i.Refused()
	}
	return reply, done, err
}

// Refused implements RefusalObserver.
func (i *ticketInitiator) Refused() bool { return i.refused != nil && i.refused() }
