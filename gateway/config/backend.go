package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Backend is where requests go, and what is said of the caller there.
type Backend struct {
	URL  BackendURL   `yaml:"url"`
	URLs []BackendURL `yaml:"urls"` // in place of URL: several that do the same

	Identity *Identity      `yaml:"identity"`
	TLS      *BackendTLS    `yaml:"tls"`
	Health   *BackendHealth `yaml:"health"` // nil: who does not answer is known by requests

	Timeout            Duration `yaml:"timeout"` // until the head of the answer; zero: none
	ConnectTimeout     Duration `yaml:"connect_timeout"`
	IdleTimeout        Duration `yaml:"idle_timeout"`         // of connections between requests
	UpgradeIdleTimeout Duration `yaml:"upgrade_idle_timeout"` // of WebSockets and the like, without a byte

	// MaxConnections is how many requests one server of URLs gets at once. Zero:
	// no limit.
	MaxConnections int `yaml:"max_connections"`

	Host      BackendHost `yaml:"host"`
	Forwarded Forwarded   `yaml:"forwarded"`

	// StripPrefix is taken off the path before that of the URL is put in front.
	StripPrefix string `yaml:"strip_prefix"`

	// KeepAuthorization passes on the credentials that the caller logged in
	// with: whoever reads them there can be that user elsewhere.
	KeepAuthorization bool `yaml:"keep_authorization"`
}

func (b *Backend) decode(d *decoder, n *yaml.Node, path string) {
	type plain Backend
	b.ConnectTimeout = Duration(5 * time.Second)
	b.IdleTimeout = Duration(time.Minute)
	b.UpgradeIdleTimeout = Duration(10 * time.Minute)
	b.Host, b.Forwarded = HostOfClient, ForwardedX
	decodeStruct(d, n, (*plain)(b), path)
}

// Servers are those of URL or of URLs.
func (b *Backend) Servers() []BackendURL {
	if b.URL.URL != nil {
		return []BackendURL{b.URL}
	}
	return b.URLs
}

// A BackendURL is http://HOST[:PORT][/PATH], the same with https, or unix:PATH for
// a socket. It is without user and password.
type BackendURL struct{ *url.URL }

// String returns the URL, empty if there is none.
func (v BackendURL) String() string {
	if v.URL == nil {
		return ""
	}
	return v.URL.String()
}

func (v *BackendURL) decode(d *decoder, n *yaml.Node, path string) {
	if s, unix := strings.CutPrefix(n.Value, "unix:"); n.Kind == yaml.ScalarNode && unix {
		if strings.HasPrefix(s, "//") || strings.ContainsAny(s, "?#\x00") {
			d.want(n, "the name of a socket, such as unix:/run/app.sock", path)
			return
		}
		if file := d.path(n, s, path); file != "" {
			v.URL = &url.URL{Scheme: "unix", Path: string(file), OmitHost: true}
		}
		return
	}
	v.URL = d.url(n, path, "http", "https")
	if v.URL != nil && (v.RawQuery != "" || v.ForceQuery) {
		d.fail(n, "%s: want a URL without a query", path)
		v.URL = nil
	}
}

// BackendTLS is how servers of https:// are known.
type BackendTLS struct {
	CAFile     Path   `yaml:"ca_file"`     // empty: the authorities of the system
	ServerName string `yaml:"server_name"` // in place of the URL's host

	// InsecureSkipVerify takes any certificate: whoever is on the way can read
	// and change everything.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// BackendHealth is a request that asks a server whether it is well.
type BackendHealth struct {
	Path     string   `yaml:"path"`
	Interval Duration `yaml:"interval"`
	Timeout  Duration `yaml:"timeout"`
	Status   int      `yaml:"status"` // that it answers with
}

func (h *BackendHealth) decode(d *decoder, n *yaml.Node, path string) {
	type plain BackendHealth
	h.Interval, h.Timeout, h.Status = Duration(10*time.Second), Duration(2*time.Second), 200
	decodeStruct(d, n, (*plain)(h), path)
}

// BackendHost is which name a server sees in the header Host.
type BackendHost string

// Names that it may see.
const (
	HostOfClient  BackendHost = "client" // as the client sent it
	HostOfBackend BackendHost = "backend"
)

func (BackendHost) choices() []string {
	return []string{string(HostOfClient), string(HostOfBackend)}
}

// Forwarded is how a server learns of the client's address.
type Forwarded string

// Ways to tell.
const (
	ForwardedX       Forwarded = "x" // X-Forwarded-For, -Proto, -Host
	ForwardedRFC7239 Forwarded = "rfc7239"
	ForwardedOff     Forwarded = "off"
)

func (Forwarded) choices() []string {
	return []string{string(ForwardedX), string(ForwardedRFC7239), string(ForwardedOff)}
}

// IdentityHeaders name the headers with what is known of the caller. One that is
// empty is not sent.
type IdentityHeaders struct {
	SID         string `yaml:"sid"`
	UPN         string `yaml:"upn"`
	DisplayName string `yaml:"display_name"`
	Email       string `yaml:"email"`
	Groups      string `yaml:"groups"`
	Roles       string `yaml:"roles"`
	Mechanism   string `yaml:"mechanism"`
}

// maxServers is fewer than package backend can tell apart.
const maxServers = 32

// maxUses bounds max_connections.
const maxUses = 100_000

// checkBackend looks at where requests go. asked: a proxy in front may pass them on
// itself, so there need be nothing.
func (d *decoder) checkBackend(b *Backend, asked bool, path string) {
	switch {
	case b.URL.URL == nil && len(b.URLs) == 0 && asked:
	case b.URL.URL == nil && len(b.URLs) == 0:
		d.failAt(b, "%s: want url, or urls for several servers", path)
		return
	case b.URL.URL != nil && len(b.URLs) > 0:
		d.failAt(&b.URLs, "%s: want one of url and urls", path)
	case len(b.URLs) > maxServers:
		d.failAt(&b.URLs, "%s.urls are %d: want at most %d", path, len(b.URLs), maxServers)
	}
	secure := false
	for i, u := range b.Servers() {
		if u.URL == nil {
			continue
		}
		secure = secure || u.Scheme == "https"
		for _, other := range b.Servers()[:i] {
			if other.URL != nil && other.String() == u.String() {
				d.failAt(&b.URLs[i], "%s: %s is there twice", index(path+".urls", i), clip(u.String()))
			}
		}
		if b.Host == HostOfBackend && u.Scheme == "unix" {
			d.failAt(&b.Host, "%s.host: backend wants a host, and a socket has none", path)
		}
	}
	if b.TLS != nil && !secure {
		d.failAt(b.TLS, "%s.tls is for https://", path)
	}
	if b.MaxConnections > maxUses {
		d.failAt(&b.MaxConnections, "%s.max_connections is %d: want at most %d", path, b.MaxConnections, maxUses)
	}
	d.checkPath(&b.StripPrefix, b.StripPrefix, path+".strip_prefix")
	if h := b.Health; h != nil {
		switch {
		case !strings.HasPrefix(h.Path, "/") || strings.ContainsFunc(h.Path, notInTarget):
			d.failAt(h, "%s.health.path is %q: want a path that begins with /", path, clip(h.Path))
		case h.Status < 200 || h.Status > 599:
			d.failAt(&h.Status, "%s.health.status is %d: want 200 to 599", path, h.Status)
		case h.Timeout > h.Interval:
			d.failAt(h, "%s.health: timeout is longer than interval", path)
		}
	}
	if b.Identity != nil {
		d.checkIdentity(b.Identity, path+".identity")
	}
}

func notInTarget(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }

// Names returns those that are not empty, by their keys.
func (h *IdentityHeaders) Names() map[string]string {
	names := map[string]string{
		"sid": h.SID, "upn": h.UPN, "display_name": h.DisplayName, "email": h.Email,
		"groups": h.Groups, "roles": h.Roles, "mechanism": h.Mechanism,
	}
	for key, name := range names {
		if name == "" {
			delete(names, key)
		}
	}
	return names
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// reserved are headers that mean something by themselves.
var reserved = []string{
	"authorization", "connection", "content-length", "content-type", "content-encoding", "cookie", "date", "expect", "forwarded",
	"host", "keep-alive", "proxy", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
}

func (d *decoder) checkIdentity(id *Identity, path string) {
	switch j := id.JWT; {
	case j == nil:
	case j.Header == "" || j.Key.IsZero():
		d.failAt(j, "%s.jwt: want header and key", path)
	case j.Lifetime < Duration(10*time.Second) || j.Lifetime > Duration(24*time.Hour):
		d.failAt(&j.Lifetime, "%s.jwt.lifetime is %v: want 10s to 24h", path, j.Lifetime.Std())
	}
	var headers map[string]string
	if id.Headers != nil {
		headers = id.Headers.Names()
	}
	if id.JWT == nil && id.Header == "" && len(headers) == 0 {
		d.failAt(id, "%s: want header, headers or jwt", path)
	}
	taken := make(map[string]string) // by the name in small letters
	use := func(v any, name, at string) {
		lower := strings.ToLower(name)
		switch other := taken[lower]; {
		case name == "":
		case !headerName.MatchString(name):
			d.failAt(v, "%s is %q: want letters, digits and hyphens, such as X-Remote-User", at, clip(name))
		case slices.Contains(reserved, lower):
			d.failAt(v, "%s is %s, which means something else: want a name of its own, such as X-Remote-User", at, name)
		case other != "":
			d.failAt(v, "%s is the header of %s too", at, other)
		default:
			taken[lower] = at
		}
	}
	use(&id.Header, id.Header, path+".header")
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		use(id.Headers, headers[key], path+".headers."+key)
	}
	if id.JWT != nil {
		use(&id.JWT.Header, id.JWT.Header, path+".jwt.header")
	}
}
