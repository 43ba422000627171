package ntlm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/soapward/soapward/authn"
)

// Initiator is the client side of one exchange: its first step makes
// NEGOTIATE, its second answers CHALLENGE with AUTHENTICATE and is the last.
// Credential must be set. The fields must not change after the first step. It
// is used by one goroutine at a time.
//
// It speaks NTLMv2 with extended session security only, and adds a MIC if the
// server sends a timestamp, as each server since Windows Vista does. After the
// last step it signs messages.
type Initiator struct {
	Credential Credential

	// TargetName is the service principal name of the server, such as
	// HTTP/host. A server that checks it refuses an answer that was meant for
	// another one. Empty sends none.
	TargetName string

	// Binding ties the answer to the TLS connection.
	Binding authn.ChannelBinding

	// Workstation is the name of this host as the server logs it. Empty tells
	// none.
	Workstation string

	// Now is the clock. Nil means time.Now.
	Now func() time.Time

	negotiate []byte
	closed    bool
	*signer

	testOnlyRandom func([]byte)
}

var (
	_ authn.Initiator         = (*Initiator)(nil)
	_ authn.ChallengeExpecter = (*Initiator)(nil)
	_ authn.MessageSigner     = (*Initiator)(nil)
)

// initiatorOffers are the flags of NEGOTIATE. No version is among them: it
// would tell the server what we run on and is of no use.
const initiatorOffers = FlagUnicode | FlagRequestTarget | FlagSign | FlagSeal | FlagNTLM |
	FlagAlwaysSign | FlagExtendedSecurity | FlagTargetInfo | Flag128 | FlagKeyExchange | Flag56

// Format implements fmt.Formatter, so that no verb shows a key.
func (i *Initiator) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "NTLM initiator for %s", i.Credential.String())
}

// Step implements authn.Initiator.
func (i *Initiator) Step(_ context.Context, token []byte) (reply []byte, done bool, err error) {
	switch {
	case i.closed:
		return nil, false, errors.New("ntlm: initiator: exchange is over")
	case i.negotiate == nil && len(token) != 0:
		i.closed = true
		return nil, false, errors.New("ntlm: initiator: token before the first message")
	case i.negotiate == nil:
		if err := i.Credential.check(); err != nil {
			i.closed = true
			return nil, false, err
		}
		m := Negotiate{Flags: initiatorOffers}
		// MS-NLMP 2.2.1.1 has the version there as zeros where its flag is not
		// set. Servers by gss-ntlmssp (1.2.0) refuse a message without it.
		i.negotiate = append(m.Append(nil), make([]byte, negotiateVersion-negotiateFields)...)
		return append([]byte(nil), i.negotiate...), false, nil
	}
	i.closed = true
	reply, err = i.authenticate(token)
	return reply, err == nil, err
}

// ExpectsChallenge implements authn.ChallengeExpecter: it is true between the
// two steps.
func (i *Initiator) ExpectsChallenge() bool { return i.negotiate != nil && !i.closed }

// authenticate answers the server's challenge (MS-NLMP 3.1.5.1.2).
func (i *Initiator) authenticate(token []byte) ([]byte, error) {
	c, err := ParseChallenge(token)
	if err != nil {
		return nil, err
	}
	if err := checkChallenge(c); err != nil {
		return nil, err
	}
	ft, hasTime, err := timestamp(c.TargetInfo)
	if err != nil {
		return nil, err
	}
	if !hasTime {
		ft = filetime(i.now())
	}
	pairs, err := i.answerPairs(c.TargetInfo, hasTime)
	if err != nil {
		return nil, err
	}
	var clientChallenge [8]byte
	i.random(clientChallenge[:])

	// MS-NLMP 3.3.2
	owf := ntowfv2(i.Credential.hash(), i.Credential.User, i.Credential.Domain)
	nt := make([]byte, proofSize, 512)
	nt = appendBlob(nt, ft, clientChallenge, pairs)
	proof := ntProof(&owf, &c.ServerChallenge, nt[proofSize:])
	copy(nt, proof[:])
	base := sessionBaseKey(&owf, &proof)

	m := Authenticate{
		Flags:       c.Flags & initiatorOffers,
		Domain:      i.Credential.Domain,
		User:        i.Credential.User,
		Workstation: i.Workstation,
		// With a timestamp the LMv2 response is to be zeros; without one it
		// would only be one more value to crack the password with.
		LMResponse: make([]byte, 24),
		NTResponse: nt,
	}
	exported := [16]byte(base)
	if m.Flags.Has(FlagKeyExchange) && m.Flags&(FlagSign|FlagSeal) != 0 {
		i.random(exported[:])
		key := exchangeKey(base, exported[:])
		m.SessionKey = key[:]
	}
	if hasTime {
		m.MIC = zeroMIC[:]
	}
	b := m.Append(make([]byte, 0, 768))
	if len(b) > maxMessage || len(nt) > 1<<16-1 {
		return nil, fmt.Errorf("ntlm: initiator: names too long: message of %d bytes", len(b))
	}
	if hasTime {
		mic := messageMIC(&exported, i.negotiate, token, b)
		copy(b[authenticateVersion:authenticateMIC], mic[:])
	}
	i.signer = newSigner(m.Flags, exported, false)
	return b, nil
}

// checkChallenge refuses servers that would have us use less than NTLMv2 with
// extended session security.
func checkChallenge(c *Challenge) error {
	switch {
	case !c.Flags.Has(FlagExtendedSecurity):
		return errors.New("ntlm: initiator: server offers NTLMv1 only: no extended session security")
	case !c.Flags.Has(FlagTargetInfo) || len(c.TargetInfo) == 0:
		return errors.New("ntlm: initiator: server offers NTLMv1 only: no target info")
	case !c.Flags.Has(FlagUnicode):
		return errors.New("ntlm: initiator: server did not accept Unicode")
	}
	return nil
}

// timestamp returns the server's clock, if it tells.
func timestamp(ps AVPairs) (ft uint64, ok bool, err error) {
	v, ok := ps.Get(AVTimestamp)
	if ok && len(v) != 8 {
		return 0, false, syntaxError("AV timestamp of %d bytes", len(v))
	}
	if !ok {
		return 0, false, nil
	}
	return le.Uint64(v), true, nil
}

// answerPairs is the server's list with our part of it (MS-NLMP 3.1.5.1.2).
// What only a client may say replaces what the server put there.
func (i *Initiator) answerPairs(server AVPairs, mic bool) (AVPairs, error) {
	ps := make(AVPairs, len(server), len(server)+3)
	copy(ps, server)
	flags, err := ps.avFlags()
	if err != nil {
		return nil, err
	}
	if flags &^= AVFlagMIC | AVFlagUntrustedName; mic {
		flags |= AVFlagMIC
	}
	if _, ok := ps.Get(AVFlags); ok || flags != 0 {
		ps = ps.set(AVFlags, le.AppendUint32(nil, flags))
	}
	binding := make([]byte, 16) // zeros: no TLS
	if len(i.Binding) != 0 {
		hash := i.Binding.GSSHash()
		copy(binding, hash[:])
	}
	ps = ps.set(AVChannelBindings, binding)
	if _, ok := ps.Get(AVTargetName); ok || i.TargetName != "" {
		ps = ps.set(AVTargetName, appendUTF16(nil, i.TargetName))
	}
	return ps, nil
}

func (i *Initiator) now() time.Time {
	if i.Now != nil {
		return i.Now()
	}
	return time.Now()
}

func (i *Initiator) random(b []byte) {
	if i.testOnlyRandom != nil {
		i.testOnlyRandom(b)
		return
	}
	_, _ = rand.Read(b) // never fails (crypto/rand)
}
