package kerberos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"
)

const maxConfigSize = 1 << 20

// LoadConfig reads a krb5.conf. Of it count default_realm, dns_lookup_kdc,
// udp_preference_limit, clockskew, ticket_lifetime, permitted_enctypes, the
// KDCs of [realms], [domain_realm] and [capaths]. RC4 stays off whatever the
// file says; set AllowRC4 to have it. Files that it includes are read, at most
// 100 and five deep; a file that loads a module is refused rather than half
// read, and so is one with a line that makes no sense.
func LoadConfig(path string) (*Config, error) {
	var l configLines
	if err := l.file(path, 0); err != nil {
		return nil, err
	}
	c, err := l.config()
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return c, nil
}

// ParseConfig reads the text of a krb5.conf, which cannot include files. See
// LoadConfig.
func ParseConfig(text string) (*Config, error) {
	var l configLines
	err := l.read("krb5.conf", text, func(word, _ string) error { return notSupported(word) })
	if err != nil {
		return nil, err
	}
	return l.config()
}

// config makes a Config of the lines.
func (l *configLines) config() (c *Config, err error) {
	defer func() {
		if recover() != nil { // gokrb5 indexes what it split without looking
			c, err = nil, errors.New("kerberos: malformed krb5.conf")
		}
	}()
	explicit := l.section("libdefaults").seen["permitted_enctypes"]
	text := l.text()
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
		one := c.Realms[r.Realm] // a realm may be spread over several files
		for _, kdc := range r.KDC {
			one.KDCs = append(one.KDCs, strings.TrimSuffix(kdc, "*"))
		}
		c.Realms[r.Realm] = one
	}
	if c.CAPaths, err = l.capaths(); err != nil {
		return nil, err
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

// capaths reads the section of that name, which the library does not. Its
// braces match, and its lines are relations, as read has seen to.
func (l *configLines) capaths() (map[string]map[string][]string, error) {
	var paths map[string]map[string][]string
	client := ""
	for _, line := range l.section("capaths").lines {
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), uncomment(value)
		switch {
		case key == "}":
			client = ""
		case client == "" && value == "{":
			client = key
			if paths == nil {
				paths = map[string]map[string][]string{}
			}
			if paths[client] == nil {
				paths[client] = map[string][]string{}
			}
		case client == "" || value == "{" || value == "":
			return nil, fmt.Errorf("kerberos: krb5.conf: capaths: line %q: want CLIENT.REALM = { and in it SERVICE.REALM = REALM.ON.THE.WAY", line)
		case value == ".": // no realm between
		default: // several are several lines, or, as Heimdal has it, one
			paths[client][key] = append(paths[client][key], strings.Fields(value)...)
			if len(paths[client][key]) >= maxHops {
				return nil, fmt.Errorf("kerberos: krb5.conf: capaths: more than %d realms between %s and %s", maxHops-1, client, key)
			}
		}
	}
	return paths, nil
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
