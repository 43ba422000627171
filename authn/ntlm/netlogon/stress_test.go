package netlogon_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// nothingLeft counts goroutines. The function that it returns waits until there
// are no more of them. Tests that call it are not parallel.
func nothingLeft(t *testing.T) (check func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	return func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := testenv.Poll(ctx, func() error {
			if n := runtime.NumGoroutine(); n > before {
				return fmt.Errorf("%d goroutines, %d before", n, before)
			}
			return nil
		})
		if err != nil {
			stacks := make([]byte, 1<<16)
			t.Errorf("%v\n%s", err, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestAttackSignatureOverHeader: a signature that is said to begin in the header
// makes go-msrpc panic, in the middle of the opening of a channel. That left its
// goroutines behind.
func TestAttackSignatureOverHeader(t *testing.T) {
	dc := adtest.Start(t)
	const opGetCapabilities = 21
	w := new(wire)
	onReply(w, opGetCapabilities, func(pdu []byte) []byte {
		binary.LittleEndian.PutUint16(pdu[10:], uint16(len(pdu)-24))
		return pdu
	})
	c := config(t, dc, adtest.GW12)
	c.Dialer = w
	check := nothingLeft(t)
	for range 3 {
		if err := netlogon.Probe(t.Context(), c); err == nil || !strings.Contains(err.Error(), "bytes of authentication") {
			t.Errorf("err %v, want that of the length", err)
		}
	}
	check()
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestStress: messages are lost and damaged, connections are cut, and clients go
// away, while thirty-two log in. Each is who he is or could not be judged; when
// it is over, all is as before.
func TestStress(t *testing.T) {
	dc := adtest.Start(t)
	var chaos atomic.Bool
	w := &wire{to: map[string]string{"dc1": dc.IP, "dc2": dc.IP}, response: func(pdu []byte) []byte {
		if !chaos.Load() {
			return pdu
		}
		switch rand.IntN(500) {
		case 0:
			return nil
		case 1:
			pdu[rand.IntN(len(pdu))] ^= 1 << rand.IntN(8)
		}
		return pdu
	}}
	c := config(t, dc, adtest.GW12)
	c.Dialer, c.Controllers, c.Channels = w, []string{"dc1", "dc2"}, 4
	c.Patience, c.Timeout = 300*time.Millisecond, 2*time.Second
	check := nothingLeft(t)
	v := newVerifier(t, c)
	users := []string{adtest.Alice, adtest.Bob, adtest.Zoe}
	var good, unavailable atomic.Int64
	chaos.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			user := users[n%len(users)]
			for i := 0; ctx.Err() == nil; i++ {
				wrong, password := n%4 == 3, adtest.Password(t, user)
				if wrong {
					password = "n0t-1t"
				}
				login1, stop := t.Context(), context.CancelFunc(func() {})
				if n%4 == 2 {
					login1, stop = context.WithTimeout(login1, time.Duration(rand.IntN(5000))*time.Microsecond)
				}
				id, err := login(login1, v, v.Names(), `CORP\`+user, password)
				stop()
				switch {
				case err == nil && !wrong && id.Account == user && id.SID == authn.SID(dc.SID(t, user)):
					good.Add(1)
				case errors.Is(err, authn.ErrUnavailable):
					unavailable.Add(1)
				case wrong && errors.Is(err, authn.ErrBadCredentials):
				default:
					t.Errorf("%s, wrong password %v: %v, %v", user, wrong, id, err)
					return
				}
				if n == 0 && i%50 == 49 {
					w.cut()
				}
			}
		})
	}
	wg.Wait()
	chaos.Store(false)
	start := time.Now()
	again, stop := context.WithTimeout(t.Context(), 15*time.Second)
	defer stop()
	err := testenv.Poll(again, func() error {
		for _, user := range users {
			if _, err := login(t.Context(), v, v.Names(), `CORP\`+user, adtest.Password(t, user)); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("%d logins went well, %d could not be judged; all well again after %v", good.Load(), unavailable.Load(), time.Since(start))
	if err != nil || good.Load() == 0 || unavailable.Load() == 0 {
		t.Errorf("afterwards: %v", err)
	}
	_ = v.Close()
	check()
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}
