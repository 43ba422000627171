package kerberos

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// InitiatorConfig says how a login to a service is made. The zero value asks
// the service to prove itself and passes nothing on.
type InitiatorConfig struct {
	// Binding is that of the TLS connection, empty without TLS.
	Binding authn.ChannelBinding

	// Forward hands the service a ticket-granting ticket, with which it can do
	// anything in the client's name until that expires. It works with a
	// Client's initiators only. Constrained delegation needs none of it.
	Forward bool

	// Messages asks for what protects the messages after the login. Most
	// programs leave it out.
	Messages MessageProtection

	// InsecureNoMutual does not ask the service to prove itself.
	InsecureNoMutual bool
}

// NewInitiator starts an exchange with a service, "HTTP/app.corp.test" with or
// without "@REALM". The ticket is fetched by the first Step.
func (c *Client) NewInitiator(spn string, cfg InitiatorConfig) *Initiator {
	return &Initiator{cfg: cfg, client: c.c, spn: spn, now: c.c.now}
}

// NewInitiator starts an exchange with the service that t is for.
func (t *Ticket) NewInitiator(cfg InitiatorConfig) *Initiator {
	return &Initiator{cfg: cfg, ticket: t, now: time.Now}
}

// Initiator is the client side of one exchange (RFC 4121). It is used by one
// goroutine at a time. Client.NewInitiator and Ticket.NewInitiator make it.
type Initiator struct {
	cfg    InitiatorConfig
	client *client // nil if the ticket was given
	spn    string
	now    func() time.Time

	ticket *Ticket
	sent   *sentAuthenticator // nil before the first Step
	mic    *signer            // once the exchange is complete
	failed bool
}

var (
	_ authn.Initiator     = (*Initiator)(nil)
	_ authn.MessageSigner = (*Initiator)(nil)
)

// sentAuthenticator is what the service's answer is checked against.
type sentAuthenticator struct {
	ctime  time.Time
	cusec  int
	subkey krb5.Key
	seq    uint32
}

// String implements fmt.Stringer.
func (i *Initiator) String() string { return "Kerberos initiator" }

// Format implements fmt.Formatter: every verb prints String.
func (i *Initiator) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(i.String())) }

// Step implements authn.Initiator. The first call returns the AP-REQ, the
// second takes the AP-REP. Unless InsecureNoMutual is set, done is false until
// the service has proved itself.
func (i *Initiator) Step(ctx context.Context, token []byte) ([]byte, bool, error) {
	switch {
	case i.failed:
		return nil, false, errors.New("kerberos: the exchange has failed")
	case i.mic != nil:
		return nil, false, errors.New("kerberos: token after the exchange was complete")
	}
	var reply []byte
	var err error
	if i.sent == nil {
		reply, err = i.start(ctx, token)
	} else {
		err = i.finish(token)
	}
	if err != nil {
		i.failed = true
		return nil, false, err
	}
	return reply, i.mic != nil, nil
}

// start makes the AP-REQ.
func (i *Initiator) start(ctx context.Context, token []byte) ([]byte, error) {
	if len(token) > 0 {
		return nil, errors.New("kerberos: token from the service before the first of ours")
	}
	if i.ticket == nil {
		t, err := i.client.service(ctx, i.spn)
		if err != nil {
			return nil, err
		}
		i.ticket = newTicket(t)
	}
	t := i.ticket.open()
	if t.key.IsZero() {
		return nil, errors.New("kerberos: no ticket")
	}
	if !i.now().Before(t.end) {
		return nil, fmt.Errorf("kerberos: %v expired at %s", i.ticket, t.end.Format(time.RFC3339))
	}
	sum := gssChecksum{flags: i.cfg.Messages.flags()}
	options := krb5.Flags(0)
	if !i.cfg.InsecureNoMutual {
		sum.flags |= ContextMutual
		options |= krb5.APMutualRequired
	}
	if len(i.cfg.Binding) > 0 {
		sum.binding = i.cfg.Binding.GSSHash()
	}
	if i.cfg.Forward {
		var err error
		sum.flags |= ContextDelegate
		if sum.delegated, err = i.forward(ctx, t); err != nil {
			return nil, err
		}
	}
	apReq, sent, err := makeAPReq(t, sum, options, i.now())
	if err != nil {
		return nil, err
	}
	i.sent = sent
	if i.cfg.InsecureNoMutual {
		i.mic = &signer{key: sent.subkey, seq: uint64(sent.seq)}
	}
	return krb5.FrameToken(krb5.OIDKerberos(), krb5.TokenAPReq, apReq)
}

// makeAPReq makes an AP-REQ whose authenticator carries the GSS checksum (RFC
// 4121 4.1.1).
func makeAPReq(t *ticket, sum gssChecksum, options krb5.Flags, now time.Time) ([]byte, *sentAuthenticator, error) {
	b, err := sum.marshal()
	if err != nil {
		return nil, nil, err
	}
	sent := &sentAuthenticator{seq: firstSeq()}
	sent.ctime, sent.cusec = t.stamp(now)
	if sent.subkey, err = krb5.RandomKey(t.key.EType()); err != nil {
		return nil, nil, err
	}
	ad, err := authenticatorData(sum.hasBinding())
	if err != nil {
		return nil, nil, err
	}
	auth := krb5.Authenticator{
		CRealm: t.crealm, CName: t.client, CTime: sent.ctime, CUSec: sent.cusec,
		Checksum: &krb5.Checksum{Type: krb5.GSSChecksum, Sum: b},
		SubKey:   sent.subkey, SeqNumber: sent.seq, AuthorizationData: ad,
	}
	plain, err := auth.Marshal()
	if err != nil {
		return nil, nil, err
	}
	sealed, err := krb5.Seal(t.key, krb5.UsageAPReqAuthenticator, 0, plain)
	if err != nil {
		return nil, nil, err
	}
	req := krb5.APReq{Options: options, Ticket: t.Ticket, Authenticator: sealed}
	out, err := req.Marshal()
	return out, sent, err
}

// authenticatorData says that we know channel bindings, where we send one, so
// that somebody who strips it is found out (MS-KILE 3.2.5.8).
func authenticatorData(bound bool) ([]krb5.AuthorizationData, error) {
	if !bound {
		return nil, nil
	}
	ad, err := krb5.IfRelevant(krb5.AuthorizationData{
		Type: krb5.ADAPOptions,
		Data: binary.LittleEndian.AppendUint32(nil, krb5.APOptionsCBT),
	})
	return []krb5.AuthorizationData{ad}, err
}

// firstSeq returns a random sequence number. Its 30 bits leave room before the
// values that old peers misread (RFC 4120 5.5.1).
func firstSeq() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint32(b[:])&0x3fffffff | 1
}

// finish checks the service's answer.
func (i *Initiator) finish(token []byte) error {
	if len(token) == 0 {
		return errors.New("kerberos: the service accepted the login and did not prove itself")
	}
	if len(token) > maxToken {
		return fmt.Errorf("kerberos: token of %d bytes from the service", len(token))
	}
	oid, kind, body, err := krb5.UnframeToken(token)
	if err != nil {
		return err
	}
	if !oid.Equal(krb5.OIDKerberos()) && !oid.Equal(krb5.OIDMicrosoftKerberos()) {
		return fmt.Errorf("kerberos: the service answered with mechanism %v", oid)
	}
	switch kind {
	case krb5.TokenAPRep:
		return i.finishAPRep(body)
	case krb5.TokenError:
		return i.refused(body)
	}
	return fmt.Errorf("kerberos: the service answered with token %#04x", uint16(kind))
}

// finishAPRep checks that the service could read our ticket (RFC 4120 3.2.5).
func (i *Initiator) finishAPRep(body []byte) error {
	rep, err := krb5.ParseAPRep(body)
	if err != nil {
		return err
	}
	plain, err := rep.EncPart.Open(i.ticket.open().key, krb5.UsageAPRepPart)
	if err != nil {
		return fmt.Errorf("kerberos: the service did not prove itself: open AP-REP: %w", err)
	}
	p, err := krb5.ParseEncAPRepPart(plain)
	if err != nil {
		return err
	}
	if !p.CTime.Equal(i.sent.ctime) || p.CUSec != i.sent.cusec {
		return errors.New("kerberos: the service did not prove itself: its AP-REP answers another AP-REQ")
	}
	mic := &signer{key: i.sent.subkey, seq: uint64(i.sent.seq), next: uint64(p.SeqNumber)}
	if !p.SubKey.IsZero() {
		mic.key, mic.acceptorSubkey = p.SubKey, true
	}
	i.mic = mic
	return nil
}

// ErrTicketRefused means that the service could not use the ticket. Most often
// its password was changed since the ticket was made.
var ErrTicketRefused = errors.New("kerberos: ticket refused by the service")

// Refused tells the initiator that the service refused the login without a
// reason, such as an HTTP server's 401 with no token. It reports whether
// another exchange would be made with another ticket: the one used is forgotten
// if it is older than a minute. It does so for initiators of a Client only.
func (i *Initiator) Refused() bool {
	return i.client != nil && i.sent != nil && i.client.cache.refused(i.ticket.open(), i.now())
}

// refused returns the service's KRB-ERROR, and forgets the ticket if that is
// what it did not like, so that the next exchange gets a new one.
func (i *Initiator) refused(body []byte) error {
	m, err := krb5.ParseErrorMessage(body)
	if err != nil {
		return err
	}
	err = errors.New("kerberos: login refused by the service")
	hint := ""
	switch m.Code {
	case krb5.CodeModified, krb5.CodeBadKeyVersion, krb5.CodeServerNoKey, krb5.CodeNotUs, krb5.CodeTicketExpired, krb5.CodeTicketNotYet:
		if i.client != nil {
			i.client.forgetService(i.spn, i.ticket.open())
		}
		err = ErrTicketRefused
		hint = ": the service name may belong to another account than the service runs as, or the service's keytab is older than its password"
	case krb5.CodeSkew:
		hint = fmt.Sprintf(": the service's clock reads %s", m.STime.Format(time.RFC3339))
	}
	return fmt.Errorf("%w: %v: %v%s", err, i.ticket, m.Code, hint)
}

// GetMIC implements authn.MessageSigner.
func (i *Initiator) GetMIC(msg []byte) ([]byte, error) {
	if i.mic == nil {
		return nil, errNoContext
	}
	return i.mic.GetMIC(msg)
}

// VerifyMIC implements authn.MessageSigner.
func (i *Initiator) VerifyMIC(msg, mic []byte) error {
	if i.mic == nil {
		return errNoContext
	}
	return i.mic.VerifyMIC(msg, mic)
}

// forward gets a ticket-granting ticket for the service to use, sealed with the
// session key of t (RFC 4121 4.1.1).
func (i *Initiator) forward(ctx context.Context, t *ticket) ([]byte, error) {
	if i.client == nil {
		return nil, errors.New("kerberos: a single ticket gives nothing to forward")
	}
	f, err := i.client.forwardedTGT(ctx)
	if err != nil {
		return nil, err
	}
	info := krb5.CredInfo{
		Key: f.key, PRealm: f.crealm, PName: f.client, Flags: f.flags, StartTime: f.start,
		EndTime: f.end, RenewTill: f.renew, SRealm: f.Realm, SName: f.SName,
	}
	part := krb5.EncCredPart{Info: []krb5.CredInfo{info}, Nonce: nonce()}
	part.Timestamp, part.USec = splitTime(i.now())
	plain, err := part.Marshal()
	if err != nil {
		return nil, err
	}
	sealed, err := krb5.Seal(t.key, krb5.UsageCredPart, 0, plain)
	if err != nil {
		return nil, err
	}
	return (&krb5.Cred{Tickets: []krb5.Ticket{f.Ticket}, EncPart: sealed}).Marshal()
}

// forwardedTGT returns a TGT to give away. It is one of its own, so that
// services cannot tell from its key what the client does elsewhere.
func (c *client) forwardedTGT(ctx context.Context) (*ticket, error) {
	return c.cache.get(ctx, "forwarded", c.now, func(ctx context.Context, _ *ticket) (*ticket, error) {
		return c.withTGT(ctx, func(tgt *ticket) (*ticket, error) {
			if !tgt.flags.Has(krb5.FlagForwardable) {
				return nil, fmt.Errorf("kerberos: the ticket-granting ticket of %v@%s is not forwardable: the account is marked as sensitive, or policy forbids it",
					tgt.client, tgt.crealm)
			}
			f, err := c.tgs(ctx, tgt, &tgsRequest{op: opForward, service: tgt.SName, options: krb5.FlagForwarded})
			if err == nil && !f.SName.EqualFold(tgt.SName) {
				err = fmt.Errorf("kerberos: KDC answered with a ticket for %v instead of a forwarded one", f.SName)
			}
			return f, err
		})
	})
}
