package backend

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// A conn is a connection to a server that one request uses at a time.
type conn struct {
	net.Conn          // TLS or not
	plain    net.Conn // below TLS
	in       reader
	probe    probe
	used     bool          // by a request before
	since    time.Time     // when it became idle
	limit    time.Duration // for how long it may be
}

func (s *server) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pool.connectTimeout)
	defer cancel()
	var d net.Dialer
	plain, err := d.DialContext(ctx, s.network, s.addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: plain, plain: plain}
	if s.tls != nil {
		over := tls.Client(plain, s.tls)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		c.Conn = over
	}
	c.in.init(c.Conn)
	c.probe.init(plain)
	return c, nil
}

// writeWithin writes in some time; zero is without a limit.
func (c *conn) writeWithin(b []byte, d time.Duration) error {
	if d > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(d)) // fails as Write does
	}
	_, err := c.Write(b)
	return err
}

// kill ends the connection at once, also one that another goroutine reads or
// writes. TLS is not told: that would wait for a peer that takes nothing.
func (c *conn) kill() { _ = c.plain.Close() }
