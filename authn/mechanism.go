package authn

import (
	"context"
	"encoding/asn1"
)

// Exchange describes the connection a token exchange runs over.
type Exchange struct {
	// TLS reports that the connection is TLS and ends here.
	TLS bool

	// Bindings are those of the TLS connection that the client sees, wherever it
	// ends. None with TLS set means that nobody told the server which
	// certificate it presents.
	Bindings Bindings

	Peer string // address of the client, for logs
}

// A Mechanism runs the server side of token exchanges. It must be safe for
// concurrent use.
type Mechanism interface {
	// OID identifies the mechanism in SPNEGO (RFC 4178 4.1).
	OID() asn1.ObjectIdentifier

	// NewAcceptor starts one exchange.
	NewAcceptor(x Exchange) Acceptor
}

// An Acceptor is the server side of one exchange. It is used by one goroutine
// at a time and is discarded after it returned an identity or an error.
//
// An acceptor whose exchange yields a key also implements MessageSigner.
type Acceptor interface {
	// Step consumes the client's token and returns the token to send back,
	// which may be empty. The identity is non-nil if and only if the exchange
	// is complete.
	Step(ctx context.Context, token []byte) (reply []byte, id *Identity, err error)
}

// An Initiator is the client side of one exchange. It is used by one goroutine
// at a time.
//
// An initiator whose exchange yields a key also implements MessageSigner.
type Initiator interface {
	// Step consumes the server's token, which is empty on the first call, and
	// returns the next token to send. done reports that the initiator is
	// satisfied: it needs no further token. While done is false, success
	// reported by the server without another token means that the server did
	// not prove itself, and must be treated as a failure.
	Step(ctx context.Context, token []byte) (reply []byte, done bool, err error)
}

// A MessageSigner protects messages with the key a completed exchange agreed
// on. SPNEGO uses it for mechListMIC (RFC 4178 5). Sequence numbers advance
// with each call.
type MessageSigner interface {
	// GetMIC returns the integrity code of msg from this side.
	GetMIC(msg []byte) ([]byte, error)

	// VerifyMIC checks the peer's integrity code of msg.
	VerifyMIC(msg, mic []byte) error
}

// A ChallengeExpecter is an Initiator that knows when the token it returned
// last only opens the exchange, so that the server must answer it with a
// challenge. An HTTP client sends such a leg without the request's body.
type ChallengeExpecter interface {
	ExpectsChallenge() bool
}
