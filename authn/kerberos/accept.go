package kerberos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// DefaultSkew is how far the clocks of client and server may differ when
// Mechanism.Skew is zero. Windows and MIT Kerberos use the same.
const DefaultSkew = 5 * time.Minute

// maxToken bounds a token. A PAC of 1015 groups with a forwarded ticket takes
// 19 KiB.
const maxToken = 128 << 10

// OID returns the object identifier of the mechanism (RFC 4121 1.1).
func OID() asn1.ObjectIdentifier { return krb5.OIDKerberos() }

// Mechanism accepts Kerberos logins to a service (RFC 4121). Only Keytab must
// be set; the zero values of the other fields are the safe choice. The fields
// must not change once it is in use. It is safe for concurrent use and must
// not be copied.
type Mechanism struct {
	Keytab *Keytab

	// SPNs are the names clients may ask for, such as HTTP/app.corp.test. Case
	// does not matter. Empty means every service name in the keytab. Of a
	// keytab with several accounts only those that own one of the names count.
	SPNs []string

	// Realms are the realms clients may belong to. Empty means those our KDC
	// vouches for.
	Realms []string

	// Binding says what is demanded of channel bindings. Over TLS whose binding
	// authn.Exchange does not tell, BindingRequired refuses everybody, and
	// BindingSupported checks nothing and warns of it once.
	Binding authn.BindingPolicy

	// Skew is how far clocks may differ. Zero means DefaultSkew. It must be the
	// same in all Mechanisms that share a Keytab or Replay: an authenticator is
	// remembered for as long as the one that took it would take it again.
	Skew time.Duration

	// Replay remembers authenticators; a login waits for it for five seconds at
	// most. Nil means a MemoryReplayCache that all Mechanisms over the same
	// *Keytab share. That is not enough where several nodes or Keytabs have keys
	// of one account, and forgets when the process ends.
	Replay ReplayCache

	// AllowNoPAC lists realms, of MIT or Heimdal KDCs, whose tickets need not
	// say who the client is in Windows terms. Such callers have a name and no
	// groups.
	AllowNoPAC []string

	// AllowRC4 takes tickets and session keys of type rc4-hmac, which whoever
	// has a ticket can try to guess the service's password from.
	AllowRC4 bool

	// AllowForwardedTGT keeps ticket-granting tickets that clients forward.
	// With one this process can act as the caller anywhere, not only at listed
	// services, so constrained delegation is the better choice.
	AllowForwardedTGT bool

	Logger *slog.Logger     // nil means slog.Default(); for warnings
	Now    func() time.Time // nil means time.Now

	services atomic.Pointer[serviceKeys]
	warnings sync.Map  // service name -> time of the last RC4 warning
	unbound  sync.Once // warns that Exchange.Bindings are not known
}

var _ authn.Mechanism = (*Mechanism)(nil)

// OID implements authn.Mechanism.
func (m *Mechanism) OID() asn1.ObjectIdentifier { return OID() }

// NewAcceptor implements authn.Mechanism.
func (m *Mechanism) NewAcceptor(x authn.Exchange) authn.Acceptor {
	return &acceptor{m: m, x: x}
}

// Check reports a configuration under which no login can succeed, and a changed
// keytab that could not take the place of the one before.
func (m *Mechanism) Check() error {
	s, err := m.serviceKeys()
	if err != nil {
		return err
	}
	return errors.Join(s.stale, m.Keytab.Err())
}

func (m *Mechanism) logger() *slog.Logger {
	if m.Logger != nil {
		return m.Logger
	}
	return slog.Default()
}

func (m *Mechanism) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func (m *Mechanism) skew() time.Duration {
	if m.Skew > 0 {
		return m.Skew
	}
	return DefaultSkew
}

// acceptor is one exchange, which takes one token.
type acceptor struct {
	m    *Mechanism
	x    authn.Exchange
	used bool
	mic  *signer // after the exchange
}

var (
	_ authn.Acceptor      = (*acceptor)(nil)
	_ authn.MessageSigner = (*acceptor)(nil)
)

// Step implements authn.Acceptor. An error is an *authn.RefusedError, or wraps
// authn.ErrUnavailable if the replay cache cannot tell.
func (a *acceptor) Step(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	l := &login{m: a.m, x: a.x, now: a.m.now()}
	if a.used {
		return nil, nil, l.refuse(authn.ReasonOutOfOrder, "", errors.New("kerberos: second token in an exchange of one"))
	}
	a.used = true
	if len(token) > maxToken {
		return nil, nil, l.refuse(authn.ReasonMalformed, "", fmt.Errorf("kerberos: token of %d bytes", len(token)))
	}
	oid, kind, body, err := krb5.UnframeToken(token)
	if err != nil {
		return nil, nil, l.refuse(authn.ReasonMalformed, "", err)
	}
	if !oid.Equal(krb5.OIDKerberos()) && !oid.Equal(krb5.OIDMicrosoftKerberos()) {
		return nil, nil, l.refuse(authn.ReasonMechanism, "", fmt.Errorf("kerberos: token of mechanism %v", oid))
	}
	if kind != krb5.TokenAPReq {
		return nil, nil, l.refuse(authn.ReasonOutOfOrder, "", fmt.Errorf("kerberos: token %#04x where an AP-REQ belongs", uint16(kind)))
	}
	id, rep, err := l.accept(ctx, body)
	if err != nil {
		return nil, nil, err
	}
	var reply []byte
	if rep != nil {
		if reply, err = krb5.FrameToken(oid, krb5.TokenAPRep, rep); err != nil {
			return nil, nil, err
		}
	}
	a.mic = &signer{key: l.contextKey(), acceptor: true, seq: uint64(l.seq)}
	return reply, id, nil
}

var errNoContext = errors.New("kerberos: exchange is not complete")

// GetMIC implements authn.MessageSigner.
func (a *acceptor) GetMIC(msg []byte) ([]byte, error) {
	if a.mic == nil {
		return nil, errNoContext
	}
	return a.mic.GetMIC(msg)
}

// VerifyMIC implements authn.MessageSigner.
func (a *acceptor) VerifyMIC(msg, mic []byte) error {
	if a.mic == nil {
		return errNoContext
	}
	return a.mic.VerifyMIC(msg, mic)
}

// login is the state of one AP-REQ. Its methods are the steps of RFC 4120
// 3.2.3 and RFC 4121 in the order accept calls them; each error is the answer.
type login struct {
	m   *Mechanism
	x   authn.Exchange
	now time.Time

	req    *krb5.APReq
	opened *openedTicket
	key    krb5.Key // of the service, the one that opened the ticket
	ticket *krb5.EncTicketPart
	auth   *krb5.Authenticator
	gss    *gssChecksum
	user   string         // client name and realm, once the ticket is open
	pac    *pac.LogonInfo // nil: none, or it does not describe a Windows account
	seq    uint32         // our first sequence number
}

// accept returns the caller and the AP-REP, which is nil if none was asked for.
func (l *login) accept(ctx context.Context, apReq []byte) (*authn.Identity, []byte, error) {
	var err error
	if l.req, err = krb5.ParseAPReq(apReq); err != nil {
		return nil, nil, l.refuse(authn.ReasonMalformed, "", err)
	}
	if l.req.Options.Has(krb5.APUseSessionKey) {
		return nil, nil, l.refuse(authn.ReasonPolicy, "the client must ask for the service by its SPN",
			errors.New("kerberos: user-to-user ticket"))
	}
	for _, step := range []func() error{
		l.openTicket, l.checkTicket, l.openAuthenticator, l.checkSkew, l.checkContext,
	} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	id, err := l.identity()
	if err != nil {
		return nil, nil, err
	}
	if err := l.checkReplay(ctx, id.SID); err != nil {
		return nil, nil, err
	}
	rep, err := l.reply()
	if err != nil {
		return nil, nil, err
	}
	return id, rep, nil
}

// openAuthenticator decrypts the proof that the sender knows the ticket's
// session key and checks that it names the client the KDC named.
func (l *login) openAuthenticator() error {
	sealed := l.req.Authenticator
	if sealed.EType != l.ticket.Key.EType() {
		return l.refuse(authn.ReasonMalformed, "", fmt.Errorf("kerberos: authenticator of type %v with a session key of type %v",
			sealed.EType, l.ticket.Key.EType()))
	}
	b, err := l.ticket.Key.Decrypt(krb5.UsageAPReqAuthenticator, sealed.Cipher)
	if err != nil {
		return l.refuse(authn.ReasonIntegrity, "the sender has the ticket but not its session key, or the token was altered on the way",
			fmt.Errorf("kerberos: authenticator: %w", err))
	}
	if l.auth, err = krb5.ParseAuthenticator(b); err != nil {
		return l.malformed(err)
	}
	// RFC 4120 3.2.3 demands both name and realm.
	if !l.auth.CName.Equal(l.ticket.CName) || l.auth.CRealm != l.ticket.CRealm {
		return l.refuse(authn.ReasonIntegrity, "", fmt.Errorf("kerberos: authenticator names %s@%s, the ticket another client",
			l.auth.CName, l.auth.CRealm))
	}
	return nil
}

func (l *login) checkSkew() error {
	behind := l.now.Sub(l.auth.Time())
	if behind.Abs() <= l.m.skew() {
		return nil
	}
	word := "behind"
	if behind < 0 {
		word = "ahead of"
	}
	return l.refuse(authn.ReasonClockSkew,
		fmt.Sprintf("the client's clock is %v %s ours, %v is allowed: have both follow the domain's time (w32tm /resync, chronyc makestep)",
			behind.Abs().Round(time.Second), word, l.m.skew()),
		errors.New("kerberos: clocks differ too much"))
}

// checkContext looks at what the client asks of the GSS context (RFC 4121
// 4.1.1) and at the channel bindings.
func (l *login) checkContext() error {
	sum := l.auth.Checksum
	if sum == nil || sum.Type != krb5.GSSChecksum {
		return l.refuse(authn.ReasonMalformed, "the client does not speak GSS-API", errors.New("kerberos: authenticator without GSS checksum"))
	}
	var err error
	if l.gss, err = parseGSSChecksum(sum.Sum); err != nil {
		return l.refuse(authn.ReasonMalformed, "", err)
	}
	if l.gss.flags&contextDCEStyle != 0 {
		return l.refuse(authn.ReasonPolicy, "", errors.New("kerberos: client wants the three legs of DCE RPC"))
	}
	return l.checkBinding()
}

// checkBinding compares the TLS connection the client means to be on with the
// one it is on.
func (l *login) checkBinding() error {
	switch {
	case l.m.Binding == authn.BindingOff:
		return nil
	case l.x.TLS && !l.x.Bindings.Known():
		return l.bindingUnknown()
	case l.gss.hasBinding():
		if l.x.Bindings.Fit(l.gss.binding[:]) {
			return nil
		}
		hint := "somebody relays the login of a client that is connected elsewhere, or a proxy ends TLS with another certificate: give that certificate to the channel binding settings"
		if !l.x.Bindings.Known() {
			hint = "the client is on TLS and we are not: a proxy ends TLS in front of us; give its certificate to the channel binding settings, or switch bindings off"
		}
		return l.refuse(authn.ReasonChannelBinding, hint, errors.New("kerberos: channel bindings of another connection"))
	case !l.x.Bindings.Known():
		return nil // no TLS on either side
	case l.m.Binding == authn.BindingRequired:
		return l.refuse(authn.ReasonChannelBinding, "the client sends no channel bindings: use one that does, or lower the policy to \"supported\"",
			errors.New("kerberos: channel bindings missing"))
	}
	aware, err := l.bindingAware()
	if err != nil {
		return l.malformed(err)
	}
	if aware {
		// MS-KILE 3.2.5.8: such a client would have sent them over TLS.
		return l.refuse(authn.ReasonChannelBinding, "the client knows channel bindings and believes it is not on TLS: somebody relays its login",
			errors.New("kerberos: channel bindings missing from a client that knows them"))
	}
	return nil
}

const bindingHint = "the server does not know the channel binding of its TLS connections: listen with iwa.NewTLSListener, or set iwa.Authenticator.Binding"

// bindingUnknown answers where a client may send bindings and we have nothing
// to compare them with.
func (l *login) bindingUnknown() error {
	if l.m.Binding == authn.BindingRequired {
		return l.refuse(authn.ReasonChannelBinding, bindingHint, errors.New("kerberos: channel binding of our own TLS connection is not known"))
	}
	l.m.unbound.Do(func() {
		l.m.logger().Warn("channel bindings are not checked", slog.String("hint", bindingHint))
	})
	return nil
}

// bindingAware reports whether the client set KERB_AP_OPTIONS_CBT.
func (l *login) bindingAware() (bool, error) {
	found, err := krb5.FindAuthorizationData(l.auth.AuthorizationData, krb5.ADAPOptions)
	for _, b := range found {
		if len(b) >= 4 && binary.LittleEndian.Uint32(b)&krb5.APOptionsCBT != 0 {
			return true, nil
		}
	}
	return false, err
}

// checkReplay makes the authenticator worthless for everybody else. What it
// remembers is the cipher text: everything around it can be rewritten by
// whoever replays it. sid is the client's, if the ticket says so.
func (l *login) checkReplay(ctx context.Context, sid authn.SID) error {
	// checkSkew refuses it later on. A client whose clock is ahead makes one
	// that is good for up to twice the skew.
	until := l.auth.Time().Add(l.m.skew() + time.Second)
	digest := sha256.Sum256(l.req.Authenticator.Cipher)
	// Of the name an account may have any number of spellings.
	client := string(sid)
	if client == "" {
		client = l.user
	}
	var fresh bool
	var err error
	if l.m.Replay != nil {
		ctx, cancel := context.WithTimeout(ctx, replayTimeout)
		fresh, err = l.m.Replay.Add(ctx, client, digest, until)
		cancel()
	} else {
		fresh, err = l.m.Keytab.replay.add(client, digest, until, l.now, l.m.Logger)
	}
	if err != nil {
		return fmt.Errorf("%w: login of %s: replay cache: %w", authn.ErrUnavailable, l.user, err)
	}
	if !fresh {
		return l.refuse(authn.ReasonReplay, "the same token came twice: a client that repeats requests with their Authorization header, or somebody who recorded it",
			errors.New("kerberos: replayed authenticator"))
	}
	return nil
}

// contextKey is the key of the GSS context (RFC 4121 2). We assert no subkey
// of our own, so it is the client's if there is one.
func (l *login) contextKey() krb5.Key {
	if !l.auth.SubKey.IsZero() {
		return l.auth.SubKey
	}
	return l.ticket.Key
}

// reply returns the AP-REP if the client wants one (RFC 4120 3.2.4).
func (l *login) reply() ([]byte, error) {
	if !l.req.Options.Has(krb5.APMutualRequired) && l.gss.flags&ContextMutual == 0 {
		l.seq = l.auth.SeqNumber // RFC 1964 1.1.2: both sides count from the same
		return nil, nil
	}
	var b [4]byte
	_, _ = rand.Read(b[:])                               // never fails (crypto/rand)
	l.seq = binary.BigEndian.Uint32(b[:])&0x3fffffff | 1 // MIT before 1.7 reads it as signed; 0 would be absent
	part, err := (&krb5.EncAPRepPart{CTime: l.auth.CTime, CUSec: l.auth.CUSec, SeqNumber: l.seq}).Marshal()
	if err != nil {
		return nil, err
	}
	sealed, err := l.ticket.Key.Encrypt(krb5.UsageAPRepPart, part)
	if err != nil {
		return nil, err
	}
	return (&krb5.APRep{EncPart: krb5.EncryptedData{EType: l.ticket.Key.EType(), Cipher: sealed}}).Marshal()
}

// refuse makes the answer for a client whose login fails.
func (l *login) refuse(reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: authn.MechanismKerberos, Reason: reason, User: l.user, Hint: hint, Err: err}
}

// malformed refuses a message that was encrypted with the right key and is
// still not acceptable.
func (l *login) malformed(err error) error {
	if errors.Is(err, krb5.ErrUnsupported) {
		return l.refuse(authn.ReasonWeak, "allow AES for the client in its KDC", err)
	}
	return l.refuse(authn.ReasonMalformed, "", err)
}

// containsFold reports whether list has s, whatever the case.
func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
