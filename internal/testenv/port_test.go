package testenv

import (
	"net"
	"strconv"
	"testing"
)

func TestFreePort(t *testing.T) {
	above, err := lowestOfSystem()
	if err != nil || above <= lowestPort+1000 {
		t.Skipf("the system has no ports that it leaves alone: those it gives begin at %d, %v", above, err)
	}
	given := map[int]bool{}
	for range 200 {
		port, err := FreePort()
		switch {
		case err != nil:
			t.Fatal(err)
		case given[port]:
			t.Errorf("%d twice", port)
		case port < lowestPort || port >= above:
			t.Errorf("%d is the system's, or of a well-known service", port)
		}
		given[port] = true
		if claim, err := claimed(port); err == nil {
			_ = claim.Close()
			t.Errorf("another process gets %d as well", port)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if claim, err := claimed(l.Addr().(*net.TCPAddr).Port); err == nil {
		_ = claim.Close()
		t.Error("a port where somebody listens")
	}
}
