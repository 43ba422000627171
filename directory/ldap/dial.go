package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
)

const (
	defaultTimeout = 15 * time.Second

	// maxAnswer bounds what is read from the server for one request.
	maxAnswer = 16 << 20
)

// Config says where the directory is. URL must be set.
type Config struct {
	// URL is ldaps://HOST[:PORT], or ldap://HOST[:PORT] for a server that has
	// TLS by StartTLS only (RFC 4511 4.14). The certificate must be good for
	// HOST, a name or an address.
	URL string

	// AllowInsecurePlain leaves TLS out where URL is ldap://. Passwords and all
	// that is read are open to whoever is on the way, who can change them too,
	// and so log in as anybody. It is for servers on this machine.
	AllowInsecurePlain bool

	// Sealed leaves TLS out where URL is ldap://, for a connection on which
	// BindKerberos comes first, which then seals each message. Bind refuses to
	// send a password there.
	Sealed bool

	// Roots are the authorities that certificates are verified with. Nil means
	// those of the system.
	Roots *x509.CertPool

	// Timeout is for connecting and for each request. Zero means 15 s.
	Timeout time.Duration

	// Dialer connects to the server. Nil means a net.Dialer.
	Dialer Dialer
}

// A Dialer connects to servers. *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A Conn is a connection to a directory. One goroutine at a time may use it.
type Conn struct {
	ldap      *goldap.Conn
	wire      *meter
	layer     *saslLayer
	host      string
	timeout   time.Duration
	passwords bool // may be sent
	broken    bool // no further request can be made
}

// Dial connects and verifies the server's certificate. Where that fails, the
// error wraps a *tls.CertificateVerificationError. Nobody is logged in yet:
// Bind does that.
func Dial(ctx context.Context, c Config) (_ *Conn, err error) {
	t, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	ctx, end := authn.StartSpan(ctx, authn.SpanLDAP, slog.String("operation", "connect"), slog.String("server", t.host))
	defer func() { end(err) }()
	if t.startTLS && (c.AllowInsecurePlain || c.Sealed) {
		t.startTLS, t.plain = false, true
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer Dialer = &net.Dialer{}
	if c.Dialer != nil {
		dialer = c.Dialer
	}
	raw, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, fmt.Errorf("ldap: connect: %w", err)
	}
	wire := &meter{Conn: raw}
	wire.left.Store(maxAnswer)
	secure, err := t.secure(ctx, wire, c.Roots)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("ldap: %s: %w", t.address, err)
	}
	layer := &saslLayer{Conn: secure}
	conn := goldap.NewConn(layer, true)
	conn.Start()
	return &Conn{
		ldap: conn, wire: wire, layer: layer, host: t.host, timeout: timeout,
		passwords: !t.plain || c.AllowInsecurePlain,
	}, nil
}

// Close ends the connection. It may be called more than once.
func (c *Conn) Close() error {
	// First, so that nothing below waits for the server.
	err := c.wire.Close()
	_ = c.ldap.Close() // its error is that of the line above
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Host returns the server's name or address, as in the URL.
func (c *Conn) Host() string { return c.host }

// RemoteAddr returns the address that is connected to.
func (c *Conn) RemoteAddr() net.Addr { return c.wire.RemoteAddr() }

// target is what a URL says.
type target struct {
	host     string
	address  string
	startTLS bool
	plain    bool // no TLS
}

func parseURL(s string) (target, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return target{}, fmt.Errorf("ldap: URL %q: want ldaps://HOST or ldaps://HOST:PORT", s)
	}
	t := target{host: u.Hostname()}
	port := u.Port()
	switch u.Scheme {
	case "ldaps":
		if port == "" {
			port = goldap.DefaultLdapsPort
		}
	case "ldap":
		t.startTLS = true
		if port == "" {
			port = goldap.DefaultLdapPort
		}
	default:
		return target{}, fmt.Errorf("ldap: URL %q: want ldaps://, or ldap:// for StartTLS", s)
	}
	t.address = net.JoinHostPort(t.host, port)
	return t, nil
}

// secure returns TLS on top of wire, once the certificate is verified, or wire
// itself where TLS is left out.
func (t target) secure(ctx context.Context, wire net.Conn, roots *x509.CertPool) (net.Conn, error) {
	if t.startTLS {
		stop := context.AfterFunc(ctx, func() { _ = wire.Close() })
		err := startTLS(wire)
		if !stop() {
			return nil, fmt.Errorf("StartTLS: %w", context.Cause(ctx))
		}
		if err != nil {
			return nil, fmt.Errorf("StartTLS: %w", err)
		}
	}
	if t.plain {
		return wire, nil
	}
	conn := tls.Client(wire, &tls.Config{RootCAs: roots, ServerName: t.host, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", foreignError{err})
	}
	return conn, nil
}

// startTLS asks the server for TLS (RFC 4511 4.14). It does so itself because
// go-ldap does not tell why a handshake fails. Nothing but the answer is read,
// so whatever somebody put behind it ends up in the handshake.
func startTLS(wire net.Conn) error {
	const request = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + "1.3.6.1.4.1.1466.20037"
	if _, err := wire.Write([]byte(request)); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(wire)
	if err != nil {
		return err
	}
	return plainError("StartTLS", "", goldap.GetLDAPError(answer))
}

// meter bounds what is read for one request.
type meter struct {
	net.Conn
	left atomic.Int64
}

var errTooLong = fmt.Errorf("the server's answer is longer than %d bytes", maxAnswer)

func (m *meter) Read(b []byte) (int, error) {
	left := m.left.Load()
	if left <= 0 {
		return 0, errTooLong
	}
	n, err := m.Conn.Read(b[:min(int64(len(b)), left)])
	m.left.Add(-int64(n))
	return n, err
}
