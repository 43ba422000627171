package iwa

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/soapward/soapward/authn"
)

// NewTLSListener returns a listener whose connections know which certificate
// their client was shown, so that an Authenticator checks channel bindings by
// itself. It takes the place of tls.NewListener under a server that has
// ConnContext:
//
//	server.Serve(iwa.NewTLSListener(l, config))
//
// Certificates may be chosen by GetCertificate or GetConfigForClient and may
// change while the server runs. Sessions are resumed: the binding is in the
// session ticket, and tickets without one lead to a full handshake. They are
// sealed with the keys of config, which crypto/tls renews unless config sets
// them; keys of a configuration that GetConfigForClient returns are not used. A
// resumed session stays bound to the certificate that it began with, for up to
// a week: where that one's key was stolen, new ticket keys (a restart, or
// config.SetSessionTicketKeys) end such sessions.
//
// Nothing that wraps connections may come between it and the server: net/http
// would not see TLS. What limits or counts connections wraps l. A handshake on a
// connection that did not come to ConnContext as it is fails, and slog.Default()
// has the reason once.
//
// Its connections speak HTTP/1.1 only, because NTLM logs connections in: "h2"
// is taken out of NextProtos. config must not be changed while it is in use,
// except by its methods.
func NewTLSListener(l net.Listener, config *tls.Config) net.Listener {
	t := &tlsListener{Listener: l, given: config, used: config.Clone()}
	t.used.GetConfigForClient = t.configFor
	return t
}

// ListenAndServeTLS is s.ListenAndServeTLS with NewTLSListener. The files may
// be "" if s.TLSConfig has a certificate.
func ListenAndServeTLS(s *http.Server, certFile, keyFile string) error {
	if s.ConnContext == nil {
		return errors.New("iwa: ListenAndServeTLS on a server without ConnContext")
	}
	config := s.TLSConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("iwa: certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return errors.New("iwa: ListenAndServeTLS without a certificate")
	}
	addr := s.Addr
	if addr == "" {
		addr = ":https"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(NewTLSListener(l, config)) // closes l
}

type tlsListener struct {
	net.Listener
	given *tls.Config // the program's
	used  *tls.Config

	warned         sync.Once
	testOnlyLogger *slog.Logger // in place of slog.Default()
}

// Accept returns a *tls.Conn, by which net/http knows TLS.
func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&boundConn{Conn: c}, l.used), nil
}

// configFor returns the configuration of one connection, which notes on it
// what the client is shown.
func (l *tlsListener) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	bound := hello.Conn.(*boundConn) // crypto/tls gives what Accept gave it
	if !bound.seen.Load() {
		l.warned.Do(l.warn) // net/http may not: where TLS is hidden from it, the error is
		return nil, errUnseen
	}
	chosen := l.given
	if chosen.GetConfigForClient != nil {
		c, err := chosen.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		if c != nil {
			chosen = c
		}
	}
	c := chosen.Clone()
	c.NextProtos = http1(chosen.NextProtos)
	c.Certificates = nil // else GetCertificate is not asked for each of them
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := certificate(chosen, hello)
		if err == nil {
			bound.presented, err = endpointBinding(cert)
		}
		return cert, err
	}
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra, slices.Concat(sessionTag, bound.binding(cs.DidResume)))
		if chosen.WrapSession != nil {
			return chosen.WrapSession(cs, ss)
		}
		return l.given.EncryptTicket(cs, ss)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		unwrap := l.given.DecryptTicket
		if chosen.UnwrapSession != nil {
			unwrap = chosen.UnwrapSession
		}
		ss, err := unwrap(ticket, cs)
		if err != nil || ss == nil {
			return nil, err
		}
		for _, extra := range ss.Extra {
			if cb, ok := bytes.CutPrefix(extra, sessionTag); ok && len(cb) > 0 {
				bound.resumed = bytes.Clone(cb)
				return ss, nil
			}
		}
		return nil, nil // somebody else's ticket: which certificate was shown is not known
	}
	return c, nil
}

// errUnseen ends a handshake whose logins nothing would be bound to.
var errUnseen = errors.New("iwa: a connection of NewTLSListener did not come to ConnContext")

func (l *tlsListener) warn() {
	log := l.testOnlyLogger
	if log == nil {
		log = slog.Default()
	}
	log.Error("TLS connections are refused", slog.String("cause", errUnseen.Error()),
		slog.String("hint", "set http.Server.ConnContext to iwa.ConnContext, and let nothing wrap what iwa.NewTLSListener returns; what limits connections wraps the listener below"))
}

// sessionTag marks our entry in tls.SessionState.Extra.
var sessionTag = []byte("soapward/iwa: ")

// certificate is what crypto/tls would choose of c.
func certificate(c *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.GetCertificate != nil && (len(c.Certificates) == 0 || hello.ServerName != "") {
		if cert, err := c.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	if len(c.Certificates) == 0 {
		return nil, errors.New("iwa: no certificate is configured")
	}
	if len(c.Certificates) > 1 {
		for i := range c.Certificates {
			if hello.SupportsCertificate(&c.Certificates[i]) == nil {
				return &c.Certificates[i], nil
			}
		}
	}
	return &c.Certificates[0], nil
}

// http1 is protos without HTTP/2.
func http1(protos []string) []string {
	if len(protos) == 0 {
		return []string{"http/1.1"}
	}
	return slices.DeleteFunc(slices.Clone(protos), func(p string) bool { return p == "h2" })
}

// boundConn is what is below TLS. Its notes are written by the TLS handshake,
// which comes before the first request.
type boundConn struct {
	net.Conn
	seen      atomic.Bool          // by ConnContext, so that requests know it
	presented authn.ChannelBinding // of the certificate that was chosen
	resumed   authn.ChannelBinding // of the session that the client wants to resume
}

// binding returns that of the certificate the client holds its peer to be. TLS
// 1.2 chooses a certificate before it resumes, and a client may offer sessions
// that are not resumed, so only the outcome tells.
func (c *boundConn) binding(resumed bool) authn.ChannelBinding {
	if resumed {
		return c.resumed
	}
	return c.presented
}
