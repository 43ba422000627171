package e2e

import (
	"context"
	"net"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// dialLoopback connects every name to 127.0.0.1, as a resolver of the test
// domain would.
func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// Apache itself is right: curl, with the same libraries, logs in to it.
func TestApacheFixture(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, tls := range []bool{false, true} {
		a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", tls, nil)
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice))
		args := []string{"-k", "--resolve", a.Host + ":" + a.Port + ":127.0.0.1", "-d", "<a/>", a.URL("/x")}
		body, status := curl(t, env, ":", append([]string{"--negotiate"}, args...)...)
		if status != "200" || body != "alice@"+adtest.Realm+"\n<a/>" {
			t.Errorf("tls %v: status %s, body %q; want alice and the body", tls, status, body)
		}
		if _, status := curl(t, env, "", args...); status != "401" {
			t.Errorf("tls %v: status without credentials = %s, want 401", tls, status)
		}
	}
}
