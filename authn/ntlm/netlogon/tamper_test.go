package netlogon_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// wire is a netlogon.Dialer that sees and changes what goes over the network.
// Its fields must not change while it is in use.
type wire struct {
	// to maps the host that is dialled to a real one. Nil means no change.
	to map[string]string

	// request and response may change PDUs. Nil means no change.
	request, response func(pdu []byte) []byte

	silent  atomic.Pointer[string] // host whose answers do not arrive any more
	dials   atomic.Int64
	open    atomic.Int64 // connections
	logons  atomic.Int64 // NetrLogonSamLogonEx calls that were sent
	mu      sync.Mutex
	carrier []net.Conn
}

// The operations of Netlogon that the tests look for (MS-NRPC 3.5.4).
const (
	opReqChallenge  = 4
	opAuthenticate3 = 26
	opSamLogonEx    = 39
)

func opnum(request []byte) int { return int(binary.LittleEndian.Uint16(request[22:])) }

func isType(pdu []byte, typ byte) bool { return len(pdu) >= 24 && pdu[2] == typ }

func (w *wire) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.dials.Add(1)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if real, ok := w.to[host]; ok {
		address = net.JoinHostPort(real, port)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.open.Add(1)
	w.mu.Lock()
	w.carrier = append(w.carrier, conn)
	w.mu.Unlock()
	return &wireConn{Conn: conn, wire: w, host: host}, nil
}

// cut closes all connections, as a controller does that is started anew.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.carrier {
		_ = c.Close()
	}
	w.carrier = nil
}

type wireConn struct {
	net.Conn
	wire *wire
	host string
	rest []byte

	once sync.Once
}

func (c *wireConn) Close() error {
	c.once.Do(func() { c.wire.open.Add(-1) })
	return c.Conn.Close()
}

func (c *wireConn) Write(p []byte) (int, error) {
	if isType(p, 0) && opnum(p) == opSamLogonEx {
		c.wire.logons.Add(1)
	}
	if c.wire.request != nil {
		if _, err := c.Conn.Write(c.wire.request(append([]byte(nil), p...))); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *wireConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		pdu, err := readPDU(c.Conn)
		if err != nil {
			return 0, err
		}
		if s := c.wire.silent.Load(); s != nil && *s == c.host {
			_, err := io.ReadFull(c.Conn, make([]byte, 1)) // until the deadline
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if c.wire.response != nil {
			pdu = c.wire.response(pdu)
		}
		c.rest = pdu
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func readPDU(r io.Reader) ([]byte, error) {
	header := make([]byte, 16)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	pdu := append(header, make([]byte, int(binary.LittleEndian.Uint16(header[8:]))-16)...)
	_, err := io.ReadFull(r, pdu[16:])
	return pdu, err
}
