package wsdl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// StatusError is an HTTP response other than 200.
type StatusError struct {
	URI        string // that answered, after redirects, without a password
	Code       int
	Challenges []string // schemes of WWW-Authenticate, in order
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.URI, e.Code, http.StatusText(e.Code))
	if len(e.Challenges) > 0 {
		s += " and offers " + strings.Join(e.Challenges, ", ")
	}
	return s
}

// Errors of fetching that callers may tell apart.
var (
	// ErrOrigin means that a document asked for one that its own origin may
	// not reach: a file from the network, or a private address from a public.
	ErrOrigin = errors.New("not allowed from where the importing document came from")

	// ErrTooLarge means that a limit of the Resolver on size, count or depth
	// was reached.
	ErrTooLarge = errors.New("the description is larger than allowed")
)

const maxRedirects = 10

// fetcher reads documents under the rules of origin.
type fetcher struct {
	same, other *http.Client
	home        string // origin of the first document; "" for a file
	started     bool
	remote      bool // the first document came over HTTP
	guard       bool // ... from a public address: refuse private ones
	allow       bool
}

func newFetcher(r *Resolver) *fetcher {
	f := &fetcher{allow: r.AllowPrivate}
	if r.Other != nil {
		f.other = noRedirects(r.Other)
	} else {
		f.other = noRedirects(&http.Client{Transport: f.transport(), Timeout: time.Minute})
	}
	f.same = f.other
	if r.HTTP != nil {
		f.same = noRedirects(r.HTTP)
	}
	return f
}

// transport returns one that dials private addresses only where that is
// allowed. A proxy of the environment is taken as the operator's word: it may
// have a private address, and where it goes for a name is its own policy.
func (f *fetcher) transport() *http.Transport {
	guarded := &net.Dialer{Timeout: 15 * time.Second, Control: f.control}
	direct := &net.Dialer{Timeout: 15 * time.Second}
	var proxies sync.Map // "host:port" of those in use
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			p, err := http.ProxyFromEnvironment(r)
			if p == nil || err != nil {
				return nil, err
			}
			if a, err := netip.ParseAddr(r.URL.Hostname()); err == nil && f.guard && isPrivate(a) {
				return nil, fmt.Errorf("%s is a private address: %w", a, ErrOrigin)
			}
			port := p.Port()
			if port == "" {
				port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[p.Scheme]
			}
			proxies.Store(net.JoinHostPort(p.Hostname(), orString(port, "80")), true)
			return p, nil
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if _, ok := proxies.Load(addr); ok {
				return direct.DialContext(ctx, network, addr)
			}
			return guarded.DialContext(ctx, network, addr)
		},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    15 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func noRedirects(c *http.Client) *http.Client {
	n := *c
	n.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &n
}

// control refuses connections from the guarded client to private addresses.
// It sees the address after name resolution, so a name cannot hide it.
func (f *fetcher) control(_, address string, _ syscall.RawConn) error {
	if !f.guard {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if isPrivate(ap.Addr()) {
		return fmt.Errorf("%s is a private address: %w", ap.Addr(), ErrOrigin)
	}
	return nil
}

// special are blocks that lead somewhere else than to the public network,
// beside those that package netip knows.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // translated to any IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), // 6to4, likewise
}

func isPrivate(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() ||
		slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// start fixes what the first document may import.
func (f *fetcher) start(ctx context.Context, u *url.URL) {
	f.started = true
	f.home = origin(u)
	f.remote = f.home != ""
	if !f.remote {
		return
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	private := err == nil && len(addrs) > 0
	for _, a := range addrs {
		private = private && isPrivate(a)
	}
	f.guard = !private && !f.allow
}

// get reads at most limit bytes of uri. importer is the document that refers
// to it, "" if the operator named it. It returns the URI after redirects.
func (f *fetcher) get(ctx context.Context, uri, importer string, limit int64) ([]byte, string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, "", errors.New("the location is not a URI")
	}
	if !f.started {
		f.start(ctx, u)
	}
	switch strings.ToLower(u.Scheme) {
	case "file":
		if importer != "" && !strings.HasPrefix(importer, "file:") {
			return nil, "", fmt.Errorf("a document from the network refers to a file: %w", ErrOrigin)
		}
		b, err := readFile(u, limit)
		if importer != "" && errors.Is(err, fs.ErrNotExist) {
			// Written where the case of letters does not count in file names.
			if p := anyCase(filepath.FromSlash(u.Path)); p != "" {
				other := *u
				other.Path = filepath.ToSlash(p)
				b, err = readFile(&other, limit)
				uri = other.String()
			}
		}
		return b, uri, err
	case "http", "https":
		return f.getHTTP(ctx, u, limit)
	}
	return nil, "", fmt.Errorf("scheme %q is not supported", clip(u.Scheme))
}

func readFile(u *url.URL, limit int64) ([]byte, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, errors.New("files of other hosts are not read")
	}
	p := filepath.FromSlash(u.Path)
	if len(p) > 2 && p[2] == ':' && filepath.Separator == '\\' {
		p = p[1:]
	}
	file, err := os.Open(p)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // callers name the file
		}
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if fi, err := file.Stat(); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return readLimited(file, limit)
}

// anyCase finds the file that differs from path by the case of letters only, if
// there is just one. It returns "" otherwise.
func anyCase(path string) string {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	if _, err := os.Stat(dir); err != nil {
		if dir == path || dir == filepath.Dir(dir) {
			return ""
		}
		if dir = anyCase(dir); dir == "" {
			return ""
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	found := ""
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			if found != "" {
				return ""
			}
			found = filepath.Join(dir, e.Name())
		}
	}
	return found
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, ErrTooLarge
	}
	return b, nil
}

func (f *fetcher) getHTTP(ctx context.Context, u *url.URL, limit int64) ([]byte, string, error) {
	for range maxRedirects {
		b, next, err := f.once(ctx, u, limit)
		if err != nil {
			return nil, "", err
		}
		if next == nil {
			return b, u.String(), nil
		}
		u = next
	}
	return nil, "", fmt.Errorf("more than %d redirects", maxRedirects)
}

// once sends one request and returns the document or where to look next.
func (f *fetcher) once(ctx context.Context, u *url.URL, limit int64) ([]byte, *url.URL, error) {
	c := f.other
	if f.home != "" && origin(u) == f.home {
		c = f.same
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "text/xml, application/wsdl+xml, application/xml;q=0.9, */*;q=0.5")
	resp, err := c.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // callers name the address
		}
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		b, err := readLimited(resp.Body, limit)
		return b, nil, err
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		next, err := resp.Location()
		if err != nil {
			return nil, nil, fmt.Errorf("redirect: %w", err)
		}
		if s := strings.ToLower(next.Scheme); s != "http" && s != "https" {
			return nil, nil, fmt.Errorf("redirect to scheme %q: %w", clip(s), ErrOrigin)
		}
		return nil, next, nil
	}
	e := &StatusError{URI: shown(u.String()), Code: resp.StatusCode}
	for _, v := range resp.Header.Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(v, " ")
		e.Challenges = append(e.Challenges, clip(scheme))
	}
	return nil, nil, e
}
