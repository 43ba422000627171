package kerberos

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// Config tells a Client where the KDCs are and what it may use. The zero value
// is safe: it knows no realm, asks no DNS server, and takes AES keys only. It
// must not change once a Client uses it.
type Config struct {
	// DefaultRealm is the realm of principals that are named without one.
	DefaultRealm string

	// Realms lists the realms whose KDCs are known, by name.
	Realms map[string]Realm

	// DomainRealm maps hosts ("app.corp.test") and domains (".corp.test") to
	// the realm of their services. A host that is not in it is looked for in
	// the client's own realm, whose KDC refers to the right one.
	DomainRealm map[string]string

	// CAPaths gives the realms on the way from a client's realm to a service's,
	// the one next to the client first: CAPaths["A.TEST"]["C.TEST"] is
	// {"B.TEST"}. It is for realms whose KDCs do not know the way themselves,
	// and counts where the service's realm is known, by its name or by
	// DomainRealm. Otherwise the KDCs are asked.
	CAPaths map[string]map[string][]string

	// LookupKDC finds the KDCs of realms that are not in Realms by DNS SRV
	// records (RFC 4120 7.2.3.2). It tells who controls DNS which KDC is asked,
	// not which service gets a token.
	LookupKDC bool

	// ETypes names the encryption types that are used, the preferred one
	// first, as krb5.conf does. Nil means those of AES.
	ETypes []string

	// AllowRC4 adds RC4, which a captured ticket gives away to a password
	// guesser about a thousand times faster than AES does.
	AllowRC4 bool

	// UDPLimit is the longest request that is tried over UDP first. Zero means
	// 1465 bytes, negative means TCP always.
	UDPLimit int

	// ClockSkew is how far a KDC's clock may be from ours. Zero means 5
	// minutes.
	ClockSkew time.Duration

	// TicketLifetime is asked of the KDC, which may give less. Zero means 10
	// hours.
	TicketLifetime time.Duration
}

// Realm is what is known of one realm.
type Realm struct {
	// KDCs are host or host:port, asked in this order. A "tcp/" before the host
	// keeps UDP from being tried, which krb5.conf has too.
	KDCs []string
}

const (
	defaultUDPLimit       = 1465
	defaultSkew           = 5 * time.Minute
	defaultTicketLifetime = 10 * time.Hour
)

var defaultETypes = []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2}

// etypes returns the encryption types to use, in order of preference.
func (c *Config) etypes() ([]krb5.EType, error) {
	var out []krb5.EType
	if c.ETypes == nil {
		out = append(out, defaultETypes...)
	}
	for _, name := range c.ETypes {
		e, ok := etypeNames[strings.ToLower(name)]
		switch {
		case !ok:
			return nil, fmt.Errorf("kerberos: encryption type %q is not known or no longer safe", name)
		case e == krb5.RC4HMAC && !c.AllowRC4:
			return nil, fmt.Errorf("kerberos: encryption type %q needs AllowRC4", name)
		}
		out = appendNew(out, e)
	}
	if c.AllowRC4 {
		out = appendNew(out, krb5.RC4HMAC)
	}
	if len(out) == 0 {
		return nil, errors.New("kerberos: no encryption types")
	}
	return out, nil
}

func appendNew(l []krb5.EType, e krb5.EType) []krb5.EType {
	for _, x := range l {
		if x == e {
			return l
		}
	}
	return append(l, e)
}

// etypeNames has the names of krb5.conf. It is read only.
var etypeNames = map[string]krb5.EType{
	"aes256-cts-hmac-sha1-96":    krb5.AES256SHA1,
	"aes256-cts":                 krb5.AES256SHA1,
	"aes256-sha1":                krb5.AES256SHA1,
	"aes128-cts-hmac-sha1-96":    krb5.AES128SHA1,
	"aes128-cts":                 krb5.AES128SHA1,
	"aes128-sha1":                krb5.AES128SHA1,
	"aes256-cts-hmac-sha384-192": krb5.AES256SHA2,
	"aes256-sha2":                krb5.AES256SHA2,
	"aes128-cts-hmac-sha256-128": krb5.AES128SHA2,
	"aes128-sha2":                krb5.AES128SHA2,
	"rc4-hmac":                   krb5.RC4HMAC,
	"arcfour-hmac":               krb5.RC4HMAC,
	"arcfour-hmac-md5":           krb5.RC4HMAC,
}

// findRealm returns the configured realm of a name and the name as configured.
// Realm names are compared without regard to case, as Active Directory does.
func (c *Config) findRealm(name string) (string, Realm, bool) {
	if r, ok := c.Realms[name]; ok {
		return name, r, true
	}
	for n, r := range c.Realms {
		if strings.EqualFold(n, name) {
			return n, r, true
		}
	}
	return name, Realm{}, false
}

// realmOfHost returns the realm that DomainRealm gives a host, or "". The
// longest domain that fits counts.
func (c *Config) realmOfHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	best, length := "", -1
	for name, realm := range c.DomainRealm {
		name = strings.ToLower(name)
		fits := host == name || strings.HasPrefix(name, ".") && strings.HasSuffix(host, name)
		if fits && len(name) > length {
			best, length = realm, len(name)
		}
	}
	return best
}

// path returns the realms between two others, as configured.
func (c *Config) path(from, to string) []string {
	for client, ways := range c.CAPaths {
		if !strings.EqualFold(client, from) {
			continue
		}
		for service, way := range ways {
			if strings.EqualFold(service, to) {
				return way
			}
		}
	}
	return nil
}

func (c *Config) skew() time.Duration {
	if c.ClockSkew == 0 {
		return defaultSkew
	}
	return c.ClockSkew
}

func (c *Config) lifetime() time.Duration {
	if c.TicketLifetime == 0 {
		return defaultTicketLifetime
	}
	return c.TicketLifetime
}

// parsePrincipal reads the name a person gives: "alice", "alice@CORP.TEST", or
// a UPN whose suffix is not a realm, "alice@example.com".
func (c *Config) parsePrincipal(s string) (krb5.PrincipalName, string, error) {
	if s == "" || strings.ContainsAny(s, "\\\x00") {
		return krb5.PrincipalName{}, "", fmt.Errorf("kerberos: principal %q: want name, name@REALM or a UPN", s)
	}
	name, suffix := s, ""
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		name, suffix = s[:i], s[i+1:]
	}
	if name == "" {
		return krb5.PrincipalName{}, "", fmt.Errorf("kerberos: principal %q has no name", s)
	}
	realm, _, known := c.findRealm(suffix)
	switch {
	case suffix == "":
		realm = c.DefaultRealm
	case known:
	case strings.EqualFold(suffix, c.DefaultRealm):
		realm = c.DefaultRealm
	case c.LookupKDC || c.DefaultRealm == "":
		realm = strings.ToUpper(suffix)
	default: // the suffix is no realm we know: a UPN, which our KDC has to place
		return krb5.NewPrincipalName(krb5.NameEnterprise, s), c.DefaultRealm, nil
	}
	if realm == "" {
		return krb5.PrincipalName{}, "", fmt.Errorf("kerberos: principal %q has no realm and there is no default", s)
	}
	if strings.Contains(name, "@") {
		return krb5.NewPrincipalName(krb5.NameEnterprise, name), realm, nil
	}
	return krb5.NewPrincipalName(krb5.NamePrincipal, name), realm, nil
}

// parseSPN reads a service principal name, "HTTP/app.corp.test" with or
// without "@REALM". realm is empty if it is to be found out.
func (c *Config) parseSPN(spn string) (name krb5.PrincipalName, realm string, err error) {
	s, realm, _ := strings.Cut(spn, "@")
	class, host, ok := strings.Cut(s, "/")
	if !ok || class == "" || host == "" || strings.ContainsAny(spn, " \x00") {
		return name, "", fmt.Errorf("kerberos: service %q: want service/host, such as HTTP/app.corp.test", spn)
	}
	if realm == "" {
		h, _, _ := strings.Cut(host, "/")
		if bare, _, err := net.SplitHostPort(h); err == nil {
			h = bare
		}
		realm = c.realmOfHost(h)
	}
	return krb5.NewPrincipalName(krb5.NameService, s), realm, nil
}
