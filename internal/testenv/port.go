package testenv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Ports of tests begin at lowestPort: those below are of well-known services.
const lowestPort = 15_000

// claims are the ports of this process, which keeps them: two tests get the same
// one no more than two processes.
var claims struct {
	mu   sync.Mutex
	held []net.Listener
}

// FreePort returns a TCP port of 127.0.0.1 for a server that cannot listen on port 0
// and say which one it got. On Linux nobody else gets it while this process lives:
// it is not of those that the system gives to connections and to who asks for any,
// and other test processes leave it alone. Elsewhere nothing uses it at this moment.
func FreePort() (int, error) {
	above, err := lowestOfSystem()
	if err != nil || above <= lowestPort+1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("testenv: find free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	var errs []error
	for range 50 {
		port := lowestPort + rand.IntN(above-lowestPort)
		claim, err := claimed(port)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		claims.mu.Lock()
		claims.held = append(claims.held, claim) // and so it is not collected
		claims.mu.Unlock()
		return port, nil
	}
	return 0, fmt.Errorf("testenv: find free port: %w", errors.Join(errs...))
}

// claimed holds a name of Linux's abstract namespace as long as the port is in use.
func claimed(port int) (net.Listener, error) {
	claim, err := net.Listen("unix", "@soapward test port "+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	if err := portsFree("127.0.0.1", []int{port}); err != nil {
		_ = claim.Close()
		return nil, err
	}
	return claim, nil
}

// lowestOfSystem returns the first port that the system gives to who asks for any.
func lowestOfSystem() (int, error) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, err
	}
	low, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\t")
	return strconv.Atoi(low)
}
