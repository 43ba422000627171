// Package listen opens the gateway's sockets: TCP or Unix, with TLS, behind load
// balancers that speak the PROXY protocol, or handed over by systemd.
//
//   - [Open] opens the address of a configuration; a [Listener] is for the
//     http.Server that package authn/iwa makes.
//   - [Listener.Prepare] changes certificates and load balancers of one that is
//     in use, and [Listener.Reopen] what cannot be changed: both without a
//     connection being refused or lost.
//   - [Inherit] takes what systemd handed over.
//
// TLS is 1.2 or later and HTTP/1.1, and bound to the logins (see
// iwa.NewTLSListener). Key files that others can read are refused.
//
// Compatibility: exported names keep their meaning within a major version.
package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/config"
)

// Options are what a Listener needs besides the configuration.
type Options struct {
	Inherited *Inherited   // for addresses systemd:NAME; nil: there are none
	Logger    *slog.Logger // nil means slog.Default()
}

// A Listener is an open address. It is safe for concurrent use. What wraps it
// would hide TLS from net/http: nothing may.
type Listener struct {
	net.Listener // what the server accepts from

	addr   config.Address
	tls    bool
	socket *socket
	opts   Options

	balancers atomic.Pointer[[]config.Network]
	certs     atomic.Pointer[certificates] // nil: plain HTTP
	log       proxyLog
}

// An Error says why an address cannot be opened.
type Error struct {
	Addr   config.Address
	Err    error
	Remedy string // what an operator can do; may be empty
}

func (e *Error) Error() string { return fmt.Sprintf("listen: %s: %v", e.Addr, cause(e.Err)) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause leaves out what net says of the address a second time.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// Open reads the certificates and opens the address. An error is an *Error.
func Open(c config.Listener, o Options) (*Listener, error) {
	certs, err := loadCertificates(c.TLS)
	if err != nil {
		return nil, &Error{Addr: c.Addr, Err: err}
	}
	s, err := openSocket(c.Addr, o.Inherited)
	if err != nil {
		return nil, &Error{Addr: c.Addr, Err: err, Remedy: remedy(c.Addr, err)}
	}
	return newListener(c, o, s, certs), nil
}

func newListener(c config.Listener, o Options, s *socket, certs *certificates) *Listener {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Listener{addr: c.Addr, tls: c.TLS != nil, socket: s, opts: o}
	l.set(c, certs)
	l.Listener = proxyListener{s, l}
	if l.tls {
		l.Listener = iwa.NewTLSListener(l.Listener, l.tlsConfig())
	}
	return l
}

func (l *Listener) set(c config.Listener, certs *certificates) {
	balancers := c.ProxyProtocol
	l.balancers.Store(&balancers)
	l.certs.Store(certs)
	certs.warn(l.opts.Logger)
}

// ErrReopen means that a listener cannot become what is wanted while it is in
// use, but Reopen can make one that is.
var ErrReopen = errors.New("listen: TLS cannot be switched on or off while the address is in use")

// Prepare reads what another configuration of the address wants and returns what
// puts it into force, for connections that come after it. An error, which is
// ErrReopen or an *Error, leaves everything as it is.
func (l *Listener) Prepare(c config.Listener) (apply func(), err error) {
	if l.tls != (c.TLS != nil) {
		return nil, ErrReopen
	}
	certs, err := loadCertificates(c.TLS)
	if err != nil {
		return nil, &Error{Addr: c.Addr, Err: err}
	}
	return func() { l.set(c, certs) }, nil
}

// Reopen returns another listener for the same socket. Connections come to one
// of them until one is closed, so none is refused in between.
func (l *Listener) Reopen(c config.Listener) (*Listener, error) {
	certs, err := loadCertificates(c.TLS)
	if err != nil {
		return nil, &Error{Addr: c.Addr, Err: err}
	}
	s, err := l.socket.dup()
	if err != nil {
		return nil, &Error{Addr: c.Addr, Err: err}
	}
	return newListener(c, l.opts, s, certs), nil
}

// Certificates lists those in force, none with plain HTTP.
func (l *Listener) Certificates() []Certificate { return l.certs.Load().all() }

// remedy is what an operator can do about an address that cannot be opened.
func remedy(a config.Address, err error) string {
	network, where := a.Split()
	_, port, _ := net.SplitHostPort(where)
	number, _ := strconv.Atoi(port)
	switch {
	case errors.Is(err, errNotInherited):
		return "name the socket in its unit, FileDescriptorName=" + where + ", and start the service by that"
	case errors.Is(err, syscall.EADDRINUSE) && network == "unix":
		return "end the program that listens there"
	case errors.Is(err, syscall.EADDRINUSE):
		return "see which program listens there: ss -ltnp 'sport = :" + port + "'"
	case errors.Is(err, syscall.EACCES) && network == "unix":
		return "give this user a directory of its own for the socket, such as RuntimeDirectory=soapward in a systemd unit"
	case errors.Is(err, syscall.EACCES) && number < 1024:
		return "allow ports below 1024: AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit, " +
			`or setcap cap_net_bind_service=+ep "$(command -v soapward)"; or take a port from 1024`
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "name an address that this machine has (ip address), or none, for all: :" + port
	case errors.Is(err, syscall.ENOENT) && network == "unix":
		return "make the directory of the socket"
	}
	return ""
}

// A socket is a net.Listener. Several may be the same socket of the system, and
// the last one to be closed takes the file of a Unix socket away.
type socket struct {
	net.Listener
	file *socketFile // nil unless we made one
	once sync.Once
	err  error
}

func openSocket(a config.Address, in *Inherited) (*socket, error) {
	switch network, where := a.Split(); network {
	case "unix":
		return openUnix(where)
	case "systemd":
		l, err := in.listener(where)
		return &socket{Listener: l}, err
	default:
		l, err := new(net.ListenConfig).Listen(context.Background(), network, where)
		return &socket{Listener: l}, err
	}
}

// dup returns another one of the same socket.
func (s *socket) dup() (*socket, error) {
	f, err := fileOf(s.Listener)
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	s.file.hold()
	return &socket{Listener: l, file: s.file}, nil
}

// Close may be called more than once.
func (s *socket) Close() error {
	s.once.Do(func() {
		s.err = errors.Join(s.Listener.Close(), s.file.release())
	})
	return s.err
}
