package oidc

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	// maxFruitless is how many codes of a client a provider may refuse in a minute, or
	// be busy with, before the client has to wait for the next one. People stay far
	// below. What comes from this machine may be from a proxy in front, which all share.
	maxFruitless     = 120
	maxFruitlessHere = 10 * maxFruitless

	maxClients = 10_000 // that are told apart in a minute
)

// fruitless counts codes that brought no tokens. Anybody can begin a login and end it
// with a code that he made up, and each takes a request to the provider, which thinks
// that we send them. The zero value is ready. It is safe for concurrent use.
type fruitless struct {
	mu     sync.Mutex
	minute int64
	of     map[netip.Prefix]int
}

// begin is to be called before a code is taken to the provider, and bought once it
// brought tokens. The error wraps authn.ErrOverloaded.
func (f *fruitless) begin(client netip.Addr, now time.Time) (bought func(), err error) {
	client = client.Unmap().WithZone("")
	most := maxFruitless
	if !client.IsValid() || client.IsLoopback() {
		most = maxFruitlessHere
	}
	minute, from := now.Unix()/60, networkOf(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil || f.minute != minute {
		f.minute, f.of = minute, map[netip.Prefix]int{}
	}
	if _, ok := f.of[from]; !ok && len(f.of) >= maxClients {
		from, most = netip.Prefix{}, maxFruitlessHere // the others are one
	}
	if f.of[from] >= most {
		return nil, fmt.Errorf("%w: %d codes of this client brought no tokens in this minute, so that the provider is not asked about more", authn.ErrOverloaded, most)
	}
	f.of[from]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.minute == minute {
			f.of[from]--
		}
	}, nil
}

// networkOf is an address or, with IPv6, its network of 64 bits, of which one host
// has all addresses.
func networkOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // of none, the zero prefix
	return p
}
