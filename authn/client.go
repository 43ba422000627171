package authn

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are those that are trusted to say for whom they forward a request.
// Any other client may write into the header what it likes, so it counts only
// as far as trusted proxies wrote it: the client is the last hop, seen from
// here, that is no trusted proxy. The zero value trusts nobody, and the client
// is who opened the connection. It is safe for concurrent use while its fields
// do not change.
type Proxies struct {
	// Networks have the trusted proxies and nobody else. Each of these must add
	// to the header or replace it; one that passes it on as it came hands the
	// choice of an address to the client.
	Networks []netip.Prefix

	// Forwarded reads the header Forwarded (RFC 7239) in place of
	// X-Forwarded-For. One of them counts, never both: a proxy that writes one
	// of them passes on the other as the client sent it.
	Forwarded bool

	// Unix trusts whoever connects by a Unix socket, which has no address.
	Unix bool
}

// maxHops is how many hops of a header are looked at.
const maxHops = 32

// ParseProxies returns the networks, each written as an address or as an
// address with the length of its prefix, such as 10.0.0.0/8.
func ParseProxies(networks ...string) (*Proxies, error) {
	p := new(Proxies)
	for _, s := range networks {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			addr, addrErr := netip.ParseAddr(s)
			if addrErr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("authn: trusted proxy %q is neither an address nor a network such as 10.0.0.0/8", s)
			}
			n = netip.PrefixFrom(addr, addr.BitLen())
		}
		if n.Addr().Is4In6() {
			return nil, fmt.Errorf("authn: trusted proxy %q: write IPv4 as IPv4", s)
		}
		p.Networks = append(p.Networks, n.Masked())
	}
	return p, nil
}

// Wrap returns next behind a note of each request's client, which ClientAddr
// and ClientFromContext find. It belongs in front of everything that asks who
// the client is.
func (p *Proxies) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(WithClient(r.Context(), p.Client(r))))
	})
}

// Client returns the address of who sent r, without a zone, and IPv4 as IPv4.
// It is the zero address of a client that has none, as over a Unix socket. A
// hop that cannot be read ends the search: then the proxy that told of it counts
// as the client.
func (p *Proxies) Client(r *http.Request) netip.Addr {
	client, ok := remoteAddr(r)
	trusted := ok && p.trusts(client) || !ok && p.Unix
	if !trusted {
		return client
	}
	name, parse := "X-Forwarded-For", parseForwardedFor
	if p.Forwarded {
		name, parse = "Forwarded", parseForwarded
	}
	lines := r.Header[name]
	for hops := 0; len(lines) > 0; lines = lines[:len(lines)-1] {
		for addr := range parse(lines[len(lines)-1]) {
			if hops++; hops > maxHops || !addr.IsValid() {
				return client
			}
			if client = addr; !p.trusts(client) {
				return client
			}
		}
	}
	return client
}

func (p *Proxies) trusts(addr netip.Addr) bool {
	for _, n := range p.Networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// remoteAddr returns who opened the connection.
func remoteAddr(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return plainAddr(ap.Addr()), true
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

type clientKey struct{}

// WithClient returns ctx carrying the address of the client, which is the zero
// address of a client that has none.
func WithClient(ctx context.Context, client netip.Addr) context.Context {
	return context.WithValue(ctx, clientKey{}, plainAddr(client))
}

// ClientFromContext returns the client's address and whether ctx carries one.
func ClientFromContext(ctx context.Context) (netip.Addr, bool) {
	a, ok := ctx.Value(clientKey{}).(netip.Addr)
	return a, ok
}

// ClientAddr returns the address of who sent r: that of its context, or of who
// opened the connection if nobody put one there.
func ClientAddr(r *http.Request) netip.Addr {
	if a, ok := ClientFromContext(r.Context()); ok {
		return a
	}
	a, _ := remoteAddr(r)
	return a
}

// peer is the client as logs show it. Behind a proxy the port is not known.
func peer(r *http.Request) string {
	a, ok := ClientFromContext(r.Context())
	if !ok || !a.IsValid() {
		return r.RemoteAddr
	}
	if remote, ok := remoteAddr(r); ok && remote == a {
		return r.RemoteAddr
	}
	return a.String()
}

// parseHop reads an address with or without a port, as proxies write it. It is
// the zero address if s is something else, such as "unknown" (RFC 7239 6.2).
func parseHop(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return plainAddr(a)
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Zone() == "" {
		return plainAddr(ap.Addr())
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, err := netip.ParseAddr(inner); err == nil && a.Is6() && a.Zone() == "" {
				return plainAddr(a)
			}
		}
	}
	return netip.Addr{}
}
