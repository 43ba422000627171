package backend

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// maxRequestHead is what a backend is sent at most before a body: more than
// net/http takes of a client by default, and what we add.
const maxRequestHead = 2 << 20

// hop are headers that concern one connection (RFC 9110 7.6.1), and those that
// say what only we say.
var hop = []string{
	"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
	"proxy-authenticate", "proxy-authorization", "content-length", "host", "expect", "forwarded", "x-real-ip",
	"proxy", // a CGI program takes it for HTTP_PROXY, the proxy that it is to use
	// Frameworks take these for the path, host or method of the request, which the
	// policy decided about: IIS, Symfony, Laminas, Django behind it.
	"x-original-url", "x-rewrite-url", "x-original-uri", "x-original-method", "x-original-host", "x-host",
	// And these for the client's address.
	"client-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
}

// decided are headers by which it was decided what a request is. Other spellings
// of them do not go on, since a server may take those for them, as PHP takes
// Content_Encoding; and Connection cannot take them away.
var decided = []string{"content-type", "content-encoding", "soapaction", "cookie", "authorization"}

const forwardedPrefix = "x-forwarded-"

// A filter knows the headers of clients that do not go on, in each spelling that
// a server may take for them: CGI and what follows it make the same of X-User,
// x_user and X.User.
type filter struct {
	folded map[string]bool     // true; false: of decided, which go on as they are
	length [maxFolded + 1]bool // of these
}

const maxFolded = 64

func newFilter(names ...string) *filter {
	f := &filter{folded: make(map[string]bool)}
	for _, n := range decided {
		f.folded[n], f.length[len(n)] = false, true
	}
	for _, n := range append(slices.Clone(hop), names...) {
		var b [maxFolded]byte
		f.folded[string(fold(&b, n))] = true
		f.length[len(n)] = true
	}
	return f
}

// drops reports whether a header of a client does not go on.
func (f *filter) drops(name string) bool {
	var b [maxFolded]byte
	if len(name) <= maxFolded && f.length[len(name)] {
		if drop, ok := f.folded[string(fold(&b, name))]; ok {
			return drop || !strings.EqualFold(name, string(b[:len(name)]))
		}
	}
	const n = len(forwardedPrefix)
	return len(name) > n && name[0]|0x20 == 'x' && string(fold(&b, name[:n])) == forwardedPrefix
}

func fold(b *[maxFolded]byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			b[i] = c | 0x20
		case isAlnum(c):
			b[i] = c
		default:
			b[i] = '-'
		}
	}
	return b[:len(name)]
}

// badRequest is why a request is not passed on, whoever the backend is.
type badRequest string

func (e badRequest) Error() string { return string(e) }

// appendLine writes the request line and Host for a server.
func (p *Proxy) appendLine(b []byte, r *http.Request, s *server) ([]byte, error) {
	path := r.URL.Path
	if !isToken(r.Method) {
		return nil, badRequest("the method is no token")
	}
	if !strings.HasPrefix(path, "/") {
		return nil, badRequest("the path does not begin with a slash")
	}
	if rest, ok := strings.CutPrefix(path, p.strip); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	if path == "" {
		path = "/"
	}
	b = append(append(b, r.Method...), ' ')
	b = appendEscaped(b, s.prefix, &inPath)
	b = appendEscaped(b, path, &inPath)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		b = append(b, '?')
		b = appendEscaped(b, r.URL.RawQuery, &inQuery)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	host := r.Host
	if p.config.Host == config.HostOfBackend || host == "" {
		host = s.host
	}
	if !validHost(host) {
		return nil, badRequest("the header Host is not the name of a host")
	}
	return append(append(b, host...), "\r\n"...), nil
}

// appendHeader writes the rest of the header, but for what says how long the body
// is.
func (p *Proxy) appendHeader(b []byte, r *http.Request, upgrade string) ([]byte, error) {
	ctx := r.Context()
	id := authn.FromContext(ctx)
	listed := connectionOptions(r.Header)
	if len(listed) > maxOptions {
		return nil, badRequest("Connection has too many names")
	}
	for name, values := range r.Header {
		if p.filter.drops(name) || listed != nil && containsFold(listed, name) {
			continue
		}
		if !isToken(name) {
			return nil, badRequest("a header has no name")
		}
		for _, v := range values {
			switch name {
			case "Cookie":
				v = p.withoutSession(v)
				if v == "" {
					continue
				}
			case "Authorization":
				if !p.config.KeepAuthorization && (id != nil || bindsConnection(v)) {
					continue
				}
			}
			if !validValue(v) {
				return nil, badRequest("a header has a control character")
			}
			b = append(append(b, name...), ": "...)
			b = append(append(b, v...), "\r\n"...)
		}
	}
	b = p.appendForwarded(b, r)
	if upgrade != "" {
		b = append(append(b, "Connection: Upgrade\r\nUpgrade: "...), upgrade...)
		b = append(b, "\r\n"...)
	} else if te := r.Header["Te"]; len(te) > 0 && slices.ContainsFunc(appendTokens(nil, strings.Join(te, ",")), isTrailers) {
		b = append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	if id != nil {
		var err error
		if b, err = p.teller.appendHeaders(ctx, b, id); err != nil {
			return nil, err
		}
	}
	if len(b) > maxRequestHead {
		return nil, badRequest("the header is too large")
	}
	return b, nil
}

func isTrailers(s string) bool { return strings.EqualFold(s, "trailers") }

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(o string) bool { return strings.EqualFold(o, s) })
}

// connectionOptions lists what Connection names, which goes no further. What is
// for all who read the message must not be named there (RFC 9110 7.6.1).
func connectionOptions(h http.Header) (options []string) {
	for _, v := range h["Connection"] {
		options = appendTokens(options, v)
	}
	if len(options) > maxOptions {
		return options
	}
	return slices.DeleteFunc(options, func(o string) bool { return containsFold(decided, o) })
}

// withoutSession takes the cookies of our sessions out of a header.
func (p *Proxy) withoutSession(cookies string) string {
	if p.options.OwnCookie == nil {
		return cookies
	}
	var kept []string
	for c := range strings.SplitSeq(cookies, ";") {
		if c = strings.TrimSpace(c); c != "" && !p.ownCookie(c) {
			kept = append(kept, c)
		}
	}
	return strings.Join(kept, "; ")
}

// ownCookie reports whether name=value is a cookie of our sessions. Browsers keep
// "=name=value" as a cookie without a name, and send it as name=value (RFC 6265bis
// 5.4).
func (p *Proxy) ownCookie(pair string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(pair, "= \t"), "=")
	name, _, _ = strings.Cut(name, ";")
	return p.options.OwnCookie != nil && p.options.OwnCookie(strings.TrimSpace(name))
}

// appendForwarded says who the client is and how it called us. What it said of
// itself does not go on: of what a trusted proxy in front said, the address that
// authn found in it.
func (p *Proxy) appendForwarded(b []byte, r *http.Request) []byte {
	if p.config.Forwarded == config.ForwardedOff {
		return b
	}
	client := authn.ClientAddr(r)
	var peer netip.Addr // who connected to us
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = ap.Addr().Unmap().WithZone("")
	}
	proto, host := "http", r.Host
	if r.TLS != nil {
		proto = "https"
	}
	proxied := client.IsValid() && client != peer
	if proxied {
		switch v := r.Header.Get("X-Forwarded-Proto"); v {
		case "http", "https":
			proto = v
		}
		if v := r.Header.Get("X-Forwarded-Host"); v != "" && validHost(v) {
			host = v
		}
	}
	if !validHost(host) {
		host = ""
	}
	if p.config.Forwarded == config.ForwardedRFC7239 {
		b = append(b, "Forwarded: for="...)
		b = appendNode(b, client)
		if host != "" {
			b = append(append(append(b, `;host="`...), host...), '"')
		}
		b = append(append(b, ";proto="...), proto...)
		if proxied && peer.IsValid() {
			b = appendNode(append(b, ", for="...), peer)
		}
		return append(b, "\r\n"...)
	}
	if client.IsValid() {
		b = client.AppendTo(append(b, "X-Forwarded-For: "...))
		if proxied && peer.IsValid() {
			b = peer.AppendTo(append(b, ", "...))
		}
		b = append(b, "\r\n"...)
	}
	if host != "" {
		b = append(append(append(b, "X-Forwarded-Host: "...), host...), "\r\n"...)
	}
	return append(append(append(b, "X-Forwarded-Proto: "...), proto...), "\r\n"...)
}

// appendNode writes an address as RFC 7239 6 has it.
func appendNode(b []byte, a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return append(b, "unknown"...)
	case a.Is6():
		return append(a.AppendTo(append(b, `"[`...)), `]"`...)
	}
	return a.AppendTo(b)
}

// upgradeOf returns the protocol that a client wants to change to, if it may:
// one name that is not HTTP, whose requests nobody here would look at.
func upgradeOf(r *http.Request) string {
	v := r.Header["Upgrade"]
	if len(v) != 1 || r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.ContentLength != 0 || !containsFold(connectionOptions(r.Header), "upgrade") {
		return ""
	}
	name, _, _ := strings.Cut(v[0], "/")
	if !isToken(name) || !validValue(v[0]) || strings.Contains(v[0], ",") {
		return ""
	}
	for _, refused := range []string{"h2", "h2c", "h3", "http", "tls"} {
		if strings.EqualFold(name, refused) {
			return ""
		}
	}
	return v[0]
}

// inPath are the characters that stand for themselves in a path (RFC 3986 3.3),
// inQuery those of a query, which is encoded already: what must not be there is
// encoded, and the rest left alone.
var inPath, inQuery = func() (path, query [256]bool) {
	for c := range 256 {
		path[c] = isAlnum(byte(c)) || c < 0x7f && strings.IndexByte("-._~!$&'()*+,;=:@/", byte(c)) >= 0
		query[c] = c > ' ' && c < 0x7f && c != '#'
	}
	return path, query
}()

func appendEscaped(b []byte, s string, plain *[256]bool) []byte {
	start := 0
	for i := range len(s) {
		if c := s[i]; !plain[c] {
			b = append(b, s[start:i]...)
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
			start = i + 1
		}
	}
	return append(b, s[start:]...)
}

// validHost reports whether s can stand in Host: a name or address, perhaps with
// a port.
func validHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && strings.IndexByte("-._~:[]!$&'()*+,;=%", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 512
}

// appendLength says how long the body is, in front of the empty line.
func appendLength(b []byte, r *http.Request) []byte {
	switch {
	case r.ContentLength > 0:
		b = strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10)
		b = append(b, "\r\n"...)
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions && r.Method != http.MethodDelete:
		b = append(b, "Content-Length: 0\r\n"...) // RFC 9110 8.6
	}
	return append(b, "\r\n"...)
}
