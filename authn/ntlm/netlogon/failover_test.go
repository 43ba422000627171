package netlogon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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

// failover is how long a login may take when its controller falls silent.
const failover = 2 * time.Second

// silentHost accepts connections and never answers.
func silentHost(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestSilentController: the next one is asked within two seconds, and further
// logins do not wait.
func TestSilentController(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	c := config(t, dc, adtest.GW02)
	c.Controllers = []string{silentHost(t), dc.IP}
	v := newVerifier(t, c)
	for i, limit := range []time.Duration{failover, time.Second} {
		start := time.Now()
		id, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob))
		took := time.Since(start)
		if err != nil || id.Account != "bob" || took > limit {
			t.Errorf("login %d: %v, %v after %v, want bob within %v", i, id, err, took, limit)
		}
	}
	hs := v.Health()
	if len(hs) != 2 || hs[0].Up || !hs[1].Up {
		t.Errorf("health %+v, want the second up", hs)
	}
}

// TestControllerFallsSilent: after logins went well.
func TestControllerFallsSilent(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	w := &wire{to: map[string]string{"dc1": dc.IP, "dc2": dc.IP}}
	c := config(t, dc, adtest.GW03)
	c.Dialer, c.Controllers = w, []string{"dc1", "dc2"}
	v := newVerifier(t, c)
	bob := func() error {
		id, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob))
		if err == nil && id.Account != "bob" {
			err = fmt.Errorf("logged in as %v", id)
		}
		return err
	}
	if err := bob(); err != nil {
		t.Fatal(err)
	}
	dc1 := "dc1"
	w.silent.Store(&dc1)
	start := time.Now()
	if err := bob(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > failover {
		t.Errorf("login took %v, want at most %v", took, failover)
	}
	w.silent.Store(nil)
	// It is tried again beside the logins.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		if err := bob(); err != nil {
			t.Error(err)
		}
		if !v.Health()[0].Up {
			return errors.New("dc1 is still down")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNoController: nobody answers, which is not the user's fault.
func TestNoController(t *testing.T) {
	t.Parallel()
	silent := silentHost(t)
	for _, tt := range []struct {
		name    string
		hosts   []string
		timeout time.Duration
	}{
		{"refused", []string{"127.0.0.1:1"}, 0},
		{"silent", []string{silent}, time.Second},
		{"two", []string{"127.0.0.1:1", silent}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, netlogon.Config{
				Account: "GW01", Secrets: netlogon.Password(authn.NewSecret("x")), Domain: "CORP",
				Controllers: tt.hosts, Timeout: tt.timeout, Logger: slog.New(slog.DiscardHandler),
			})
			start := time.Now()
			id, err := login(t.Context(), v, v.Names(), `CORP\alice`, "x")
			if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%v, %v; want ErrUnavailable", id, err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			err = v.Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.hosts[0]) {
				t.Errorf("Check: %v, want the controller's name", err)
			}
			if refused := tt.hosts[0] == "127.0.0.1:1"; refused && (err == nil || !strings.Contains(err.Error(), "TCP port 135")) {
				t.Errorf("Check: %v, want the remedy", err)
			}
		})
	}
}

// TestWrongDomainName: a controller tells nothing of a NetBIOS name that is not
// its domain's. The test is not parallel, so that it can use another's account.
func TestWrongDomainName(t *testing.T) {
	c := config(t, adtest.Start(t), adtest.GW02)
	c.Domain = "ELSEWHERE"
	if err := newVerifier(t, c).Check(t.Context()); err == nil || !strings.Contains(err.Error(), `is "ELSEWHERE" the NetBIOS name of the domain?`) {
		t.Errorf("Check: %v, want the remedy", err)
	}
}

// TestControllerKilled kills the controller under load and starts it again:
// each login gets its answer or ErrUnavailable, none a wrong identity, and all
// is well within three seconds.
func TestControllerKilled(t *testing.T) {
	dc := adtest.Start(t) // not parallel: others would lose their controller
	v := newVerifier(t, config(t, dc, adtest.GW01))
	users := []string{adtest.Alice, adtest.Bob, adtest.Zoe}
	var good, unavailable atomic.Int64
	var back atomic.Int64 // when the first login went well again, as UnixNano
	var down atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			user := users[n%len(users)]
			for ctx.Err() == nil {
				wrong := n%4 == 3
				password := adtest.Password(t, user)
				if wrong {
					password = "n0t-1t"
				}
				id, err := login(t.Context(), v, v.Names(), `CORP\`+user, password)
				switch {
				case err == nil && !wrong && id.Account == user && id.SID == authn.SID(dc.SID(t, user)):
					good.Add(1)
					if down.Load() {
						back.CompareAndSwap(0, time.Now().UnixNano())
					}
				case errors.Is(err, authn.ErrUnavailable):
					unavailable.Add(1)
				case wrong && errors.Is(err, authn.ErrBadCredentials):
				default:
					t.Errorf("%s, wrong password %v: %v, %v", user, wrong, id, err)
					return
				}
			}
		})
	}
	waitFor := func(what string, cond func() bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := testenv.Poll(ctx, func() error {
			if !cond() {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	waitFor("logins before", func() bool { return good.Load() > 200 })
	dc.Kill(t)
	before := unavailable.Load()
	waitFor("logins that could not be judged", func() bool { return unavailable.Load() > before+100 })
	dc.Restart(t)
	listening := time.Now()
	down.Store(true)
	waitFor("logins after", func() bool { return back.Load() > 0 })
	took := time.Unix(0, back.Load()).Sub(listening)
	if took > 3*time.Second {
		t.Errorf("logins went well %v after the controller listened, want 3 s at most", took)
	}
	after := good.Load()
	waitFor("more logins after", func() bool { return good.Load() > after+200 })
	cancel()
	wg.Wait()
	t.Logf("%d logins went well, %d could not be judged; well again after %v", good.Load(), unavailable.Load(), took)
}

// TestNothingLeft: a verifier that was closed leaves no goroutine and no
// connection. It is not parallel, so as to count its own only.
func TestNothingLeft(t *testing.T) {
	dc := adtest.Start(t)
	c := config(t, dc, adtest.GW12)
	w := new(wire)
	c.Dialer, c.Controllers = w, []string{silentHost(t), dc.IP}
	check := nothingLeft(t)
	for range 5 {
		v, err := netlogon.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob)); err != nil {
			t.Error(err)
		}
		_ = v.Close()
	}
	check()
	if n := w.open.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestConnectionsCut: controllers close connections that are idle.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	w := new(wire)
	c := config(t, dc, adtest.GW09)
	c.Dialer = w
	v := newVerifier(t, c)
	for range 5 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if id, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob)); err != nil || id.Account != "bob" {
					t.Errorf("%v, %v", id, err)
				}
			})
		}
		wg.Wait()
		w.cut()
	}
}

// TestAccountShared: two programs that use one account take each other's key
// away. Logins go on, or say why they do not.
func TestAccountShared(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	var wg sync.WaitGroup
	var good atomic.Int64
	for range 2 {
		wg.Go(func() {
			for range 20 {
				v := newVerifier(t, config(t, dc, adtest.GW10))
				id, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob))
				_ = v.Close()
				switch {
				case err == nil && id.Account == "bob":
					good.Add(1)
				case err == nil:
					t.Errorf("logged in as %v", id)
				case !errors.Is(err, authn.ErrUnavailable):
					t.Error(err)
				default:
					t.Log(err)
				}
			}
		})
	}
	wg.Wait()
	if good.Load() == 0 {
		t.Error("no login went well")
	}
	t.Logf("%d of 40 logins went well", good.Load())
}
