package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// PasswordVerifier is a password.Verifier.
type PasswordVerifier interface {
	VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error)
}

// Password is a PasswordVerifier that asks another one as long as the user and
// the client's address are not blocked. Limiter.Password makes it.
type Password struct {
	limiter  *Limiter
	verifier PasswordVerifier
	key      [sha256.Size]byte
}

var _ PasswordVerifier = (*Password)(nil)

// Password returns v behind l. The context of each call must have the client's
// address (authn.WithClient): that of a request behind Limiter.Authenticator or
// authn.Proxies does.
func (l *Limiter) Password(v PasswordVerifier) *Password {
	p := &Password{limiter: l, verifier: v}
	_, _ = rand.Read(p.key[:]) // never fails (crypto/rand)
	return p
}

// errNoClient is a mistake of the program. All clients would be one, and one of
// them could keep others out.
var errNoClient = fmt.Errorf("throttle: %w: the context has no client address: put authn.Proxies.Wrap or Limiter.Authenticator in front", authn.ErrUnavailable)

// VerifyPassword implements password.Verifier.
func (p *Password) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" { // no guess
		return nil, &authn.RefusedError{Reason: authn.ReasonAnonymous, User: user, Err: errors.New("empty user name or password")}
	}
	addr, ok := authn.ClientFromContext(ctx)
	if !ok {
		return nil, errNoClient
	}
	markJudged(ctx)
	s := subject{user: user, client: clientOf(addr)}
	return p.limiter.judge(ctx, s, p.guess(user, password), func(ctx context.Context) (*authn.Identity, error) {
		return p.verifier.VerifyPassword(ctx, user, password)
	})
}

// guess tells guesses apart without keeping passwords.
func (p *Password) guess(user, password string) string {
	mac := hmac.New(sha256.New, p.key[:])
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(user))))
	_, _ = mac.Write([]byte(user))
	_, _ = mac.Write([]byte(password))
	return string(mac.Sum(nil))
}

// NTLM is an ntlm.Verifier that asks another one as long as the user and the
// client's address are not blocked. Limiter.NTLM makes it.
type NTLM struct {
	limiter  *Limiter
	verifier ntlm.Verifier
}

var _ ntlm.Verifier = (*NTLM)(nil)

// NTLM returns v behind l. The client's address is that of the context, or else
// that of the attempt, which is the connection's.
func (l *Limiter) NTLM(v ntlm.Verifier) *NTLM { return &NTLM{l, v} }

// VerifyNTLM implements ntlm.Verifier.
func (n *NTLM) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	addr, ok := authn.ClientFromContext(ctx)
	if !ok {
		ap, _ := netip.ParseAddrPort(a.Peer) // of none, the zero address
		addr = ap.Addr()
	}
	markJudged(ctx)
	var key ntlm.SessionBaseKey
	s := subject{mechanism: authn.MechanismNTLM, user: ntlmName(a), client: clientOf(addr)}
	// Each response is to a challenge of its own, so no two are the same guess.
	id, err := n.limiter.judge(ctx, s, "", func(ctx context.Context) (id *authn.Identity, err error) {
		id, key, err = n.verifier.VerifyNTLM(ctx, a)
		return id, err
	})
	if err != nil {
		return nil, ntlm.SessionBaseKey{}, err
	}
	return id, key, nil
}
