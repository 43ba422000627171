package kerberos

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"
)

const maxConfigSize = 1 << 20

// LoadConfig reads a krb5.conf. Of it count default_realm, dns_lookup_kdc,
// udp_preference_limit, clockskew, ticket_lifetime, permitted_enctypes, the
// KDCs of [realms] and [domain_realm]. RC4 stays off whatever the file says;
// set AllowRC4 to have it. A file that includes others is refused rather than
// half read.
func LoadConfig(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("kerberos: read configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfigSize {
		return nil, fmt.Errorf("kerberos: configuration %s is not a file of at most %d bytes", path, maxConfigSize)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("kerberos: read configuration: %w", err)
	}
	c, err := ParseConfig(string(b))
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return c, nil
}

// ParseConfig reads the text of a krb5.conf. See LoadConfig.
func ParseConfig(text string) (c *Config, err error) {
	defer func() {
		if recover() != nil { // gokrb5 indexes what it split without looking
			c, err = nil, errors.New("kerberos: malformed krb5.conf")
		}
	}()
	explicit := false
	for line := range strings.Lines(text) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch f := strings.Fields(word); {
		case len(f) == 0:
		case f[0] == "include" || f[0] == "includedir" || f[0] == "module":
			return nil, fmt.Errorf("kerberos: krb5.conf: %s is not supported; put what it names into the file itself", f[0])
		case f[0] == "permitted_enctypes":
			explicit = true
		}
	}
	k, err := config.NewFromString(text)
	var unsupported config.UnsupportedDirective
	if err != nil && !errors.As(err, &unsupported) { // v4 names, which nobody needs
		return nil, fmt.Errorf("kerberos: krb5.conf: %w", err)
	}
	c = &Config{
		DefaultRealm:   k.LibDefaults.DefaultRealm,
		Realms:         map[string]Realm{},
		DomainRealm:    map[string]string{},
		LookupKDC:      k.LibDefaults.DNSLookupKDC,
		ClockSkew:      k.LibDefaults.Clockskew,
		TicketLifetime: k.LibDefaults.TicketLifetime,
		UDPLimit:       k.LibDefaults.UDPPreferenceLimit,
	}
	if c.UDPLimit <= 1 { // MIT's way to say never
		c.UDPLimit = -1
	}
	for _, r := range k.Realms {
		one := Realm{}
		for _, kdc := range r.KDC {
			one.KDCs = append(one.KDCs, strings.TrimSuffix(kdc, "*"))
		}
		c.Realms[r.Realm] = one
	}
	for d, r := range k.DomainRealm {
		c.DomainRealm[d] = r
	}
	if explicit {
		c.ETypes = knownETypes(k.LibDefaults.PermittedEnctypes)
		if len(c.ETypes) == 0 {
			return nil, errors.New("kerberos: krb5.conf: permitted_enctypes has no AES type")
		}
	}
	return c, nil
}

// knownETypes picks the types of a permitted_enctypes line that we have and
// that are not RC4. "aes" means all types of AES.
func knownETypes(names []string) []string {
	var out []string
	for _, n := range names {
		n = strings.ToLower(n)
		if n == "aes" {
			for _, e := range defaultETypes {
				out = append(out, e.String())
			}
		} else if _, ok := etypeNames[n]; ok && !strings.HasPrefix(n, "rc4") && !strings.HasPrefix(n, "arcfour") {
			out = append(out, n)
		}
	}
	return out
}
