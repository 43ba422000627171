package authn_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// forwarded is a request from an address with lines of a header.
func forwarded(remote, header string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	for _, l := range lines {
		r.Header.Add(header, l)
	}
	return r
}

func proxies(t testing.TB, networks ...string) *authn.Proxies {
	t.Helper()
	p, err := authn.ParseProxies(networks...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	xff  = "X-Forwarded-For"
	fwd  = "Forwarded"
	edge = "10.0.0.1:4711" // a trusted proxy
)

func TestProxiesClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		r      *http.Request
		header string // which one is read
		want   string
	}{
		{"no proxy", forwarded("192.0.2.7:1", xff), xff, "192.0.2.7"},
		{"one proxy", forwarded(edge, xff, "192.0.2.7"), xff, "192.0.2.7"},
		{"proxies in a row", forwarded(edge, xff, "192.0.2.7, 10.0.0.3,10.0.0.2"), xff, "192.0.2.7"},
		{"one line for each proxy", forwarded(edge, xff, "192.0.2.7", "10.0.0.2"), xff, "192.0.2.7"},
		{"with a port", forwarded(edge, xff, "192.0.2.7:5512"), xff, "192.0.2.7"},
		{"IPv6", forwarded("[fd00::1]:80", xff, "2001:db8::7"), xff, "2001:db8::7"},
		{"IPv6 in brackets with a port", forwarded(edge, xff, "[2001:db8::7]:99"), xff, "2001:db8::7"},
		{"IPv6 in brackets", forwarded(edge, xff, "[2001:db8::7]"), xff, "2001:db8::7"},
		{"IPv4 as IPv6", forwarded("[::ffff:10.0.0.1]:80", xff, "::ffff:192.0.2.7"), xff, "192.0.2.7"},
		{"all hops are proxies", forwarded(edge, xff, "10.0.0.3, 10.0.0.2"), xff, "10.0.0.3"},
		{"proxy without a header", forwarded(edge, xff), xff, "10.0.0.1"},

		{"Forwarded", forwarded(edge, fwd, "for=192.0.2.7;proto=https, for=10.0.0.2"), fwd, "192.0.2.7"},
		{"Forwarded, quoted", forwarded(edge, fwd, `proto=https; For="[2001:db8::7]:4711";host="a,b;for=9.9.9.9"`), fwd, "2001:db8::7"},
		{"Forwarded without quotation marks", forwarded(edge, fwd, "for=192.0.2.7:99"), fwd, "192.0.2.7"},
		{"Forwarded, not told", forwarded(edge, fwd, "for=192.0.2.7, for=unknown"), fwd, "10.0.0.1"},
		{"Forwarded, hidden", forwarded(edge, fwd, "for=_gateway"), fwd, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxies(t, "10.0.0.0/8", "fd00::/8")
			p.Forwarded = tt.header == fwd
			if got := p.Client(tt.r); got != netip.MustParseAddr(tt.want) {
				t.Errorf("client %v, want %v", got, tt.want)
			}
		})
	}
}

// TestAttackForgedForwarded: who counts as the client is not up to the client.
func TestAttackForgedForwarded(t *testing.T) {
	t.Parallel()
	const attacker = "198.51.100.66"
	long := strings.Repeat("10.0.0.9, ", 5000)
	for _, tt := range []struct {
		name   string
		r      *http.Request
		header string
		want   string
	}{
		{"nobody in between", forwarded(attacker+":1", xff, "192.0.2.7"), xff, attacker},
		{"nobody in between, poses as a proxy", forwarded(attacker+":1", xff, "192.0.2.7, 10.0.0.1"), xff, attacker},
		{"proxy appends", forwarded(edge, xff, "192.0.2.7, "+attacker), xff, attacker},
		{"proxy adds a line", forwarded(edge, xff, "192.0.2.7", attacker), xff, attacker},
		{"poses as a chain of proxies", forwarded(edge, xff, "192.0.2.7, 10.0.0.2, "+attacker), xff, attacker},
		{"the other header", forwarded(edge, fwd, "for=192.0.2.7"), xff, "10.0.0.1"},
		{"the other header, turned round", forwarded(edge, xff, "192.0.2.7"), fwd, "10.0.0.1"},
		{"another header", forwarded(edge, "X-Real-Ip", "192.0.2.7"), xff, "10.0.0.1"},
		{"rubbish counts for the proxy", forwarded(edge, xff, "192.0.2.7, 10.0.0.2 x"), xff, "10.0.0.1"},
		{"empty hop", forwarded(edge, xff, "192.0.2.7, "), xff, "10.0.0.1"},
		{"zone", forwarded(edge, xff, "fe80::1%eth0"), xff, "10.0.0.1"},
		{"octal", forwarded(edge, xff, "192.0.2.007"), xff, "10.0.0.1"},
		{"endless chain", forwarded(edge, xff, "192.0.2.7, "+long+"10.0.0.9"), xff, "10.0.0.9"},

		{"Forwarded, proxy appends", forwarded(edge, fwd, "for=192.0.2.7, for="+attacker), fwd, attacker},
		{"Forwarded, open quotation mark", forwarded(edge, fwd, `for=192.0.2.7;host=", for=`+attacker), fwd, "10.0.0.1"},
		{"Forwarded, open quotation mark meets the proxy's", forwarded(edge, fwd, `for=192.0.2.7;host=", for="[2001:db8::66]"`), fwd, "10.0.0.1"},
		{"Forwarded, open quotation mark in a line before", forwarded(edge, fwd, `for=192.0.2.7;host="`, "for="+attacker), fwd, attacker},
		{"Forwarded, escaped end", forwarded(edge, fwd, `for=192.0.2.7;host="\`, `for=`+attacker), fwd, attacker},
		{"Forwarded, host with an element in it", forwarded(edge, fwd, `for=`+attacker+`;host="a, for=192.0.2.7;x=""`), fwd, "10.0.0.1"},
		{"Forwarded, for twice", forwarded(edge, fwd, "for=192.0.2.7;for="+attacker), fwd, "10.0.0.1"},
		{"Forwarded, endless chain", forwarded(edge, fwd, "for=192.0.2.7, "+strings.Repeat("for=10.0.0.9, ", 5000)+"for=10.0.0.9"), fwd, "10.0.0.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := proxies(t, "10.0.0.0/8")
			p.Forwarded = tt.header == fwd
			if got := p.Client(tt.r); got != netip.MustParseAddr(tt.want) {
				t.Errorf("client %v, want %v", got, tt.want)
			}
		})
	}
}

func TestProxiesUnix(t *testing.T) {
	t.Parallel()
	r := forwarded("@", xff, "192.0.2.7")
	if got := (&authn.Proxies{}).Client(r); got.IsValid() {
		t.Errorf("client %v of a Unix socket that nobody trusts, want none", got)
	}
	if got := (&authn.Proxies{Unix: true}).Client(r); got.String() != "192.0.2.7" {
		t.Errorf("client %v, want 192.0.2.7", got)
	}
}

func TestParseProxies(t *testing.T) {
	t.Parallel()
	p := proxies(t, "10.1.2.3/8", "192.0.2.1", "2001:db8::1")
	if got := len(p.Networks); got != 3 || p.Networks[0].String() != "10.0.0.0/8" || p.Networks[2].Bits() != 128 {
		t.Errorf("networks %v", p.Networks)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "proxy.test", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		if _, err := authn.ParseProxies(bad); err == nil || !strings.Contains(err.Error(), "trusted proxy") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	r := forwarded("[::ffff:192.0.2.1]:5", xff)
	if got := authn.ClientAddr(r).String(); got != "192.0.2.1" {
		t.Errorf("without a note: %s", got)
	}
	if _, ok := authn.ClientFromContext(context.Background()); ok {
		t.Error("a client where nobody noted one")
	}
	var got netip.Addr
	proxies(t, "10.0.0.1").Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = authn.ClientAddr(r)
		if a, ok := authn.ClientFromContext(r.Context()); !ok || a != got {
			t.Errorf("context has %v, %v", a, ok)
		}
	})).ServeHTTP(httptest.NewRecorder(), forwarded(edge, xff, "192.0.2.7"))
	if got.String() != "192.0.2.7" {
		t.Errorf("behind a proxy: %v", got)
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.7, 10.0.0.2", false)
	f.Add(`for="[2001:db8::1]:4711";proto=https, for=unknown`, true)
	f.Add(`for="\"`, true)
	f.Fuzz(func(t *testing.T, line string, forward bool) {
		p := proxies(t, "10.0.0.0/8")
		p.Forwarded = forward
		name := xff
		if forward {
			name = fwd
		}
		if got := p.Client(forwarded(edge, name, line)); !got.IsValid() {
			t.Errorf("%q: no client", line)
		}
		// What the proxy itself wrote in a line of its own decides, whatever the
		// client sent.
		own := "198.51.100.66"
		if forward {
			own = "for=" + own
		}
		if got := p.Client(forwarded(edge, name, line, own)); got.String() != "198.51.100.66" {
			t.Errorf("%q: client %v", line, got)
		}
	})
}
