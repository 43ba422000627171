package ntlm

import (
	"context"
	"crypto/hmac"
	"fmt"
	"log/slog"

	"github.com/soapward/soapward/authn"
)

// Attempt is what a Verifier needs to judge one login. The names are the
// client's claim: they say whose password to look at and nothing else.
type Attempt struct {
	User, Domain, Workstation string // as sent; Domain is often empty

	ServerChallenge [8]byte
	Response        []byte // NTLMv2 response; the verifier must not change it

	Peer string // address of the client, for logs and lockout
}

// Check reports whether the response proves knowledge of the password behind
// hash, and returns the session base key if so. The zero hash proves nothing.
// It takes the same time either way.
func (a *Attempt) Check(hash NTHash) (SessionBaseKey, bool) {
	if hash.IsZero() || len(a.Response) < responseMin {
		return SessionBaseKey{}, false
	}
	owf := ntowfv2(hash, a.User, a.Domain)
	proof := ntProof(&owf, &a.ServerChallenge, a.Response[proofSize:])
	key := sessionBaseKey(&owf, &proof)
	if !hmac.Equal(proof[:], a.Response[:proofSize]) {
		return SessionBaseKey{}, false
	}
	return key, true
}

// Format implements fmt.Formatter. It names the user and keeps the response,
// of which a password can be guessed offline, out of logs.
func (a *Attempt) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "NTLM login of %q in domain %q", a.User, a.Domain)
}

// LogValue implements slog.LogValuer.
func (a *Attempt) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", a.User), slog.String("domain", a.Domain),
		slog.String("workstation", a.Workstation), slog.String("peer", a.Peer))
}

// A Verifier judges responses. It must be safe for concurrent use.
//
// Package ntlmtest checks an implementation.
type Verifier interface {
	// VerifyNTLM returns who the caller is and the session base key. It
	// returns a *authn.RefusedError for a wrong answer, whatever is wrong with
	// the account, and an error wrapping authn.ErrUnavailable if it could not
	// find out.
	//
	// It is asked at most once for an exchange, and only with a well-formed
	// NTLMv2 response. The identity names the account as the verifier knows
	// it, never as the client spelled it; the Mechanism sets its login time.
	VerifyNTLM(ctx context.Context, a *Attempt) (*authn.Identity, SessionBaseKey, error)
}
