package listen

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/soapward/soapward/gateway/config"
)

// headerTimeout is how long a load balancer may take to say for whom it connects.
const headerTimeout = 5 * time.Second

// A proxyListener gives connections of load balancers the addresses of their
// clients. It is below TLS. Those of others come through as they are: a header
// that they send is no request, and answered with 400.
type proxyListener struct {
	net.Listener
	of *Listener
}

// Accept implements net.Listener. It reads nothing: the connection does, when it
// is first asked for an address or for data.
func (p proxyListener) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !contains(*p.of.balancers.Load(), c.RemoteAddr()) {
		return c, nil
	}
	return &proxyConn{
		Conn: proxyproto.NewConn(c, proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(headerTimeout), proxyproto.ValidateHeader(validHeader)),
		refused: func(err error) { p.of.log.refused(p.of, c.RemoteAddr(), err) },
	}, nil
}

func contains(networks []config.Network, a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || len(networks) == 0 {
		return false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

var errNoTCP = errors.New("the client has no TCP address")

// validHeader refuses clients whose address nothing could be decided by.
// Connections of the load balancer itself have none.
func validHeader(h *proxyproto.Header) error {
	if h.Command.IsLocal() || h.TransportProtocol.IsUnspec() {
		return nil
	}
	from, _, ok := h.TCPAddrs()
	if !ok {
		return errNoTCP
	}
	if addr, ok := netip.AddrFromSlice(from.IP); !ok || addr.IsUnspecified() {
		return errNoTCP
	}
	return nil
}

// proxyConn tells of a header that is refused.
type proxyConn struct {
	*proxyproto.Conn
	read    atomic.Bool
	refused func(error)
}

// Read implements net.Conn.
func (c *proxyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.read.Swap(true) && err != nil && c.ProxyHeader() == nil {
		c.refused(err)
	}
	return n, err
}

// proxyLog writes a line a minute, whatever comes: load balancers connect every
// second to see whether somebody is there.
type proxyLog struct {
	mu      sync.Mutex
	next    time.Time
	skipped int
}

const proxyLogEvery = time.Minute

func (p *proxyLog) refused(l *Listener, from net.Addr, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.next) {
		p.skipped++
		return
	}
	l.opts.Logger.Warn("a connection without a valid PROXY header was closed",
		slog.String("listener", string(l.addr)), slog.String("peer", from.String()), slog.String("cause", err.Error()), slog.Int("more", p.skipped),
		slog.String("hint", "listen[].proxy_protocol names this address: switch the PROXY protocol on there, or take the address out"))
	p.next, p.skipped = now.Add(proxyLogEvery), 0
}
