package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// Codes that brought tokens count for nothing, and the others for the network that
// they came from and for a minute.
func TestFruitless(t *testing.T) {
	t.Parallel()
	f, now := new(fruitless), time.Unix(1e9, 0)
	try := func(client string) (func(), bool) {
		t.Helper()
		addr, _ := netip.ParseAddr(client)
		bought, err := f.begin(addr, now)
		if err != nil && !errors.Is(err, authn.ErrOverloaded) {
			t.Error(err)
		}
		return bought, err == nil
	}
	for _, tt := range []struct {
		one, same, other string
		most             int
	}{
		{"192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8", 120},
		{"2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", 120},
		{"127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2", 1200},
		{"", "", "::1", 1200}, // a Unix socket has no address
	} {
		for range 2 * tt.most {
			bought, ok := try(tt.one)
			if !ok {
				t.Fatalf("%s: codes that brought tokens count", tt.one)
			}
			bought()
		}
		var wg sync.WaitGroup
		for range tt.most {
			wg.Go(func() { try(tt.one) })
		}
		wg.Wait()
		if _, ok := try(tt.one); ok {
			t.Errorf("%s: more than %d", tt.one, tt.most)
		}
		if _, ok := try(tt.same); ok {
			t.Errorf("%s is not %s", tt.same, tt.one)
		}
		if _, ok := try(tt.other); !ok {
			t.Errorf("%s is %s", tt.other, tt.one)
		}
	}
	late, _ := try("192.0.2.9")
	now = now.Add(time.Minute)
	for range maxFruitless {
		if _, ok := try("192.0.2.7"); !ok {
			t.Fatal("the minute is over")
		}
	}
	late() // is not of this minute
	if _, ok := try("192.0.2.7"); ok || f.of[netip.MustParsePrefix("192.0.2.9/32")] != 0 {
		t.Errorf("%v", f.of)
	}
}

// TestAttackOIDCManyClients: from however many addresses made-up codes come, memory
// and requests are bounded, and who was counted by himself still is.
func TestAttackOIDCManyClients(t *testing.T) {
	t.Parallel()
	f, now := new(fruitless), time.Unix(1e9, 0)
	known := netip.MustParseAddr("192.0.2.7")
	if _, err := f.begin(known, now); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for i := range 2 * maxClients {
		if _, err := f.begin(netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)), now); err == nil {
			taken++
		}
	}
	if len(f.of) > maxClients+1 || taken != maxClients-1+maxFruitlessHere {
		t.Errorf("%d are told apart, %d were taken", len(f.of), taken)
	}
	if _, err := f.begin(known, now); err != nil {
		t.Error(err)
	}
}
