package inbound

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// table finds the service of a request. It does not change.
type table struct {
	hosts    map[string][]route
	suffixes []suffix // the longest first
	any      []route
	fold     bool // some service does not look at the case of paths
}

type suffix struct {
	host   string // .corp.test
	routes []route
}

// route is what a service takes: a path and all below. Of a host's, the longest
// stands first.
type route struct {
	path    string // without the slash at its end; folded if the service does that
	service *service
}

func newTable(services []*service) (*table, error) {
	t := &table{hosts: map[string][]route{}}
	bySuffix := map[string][]route{}
	for _, s := range services {
		host := strings.ToLower(strings.TrimSuffix(s.match.Host, "."))
		r := route{path: strings.TrimRight(s.match.Path, "/"), service: s}
		if s.fold {
			r.path, t.fold = foldCase(r.path), true
		}
		switch rest, star := strings.CutPrefix(host, "*"); {
		case host == "":
			t.any = append(t.any, r)
		case star && strings.HasPrefix(rest, ".") && !strings.Contains(rest, "*"):
			bySuffix[rest] = append(bySuffix[rest], r)
		case strings.Contains(host, "*"):
			return nil, fmt.Errorf("inbound: service %s: host %q: a star stands in front of a dot, as in *.corp.test", s.name, s.match.Host)
		default:
			t.hosts[host] = append(t.hosts[host], r)
		}
	}
	for host, routes := range bySuffix {
		t.suffixes = append(t.suffixes, suffix{host, routes})
	}
	slices.SortFunc(t.suffixes, func(a, b suffix) int {
		return cmp.Or(cmp.Compare(len(b.host), len(a.host)), cmp.Compare(a.host, b.host))
	})
	lists := [][]route{t.any}
	for _, routes := range t.hosts {
		lists = append(lists, routes)
	}
	for _, s := range t.suffixes {
		lists = append(lists, s.routes)
	}
	for _, routes := range lists {
		if err := sortRoutes(routes); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func sortRoutes(routes []route) error {
	slices.SortFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.path, b.path), cmp.Compare(a.service.name, b.service.name))
	})
	for i := 1; i < len(routes); i++ {
		if routes[i].path == routes[i-1].path {
			return fmt.Errorf("inbound: services %s and %s match the same requests", routes[i-1].service.name, routes[i].service.name)
		}
	}
	return nil
}

// find returns the service of a request, and the length of the part of the path
// that the service's own path takes. path is clean.
func (t *table) find(host, path string) (*service, int) {
	host = trimHost(host)
	folded := path
	if t.fold {
		folded = foldCase(path)
	}
	if s, n := first(t.hosts[host], path, folded); s != nil {
		return s, n
	}
	for i := range t.suffixes {
		if x := &t.suffixes[i]; len(host) > len(x.host) && strings.HasSuffix(host, x.host) {
			if s, n := first(x.routes, path, folded); s != nil {
				return s, n
			}
		}
	}
	return first(t.any, path, folded)
}

func first(routes []route, path, folded string) (*service, int) {
	for i := range routes {
		r := &routes[i]
		p := path
		if r.service.fold {
			p = folded
		}
		if n := len(r.path); strings.HasPrefix(p, r.path) && (len(p) == n || p[n] == '/') {
			return r.service, n
		}
	}
	return nil, 0
}

// trimHost returns a host in small letters, without port and without the dot of
// an absolute name.
func trimHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// validHost reports whether everybody who reads a Host takes the same name from
// it: one, or an address, with a port or not (RFC 9110 7.2). Servers differ in what
// they make of a second port, or of dots at the end.
func validHost(host string) bool {
	if host == "" { // HTTP/1.0
		return true
	}
	name, port, ok := host, "", false
	if rest, literal := strings.CutPrefix(host, "["); literal {
		if name, port, ok = strings.Cut(rest, "]"); !ok || name == "" || !consistsOf(name, "0123456789abcdefABCDEF:.") {
			return false
		}
		if port != "" && port[0] != ':' {
			return false
		}
		return isPort(strings.TrimPrefix(port, ":"))
	}
	name, port, _ = strings.Cut(host, ":")
	return isPort(port) && name != "" && name[0] != '.' && !strings.Contains(name, "..") && consistsOf(name, hostCharacters)
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

func isPort(s string) bool { return len(s) <= 5 && consistsOf(s, "0123456789") }

func consistsOf(s, characters string) bool { return strings.TrimLeft(s, characters) == "" }

// foldCase is that of authz for paths: what some server on Windows may take for
// the same.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }
