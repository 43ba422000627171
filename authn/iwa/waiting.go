package iwa

import (
	"container/list"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
)

// Defaults of Authenticator.
const (
	defaultHandshakeTimeout = 30 * time.Second
	defaultMaxHandshakes    = 64
)

// graceForAnswer is how long an answer to a challenge may take before a newer
// handshake of the same address may have its place. It is one round trip: the
// client has its password before it begins.
const graceForAnswer = 2 * time.Second

const (
	hintTimeout = "clients answer a challenge within one round trip; this one has lost its connection without closing it, or holds connections on purpose"
	hintCrowded = "many handshakes of one address wait for their client's answer: somebody floods the server, " +
		"or many clients share the address (NAT, a load balancer that does not pass theirs on); then raise iwa.Authenticator.MaxHandshakes"
)

// exchange is a handshake between two of its legs.
type exchange struct {
	acceptor authn.Acceptor
	scheme   string // canonical
	by       *Authenticator

	peer    netip.Addr    // whom it counts for; the zero address for nobody
	since   time.Time     // of the challenge
	timer   *time.Timer   // ends the connection
	place   *list.Element // in waiting
	crowded atomic.Bool   // a newer one has its place
}

// waiting is the exchanges that wait for their client's answer, by address and
// in the order in which they began to. The zero value is ready; it is safe for
// concurrent use.
type waiting struct {
	mu sync.Mutex
	of map[netip.Addr]*list.List
}

// add gives x a place among the at most limit ones of its address. Where there
// is none it takes that of the one that waits longest, which it returns, unless
// that may still be answered. ok reports whether x has a place.
func (w *waiting) add(x *exchange, limit int) (crowded *exchange, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.of[x.peer]
	if l == nil {
		if w.of == nil {
			w.of = map[netip.Addr]*list.List{}
		}
		l = list.New()
		w.of[x.peer] = l
	}
	if l.Len() >= limit {
		crowded = l.Front().Value.(*exchange)
		if x.since.Sub(crowded.since) < graceForAnswer {
			return nil, false
		}
		l.Remove(crowded.place)
	}
	x.place = l.PushBack(x)
	return crowded, true
}

// remove gives the place of x free, if it has one.
func (w *waiting) remove(x *exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.of[x.peer]
	if l == nil || x.place == nil {
		return
	}
	l.Remove(x.place) // does nothing if a newer one has its place
	if l.Len() == 0 {
		delete(w.of, x.peer)
	}
}

// wait keeps the acceptor for its client's answer on the connection of s, which
// is locked.
func (a *Authenticator) wait(s *connState, scheme string, acceptor authn.Acceptor) error {
	timeout, limit := a.HandshakeTimeout, a.MaxHandshakes
	if timeout <= 0 {
		timeout = defaultHandshakeTimeout
	}
	if limit <= 0 {
		limit = defaultMaxHandshakes
	}
	x := &exchange{acceptor: acceptor, scheme: scheme, by: a, peer: addressOf(s.conn), since: a.now()}
	x.timer = time.AfterFunc(timeout, func() { a.giveUp(s, x, timeout) })
	if x.peer.IsValid() {
		crowded, ok := a.waiting.add(x, limit)
		if !ok {
			x.timer.Stop()
			return fmt.Errorf("%w: %w", authn.ErrOverloaded, refuse(x.scheme, authn.ReasonPolicy, hintCrowded,
				fmt.Errorf("iwa: %d handshakes of %v wait for an answer, all of them for less than %v", limit, x.peer, graceForAnswer)))
		}
		if crowded != nil {
			crowded.crowded.Store(true)
			crowded.timer.Reset(0) // ends it in a goroutine of its own: we hold s
		}
	}
	s.exchange = x
	if s.ends != nil {
		s.ends.waiting.Store(s.conn, s)
	}
	return nil
}

// giveUp ends the connection of s if x still waits there.
func (a *Authenticator) giveUp(s *connState, x *exchange, timeout time.Duration) {
	s.mu.Lock()
	if s.exchange != x {
		s.mu.Unlock()
		return
	}
	s.stopWaiting()
	s.mu.Unlock()
	if s.conn == nil || a.PerRequest { // a request of another client may be under way there
		return
	}
	cause, hint := fmt.Sprintf("no answer to the challenge within %v", timeout), hintTimeout
	if x.crowded.Load() {
		cause, hint = "too many handshakes of its address wait for an answer, and newer ones came", hintCrowded
	}
	a.logger().Info("handshake ended",
		slog.String("peer", s.conn.RemoteAddr().String()), slog.String("scheme", x.scheme),
		slog.String("cause", cause), slog.String("hint", hint))
	_ = s.conn.Close() // an error says that it was closed already
}

// addressOf returns whom a connection counts for: the client's address or, with
// IPv6, its network of 64 bits, of which one host has all addresses. It is the
// zero address for connections that have none, such as Unix sockets.
func addressOf(c net.Conn) netip.Addr {
	if c == nil {
		return netip.Addr{}
	}
	t, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := t.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}
