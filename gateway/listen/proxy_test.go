package listen

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// v2 is a header of version 2 of the PROXY protocol, section 2.2.
func v2(command, family byte, block string) string {
	h := "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{0x20 | command, family})
	return h + string(binary.BigEndian.AppendUint16(nil, uint16(len(block)))) + block
}

const (
	ip4 = "\xcb\x00\x71\x07\x0a\x00\x00\x01\x10\x00\x01\xbb" // 203.0.113.7:4096 to 10.0.0.1:443
	ip6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x10\x00\x01\xbb"
)

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	l, _ := open(t, config.Listener{Addr: "127.0.0.1:0", ProxyProtocol: networks("127.0.0.0/8")})
	own := "127.0.0.1:"
	for _, tt := range []struct{ name, header, want string }{
		{"1", "PROXY TCP4 203.0.113.7 10.0.0.1 4096 443\r\n", "203.0.113.7:4096"},
		{"1, IPv6", "PROXY TCP6 2001:db8::7 fe80::1 4096 443\r\n", "[2001:db8::7]:4096"},
		{"1, unknown", "PROXY UNKNOWN\r\n", own},
		{"2", v2(1, 0x11, ip4), "203.0.113.7:4096"},
		{"2, IPv6", v2(1, 0x21, ip6), "[2001:db8::7]:4096"},
		{"2, with more", v2(1, 0x11, ip4+"\x04\x00\x03abc"), "203.0.113.7:4096"},
		{"2, of the load balancer itself", v2(0, 0x00, ""), own},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, tt.header); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second request of the connection has the same client
				if status, got := get(t, c); status != 200 || !strings.HasPrefix(got, tt.want) {
					t.Errorf("%d, client %s, want %s", status, got, tt.want)
				}
			}
		})
	}
}

func TestProxyProtocolBelowTLS(t *testing.T) {
	t.Parallel()
	p := pair(t, t.TempDir(), "gw", "gw.corp.test")
	c := config.Listener{Addr: "127.0.0.1:0", TLS: &config.TLS{Cert: p.Cert, Key: p.Key}, ProxyProtocol: networks("127.0.0.0/8")}
	l, _ := open(t, c)
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := io.WriteString(raw, v2(1, 0x11, ip4)); err != nil {
		t.Fatal(err)
	}
	if status, got := get(t, tls.Client(raw, &tls.Config{InsecureSkipVerify: true})); status != 200 || got != "203.0.113.7:4096" {
		t.Errorf("%d, client %s", status, got)
	}

	// Load balancers change while the listener is in use.
	c.ProxyProtocol = nil
	apply, err := l.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	apply()
	if got := presented(t, l, ""); got != "gw" {
		t.Errorf("certificate %s", got)
	}
}

// What a load balancer does not send, or sends wrongly, is no connection.
func TestAttackProxyProtocolMalformed(t *testing.T) {
	t.Parallel()
	l, log := open(t, config.Listener{Addr: "127.0.0.1:0", ProxyProtocol: networks("127.0.0.0/8")})
	request := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct{ name, header string }{
		{"none", ""},
		{"another protocol", "PROXY UDP4 203.0.113.7 10.0.0.1 4096 443\r\n"},
		{"no address", "PROXY TCP4 client 10.0.0.1 4096 443\r\n"},
		{"address of another family", "PROXY TCP4 2001:db8::7 fe80::1 4096 443\r\n"},
		{"unspecified address", "PROXY TCP4 0.0.0.0 10.0.0.1 4096 443\r\n"},
		{"port", "PROXY TCP4 203.0.113.7 10.0.0.1 70000 443\r\n"},
		{"no end", "PROXY TCP4 203.0.113.7 10.0.0.1 4096 443\n"},
		{"long", "PROXY TCP4 " + strings.Repeat("2", 200) + " 10.0.0.1 4096 443\r\n"},
		{"2, unknown command", v2(5, 0x11, ip4)},
		{"2, Unix socket", v2(1, 0x31, strings.Repeat("x", 216))},
		{"2, UDP", v2(1, 0x12, ip4)},
		{"2, short", v2(1, 0x11, ip4[:8])},
		{"2, endless", v2(1, 0x11, ip4+strings.Repeat("\x04\x00\x01a", 16000))},
		{"twice", "PROXY TCP4 203.0.113.7 10.0.0.1 4096 443\r\nPROXY TCP4 10.0.0.1 10.0.0.1 4096 443\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, tt.header+request) // it may be closed already
			b, _ := io.ReadAll(c)
			if strings.Contains(string(b), "200 OK") {
				t.Errorf("answer %q", b)
			}
		})
	}
	t.Cleanup(func() { // after the parallel ones
		if got := log.String(); !strings.Contains(got, "without a valid PROXY header") || strings.Count(got, "\n") != 1 {
			t.Errorf("log %s", got)
		}
	})
}

// Somebody who is no load balancer does not choose his address.
func TestAttackProxyProtocolFromOthers(t *testing.T) {
	t.Parallel()
	for _, nets := range [][]config.Network{nil, networks("10.0.0.0/8", "127.0.0.2/32")} {
		l, _ := open(t, config.Listener{Addr: "127.0.0.1:0", ProxyProtocol: nets})
		for _, header := range []string{"PROXY TCP4 203.0.113.7 10.0.0.1 4096 443\r\n", v2(1, 0x11, ip4)} {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(c, header+"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(b), "HTTP/1.1 400") {
				t.Errorf("answer %q", b)
			}
			_ = c.Close()
		}
	}
}

// A load balancer that is silent holds a connection for a bounded time, and
// others go on.
func TestAttackProxyProtocolSilent(t *testing.T) {
	t.Parallel()
	l, _ := open(t, config.Listener{Addr: "127.0.0.1:0", ProxyProtocol: networks("127.0.0.0/8")})
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	if _, err := io.WriteString(silent, "PROX"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	other, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if _, err := io.WriteString(other, "PROXY TCP4 203.0.113.7 10.0.0.1 4096 443\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, other); status != 200 {
		t.Errorf("another one: %d", status)
	}
	if took := time.Since(begin); took > headerTimeout {
		t.Errorf("another one waited for %v", took)
	}
	_ = silent.SetDeadline(begin.Add(4 * headerTimeout))
	if _, err := io.ReadAll(silent); err != nil {
		t.Errorf("the connection is open after %v: %v", time.Since(begin), err)
	}
}
