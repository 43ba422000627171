package iwa

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/spnego"
)

// The HTTP schemes.
const (
	schemeNegotiate = "Negotiate"
	schemeNTLM      = "NTLM"
)

// maxToken bounds a token after base64. The header limit of the server comes
// first in practice.
const maxToken = 128 << 10

// Authenticator accepts Negotiate and NTLM. Its fields must not change once
// it is in use; it is safe for concurrent use then and must not be copied.
type Authenticator struct {
	Kerberos authn.Mechanism // nil: Kerberos is refused
	NTLM     authn.Mechanism // nil: NTLM is refused, raw and inside Negotiate

	// NoNegotiate offers and accepts the scheme NTLM only. Browsers prefer
	// Negotiate to NTLM whatever the order, so clients without a domain
	// controller in sight need it not to be offered.
	NoNegotiate bool

	// KerberosPerConnection keeps a connection logged in after Kerberos too,
	// unless requests on it passed a proxy. The default is to check each
	// request.
	KerberosPerConnection bool

	// AllowForwarded keeps connections logged in whose requests passed a
	// proxy, which NTLM needs. It is dangerous: a proxy that sends the requests
	// of several clients over one connection mixes their identities up.
	AllowForwarded bool

	// PerRequest has a login count for the request that completes it, and not for
	// its connection, so that proxies may send requests of several clients over
	// one. Whoever sets it begins a session at each login, or has NTLM clients log
	// in for each request. A handshake still needs all its legs to come over one
	// connection, and is refused otherwise.
	PerRequest bool

	// Binding returns the channel bindings that a client of r may use, of which
	// any one fits. Most servers listen with NewTLSListener and leave it nil:
	// then it is the binding of the certificate that the connection presented.
	// Where TLS ends elsewhere it is what FixedBinding returns. Once set, nothing
	// else counts. Over TLS whose bindings are not known those of clients are
	// not checked, and a mechanism that requires them refuses everybody.
	Binding func(r *http.Request) authn.Bindings

	// HandshakeTimeout is how long a client may take to answer a challenge
	// before its connection is closed. Zero means 30 s. It should be shorter
	// than the server's IdleTimeout, which ends such connections too.
	HandshakeTimeout time.Duration

	// MaxHandshakes is how many handshakes of one client address, or IPv6
	// network of 64 bits, may wait for the client's answer at a time. Zero means
	// 64. One more takes the place of that which waits longest, whose
	// connection is closed; if all of them began within the last two seconds it
	// is answered with 503 instead. So whoever wants to keep others behind the
	// same NAT from logging in has to open that many connections every two
	// seconds, for as long as it shall last, and a server that sees many
	// clients under one address needs a higher limit.
	MaxHandshakes int

	// Logger gets a warning, once for each cause, when NTLM cannot be offered,
	// and a line for each connection that was closed in a handshake. Nil means
	// slog.Default().
	Logger *slog.Logger

	warned  sync.Map // causes
	waiting waiting

	testOnlyNow func() time.Time
}

var _ authn.Authenticator = (*Authenticator)(nil)

// Challenges implements authn.Authenticator.
func (a *Authenticator) Challenges(r *http.Request) []authn.Challenge {
	ntlm := a.NTLM != nil
	if ntlm {
		if cause, hint := a.noNTLM(r); cause != "" {
			a.warn(r, cause, hint)
			ntlm = false
		}
	}
	var cs []authn.Challenge
	if !a.NoNegotiate && (a.Kerberos != nil || ntlm) {
		cs = append(cs, authn.Challenge{Scheme: schemeNegotiate})
	}
	if ntlm {
		cs = append(cs, authn.Challenge{Scheme: schemeNTLM})
	}
	return cs
}

// Schemes returns what Challenges offers at most, whatever the request is.
func (a *Authenticator) Schemes() []string {
	var s []string
	if !a.NoNegotiate && (a.Kerberos != nil || a.NTLM != nil) {
		s = append(s, schemeNegotiate)
	}
	if a.NTLM != nil {
		s = append(s, schemeNTLM)
	}
	return s
}

// noNTLM says why r's connection cannot be logged in, and what to do about it.
func (a *Authenticator) noNTLM(r *http.Request) (cause, hint string) {
	switch {
	case r.ProtoMajor != 1:
		return r.Proto, "NTLM needs HTTP/1.1: use iwa.Server, or switch HTTP/2 off in http.Server.Protocols"
	case stateOf(r) == nil:
		return "no ConnContext", "use iwa.Server, or set http.Server.ConnContext to iwa.ConnContext"
	}
	if via := a.viaProxy(r); via != "" && !a.PerRequest {
		return via, hintMultiplexed + "; if the proxy does, set AllowForwarded"
	}
	return "", ""
}

// warn tells the operator once why NTLM is not offered.
func (a *Authenticator) warn(r *http.Request, cause, hint string) {
	if _, told := a.warned.LoadOrStore(cause, true); told {
		return
	}
	a.logger().LogAttrs(r.Context(), slog.LevelWarn, "NTLM is not offered", slog.String("cause", cause), slog.String("hint", hint))
}

// connState is the refusal of an exchange that needs a connection of its own.
func (a *Authenticator) connState(r *http.Request, scheme string) error {
	_, hint := a.noNTLM(r)
	return refuse(scheme, authn.ReasonPolicy, hint, authn.ErrConnState)
}

// Authenticate implements authn.Authenticator.
func (a *Authenticator) Authenticate(r *http.Request) (*authn.Result, error) {
	state := stateOf(r)
	scheme, rest, ok := authn.Authorization(r)
	switch {
	case !ok:
		return a.resume(r, state)
	case !a.NoNegotiate && strings.EqualFold(scheme, schemeNegotiate):
		scheme = schemeNegotiate
	case strings.EqualFold(scheme, schemeNTLM):
		scheme = schemeNTLM
	default:
		return nil, authn.ErrNoCredentials
	}
	token, err := decodeToken(rest)
	if err != nil {
		return nil, refuse(scheme, authn.ReasonMalformed, "", err)
	}
	if state == nil {
		return a.stateless(r, scheme, token)
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	return a.step(r, state, scheme, token)
}

// resume answers a request without credentials for the user its connection is
// logged in as.
func (a *Authenticator) resume(r *http.Request, state *connState) (*authn.Result, error) {
	if state == nil || a.PerRequest { // where it may be another client's, between the legs of a handshake
		return nil, authn.ErrNoCredentials
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	state.stopWaiting() // the client gave its handshake up
	id := state.identity(a)
	if id == nil {
		return nil, authn.ErrNoCredentials
	}
	if via := a.viaProxy(r); via != "" {
		state.reset()
		return nil, multiplexed(id, via)
	}
	return &authn.Result{Identity: id}, nil
}

// stateless accepts an exchange that is over in one leg, which Kerberos is.
func (a *Authenticator) stateless(r *http.Request, scheme string, token []byte) (*authn.Result, error) {
	kind := spnego.KindOf(token)
	if kind == spnego.KindNTLM || kind == spnego.KindResp {
		return nil, a.connState(r, scheme)
	}
	acceptor, err := a.newAcceptor(r, scheme, token, true)
	if err != nil {
		return nil, err
	}
	reply, id, err := acceptor.Step(r.Context(), token)
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, a.connState(r, scheme)
	}
	return complete(scheme, reply, id), nil
}

// step gives the connection's exchange its next token.
func (a *Authenticator) step(r *http.Request, state *connState, scheme string, token []byte) (*authn.Result, error) {
	x := state.reset() // whatever happens, the old login does not outlive a new attempt
	var acceptor authn.Acceptor
	if x != nil && x.by == a && x.scheme == scheme && !opensExchange(token) {
		acceptor = x.acceptor
	} else {
		var err error
		if acceptor, err = a.newAcceptor(r, scheme, token, false); err != nil {
			return nil, err
		}
	}
	reply, id, err := acceptor.Step(r.Context(), token)
	if err != nil {
		return nil, err
	}
	if id == nil {
		if r.Close {
			return nil, refuse(scheme, authn.ReasonPolicy, hintClose, errors.New("iwa: handshake over a connection that is to be closed"))
		}
		if err := a.wait(state, scheme, acceptor); err != nil {
			return nil, err
		}
		return &authn.Result{Continue: challenge(scheme, reply)}, nil
	}
	shared := a.viaProxy(r)
	if shared == "" && state.last != "" && state.last != id.String() {
		shared = "login of " + state.last + " on the same connection"
	}
	fresh := state.last != id.String()
	state.last = id.String()
	switch {
	case a.PerRequest:
		// A handshake is one login, and where a proxy forwards the caller of before
		// was at another client, which has the session.
		fresh = fresh || id.Mechanism == authn.MechanismNTLM || shared != ""
	case id.Mechanism == authn.MechanismNTLM && shared != "":
		return nil, multiplexed(id, shared)
	case id.Mechanism == authn.MechanismNTLM, a.KerberosPerConnection && shared == "":
		state.id, state.by = id, a
	}
	res := complete(scheme, reply, id)
	res.Fresh = fresh || state.id != nil // not each check of a Kerberos connection
	res.Persistent = state.id != nil
	return res, nil
}

// newAcceptor starts the exchange that token opens.
func (a *Authenticator) newAcceptor(r *http.Request, scheme string, token []byte, kerberosOnly bool) (authn.Acceptor, error) {
	x := authn.Exchange{Peer: r.RemoteAddr, TLS: r.TLS != nil, Bindings: a.bindings(r)}
	ntlm := a.NTLM
	if kerberosOnly {
		ntlm = nil
	}
	kind := spnego.KindOf(token)
	switch {
	case kind == spnego.KindNTLM && ntlm != nil:
		return ntlm.NewAcceptor(x), nil
	case kind == spnego.KindNTLM && a.Kerberos == nil:
		return nil, refuse(scheme, authn.ReasonMechanism, "set Kerberos or NTLM of iwa.Authenticator", errors.New("iwa: no mechanism is enabled"))
	case kind == spnego.KindNTLM && scheme == schemeNTLM:
		return nil, refuse(scheme, authn.ReasonMechanism, "the client was not offered NTLM and insists on it; have it use Negotiate", errors.New("iwa: NTLM is not enabled"))
	case kind == spnego.KindNTLM:
		return nil, refuse(scheme, authn.ReasonMechanism,
			"the client got no Kerberos ticket for this service and fell back to NTLM, which is not enabled here: check the SPN, DNS name and clock",
			errors.New("iwa: NTLM is not enabled"))
	case scheme == schemeNTLM:
		return nil, refuse(scheme, authn.ReasonMalformed, "", errors.New("iwa: not an NTLM message"))
	case kind == spnego.KindKerberos && a.Kerberos != nil:
		return a.Kerberos.NewAcceptor(x), nil
	case kind == spnego.KindKerberos:
		return nil, refuse(scheme, authn.ReasonMechanism, "configure a keytab to accept Kerberos", errors.New("iwa: Kerberos is not enabled"))
	case kind == spnego.KindInit:
		var ms []authn.Mechanism
		if a.Kerberos != nil {
			ms = append(ms, a.Kerberos)
		}
		if ntlm != nil {
			ms = append(ms, ntlm)
		}
		return spnego.NewAcceptor(ms, x), nil
	case kind == spnego.KindResp:
		return nil, refuse(scheme, authn.ReasonOutOfOrder,
			"a proxy or load balancer may be spreading one client over several connections",
			errors.New("iwa: continuation of an exchange that did not begin on this connection"))
	}
	return nil, refuse(scheme, authn.ReasonMalformed, "", errors.New("iwa: token of unknown kind"))
}

// opensExchange reports whether token begins an exchange whatever went before.
func opensExchange(token []byte) bool {
	switch spnego.KindOf(token) {
	case spnego.KindInit, spnego.KindKerberos:
		return true
	case spnego.KindNTLM:
		return len(token) > 8 && token[8] == 1 // NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1)
	}
	return false
}

// forwardingHeaders are what reverse and forward proxies add to requests
// (RFC 9110 7.6.3, RFC 7239), in canonical form.
var forwardingHeaders = [...]string{"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// viaProxy names the header that shows that r passed a proxy.
func (a *Authenticator) viaProxy(r *http.Request) string {
	if a.AllowForwarded {
		return ""
	}
	for _, h := range forwardingHeaders {
		if len(r.Header[h]) > 0 {
			return "header " + h
		}
	}
	return ""
}

const hintMultiplexed = "the login is the connection's, so a proxy in between must keep one connection per client; through proxies use Kerberos, checked for each request"

const hintClose = "the client asks to close the connection after each request (Connection: close, or HTTP/1.0), but the handshake lives on its connection: have it keep connections alive"

func multiplexed(id *authn.Identity, evidence string) error {
	return &authn.RefusedError{
		Mechanism: id.Mechanism, Reason: authn.ReasonPolicy, User: id.String(),
		Hint: hintMultiplexed,
		Err:  fmt.Errorf("iwa: connection may be shared by several clients: %s: %w", evidence, authn.ErrConnState),
	}
}

func decodeToken(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("iwa: no token")
	}
	if base64.StdEncoding.DecodedLen(len(s)) > maxToken {
		return nil, errors.New("iwa: token too long")
	}
	token, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, errors.New("iwa: token is not base64")
	}
	return token, nil
}

func complete(scheme string, reply []byte, id *authn.Identity) *authn.Result {
	res := &authn.Result{Identity: id, Fresh: true}
	if len(reply) > 0 {
		res.Final = challenge(scheme, reply)
	}
	return res
}

func challenge(scheme string, token []byte) *authn.Challenge {
	return &authn.Challenge{Scheme: scheme, Param: base64.StdEncoding.EncodeToString(token)}
}

func refuse(scheme string, reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: scheme, Reason: reason, Hint: hint, Err: err}
}

func (a *Authenticator) logger() *slog.Logger {
	if a.Logger != nil {
		return a.Logger
	}
	return slog.Default()
}

func (a *Authenticator) now() time.Time {
	if a.testOnlyNow != nil {
		return a.testOnlyNow()
	}
	return time.Now()
}
