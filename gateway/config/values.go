package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Duration is written as 500ms, 2s, 20m, 12h or 10d, or as 1h30m.
type Duration time.Duration

var days = regexp.MustCompile(`^([0-9]{1,5})d$`)

func (v *Duration) decode(d *decoder, n *yaml.Node, path string) {
	const want = "a time such as 500ms, 2s, 20m, 12h or 10d"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	if m := days.FindStringSubmatch(s); m != nil {
		count, _ := strconv.Atoi(m[1])
		*v = Duration(time.Duration(count) * 24 * time.Hour)
		return
	}
	t, err := time.ParseDuration(s)
	if err != nil || t <= 0 {
		d.want(n, want, path)
		return
	}
	*v = Duration(t)
}

// Std returns the duration as that of the standard library.
func (v Duration) Std() time.Duration { return time.Duration(v) }

// A TimeOfDay is written as "03:30".
type TimeOfDay struct{ Hour, Minute int }

// String returns the time as it is written.
func (v TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", v.Hour, v.Minute) }

func (v *TimeOfDay) decode(d *decoder, n *yaml.Node, path string) {
	s, ok := d.scalar(n, `a time of day such as "03:30"`, path)
	if !ok {
		return
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		d.want(n, `a time of day such as "03:30"`, path)
		return
	}
	v.Hour, v.Minute = t.Hour(), t.Minute()
}

// A Network is written as 10.9.0.0/16, or as a single address.
type Network struct{ netip.Prefix }

func (v *Network) decode(d *decoder, n *yaml.Node, path string) {
	const want = "a network such as 10.9.0.0/16 or fd00::/8, or an address"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		v.Prefix = netip.PrefixFrom(a, a.BitLen())
		return
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		d.want(n, want, path)
	case p != p.Masked():
		d.fail(n, "%s is %q, an address within a network: want the network %q, or the address alone", path, clip(s), p.Masked())
	default:
		v.Prefix = p
	}
}

// An Address is where to listen: host and port, ":443" for all hosts;
// unix:/PATH for a Unix socket; systemd:NAME for a socket that systemd opened.
type Address string

// Schemes of an Address.
const (
	unixScheme    = "unix:"
	systemdScheme = "systemd:"
)

// Split returns the network of the address, which is tcp, unix or systemd, and
// what stands behind it.
func (v Address) Split() (network, address string) {
	if path, ok := strings.CutPrefix(string(v), unixScheme); ok {
		return "unix", path
	}
	if name, ok := strings.CutPrefix(string(v), systemdScheme); ok {
		return "systemd", name
	}
	return "tcp", string(v)
}

// Unix returns the path of a Unix socket.
func (v Address) Unix() (path string, ok bool) { return strings.CutPrefix(string(v), unixScheme) }

// maxSocketPath is what all systems take of a path (sun_path), with its end.
const maxSocketPath = 104

func (v *Address) decode(d *decoder, n *yaml.Node, path string) {
	const want = "an address to listen at, such as :443 or 127.0.0.1:8080, unix:/run/soapward/gw.sock, or systemd:NAME"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	if file, ok := strings.CutPrefix(s, unixScheme); ok {
		if file == "" {
			d.want(n, want, path)
			return
		}
		file = string(d.path(n, file, path))
		if len(file) >= maxSocketPath {
			d.fail(n, "%s: the path of the socket is longer than %d bytes", path, maxSocketPath-1)
		}
		*v = Address(unixScheme + file)
		return
	}
	if name, ok := strings.CutPrefix(s, systemdScheme); ok {
		if !nameOfEntry.MatchString(name) {
			d.fail(n, "%s: %q is no name of a socket: want that of FileDescriptorName= in the unit", path, clip(name))
		}
		*v = Address(s)
		return
	}
	host, port, err := net.SplitHostPort(s)
	p, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil || p == 0 || strings.ContainsAny(host, " /@") {
		d.want(n, want, path)
		return
	}
	*v = Address(s)
}

// A URL is one of http and https, with a host and without user or password.
type URL struct{ *url.URL }

// String returns the URL, empty if there is none.
func (v URL) String() string {
	if v.URL == nil {
		return ""
	}
	return v.URL.String()
}

func (v *URL) decode(d *decoder, n *yaml.Node, path string) {
	v.URL = d.url(n, path, "http", "https")
}

// A ProxyURL is that of an HTTP proxy which asks for no login: http://HOST:PORT, or
// https.
type ProxyURL struct{ URL }

func (v *ProxyURL) decode(d *decoder, n *yaml.Node, path string) {
	if u, err := url.Parse(n.Value); err == nil && u.User != nil {
		d.fail(n, "%s: a login at the proxy is not possible here: want a proxy that takes connections of this machine without one, and a URL without user and password", path)
		return
	}
	v.URL.decode(d, n, path)
	if u := v.URL.URL; u != nil && (u.Path != "" && u.Path != "/" || u.RawQuery != "") {
		d.want(n, "a proxy such as http://proxy.corp.test:3128", path)
	}
}

// url reads a URL of one of some schemes.
func (d *decoder) url(n *yaml.Node, path string, schemes ...string) *url.URL {
	want := "a URL that begins with " + strings.Join(schemes, ":// or ") + "://"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err == nil && u.User != nil:
		d.fail(n, "%s: a URL carries no user and no password here: there are keys for them, that name a file or an environment variable", path)
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.Fragment != "" || !port(u.Port()):
		d.want(n, want, path)
	default:
		return u
	}
	return nil
}

func port(s string) bool {
	p, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && p > 0
}

// A ServerURL is that of a directory: ldaps://HOST[:PORT], or ldap:// for
// StartTLS. A base DN may follow as its path.
type ServerURL struct{ *url.URL }

func (v *ServerURL) decode(d *decoder, n *yaml.Node, path string) {
	v.URL = d.url(n, path, "ldaps", "ldap")
	if v.URL != nil && v.RawQuery != "" {
		d.fail(n, "%s: attributes and filters do not stand in the URL: there are keys for them", path)
	}
}

// Server returns the URL without the base DN.
func (v ServerURL) Server() string { return v.Scheme + "://" + v.Host }

// Base returns the base DN of the URL, empty if there is none.
func (v ServerURL) Base() string { return strings.Trim(v.Path, "/") }

// ServerURLs are one or several, the preferred one first.
type ServerURLs []ServerURL

func (v *ServerURLs) decode(d *decoder, n *yaml.Node, path string) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	if len(nodes) > 16 {
		d.fail(n, "%s are %d servers: want at most 16", path, len(nodes))
		return
	}
	for _, one := range nodes {
		var u ServerURL
		if u.decode(d, one, path); u.URL != nil {
			*v = append(*v, u)
		}
	}
}

// A Path is that of a file. A relative one is taken from the directory that the
// file is in that names it.
type Path string

func (v *Path) decode(d *decoder, n *yaml.Node, path string) {
	s, ok := d.scalar(n, "the name of a file", path)
	if !ok {
		return
	}
	*v = d.path(n, s, path)
}

func (d *decoder) path(n *yaml.Node, s, path string) Path {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		d.want(n, "the name of a file", path)
		return ""
	}
	if !filepath.IsAbs(s) {
		s = filepath.Join(d.dir(n), s)
	}
	return Path(s)
}

// A Method is a way to log in.
type Method string

// Methods of a Login.
const (
	Negotiate Method = "negotiate"
	NTLM      Method = "ntlm"
	Basic     Method = "basic"
	Form      Method = "form"
	OIDC      Method = "oidc"
	Custom    Method = "custom" // of no realm: the service's own
	None      Method = "none"   // of no realm, and alone
)

var realmMethods = []string{string(Negotiate), string(NTLM), string(Basic), string(Form), string(OIDC)}

// A Login is a way to log in at a realm: corp/negotiate.
type Login struct {
	Realm  string // empty for Custom and None
	Method Method
}

// String returns the login as it is written.
func (v Login) String() string {
	if v.Realm == "" {
		return string(v.Method)
	}
	return v.Realm + "/" + string(v.Method)
}

func (v *Login) decode(d *decoder, n *yaml.Node, path string) {
	const want = "REALM/METHOD such as corp/negotiate, or custom, or none"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	realm, method, two := strings.Cut(s, "/")
	switch {
	case s == string(Custom), s == string(None):
		v.Method = Method(s)
	case !two || realm == "":
		d.want(n, want, path)
	case !slices.Contains(realmMethods, method):
		d.fail(n, "%s: login method %q is not known: want one of %s%s", path, clip(method), strings.Join(realmMethods, ", "), meant(method, realmMethods))
	default:
		v.Realm, v.Method = realm, Method(method)
	}
}
