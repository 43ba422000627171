// Package spnego negotiates one of several mechanisms (RFC 4178): the tokens
// of the HTTP scheme Negotiate.
//
//   - Acceptor is the server side of a negotiation over a list of
//     authn.Mechanism. Package iwa drives it; most programs use iwa instead.
//   - Initiator wraps one mechanism's authn.Initiator for the client side.
//   - NegTokenInit and NegTokenResp are the tokens themselves.
//
// The mechListMIC is verified when the peer sends it, and is demanded when the
// mechanism chosen is not the one the client prefers, so that nobody in
// between can steer two peers to the weaker mechanism.
//
// Compatibility: as package authn.
package spnego
