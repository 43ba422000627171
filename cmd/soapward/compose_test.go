package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// The configuration and the packages that do what it says have the same
// defaults and bounds, each in words of their own.
func TestConfigAgrees(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("gw.yaml", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want time.Duration
	}{
		{"idle", c.Sessions.Idle.Std(), session.DefaultIdle},
		{"absolute", c.Sessions.Absolute.Std(), session.DefaultAbsolute},
		{"remember", c.Sessions.Remember.Std(), session.DefaultRemember},
		{"history", c.Store.KeepLogins.Std(), store.DefaultKeepLogins},
		{"window", c.Throttle.Window.Std(), time.Hour},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	rules := func(what string, got []config.ThrottleRule, want []throttle.Rule) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
		for i := range got {
			if got[i].Failures != want[i].Failures || got[i].Block.Std() != want[i].Block {
				t.Errorf("%s: %v, want %v", what, got[i], want[i])
			}
		}
	}
	rules("user", c.Throttle.User, throttle.DefaultUser())
	rules("address", c.Throttle.Address, throttle.DefaultAddress())
	for _, more := range []int{0, 1} {
		n := throttle.MaxFailures + more
		_, err := config.Parse("gw.yaml", fmt.Appendf(nil, "throttle: {user: [{failures: %d, block: 1m}]}", n))
		if (err != nil) != (more > 0) {
			t.Errorf("a rule for %d failures: %v", n, err)
		}
	}
}
