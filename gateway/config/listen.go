package config

import (
	"net/netip"
	"slices"
)

// A Listener is where the gateway takes requests.
type Listener struct {
	Addr Address `yaml:"addr"`
	TLS  *TLS    `yaml:"tls"` // nil: plain HTTP

	// ProxyProtocol are the load balancers that say by the PROXY protocol for
	// whom they connect. They must say it, and nobody else may.
	ProxyProtocol []Network `yaml:"proxy_protocol"`
}

// TLS names a certificate and its key, in PEM.
type TLS struct {
	Cert Path `yaml:"cert"`
	Key  Path `yaml:"key"`

	// More are for other names (SNI). The first one is for clients that no
	// certificate fits.
	More []KeyPair `yaml:"more"`
}

// A KeyPair is one more certificate.
type KeyPair struct {
	Cert Path `yaml:"cert"`
	Key  Path `yaml:"key"`
}

// Pairs returns all certificates, the first one first.
func (t *TLS) Pairs() []KeyPair {
	return append([]KeyPair{{t.Cert, t.Key}}, t.More...)
}

// Admin is where health, readiness, metrics and console are.
type Admin struct {
	Addr Address `yaml:"addr"`
	TLS  *TLS    `yaml:"tls"`

	// Networks are those from which requests are taken, besides this machine.
	Networks []Network `yaml:"networks"`

	// URL is where browsers find the console: https://gw-admin.corp.test. Providers
	// lead them back there.
	URL URL `yaml:"url"`

	// Login are realms with oidc, whose users may be administrators.
	Login []string `yaml:"login"`

	// Roles says who is what: names of roles, or groups as in roles.
	Roles AdminRoles `yaml:"roles"`

	Local LocalAdmins `yaml:"local"`
}

// AdminRoles say who may do what at the console and by the API.
type AdminRoles struct {
	Viewer        []string `yaml:"viewer"`
	Operator      []string `yaml:"operator"`
	Administrator []string `yaml:"administrator"`
}

// LocalAdmins are administrators with a password of ours.
type LocalAdmins struct {
	Disabled bool `yaml:"disabled"` // nobody can sign in while no provider works

	// AllowWithoutSecondFactor leaves it to each of them whether to set one up.
	AllowWithoutSecondFactor bool `yaml:"allow_without_second_factor"`
}

// Shutdown says how the gateway stops.
type Shutdown struct {
	Grace Duration `yaml:"grace"` // that requests in flight have to end
}

// maxCertificates is how many a listener may have.
const maxCertificates = 1000

func (d *decoder) checkTLS(t *TLS, path string) {
	if t == nil {
		return
	}
	if t.Cert == "" || t.Key == "" {
		d.failAt(t, "%s.tls: want both cert and key", path)
	}
	if len(t.More) > maxCertificates {
		d.failAt(&t.More, "%s.tls.more: want at most %d certificates", path, maxCertificates)
	}
	for i := range t.More {
		if p := &t.More[i]; p.Cert == "" || p.Key == "" {
			d.failAt(p, "%s: want both cert and key", index(path+".tls.more", i))
		}
	}
}

func (d *decoder) checkProxyProtocol(l *Listener, path string) {
	network, _ := l.Addr.Split()
	if len(l.ProxyProtocol) > 0 && network == "unix" {
		d.failAt(&l.ProxyProtocol, "%s.proxy_protocol is for TCP: whoever connects by a Unix socket has no address", path)
	}
	if i := slices.IndexFunc(l.ProxyProtocol, everybody); i >= 0 {
		d.failAt(&l.ProxyProtocol[i], "%s is everybody, who could then choose an address: want the networks of the load balancers",
			index(path+".proxy_protocol", i))
	}
}

// everybody reports whether a network has all addresses.
func everybody(n Network) bool { return n.Prefix != (netip.Prefix{}) && n.Bits() == 0 }
