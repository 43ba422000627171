package publish

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/soapward/soapward/gateway/config"
)

// endpoint is where a client calls a service.
type endpoint struct {
	origin url.URL // scheme and host, no path
	asked  string  // path of the request, as clients see it
	paths  *paths
}

// document returns the address of a document. The query alone would do, but
// some programs resolve it badly.
func (e *endpoint) document(d *document) string {
	u := e.origin
	u.Path, u.RawQuery = e.asked, d.query
	return u.String()
}

// service returns the address of a service that was at another one: at its path
// if that is ours, else where the description was asked for.
func (e *endpoint) service(old *url.URL) string {
	u := e.origin
	if path, ok := e.paths.public(old.Path); ok {
		u.Path, u.RawQuery = path, old.RawQuery
	} else {
		u.Path = e.asked
	}
	return u.String()
}

// key tells endpoints apart for which a document is not the same.
func (e *endpoint) key() string { return e.origin.Scheme + "://" + e.origin.Host + e.asked }

// paths knows what becomes of paths on the way to a service.
type paths struct {
	match    string // where the service begins here, ends with a slash
	outside  string // stands for match at clients; ends with a slash
	stripped string // is taken off a path on its way to the server, ends with no slash
	backend  string // and this is put in front, ends with none
}

func newPaths(s *config.Service) *paths {
	p := &paths{match: withSlash(fixed(s.Match.Path))}
	p.outside = p.match
	if s.PublicURL.URL != nil {
		p.outside = withSlash(s.PublicURL.Path)
	}
	if u := s.Upstream; u != nil {
		p.stripped = strings.TrimSuffix(u.StripPrefix, "/")
		if servers := u.Servers(); len(servers) > 0 && servers[0].Scheme != "unix" {
			p.backend = strings.TrimSuffix(servers[0].Path, "/")
		}
	}
	return p
}

// fixed is the part of a path before a pattern.
func fixed(path string) string {
	if i := strings.IndexByte(path, '*'); i >= 0 {
		path = path[:strings.LastIndexByte(path[:i], '/')+1]
	}
	return path
}

func withSlash(path string) string {
	if strings.HasSuffix(path, "/") {
		return path
	}
	return path + "/"
}

// public returns the path under which clients find a path of the server.
func (p *paths) public(path string) (string, bool) {
	if p.backend+p.stripped != "" {
		if rest, ok := strings.CutPrefix(path, p.backend+"/"); ok {
			if out, ok := p.seen(p.stripped + "/" + rest); ok {
				return out, true
			}
		}
	}
	if path == "/" && p.match == "/" {
		return "", false // a host alone says nothing
	}
	return p.seen(path)
}

// seen returns a path of ours as clients see it, who may be in front of a proxy
// that changes paths.
func (p *paths) seen(path string) (string, bool) {
	if rest, ok := strings.CutPrefix(path, p.match); ok {
		return p.outside + rest, true
	}
	if path+"/" == p.match {
		return strings.TrimSuffix(p.outside, "/"), true
	}
	return path, false
}

// hostName is what a client may call this machine in a request.
var hostName = regexp.MustCompile(`^([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)

// endpoint returns where the client of r calls the service. It is nil if that
// cannot be an address.
func (p *Publisher) endpoint(r *http.Request) *endpoint {
	e := &endpoint{paths: p.paths}
	e.asked, _ = p.paths.seen(r.URL.Path)
	e.origin = *origin(r, p.trusted)
	if u := p.service.PublicURL.URL; u != nil {
		e.origin.Scheme, e.origin.Host = u.Scheme, u.Host
	} else if !hostName.MatchString(e.origin.Host) {
		return nil
	}
	return e
}

// origin returns scheme and host that a client used, as proxies that are trusted
// tell it.
func origin(r *http.Request, trusted []config.Network) *url.URL {
	u := &url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if !fromProxy(r, trusted) {
		return u
	}
	// A list of values has some that a client wrote.
	if v := r.Header.Values("X-Forwarded-Host"); len(v) == 1 && hostName.MatchString(v[0]) {
		u.Host = v[0]
	}
	if v := r.Header.Values("X-Forwarded-Proto"); len(v) == 1 && (v[0] == "http" || v[0] == "https") {
		u.Scheme = v[0]
	}
	return u
}

// fromProxy reports whether a proxy that is trusted opened the connection.
func fromProxy(r *http.Request, trusted []config.Network) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, n := range trusted {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
