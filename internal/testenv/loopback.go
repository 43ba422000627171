package testenv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// claimPort is held on an address as long as it is in use, so that two test
// processes never choose the same one. No server uses it (tcpmux, RFC 7805).
const claimPort = 1

// A Loopback is an IPv4 address of the loopback network that only its holder
// uses.
type Loopback struct {
	IP    string
	claim net.Listener
}

// ClaimLoopback finds an address on which the TCP ports are free, and claims
// it. It needs root, and a system such as Linux that owns all of 127.0.0.0/8.
func ClaimLoopback(ports ...int) (*Loopback, error) {
	var errs []error
	for range 20 {
		ip := fmt.Sprintf("127.%d.%d.%d", 16+rand.IntN(200), rand.IntN(256), 2+rand.IntN(250))
		claim, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(claimPort)))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := portsFree(ip, ports); err != nil {
			_ = claim.Close()
			errs = append(errs, err)
			continue
		}
		return &Loopback{IP: ip, claim: claim}, nil
	}
	return nil, fmt.Errorf("testenv: claim loopback address: %w", errors.Join(errs...))
}

// Release gives the address back.
func (l *Loopback) Release() error { return l.claim.Close() }

func portsFree(ip string, ports []int) error {
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		_ = l.Close()
	}
	return nil
}

func dial(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
