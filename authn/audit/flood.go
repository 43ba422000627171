package audit

import (
	"net/netip"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// Bounds of the refusals that are recorded in a minute. People and the rules of
// package throttle stay far below the first; the second is for many addresses.
const (
	refusalsOfAddress = 120
	refusalsOfAll     = 6000
)

// flood counts refusals, which anybody can bring about without a password, so that
// nobody fills the disk with them. The zero value is ready. It is safe for
// concurrent use.
type flood struct {
	mu     sync.Mutex
	minute int64
	of     map[netip.Prefix]int // refusalsOfAll keys at most
	all    int
}

// takes reports whether a decision has a place in the record.
func (f *flood) takes(d *authn.Decision) bool {
	if d.Outcome == authn.OutcomeAccepted {
		return true
	}
	minute, from := time.Now().Unix()/60, network(d.Peer)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil || minute != f.minute {
		f.minute, f.of, f.all = minute, map[netip.Prefix]int{}, 0
	}
	if f.all >= refusalsOfAll || f.of[from] >= refusalsOfAddress {
		return false
	}
	f.all++
	f.of[from]++
	return true
}

// network is an address or, with IPv6, its network of 64 bits, of which one host
// has all addresses. Peers without an address are one.
func network(peer string) netip.Prefix {
	addr, err := netip.ParseAddr(peer)
	if err != nil {
		ap, _ := netip.ParseAddrPort(peer) // of none, the zero address
		addr = ap.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
