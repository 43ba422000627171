package authclient

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/spnego"
)

// maxLegs bounds the requests of one login. NTLM takes two, SPNEGO with a
// mechListMIC four.
const maxLegs = 5

// party is whom a request may have to log in at: the server, or the proxy on
// the way to it.
type party struct {
	target     Target
	proxy      bool
	credential Credential // nil: none
	key        poolKey    // of what is remembered about it

	offered   []string        // once it asked for a login
	chosen    Credential      // of those that credential stands for, to log in with
	scheme    string          // to log in by
	initiator authn.Initiator // of the login that was tried last
	midway    bool            // a login belongs to the connection and is not over
}

// status is how the party asks for a login (RFC 9110 15.5.2 and 15.5.8).
func (p *party) status() int {
	if p.proxy {
		return http.StatusProxyAuthRequired
	}
	return http.StatusUnauthorized
}

// challenges is the name of the header in which it does.
func (p *party) challenges() string {
	if p.proxy {
		return "Proxy-Authenticate"
	}
	return "WWW-Authenticate"
}

// String is the party's name in errors.
func (p *party) String() string {
	if p.proxy {
		return "proxy " + p.target.Origin()
	}
	return p.target.Origin()
}

// token returns what the party sent under scheme. With the end of a login,
// Squid sends it in Proxy-Authentication-Info.
func (p *party) token(resp *http.Response, scheme string) []byte {
	if t := tokenOf(resp.Header, p.challenges(), scheme); t != nil || !p.proxy || resp.StatusCode == p.status() {
		return t
	}
	return tokenOf(resp.Header, "Proxy-Authentication-Info", scheme)
}

func (p *party) refused(scheme string, resp *http.Response) *RefusedError {
	e := &RefusedError{Target: p.target, Proxy: p.proxy, Scheme: scheme}
	if resp != nil {
		e.Offered = schemesOf(parseOffers(resp.Header, p.challenges()))
	}
	return e
}

// asks notes what resp, which asks for a login, offers.
func (p *party) asks(resp *http.Response) error {
	offered := schemesOf(parseOffers(resp.Header, p.challenges()))
	for _, scheme := range p.credential.Schemes() {
		if offers(offered, scheme) {
			p.offered = offered
			return nil
		}
	}
	return p.refused("", resp)
}

// A chooser is a Credential that stands for several.
type chooser interface {
	// choose returns the one for a party that offers these schemes.
	choose(ctx context.Context, t Target, offered []string) (Credential, error)
}

// choose sets the credential and the scheme to log in with: the best of those
// offered.
func (p *party) choose(ctx context.Context, offered []string) error {
	p.chosen = p.credential
	if c, ok := p.credential.(chooser); ok {
		var err error
		if p.chosen, err = c.choose(ctx, p.target, offered); err != nil {
			return err
		}
	}
	for _, scheme := range p.chosen.Schemes() {
		if offers(offered, scheme) {
			p.scheme = scheme
			return nil
		}
	}
	return &RefusedError{Target: p.target, Proxy: p.proxy, Offered: offered}
}

// memorable reports whether the next login is to begin with what this one was
// made by. A second best is not: what was in the way may be gone by then.
func (p *party) memorable() bool {
	_, chosen := p.credential.(chooser)
	return !chosen || p.scheme == p.credential.Schemes()[0]
}

// A leg sends a request with a login's token, with or without its body.
type leg func(authorization string, withBody bool) (*http.Response, error)

// handshake is one exchange of tokens with a party, whose last leg carries the
// request.
type handshake struct {
	*party
	binding authn.ChannelBinding
	shared  bool // others' requests may go over the same connection
	send    leg

	// keep is done with an answer and reports whether the connection can take
	// the next leg.
	keep func(*http.Response) bool
}

// outcome is the answer that ends a handshake without a refusal.
type outcome struct {
	*http.Response
	legs    int
	opening bool // it answers a leg that only opens a login: none was needed
}

// run logs in with what was chosen. asked reports that the party refused the
// request without a login.
func (h *handshake) run(ctx context.Context, asked bool) (outcome, error) {
	none := outcome{}
	scheme := h.scheme
	init, err := h.chosen.NewInitiator(scheme, h.target, h.binding)
	if err != nil {
		return none, err
	}
	h.initiator = init
	defer func() { h.midway = false }()
	var token []byte
	kept := true // the connection, for the next leg
	for legs := 1; legs <= maxLegs; legs++ {
		out, done, err := init.Step(ctx, token)
		if errors.Is(err, spnego.ErrRejected) {
			return none, h.refused(scheme, nil)
		}
		if err != nil {
			return none, fmt.Errorf("authclient: %s login at %s: %w", scheme, h, err)
		}
		if len(out) == 0 {
			return none, h.refused(scheme, nil)
		}
		if !kept { // only now it is clear that the token was no refusal
			return none, midway{h.closed(scheme)}
		}
		opening := expectsChallenge(init)
		if opening && h.shared {
			return none, fmt.Errorf("%w: %s login at %s", ErrSharedConnection, scheme, h)
		}
		// The first leg of a login that was asked for cannot succeed, so the
		// body need not travel. One that nobody asked for may be the request.
		resp, err := h.send(scheme+" "+base64.StdEncoding.EncodeToString(out), !opening || !asked)
		if err != nil {
			return none, err
		}
		token = h.token(resp, scheme)
		if resp.StatusCode != h.status() {
			if !opening {
				err = h.verify(ctx, token, done, resp)
			}
			if err != nil {
				discard(resp)
				return none, err
			}
			return outcome{resp, legs, opening}, nil
		}
		if token == nil {
			err := h.refused(scheme, resp)
			discard(resp)
			return none, err
		}
		kept = h.keep(resp)
		asked, h.midway = true, true
	}
	return none, h.refused(scheme, nil)
}

// midway is for a connection that ended between two legs of a login, which was
// not refused. The last answer said that the request was not carried out.
type midway struct{ error }

// closed is the error for a connection that ended in the middle of a login.
func (p *party) closed(scheme string) error {
	return fmt.Errorf("authclient: %s closed the connection in the middle of the %s login", p, scheme)
}

// verify gives the initiator the party's last token, if it sent one. A server
// must, where the initiator asked for it. A proxy need not: what it carries is
// either TLS that ends elsewhere, or plain text that anybody on the way can
// change, and Squid has no place for a token in its answer to CONNECT.
func (h *handshake) verify(ctx context.Context, token []byte, done bool, resp *http.Response) error {
	if len(token) == 0 {
		if !done && !h.proxy {
			return fmt.Errorf("%w: %s answered %q to the login, without a token of its own", ErrServerUnverified, h, resp.Status)
		}
		return nil
	}
	_, done, err := h.initiator.Step(ctx, token)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrServerUnverified, h, err)
	}
	if !done {
		return fmt.Errorf("%w: %s ended the login early", ErrServerUnverified, h)
	}
	return nil
}

func expectsChallenge(i authn.Initiator) bool {
	e, ok := i.(authn.ChallengeExpecter)
	return ok && e.ExpectsChallenge()
}
