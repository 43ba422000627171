package ldap

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Security layers of SASL GSSAPI (RFC 4752 3.3).
const (
	layerNone   = 1
	layerSealed = 4
)

// maxSealed is the longest message that we take, as SASL counts it in 24 bits.
const maxSealed = maxAnswer - 1

// BindKerberos logs in with Kerberos (SASL GSSAPI, RFC 4752). The server proves
// that it is ldap/HOST, HOST being the name in the URL, so an address will not
// do. On a connection without TLS each message is encrypted from then on;
// inside TLS the login is bound to the certificate (RFC 5929). A login that the
// KDC refuses is an error that is authn.ErrBadCredentials.
func (c *Conn) BindKerberos(ctx context.Context, client *kerberos.Client) error {
	cfg := kerberos.InitiatorConfig{Messages: kerberos.MessagesSealed}
	layer := byte(layerSealed)
	if c.layer.sealed() {
		return errors.New("ldap: bind: the connection is logged in already")
	}
	if tlsConn, ok := c.layer.Conn.(*tls.Conn); ok {
		cfg.Messages, layer = kerberos.MessagesBare, layerNone
		cfg.Binding = authn.EndpointBinding(tlsConn.ConnectionState().PeerCertificates[0])
	}
	x := &saslExchange{layer: layer}
	// Not within do, so that the KDC's time is not the server's.
	i := client.NewInitiator("ldap/"+c.host, cfg)
	first, _, err := i.Step(ctx, nil)
	if err != nil {
		return wrap("bind", client.Principal(), err)
	}
	x.step = func(token []byte) ([]byte, bool, error) {
		if first != nil {
			out := first
			first = nil
			return out, false, nil
		}
		return i.Step(ctx, token)
	}
	x.initiator = i
	err = c.do(ctx, "bind", client.Principal(), func() error {
		return c.ldap.GSSAPIBindRequest(x, &goldap.GSSAPIBindRequest{ServicePrincipalName: "ldap/" + c.host})
	})
	switch {
	case err != nil:
		c.broken = true // in the middle of an exchange
		return err
	case x.max == 0:
		c.broken = true
		return errors.New("ldap: bind: the server let us in without proving itself, or without saying how messages are protected")
	case layer == layerSealed:
		c.layer.seal(i, x.max)
	}
	return nil
}

// A saslExchange is a login as go-ldap drives it.
type saslExchange struct {
	step      func([]byte) ([]byte, bool, error)
	initiator *kerberos.Initiator
	layer     byte
	max       int // what the server takes at a time; zero before the layer is agreed on
}

var _ goldap.GSSAPIClient = (*saslExchange)(nil)

func (x *saslExchange) InitSecContext(target string, token []byte) ([]byte, bool, error) {
	return x.InitSecContextWithOptions(target, token, nil)
}

func (x *saslExchange) InitSecContextWithOptions(_ string, token []byte, _ []int) ([]byte, bool, error) {
	out, done, err := x.step(token)
	return out, !done, err
}

func (x *saslExchange) DeleteSecContext() error { return nil }

// NegotiateSaslAuth answers the server's offer of layers (RFC 4752 3.1).
func (x *saslExchange) NegotiateSaslAuth(token []byte, _ string) ([]byte, error) {
	offer, _, err := x.initiator.Unwrap(token)
	if err != nil {
		return nil, err
	}
	if x.max != 0 || len(offer) != 4 {
		return nil, errors.New("ldap: malformed offer of security layers")
	}
	if offer[0]&x.layer == 0 {
		if x.layer == layerSealed {
			return nil, errors.New("ldap: the server does not seal messages: use ldaps://")
		}
		return nil, errors.New("ldap: the server wants a security layer inside TLS: use ldap:// with Kerberos")
	}
	answer := []byte{x.layer, 0, 0, 0} // no layer, no size
	x.max = 1
	if x.layer == layerSealed {
		x.max = int(binary.BigEndian.Uint32(append([]byte{0}, offer[1:]...))) - kerberos.WrapOverhead
		if x.max <= 0 {
			return nil, errors.New("ldap: the server takes no messages")
		}
		binary.BigEndian.PutUint32(answer, maxSealed)
		answer[0] = x.layer
	}
	return x.initiator.Wrap(answer, false)
}

// A saslLayer is what LDAP messages go through. Once a login has agreed on it,
// each is sealed.
type saslLayer struct {
	net.Conn

	mu    sync.Mutex // Wrap and Unwrap are for one goroutine at a time
	by    *kerberos.Initiator
	max   int    // of a message that the server takes, before it is sealed
	raw   []byte // of the server, not yet a whole message
	plain []byte // of the server, not yet read
}

func (l *saslLayer) seal(by *kerberos.Initiator, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by, l.max = by, most
}

func (l *saslLayer) sealed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by != nil
}

// Write implements net.Conn.
func (l *saslLayer) Write(b []byte) (int, error) {
	if !l.sealed() {
		return l.Conn.Write(b)
	}
	for written := 0; written < len(b); {
		part := b[written:min(len(b), written+l.max)]
		l.mu.Lock()
		token, err := l.by.Wrap(part, true)
		l.mu.Unlock()
		if err != nil {
			return written, err
		}
		// RFC 4422 3.7
		if _, err := l.Conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)); err != nil {
			return written, err
		}
		written += len(part)
	}
	return len(b), nil
}

// Read implements net.Conn. One goroutine reads, and it may have begun to
// before the layer was there: what it gets then is the first sealed message, as
// the server says nothing between that and its answer to the login.
func (l *saslLayer) Read(b []byte) (int, error) {
	for {
		n, ok, err := l.take(b)
		if ok || err != nil {
			return n, err
		}
		n, err = l.Conn.Read(b)
		if n > 0 {
			l.mu.Lock()
			if l.by == nil {
				l.mu.Unlock()
				return n, err
			}
			l.raw = append(l.raw, b[:n]...)
			l.mu.Unlock()
			continue // an error comes again
		}
		if err != nil {
			return 0, err
		}
	}
}

// take reads from messages that are there already.
func (l *saslLayer) take(b []byte) (n int, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.by != nil && len(l.plain) == 0 && len(l.raw) >= 4 {
		size := int(binary.BigEndian.Uint32(l.raw))
		if size > maxSealed {
			return 0, false, fmt.Errorf("ldap: sealed message of %d bytes", size)
		}
		if len(l.raw) < 4+size {
			break
		}
		msg, sealed, err := l.by.Unwrap(l.raw[4 : 4+size])
		if err != nil {
			return 0, false, fmt.Errorf("ldap: open a message of the server: %w", err)
		}
		if !sealed {
			return 0, false, errors.New("ldap: the server sent a message that is not sealed")
		}
		l.raw = append(l.raw[:0], l.raw[4+size:]...)
		l.plain = msg
	}
	if len(l.plain) == 0 {
		return 0, false, nil
	}
	n = copy(b, l.plain)
	l.plain = l.plain[n:]
	return n, true, nil
}
