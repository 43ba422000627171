package kdc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

const (
	maxRequest  = 256 << 10 // two tickets of a user in 1015 groups are 30 KiB
	maxUDPReply = 1465      // what Windows sends in one datagram
	maxConns    = 64        // at once; more are closed at once
	maxDatagram = 64        // being handled at once
	idleTimeout = 10 * time.Second
)

// server is the network side of a KDC.
type server struct {
	mu     sync.Mutex
	tcp    net.Listener
	udp    net.PacketConn
	conns  map[net.Conn]struct{}
	closed bool
	done   chan struct{} // closed by Close
	wg     sync.WaitGroup
}

// Start listens on a loopback address, such as 127.0.0.1:0, with TCP and UDP on
// the same port.
func (k *KDC) Start(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("kdc: %w", err)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("kdc: %s is not a loopback address: this KDC is for demonstration and tests", addr)
	}
	s := &k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tcp != nil || s.closed {
		return errors.New("kdc: already started")
	}
	if s.tcp, s.udp, err = listenBoth(ap); err != nil {
		return fmt.Errorf("kdc: %w", err)
	}
	s.conns, s.done = map[net.Conn]struct{}{}, make(chan struct{})
	s.wg.Go(k.serveTCP)
	s.wg.Go(k.serveUDP)
	k.cfg.Logger.Info("KDC for demonstration and tests is listening",
		slog.String("realm", k.cfg.Realm), slog.String("addr", s.tcp.Addr().String()))
	return nil
}

// listenBoth listens on one port for TCP and UDP. If the system chooses the
// port, the UDP port of the same number may be taken; then another is tried.
func listenBoth(ap netip.AddrPort) (net.Listener, net.PacketConn, error) {
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", ap.String())
		if err != nil {
			return nil, nil, err
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, p, nil
		}
		_ = l.Close()
		if ap.Port() != 0 || try == 10 {
			return nil, nil, err
		}
	}
}

// Addr returns the address the KDC listens on, or "" before Start.
func (k *KDC) Addr() string {
	k.server.mu.Lock()
	defer k.server.mu.Unlock()
	if k.server.tcp == nil {
		return ""
	}
	return k.server.tcp.Addr().String()
}

// Close stops listening, ends all connections and waits for their goroutines.
func (k *KDC) Close() error {
	s := &k.server
	s.mu.Lock()
	if s.closed || s.tcp == nil {
		s.closed = true
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	err := errors.Join(s.tcp.Close(), s.udp.Close())
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// track counts a connection in, unless there are too many or the KDC is
// closing.
func (s *server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *server) untrack(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// wait returns after d, and false if the KDC is closed before.
func (s *server) wait(d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}

func (k *KDC) serveTCP() {
	s := &k.server
	for {
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !s.wait(10 * time.Millisecond) { // out of file descriptors: do not spin
				return
			}
			continue
		}
		if !s.track(c) {
			_ = c.Close()
			continue
		}
		s.wg.Go(func() {
			defer s.untrack(c)
			defer c.Close()
			k.serveConn(c)
		})
	}
}

// serveConn answers the requests of one connection, each with its length in
// front (RFC 4120 7.2.2).
func (k *KDC) serveConn(c net.Conn) {
	for {
		if c.SetDeadline(time.Now().Add(idleTimeout)) != nil {
			return
		}
		var h [4]byte
		if _, err := io.ReadFull(c, h[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(h[:])
		if n > maxRequest {
			// Also a length whose first bit is set, which RFC 5021 reserves.
			_ = writeFramed(c, k.tooLong(krb5.CodeFieldTooLong))
			return
		}
		b, err := io.ReadAll(io.LimitReader(c, int64(n)))
		if err != nil || len(b) != int(n) {
			return
		}
		k.stats.tcp.Add(1)
		rep := k.Handle(b)
		if !k.server.wait(k.delay()) {
			return
		}
		if rep == nil {
			continue
		}
		if writeFramed(c, rep) != nil {
			return
		}
	}
}

func writeFramed(c net.Conn, b []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

func (k *KDC) serveUDP() {
	s := &k.server
	slots := make(chan struct{}, maxDatagram)
	buf := make([]byte, 64<<10)
	for {
		n, peer, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if !s.wait(10 * time.Millisecond) {
				return
			}
			continue
		}
		b := append([]byte(nil), buf[:n]...)
		select {
		case slots <- struct{}{}:
		default:
			continue // too busy: a datagram may be lost
		}
		s.wg.Go(func() {
			defer func() { <-slots }()
			k.stats.udp.Add(1)
			rep := k.Handle(b)
			if len(rep) > maxUDPReply || rep != nil && k.smallUDP() {
				rep = k.tooLong(krb5.CodeResponseTooBig)
			}
			if rep != nil && s.wait(k.delay()) {
				_, _ = s.udp.WriteTo(rep, peer)
			}
		})
	}
}

func (k *KDC) tooLong(c krb5.ErrorCode) []byte {
	return k.errorMessage(&exchange{now: k.cfg.Now().UTC()}, refuse(c, ""))
}

func (k *KDC) delay() time.Duration {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.fault.Delay
}

func (k *KDC) smallUDP() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.fault.SmallUDP
}
