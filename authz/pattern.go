package authz

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// glob matches text against a pattern in which a star stands for any characters,
// also none. It takes time in proportion to both lengths at most.
func glob(pattern, s string, within byte) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && pattern[i] == s[j]:
			i++
			j++
		case star >= 0 && (within == 0 || s[mark] != within):
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}

// A Match says which requests are meant. All that it says must hold; what is
// empty says nothing. Nothing at all means every request.
type Match struct {
	// Host is a host name without port, or *.corp.test for those below one.
	Host string

	// Path is a path (/hr/report), all below one (/hr/), or either with stars
	// that stand for any characters but a slash (/users/*/photo).
	Path string

	// Operation is a SOAP operation in Clark notation ({urn:hr}Pay*), with stars
	// for any characters in the name, or a name alone, for all namespaces. A
	// request that is not, or not yet known to be, an operation does not match.
	Operation string

	// Method is an HTTP method. GET stands for HEAD as well.
	Method string
}

// matcher is a Match, made ready.
type matcher struct {
	host, suffix     string
	path             string
	below, star      bool
	space, operation string
	anySpace         bool
	method           string
	foldPath         bool
}

func (m Match) compile(foldPath bool) (matcher, error) {
	c := matcher{method: strings.ToUpper(m.Method), foldPath: foldPath}
	if host := strings.ToLower(m.Host); host != "" {
		if suffix, ok := strings.CutPrefix(host, "*"); ok {
			if !strings.HasPrefix(suffix, ".") {
				return c, fmt.Errorf("host %q: a star stands in front of a dot, as in *.corp.test", m.Host)
			}
			c.suffix = suffix
		} else {
			c.host = host
		}
	}
	if m.Path != "" {
		if !strings.HasPrefix(m.Path, "/") {
			return c, fmt.Errorf("path %q: it begins with a slash", m.Path)
		}
		c.path, c.below = m.Path, strings.HasSuffix(m.Path, "/")
		if foldPath {
			c.path = foldCase(c.path)
		}
		literal := strings.ReplaceAll(c.path, "*", "x")
		if why := badPath(literal); why != "" || needsCleaning(literal) {
			return c, fmt.Errorf("path %q: no request has it: %s", m.Path, cmp.Or(why, "it is not in its shortest form"))
		}
		c.star = strings.Contains(c.path, "*")
	}
	if op := m.Operation; op != "" {
		space, name, err := splitOperation(op)
		if err != nil {
			return c, err
		}
		c.operation, c.space, c.anySpace = name, space, space == "*" || !strings.HasPrefix(op, "{")
	}
	return c, nil
}

// splitOperation reads Clark notation.
func splitOperation(op string) (space, name string, err error) {
	if rest, ok := strings.CutPrefix(op, "{"); ok {
		if space, name, ok = strings.Cut(rest, "}"); !ok || name == "" {
			return "", "", fmt.Errorf("operation %q: Clark notation is {namespace}Name", op)
		}
		return space, name, nil
	}
	if strings.ContainsAny(op, "{} ") {
		return "", "", errors.New("operation " + op + ": Clark notation is {namespace}Name")
	}
	return "", op, nil
}

// why returns what keeps a request from matching, or nothing.
func (m *matcher) why(r *Request) string {
	switch {
	case m.host != "" && !equalHost(r.Host, m.host):
		return "host"
	case m.suffix != "" && !hasHostSuffix(r.Host, m.suffix):
		return "host"
	case m.method != "" && m.method != r.Method && !(m.method == http.MethodGet && r.Method == http.MethodHead):
		return "method"
	case m.path != "" && !m.matchPath(r.Path):
		return "path"
	case m.operation != "" && !m.matchOperation(r.Operation):
		return "operation"
	}
	return ""
}

func equalHost(host, want string) bool { return strings.EqualFold(trimHost(host), want) }

func hasHostSuffix(host, suffix string) bool {
	host = trimHost(host)
	n := len(host) - len(suffix)
	return n > 0 && strings.EqualFold(host[n:], suffix)
}

// trimHost removes a port, and the dot at the end of an absolute name.
func trimHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// foldCase is for paths: what some server on Windows may take for the same.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func (m *matcher) matchPath(path string) bool {
	if m.foldPath {
		path = foldCase(path)
	}
	switch {
	case !m.star && m.below:
		// The directory without its slash is the directory, for most servers.
		return strings.HasPrefix(path, m.path) || path == m.path[:len(m.path)-1]
	case !m.star:
		return path == m.path
	case m.below:
		slashes := strings.Count(m.path, "/")
		for i := range len(path) {
			if path[i] == '/' {
				if slashes--; slashes == 0 {
					return glob(m.path, path[:i+1], '/')
				}
			}
		}
		return slashes == 1 && glob(m.path[:len(m.path)-1], path, '/')
	}
	return glob(m.path, path, '/')
}

func (m *matcher) matchOperation(op string) bool {
	if op == "" {
		return false
	}
	space, name := "", op
	if op[0] == '{' {
		i := strings.IndexByte(op, '}')
		if i < 0 {
			return false
		}
		space, name = op[1:i], op[i+1:]
	}
	return (m.anySpace || space == m.space) && glob(m.operation, name, 0)
}

// String returns the match as people read it.
func (m Match) String() string {
	var parts []string
	for _, p := range []struct{ name, value string }{
		{"", m.Method}, {"host ", m.Host}, {"path ", m.Path}, {"operation ", m.Operation},
	} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	if len(parts) == 0 {
		return "every request"
	}
	return strings.Join(parts, ", ")
}
