package login

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
)

// basic is Basic of a realm. Passwords are taken over TLS, from a program on this
// machine, and where the operator says so.
func (s *Set) basic(r *realm) authn.Authenticator {
	return &either{
		strict: &password.Basic{Verifier: r.passwords, Realm: r.name},
		open:   &password.Basic{Verifier: r.passwords, Realm: r.name, AllowInsecureHTTP: true},
		safe:   s.safeWithoutTLS,
	}
}

// safeWithoutTLS reports whether what comes over plain HTTP need not have been
// read by others: it came to a loopback address, or a proxy that we trust took it
// over TLS, or the operator does not mind.
func (s *Set) safeWithoutTLS(r *http.Request) bool {
	c := s.config.Sessions
	if c.AllowInsecureHTTP {
		return true
	}
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		if local.IP.IsLoopback() {
			return true
		}
	}
	if !c.TLSAtProxy {
		return false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && inNetworks(s.config.TrustedProxies, from.Addr())
}
