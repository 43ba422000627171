package ntlm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
)

// mechName is the name of the mechanism in identities and refusals.
const mechName = authn.MechanismNTLM

// defaultLifetime is how long an answer to a challenge may take. A client has
// its password before it opens the exchange, so that this is one round trip.
const defaultLifetime = 2 * time.Minute

// OID returns the object identifier of NTLM in SPNEGO,
// 1.3.6.1.4.1.311.2.2.10 (MS-SPNG 1.9).
func OID() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
}

// maxNegotiate bounds the first message, which is kept until the client
// answers. Its header of 40 bytes is followed by the names of a domain and of a
// computer, for which DNS allows 255 bytes each and NetBIOS 15.
const maxNegotiate = 576

// Names are what a server says of itself in its challenge. A client signs them
// in its answer, which ties the answer to this server. An empty one is left
// out.
type Names struct {
	Domain   string // NetBIOS name of the domain; the target name
	Computer string // NetBIOS name of the server; a domain controller wants it to be the computer account's
	DNS      DNSNames
}

// DNSNames are the DNS counterparts of Names.
type DNSNames struct {
	Domain   string // corp.test
	Computer string // gw01.corp.test
	Forest   string // corp.test
}

// Mechanism accepts NTLMv2 logins. Verifier must be set, and a name in Names
// should be; every other field may be left zero. The fields must not change
// after the first exchange. It is safe for concurrent use.
//
// An acceptor also implements authn.MessageSigner, usable once it returned an
// identity and if the client asked for signing.
type Mechanism struct {
	Verifier Verifier
	Names    Names

	// Binding says what is demanded of channel bindings. BindingRequired
	// demands a MIC too and, where there is no TLS to bind to, a name out of
	// TargetNames. Over TLS whose binding authn.Exchange does not tell, because
	// the server does not listen with iwa.NewTLSListener, BindingRequired refuses
	// everybody, and BindingSupported checks nothing and warns of it once.
	Binding authn.BindingPolicy

	// RequireMIC refuses clients that do not protect the three messages by a
	// MIC. Curl and others send none.
	RequireMIC bool

	// TargetNames are the service principal names that a client may mean, such
	// as HTTP/gw.corp.test. Case does not matter, and neither does a port
	// unless the entry has one. Empty means any. A client that names no target
	// passes.
	TargetNames []string

	// ChallengeLifetime is how long a challenge can be answered. Zero means
	// two minutes.
	ChallengeLifetime time.Duration

	Logger *slog.Logger     // nil means slog.Default(); for warnings
	Now    func() time.Time // nil means time.Now

	unbound uint32 // atomic: 1 once it was said that Exchange.Bindings are not known; a Mechanism may be copied

	testOnlyChallenge   func() [8]byte
	testOnlyNoTimestamp bool // as the examples of MS-NLMP 4.2
}

var _ authn.Mechanism = (*Mechanism)(nil)

// OID implements authn.Mechanism.
func (m *Mechanism) OID() asn1.ObjectIdentifier { return OID() }

// NewAcceptor implements authn.Mechanism.
func (m *Mechanism) NewAcceptor(x authn.Exchange) authn.Acceptor {
	return &acceptor{m: m, x: x}
}

// Check reports a configuration under which no login can succeed, or under
// which clients cannot tell which server their answer is for.
func (m *Mechanism) Check() error {
	var missing []error
	if m.Verifier == nil {
		missing = append(missing, errNoVerifier)
	}
	if m.Names.Domain == "" && m.Names.Computer == "" {
		missing = append(missing, errNoNames)
	}
	return errors.Join(missing...)
}

var (
	errNoVerifier = errors.New("ntlm: Mechanism has no Verifier, so nobody can log in: set it, for example to what NewAccounts returns")
	errNoNames    = errors.New("ntlm: Mechanism has neither Names.Domain nor Names.Computer for its challenge")
)

func (m *Mechanism) logger() *slog.Logger {
	if m.Logger != nil {
		return m.Logger
	}
	return slog.Default()
}

// warnUnbound says once that channel bindings cannot be checked.
func (m *Mechanism) warnUnbound() {
	if atomic.CompareAndSwapUint32(&m.unbound, 0, 1) {
		m.logger().Warn("channel bindings are not checked", slog.String("hint", hintBindingUnknown))
	}
}

func (m *Mechanism) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func (m *Mechanism) lifetime() time.Duration {
	if m.ChallengeLifetime > 0 {
		return m.ChallengeLifetime
	}
	return defaultLifetime
}

// acceptor is one exchange: it waits for NEGOTIATE, then for AUTHENTICATE, and
// then only signs.
type acceptor struct {
	m     *Mechanism
	x     authn.Exchange
	state acceptorState

	offered   Flags // by the client
	agreed    Flags // in our challenge
	challenge [8]byte
	sent      time.Time
	first     []byte // NEGOTIATE, for the MIC; our challenge is made again

	*signer
}

type acceptorState int

const (
	stateStart acceptorState = iota
	stateChallenged
	stateClosed
)

var (
	_ authn.Acceptor      = (*acceptor)(nil)
	_ authn.MessageSigner = (*acceptor)(nil)
)

// Format implements fmt.Formatter, so that no verb shows a key.
func (a *acceptor) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "NTLM acceptor for %s", a.x.Peer)
}

// Step implements authn.Acceptor.
func (a *acceptor) Step(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	state := a.state
	a.state = stateClosed // unless this token is the right one; there is no second try
	switch typ := messageType(token); {
	case typ == typeNegotiate && state == stateStart:
		reply, err := a.negotiate(token)
		if err != nil {
			return nil, nil, err
		}
		a.state = stateChallenged
		return reply, nil, nil
	case typ == typeAuthenticate && state == stateChallenged:
		id, err := a.authenticate(ctx, token)
		return nil, id, err
	case typ == 0:
		return nil, nil, refuse(authn.ReasonMalformed, "", "", errors.New("not an NTLM message"))
	default:
		return nil, nil, refuse(authn.ReasonOutOfOrder, "", hintOutOfOrder,
			fmt.Errorf("message %d in step %d", typ, state))
	}
}

// negotiate answers the first message (MS-NLMP 3.2.5.1.1).
func (a *acceptor) negotiate(token []byte) ([]byte, error) {
	neg, err := ParseNegotiate(token)
	switch {
	case err != nil:
		return nil, refuse(authn.ReasonMalformed, "", "", err)
	case neg.Flags&(FlagUnicode|FlagOEM) == 0:
		return nil, refuse(authn.ReasonMalformed, "", "", errors.New("no character set offered"))
	case neg.Flags.Has(FlagDatagram):
		return nil, refuse(authn.ReasonMalformed, "", "", errors.New("connectionless NTLM"))
	case !neg.Flags.Has(FlagExtendedSecurity):
		return nil, refuse(authn.ReasonWeak, "", hintV1, errors.New("client offers NTLMv1 only"))
	case len(token) > maxNegotiate:
		return nil, refuse(authn.ReasonMalformed, "", "", fmt.Errorf("NEGOTIATE of %d bytes, want at most %d", len(token), maxNegotiate))
	case a.m.Verifier == nil:
		return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, errNoVerifier)
	}
	a.offered = neg.Flags
	// Only what the client offered is agreed to, but for the flags that are
	// the server's to set.
	a.agreed = neg.Flags&(FlagUnicode|FlagRequestTarget|FlagSign|FlagSeal|FlagAlwaysSign|
		FlagExtendedSecurity|FlagVersion|Flag128|FlagKeyExchange|Flag56) |
		FlagNTLM | FlagTargetInfo
	if !a.agreed.Has(FlagUnicode) {
		a.agreed |= FlagOEM
	}
	a.challenge = newChallenge(a.m)
	a.sent = a.m.now()
	a.first = bytes.Clone(token)
	c := a.message()
	return c.Append(make([]byte, 0, 512)), nil
}

// message returns our challenge, the same one each time. It is cheaper to make
// again than to keep for each connection.
func (a *acceptor) message() *Challenge {
	names := &a.m.Names
	c := &Challenge{Flags: a.agreed, ServerChallenge: a.challenge, TargetInfo: targetInfo(names, a.sent)}
	if a.m.testOnlyNoTimestamp {
		c.TargetInfo = c.TargetInfo[:len(c.TargetInfo)-1]
	}
	if c.Flags.Has(FlagRequestTarget) {
		kind := FlagTargetTypeDomain
		if c.TargetName = names.Domain; c.TargetName == "" {
			c.TargetName, kind = names.Computer, FlagTargetTypeServer
		}
		c.Flags |= kind
		if _, err := decodeOEM([]byte(c.TargetName)); err != nil && c.Flags.Has(FlagOEM) {
			c.TargetName = "" // the code page is not known; the target info has it
		}
	}
	if c.Flags.Has(FlagVersion) {
		c.Version = Version{Major: 10, Build: 17763, Revision: 15} // a Windows server's, not ours
	}
	return c
}

func newChallenge(m *Mechanism) (c [8]byte) {
	if m.testOnlyChallenge != nil {
		return m.testOnlyChallenge()
	}
	_, _ = rand.Read(c[:]) // never fails (crypto/rand)
	return c
}

// targetInfo is what the client must send back unchanged.
func targetInfo(n *Names, now time.Time) AVPairs {
	ps := make(AVPairs, 0, 6)
	values := make([]byte, 0, 128) // of all pairs
	for _, p := range [...]struct {
		id   AVID
		name string
	}{
		{AVDomain, n.Domain}, {AVComputer, n.Computer},
		{AVDNSDomain, n.DNS.Domain}, {AVDNSComputer, n.DNS.Computer}, {AVDNSForest, n.DNS.Forest},
	} {
		if p.name != "" {
			begin := len(values)
			values = appendUTF16(values, p.name)
			ps = append(ps, AVPair{p.id, values[begin:]})
		}
	}
	// A timestamp makes clients add a MIC (MS-NLMP 3.1.5.1.2).
	begin := len(values)
	values = le.AppendUint64(values, filetime(now))
	return append(ps, AVPair{AVTimestamp, values[begin:]})
}

// authenticate judges the second message (MS-NLMP 3.2.5.1.2). What can be
// decided without the verifier is decided before it is asked.
func (a *acceptor) authenticate(ctx context.Context, token []byte) (*authn.Identity, error) {
	var msg Authenticate
	if err := msg.parse(token, nil); err != nil {
		if errors.Is(err, errOEM) {
			return nil, refuse(authn.ReasonMalformed, "", hintOEM, err)
		}
		return nil, refuse(authn.ReasonMalformed, "", "", err)
	}
	user := claimed(&msg)
	now := a.m.now()
	if age := now.Sub(a.sent); age > a.m.lifetime() {
		return nil, refuse(authn.ReasonExpired, user, "", fmt.Errorf("challenge answered after %v", age.Round(time.Second)))
	}
	var (
		pairs [16]AVPair
		resp  = Response{Pairs: pairs[:0]}
	)
	if err := a.checkMessage(&msg, &resp, user); err != nil {
		return nil, err
	}
	av, err := resp.Pairs.avFlags()
	if err != nil {
		return nil, refuse(authn.ReasonMalformed, user, "", err)
	}
	ours := a.message()
	if err := a.checkTarget(ours.TargetInfo, resp.Pairs, av, user); err != nil {
		return nil, err
	}
	hasMIC := av&AVFlagMIC != 0
	switch {
	case hasMIC && msg.MIC == nil:
		return nil, refuse(authn.ReasonIntegrity, user, "", errors.New("MIC announced and absent"))
	case !hasMIC && (a.m.RequireMIC || a.m.Binding == authn.BindingRequired):
		return nil, refuse(authn.ReasonIntegrity, user, hintNoMIC, errors.New("no MIC"))
	}
	// MS-NLMP 3.2.5.1.2
	flags := msg.Flags & a.agreed
	exchanged := flags.Has(FlagKeyExchange) && flags&(FlagSign|FlagSeal) != 0
	if exchanged && len(msg.SessionKey) != len(SessionBaseKey{}) {
		return nil, refuse(authn.ReasonMalformed, user, "", fmt.Errorf("session key of %d bytes", len(msg.SessionKey)))
	}

	id, base, err := a.m.Verifier.VerifyNTLM(ctx, &Attempt{
		User: msg.User, Domain: msg.Domain, Workstation: msg.Workstation,
		ServerChallenge: a.challenge, Response: msg.NTResponse, Peer: a.x.Peer,
	})
	if err != nil {
		return nil, verifierError(err, user)
	}
	if id == nil || base == (SessionBaseKey{}) {
		return nil, errors.New("ntlm: verifier returned neither an error nor an identity with a key")
	}

	exported := [16]byte(base)
	if exchanged {
		exported = exchangeKey(base, msg.SessionKey)
	}
	if hasMIC {
		mic := messageMIC(&exported, a.first, ours.Append(make([]byte, 0, 512)), token)
		if !hmac.Equal(mic[:], msg.MIC) {
			return nil, refuse(authn.ReasonIntegrity, user, hintMIC, errors.New("MIC does not fit the messages"))
		}
	}
	a.first = nil
	a.signer = newSigner(flags, exported, true)
	return loggedIn(id, now), nil
}

// loggedIn is id as this login leaves it: there is no evidence after NTLM.
func loggedIn(id *authn.Identity, now time.Time) *authn.Identity {
	c := *id
	c.Mechanism, c.AuthTime, c.Evidence = mechName, now, nil
	return &c
}

// checkMessage refuses all but NTLMv2 and parses the response.
func (a *acceptor) checkMessage(msg *Authenticate, resp *Response, user string) error {
	charset := msg.Flags & FlagUnicode
	if charset == 0 {
		charset = msg.Flags & FlagOEM
	}
	switch {
	case charset == 0 || !a.offered.Has(charset):
		return refuse(authn.ReasonMalformed, user, "", errors.New("character set was not negotiated"))
	case msg.Flags.Has(FlagAnonymous), msg.User == "":
		return refuse(authn.ReasonAnonymous, user, hintAnonymous, nil)
	case len(msg.NTResponse) == 0:
		return refuse(authn.ReasonWeak, user, hintV1, errors.New("LM response only"))
	case len(msg.NTResponse) <= responseV1:
		return refuse(authn.ReasonWeak, user, hintV1, errors.New("NTLMv1 response"))
	}
	if err := resp.parse(msg.NTResponse); err != nil {
		return refuse(authn.ReasonMalformed, user, "", err)
	}
	return nil
}
