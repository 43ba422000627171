package netlogon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/oiweiwei/go-msrpc/dcerpc"
	"github.com/oiweiwei/go-msrpc/msrpc/dtyp"
	"github.com/oiweiwei/go-msrpc/msrpc/epm/epm/v3"
	"github.com/oiweiwei/go-msrpc/msrpc/lsat/lsarpc/v0"
	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"
	"github.com/oiweiwei/go-msrpc/ssp"
	"github.com/oiweiwei/go-msrpc/ssp/credential"
	"github.com/oiweiwei/go-msrpc/ssp/gssapi"
	"github.com/oiweiwei/go-msrpc/ssp/netlogon"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

const (
	mapperPort = "135"

	// needFlags is what a controller must agree to (MS-NRPC 3.1.4.2): AES and
	// a sealed channel. Strong keys are what older ones had.
	needFlags = netlogon.CapAES_SHA2 | netlogon.CapStrongKey | netlogon.CapSecureRPC

	// offerFlags is what a member of a domain offers.
	offerFlags = 0x612fffff

	// maxMapperPages bounds the endpoint mapper's list, of 500 entries each.
	maxMapperPages = 20
)

// errKeyReplaced means that the controller knows another key of our account
// than the one just agreed on.
var errKeyReplaced = errors.New("the controller forgot the key agreed on a moment ago")

// Faults (MS-ERREF 2.2).
const (
	rpcAccessDenied = 0x5
	rpcSecPkgError  = 0x721 // RPC_S_SEC_PKG_ERROR: a key that the controller does not know
)

// channel is a sealed connection to a controller. One goroutine at a time may
// use it: go-msrpc 1.5.2 mixes calls up that share one.
type channel struct {
	cfg    *Config
	server string // for the calls' server name
	conn   *guardConn
	rpc    dcerpc.Conn
	cancel context.CancelFunc
	ctx    context.Context // of the connection: go-msrpc closes it with that of a call
	detach func() bool     // from the context it is opened under

	key *sessionKey

	// One of the two.
	logons logon.LogonClient
	lsa    lsarpc.LsarpcClient
}

// binder makes a channel speak one interface.
type binder struct {
	syntax *dcerpc.SyntaxID
	bind   func(ctx context.Context, ch *channel, opts []dcerpc.Option) error
}

var (
	bindLogon = binder{logon.LogonSyntaxV1_0, func(ctx context.Context, ch *channel, opts []dcerpc.Option) (err error) {
		ch.logons, err = logon.NewLogonClient(ctx, ch.rpc, opts...)
		return err
	}}
	bindLSA = binder{lsarpc.LsarpcSyntaxV0_0, func(ctx context.Context, ch *channel, opts []dcerpc.Option) (err error) {
		ch.lsa, err = lsarpc.NewLsarpcClient(ctx, ch.rpc, opts...)
		return err
	}}
)

// openChannel agrees on a key with the controller and binds a sealed channel
// with it (MS-NRPC 3.1.4.1).
func openChannel(ctx context.Context, cfg *Config, host, port string, secret authn.Secret, bind binder) (_ *channel, err error) {
	// NTLM says the same of an empty password; a controller would have to let
	// one in that has none.
	if secret.IsEmpty() {
		return nil, errors.New("the password of the computer account is empty")
	}
	defer guardPanic(&err)
	logonPort := port
	if logonPort == "" {
		if logonPort, err = lookupPort(ctx, cfg, host, bindLogon.syntax); err != nil {
			return nil, err
		}
	}
	server := serverName(host)
	key, flags, err := agree(ctx, cfg, host, logonPort, server, secret)
	if err != nil {
		return nil, err
	}
	bindPort := logonPort
	if bind.syntax != bindLogon.syntax {
		if bindPort, err = lookupPort(ctx, cfg, host, bind.syntax); err != nil {
			return nil, err
		}
	}
	ch, err := dial(ctx, cfg, host)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened { // not err, which a panic has yet to become
			ch.close()
		}
	}()
	ch.server, ch.key = server, key
	err = bind.bind(ch.ctx, ch, []dcerpc.Option{
		dcerpc.WithMechanism(ssp.Netlogon), dcerpc.WithCredentials(key.Credential), dcerpc.WithSeal(),
		dcerpc.WithSecurityConfig(key.Config), endpoint(bindPort),
	})
	if err != nil {
		return nil, fmt.Errorf("bind to the secure channel: %w", ch.bindError(err))
	}
	ch.conn.sealed.Store(true)
	if ch.logons != nil {
		if err := ch.checkFlags(flags); err != nil {
			return nil, fmt.Errorf("capabilities of the secure channel: %w", ch.keyError(err))
		}
	}
	if !ch.detach() {
		return nil, context.Cause(ctx)
	}
	opened = true
	return ch, nil
}

// serverName is how calls address the controller. The name is optional there,
// and an address would be a wrong one.
func serverName(host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	return `\\` + host
}

// endpoint names a port to go-msrpc. The host is the dialer's business.
func endpoint(port string) dcerpc.Option {
	return dcerpc.WithEndpoint("ncacn_ip_tcp:" + nobody + "[" + port + "]")
}

// nobody stands for the controller in what go-msrpc is told, which knows names
// and IPv4 addresses only, and would look them up.
const nobody = "0.0.0.0"

// dial prepares a connection to the controller. go-msrpc opens it when it is
// told the endpoint.
func dial(ctx context.Context, cfg *Config, host string) (*channel, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(openTimeout)
	}
	ch := &channel{cfg: cfg}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ch.ctx, ch.cancel = gssapi.NewSecurityContext(base), cancel
	dialer := dialerFunc(func(dialCtx context.Context, network, address string) (net.Conn, error) {
		dialCtx, cancel := context.WithDeadline(dialCtx, deadline)
		defer cancel()
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := cfg.Dialer.DialContext(dialCtx, network, net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		_ = conn.SetDeadline(deadline)
		ch.conn = &guardConn{Conn: conn}
		ch.detach = context.AfterFunc(ctx, func() { _ = conn.Close() })
		return ch.conn, nil
	})
	rpc, err := dcerpc.Dial(ch.ctx, nobody, dcerpc.WithDialer(dialer), dcerpc.WithTimeout(cfg.Timeout), noPauses)
	if err != nil {
		cancel()
		return nil, err
	}
	ch.rpc = wholeConn{rpc}
	return ch, nil
}

// noPauses turns off how long go-msrpc 1.5.2 lets its own goroutines wait for
// each other: when the machine stood still for that long, as one that is moved
// does, they then wait for ever. Connections have deadlines.
var noPauses = dcerpc.ConnectOption(func(t *dcerpc.Transport) { t.Deadline = 24 * time.Hour })

type dialerFunc func(ctx context.Context, network, address string) (net.Conn, error)

func (f dialerFunc) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return f(ctx, network, address)
}

// lookupPort asks the endpoint mapper where an interface listens (C706
// appendix O). Samba answers with all interfaces, whichever was asked for.
func lookupPort(ctx context.Context, cfg *Config, host string, syntax *dcerpc.SyntaxID) (string, error) {
	ch, err := dial(ctx, cfg, host)
	if err != nil {
		return "", err
	}
	defer ch.close()
	mapper, err := epm.NewEpmClient(ch.ctx, ch.rpc, dcerpc.WithInsecure(), endpoint(mapperPort))
	if err != nil {
		return "", fmt.Errorf("endpoint mapper: %w", err)
	}
	var handle *epm.LookupHandle
	for range maxMapperPages {
		page, err := mapper.Lookup(ch.ctx, &epm.LookupRequest{MaxEntries: 500, EntryHandle: handle})
		if err != nil {
			return "", fmt.Errorf("endpoint mapper: %w", err)
		}
		for _, e := range page.Entries {
			if e == nil || e.Tower == nil {
				continue
			}
			b := e.Tower.Binding()
			if b != nil && b.StringBinding.ProtocolSequence == dcerpc.ProtocolSequenceIPTCP && b.SyntaxID.Is(syntax) {
				return b.StringBinding.Endpoint, nil
			}
		}
		if handle = page.EntryHandle; handle == nil || handle.UUID == nil || len(page.Entries) == 0 {
			break
		}
	}
	return "", errors.New("endpoint mapper: the service is not there over TCP; is that a domain controller?")
}

// sessionKey is what was agreed on with a controller.
type sessionKey struct {
	*netlogon.Config
	secure *netlogon.SecureCredential
}

// agree makes a session key with the controller, and each proves to the other
// that it knows the account's password (MS-NRPC 3.1.4.1, steps 1 to 9).
func agree(ctx context.Context, cfg *Config, host, port, server string, secret authn.Secret) (*sessionKey, uint32, error) {
	ch, err := dial(ctx, cfg, host)
	if err != nil {
		return nil, 0, err
	}
	defer ch.close()
	client, err := logon.NewLogonClient(ch.ctx, ch.rpc, dcerpc.WithInsecure(), endpoint(port))
	if err != nil {
		return nil, 0, fmt.Errorf("bind: %w", err)
	}
	key := &sessionKey{Config: &netlogon.Config{
		Capabilities: needFlags, ClientChallenge: make([]byte, 8),
		Credential: credential.NewFromPassword(cfg.accountName(), secret.Reveal(),
			credential.Workstation(cfg.Account), credential.Domain(cfg.Domain)),
	}}
	_, _ = rand.Read(key.ClientChallenge) // never fails (crypto/rand)
	challenge, err := client.RequestChallenge(ch.ctx, &logon.RequestChallengeRequest{
		PrimaryName: server, ComputerName: cfg.Account, ClientChallenge: &logon.Credential{Data: key.ClientChallenge},
	})
	if err != nil {
		if challenge != nil && challenge.Return != 0 {
			err = &StatusError{Code: uint32(challenge.Return)}
		}
		return nil, 0, fmt.Errorf("NetrServerReqChallenge: %w", err)
	}
	if challenge.ServerChallenge == nil || len(challenge.ServerChallenge.Data) != 8 {
		return nil, 0, errors.New("NetrServerReqChallenge: no challenge")
	}
	key.ServerChallenge = challenge.ServerChallenge.Data
	if subtle.ConstantTimeCompare(key.ServerChallenge, key.ClientChallenge) == 1 {
		// Whoever sends our challenge back can send our proof back as well.
		return nil, 0, errors.New("NetrServerReqChallenge: the controller reflects our challenge")
	}
	if key.secure, err = netlogon.NewSecureCredential(ch.ctx, key.Config); err != nil {
		return nil, 0, err
	}
	proof, err := key.secure.Encrypt(ch.ctx, append([]byte(nil), key.ClientChallenge...))
	if err != nil {
		return nil, 0, err
	}
	answer, err := client.Authenticate3(ch.ctx, &logon.Authenticate3Request{
		PrimaryName: server, AccountName: cfg.accountName(), ComputerName: cfg.Account,
		SecureChannelType: logon.SecureChannelTypeWorkstationSecureChannel,
		ClientCredential:  &logon.Credential{Data: proof}, NegotiateFlags: offerFlags,
	})
	if err != nil {
		if answer != nil && answer.Return != 0 {
			err = &StatusError{Code: uint32(answer.Return)}
		}
		return nil, 0, fmt.Errorf("NetrServerAuthenticate3 as %s: %w", cfg.accountName(), err)
	}
	// CVE-2022-38023: nothing but AES on a sealed channel.
	if answer.NegotiateFlags&uint32(needFlags) != uint32(needFlags) {
		return nil, 0, fmt.Errorf("NetrServerAuthenticate3: the controller does without AES or sealing (flags %#x), which are required", answer.NegotiateFlags)
	}
	want, err := key.secure.Encrypt(ch.ctx, append([]byte(nil), key.ServerChallenge...))
	if err != nil {
		return nil, 0, err
	}
	if answer.ServerCredential == nil || subtle.ConstantTimeCompare(want, answer.ServerCredential.Data) != 1 {
		return nil, 0, errors.New("NetrServerAuthenticate3: the controller does not know the account's password, so that it is none")
	}
	return key, answer.NegotiateFlags, nil
}

// keyError tells the failure for a key that was replaced from others.
func (ch *channel) keyError(err error) error {
	if ch.conn != nil && ch.conn.fault.Load() == rpcSecPkgError {
		return fmt.Errorf("%w: %w", errKeyReplaced, err)
	}
	return err
}

// bindError adds to a refusal what it mostly means. The password was right by
// then, and the domain's name is what the controller had not seen before; it
// gives no reason (Samba 4.17).
func (ch *channel) bindError(err error) error {
	var network net.Error
	if err = ch.keyError(err); errors.Is(err, errKeyReplaced) || errors.As(err, &network) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w; is %q the NetBIOS name of the domain?", err, ch.cfg.Domain)
}

// checkFlags asks over the sealed channel for what was agreed on without one
// (MS-NRPC 3.4.5.2.10, CVE-2022-38023).
func (ch *channel) checkFlags(flags uint32) error {
	auth, err := ch.key.authenticator(ch.ctx)
	if err != nil {
		return err
	}
	answer, err := ch.logons.GetCapabilities(ch.ctx, &logon.GetCapabilitiesRequest{
		ServerName: ch.server, ComputerName: ch.cfg.Account, Authenticator: auth,
		ReturnAuthenticator: &logon.Authenticator{}, QueryLevel: 1,
	})
	if err != nil {
		if answer != nil && answer.Return != 0 {
			// Access denied: the authenticator is that of another key by now.
			return fmt.Errorf("%w: %w", errKeyReplaced, &StatusError{Code: uint32(answer.Return)})
		}
		return err
	}
	if err := ch.key.verify(ch.ctx, answer.ReturnAuthenticator); err != nil {
		return err
	}
	if answer.Capabilities == nil {
		return errors.New("no answer")
	}
	if got, ok := answer.Capabilities.GetValue().(uint32); !ok || got != flags {
		return fmt.Errorf("agreed on %#x, which was changed on the way: the controller says %#x", flags, got)
	}
	return nil
}

// authenticator proves a call that has one to be ours (MS-NRPC 3.1.4.5).
func (k *sessionKey) authenticator(ctx context.Context) (*logon.Authenticator, error) {
	now := uint32(time.Now().Unix())
	proof, err := k.secure.Next(ctx, now)
	if err != nil {
		return nil, err
	}
	return &logon.Authenticator{Timestamp: now, Credential: &logon.Credential{Data: proof}}, nil
}

// verify checks the controller's side of the same.
func (k *sessionKey) verify(ctx context.Context, a *logon.Authenticator) error {
	if a == nil || a.Credential == nil {
		return errors.New("answer without a return authenticator")
	}
	want, err := k.secure.Next(ctx, 1)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(want, a.Credential.Data) != 1 {
		return errors.New("wrong return authenticator")
	}
	return nil
}

// until bounds what follows on the channel.
func (ch *channel) until(t time.Time) { _ = ch.conn.SetDeadline(t) }

// close ends the channel. It is safe to call more than once.
func (ch *channel) close() {
	if ch.conn != nil {
		ch.detach()
		_ = ch.conn.Close() // first, so that go-msrpc does not wait
	}
	_ = ch.rpc.Close(ch.ctx)
	ch.cancel()
}

// logon asks the controller to judge a login (MS-NRPC 3.5.4.5.1, MS-APDS
// 3.1.5.1). The LM response is never passed on. Whether the answer is
// authoritative is not looked at: a refusal that is not is for want of the
// domain, and asking others would count a wrong password once more (MS-NRPC
// 3.4.5.3.2 would have us).
func (ch *channel) logon(a *ntlm.Attempt) (v *validation, err error) {
	defer guardPanic(&err)
	answer, err := ch.logons.SAMLogonEx(ch.ctx, &logon.SAMLogonExRequest{
		LogonServer: ch.server, ComputerName: ch.cfg.Account,
		LogonLevel: logon.LogonInfoClassNetworkTransitiveInformation,
		LogonInformation: &logon.Level{Value: &logon.Level_LogonNetworkTransitive{LogonNetworkTransitive: &logon.NetworkInfo{
			Identity: &logon.LogonIdentityInfo{
				LogonDomainName: &dtyp.UnicodeString{Buffer: a.Domain},
				UserName:        &dtyp.UnicodeString{Buffer: a.User},
				Workstation:     &dtyp.UnicodeString{Buffer: a.Workstation},
			},
			LMChallenge:         &logon.LMChallenge{Data: a.ServerChallenge[:]},
			NTChallengeResponse: &logon.String{Buffer: a.Response},
			LMChallengeResponse: &logon.String{},
		}}},
		ValidationLevel: logon.ValidationInfoClassSAMInfo4,
	})
	if answer != nil && answer.Return != 0 {
		return nil, logonStatus(uint32(answer.Return))
	}
	if err != nil {
		return nil, fmt.Errorf("NetrLogonSamLogonEx: %w", err)
	}
	if answer.ValidationInformation == nil {
		return nil, errors.New("NetrLogonSamLogonEx: no validation information")
	}
	info, ok := answer.ValidationInformation.GetValue().(*logon.ValidationSAMInfo4)
	if !ok || info == nil {
		return nil, fmt.Errorf("NetrLogonSamLogonEx: validation information of type %T", answer.ValidationInformation.GetValue())
	}
	return &validation{info}, nil
}

// logonStatus is the answer to a logon. Access denied is about the channel; and
// some only say that the controller could not judge.
func logonStatus(code uint32) *StatusError {
	s, known := statuses[code]
	return &StatusError{Code: code, judged: !known || s.reason != ""}
}

// guardPanic turns a panic of the RPC library, such as one over a malformed
// PDU, into an error. Nothing of ours between may panic for another reason that
// should end the program.
func guardPanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the RPC library failed on what the controller sent: %v", p)
	}
}
