package realm

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/gateway/config"
)

// Netlogon returns the verifier of a realm whose ntlm is netlogon. It connects to
// nothing yet. The computer's password is read each time that a channel is
// opened, with the one before while it is being changed.
func Netlogon(r *config.Realm, log *slog.Logger) (*netlogon.Verifier, error) {
	n := r.NTLM
	cfg := netlogon.Config{
		Account: n.Computer, Domain: n.Domain, Controllers: controllers(r), Secrets: secrets(n.Secret), Logger: log,
	}
	if r.AD != nil {
		cfg.DNSDomain = r.AD.Domain
		if cfg.Domain == "" {
			cfg.Domain = r.AD.DefaultDomain
		}
	}
	if cfg.DNSDomain == "" && r.Kerberos != nil {
		cfg.DNSDomain = strings.ToLower(r.Kerberos.Realm)
	}
	switch {
	case cfg.Domain == "":
		return nil, errors.New("ntlm.domain is missing: want the short name of the domain, such as CORP, there or as ad.default_domain")
	case cfg.DNSDomain == "" && len(cfg.Controllers) == 0:
		return nil, errors.New("ntlm: netlogon does not know where the controllers are: want ad.url, or ad.domain for those that DNS names")
	}
	if _, err := cfg.Secrets(); err != nil {
		return nil, fmt.Errorf("ntlm.secret: %w", err)
	}
	v, err := netlogon.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("ntlm: %w", err)
	}
	return v, nil
}

// controllers are the hosts of ad.url, or else the KDCs, which are the same
// machines. None: DNS is asked.
func controllers(r *config.Realm) (hosts []string) {
	if r.AD != nil {
		for _, u := range r.AD.URL {
			hosts = append(hosts, u.Hostname())
		}
	}
	if len(hosts) > 0 || r.Kerberos == nil {
		return hosts
	}
	for _, kdc := range r.Kerberos.KDC {
		host := strings.TrimPrefix(kdc, "tcp/")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// secrets reads the password of a computer account: from a file that "soapward
// join" writes and changes, or from the environment.
func secrets(s config.Secret) func() ([]authn.Secret, error) {
	if s.File != "" {
		return computer.SecretFile(s.File).Secrets
	}
	return func() ([]authn.Secret, error) {
		v, err := s.Read()
		return []authn.Secret{v}, err
	}
}

// KeepsNTHash reports whether the NT hash of a user's password is kept, for the
// user has a realm whose internal users log in by NTLM. Users of no realm may log
// in at each.
func KeepsNTHash(c *config.Config, u *directory.User) bool {
	for name, r := range c.Realms {
		if r.Internal != nil && r.Internal.NTLM && (u.Realm == "" || u.Realm == name || slices.Contains(r.Aliases, u.Realm)) {
			return true
		}
	}
	return false
}

// NTHash is the hash of a password for those users.
func NTHash(password string) directory.NTHash {
	return directory.NewNTHash(ntlm.HashPassword(password).Reveal())
}
