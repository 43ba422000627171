package outbound

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/publish"
)

// bufferPool has what answers are copied through.
type bufferPool struct{ sync.Pool }

var buffers = &bufferPool{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte { return *p.Pool.Get().(*[]byte) }

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.Pool.Put(&b) }

// rewrite makes the request to the server of one to us. Forwarded headers are
// gone already: to the server, it is us who calls.
func (u *upstream) rewrite(r *httputil.ProxyRequest) {
	x := callOf(r.In.Context())
	x.sent = time.Now()
	out := r.Out
	if u.config.Mode == config.ModeForwardProxy {
		out.URL.Scheme, out.URL.Host = x.target.Scheme, x.target.Host
		out.Host = x.target.Host
	} else {
		r.SetURL(x.target) // the Host header too
	}
	h := out.Header
	// Whoever calls is logged in by us: what he shows to others than us is not
	// for the server, and could be another's.
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		h.Del(name)
	}
	x.ownCookies(h)
	if isDescription(out) {
		h.Del("Accept-Encoding")
		h.Del("If-None-Match") // of what the server has, not of what we make of it
		h.Del("If-Modified-Since")
		h.Del("Range")
	}
}

// ofLogin are headers that belong to the login, or would lead round us.
var ofLogin = []string{
	"WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
	"Persistent-Auth", "Proxy-Support", "Alt-Svc", "Strict-Transport-Security",
}

// modify makes the answer to the program of the server's.
func (u *upstream) modify(resp *http.Response) error {
	x := callOf(resp.Request.Context())
	x.trail.BackendTime = time.Since(x.sent)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusProxyAuthRequired {
		// The transport makes an error of them. A program must not be asked.
		return &authclient.RefusedError{Target: authclient.TargetOf(x.target), Proxy: resp.StatusCode == http.StatusProxyAuthRequired}
	}
	for _, name := range ofLogin {
		resp.Header.Del(name)
	}
	for _, name := range []string{"Location", "Content-Location"} {
		if v := resp.Header.Get(name); v != "" {
			resp.Header.Set(name, x.toLocal(v))
		}
	}
	x.localCookies(resp.Header)
	return x.describe(resp)
}

// toLocal returns an address of the server as the program has to call it. Others
// stay as they are.
func (x *call) toLocal(address string) string {
	a, err := url.Parse(address)
	if err != nil {
		return address
	}
	base := x.base()
	switch {
	case a.IsAbs() || a.Host != "":
		if a.Scheme == "" {
			a.Scheme = x.target.Scheme
		}
		if a.Scheme != "http" && a.Scheme != "https" || authclient.TargetOf(a).Origin() != authclient.TargetOf(x.target).Origin() {
			return address
		}
		a.Scheme, a.Host, a.User = x.local.Scheme, x.local.Host, nil
	case base == "" || !strings.HasPrefix(a.Path, "/"):
		return address
	}
	cutBase(a, base)
	return a.String()
}

// base is the path of the server's address, which programs leave out.
func (x *call) base() string {
	if x.upstream.config.Mode == config.ModeForwardProxy {
		return ""
	}
	return strings.TrimSuffix(x.target.Path, "/")
}

func cutBase(a *url.URL, base string) {
	if rest, ok := strings.CutPrefix(a.Path, base); base != "" && ok && (rest == "" || rest[0] == '/') {
		raw, rawOK := strings.CutPrefix(a.RawPath, base)
		if a.Path, a.RawPath = rest, ""; rest == "" {
			a.Path = "/"
		} else if rawOK {
			a.RawPath = raw
		}
	}
}

// maxDescription bounds a WSDL or schema whose addresses are changed.
const maxDescription = 16 << 20

// isDescription reports whether r asks for a WSDL or a schema.
func isDescription(r *http.Request) bool {
	if r.Method != http.MethodGet || r.URL.RawQuery == "" {
		return false
	}
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		switch strings.ToLower(name) {
		case "wsdl", "singlewsdl", "xsd":
			return true
		}
	}
	return false
}

// describe puts local addresses into a WSDL or schema.
func (x *call) describe(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || !isDescription(resp.Request) || !isXML(resp.Header.Get("Content-Type")) || resp.Header.Get("Content-Encoding") != "" {
		return nil
	}
	doc, err := io.ReadAll(io.LimitReader(resp.Body, maxDescription+1))
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	if len(doc) > maxDescription {
		return fmt.Errorf("outbound: the description is larger than %d MiB", maxDescription>>20)
	}
	out, err := publish.Rewrite(doc, x.localAddress)
	if err != nil {
		return fmt.Errorf("outbound: the description cannot be read: %w", err)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
	resp.Header.Set("Content-Length", strconv.Itoa(len(out)))
	resp.Header.Del("Etag")
	resp.Header.Del("Last-Modified")
	resp.Header.Del("Content-MD5")
	resp.Header.Del("Digest")
	return nil
}

// localAddress is toLocal for addresses in descriptions, which may name another
// port or scheme of the server, where TLS ends in front of it. Nil leaves one as
// it is: what is relative leads to us anyway.
func (x *call) localAddress(old *url.URL) *url.URL {
	a, base := *old, x.base()
	switch {
	case strings.EqualFold(old.Hostname(), x.target.Hostname()) && (old.Scheme == "http" || old.Scheme == "https"):
		a.Scheme, a.Host, a.User = x.local.Scheme, x.local.Host, nil
	case base == "" || old.Host != "" || old.Scheme != "" || !strings.HasPrefix(old.Path, "/"):
		return nil
	}
	cutBase(&a, base)
	return &a
}

func isXML(contentType string) bool {
	typ, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	typ = strings.TrimSpace(typ)
	return typ == "text/xml" || typ == "application/xml" || strings.HasSuffix(typ, "+xml")
}
