package soapserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/soapward/soapward/soap/wire"
)

// get publishes the description: ?wsdl is the main document, ?doc=NAME one
// that it imports. Without query a browser gets a page for people.
func (s *Service) get(w http.ResponseWriter, r *http.Request) {
	if s.WSDL != nil && wantsPage(r) {
		s.page(w, r)
		return
	}
	name, ok := s.document(r.URL.RawQuery)
	if s.WSDL == nil || !ok {
		s.notAllowed(w, r)
		return
	}
	var b []byte
	var err error
	if name == "" {
		name, err = s.mainDocument()
	}
	if err == nil {
		b, err = fs.ReadFile(s.WSDL, name)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		http.NotFound(w, r)
		return
	}
	if err == nil {
		b, err = publish(b, s.WSDL, name, s.address(r))
	}
	if err != nil {
		s.logger().LogAttrs(r.Context(), slog.LevelError, "service description unusable",
			slog.String("file", name), slog.String("error", err.Error()))
		http.Error(w, "the service description cannot be shown", http.StatusInternalServerError)
		return
	}
	s.serve(w, r, "text/xml; charset=utf-8", b)
}

// serve answers a GET or HEAD. What it says depends on the address that the
// client used, so that caches ask each time whether theirs is still right.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, contentType string, b []byte) {
	sum := sha256.Sum256(b)
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// document returns which document a query asks for, "" for the main one.
func (s *Service) document(query string) (name string, ok bool) {
	if strings.EqualFold(query, "wsdl") || strings.EqualFold(query, "singlewsdl") {
		return "", true
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", false
	}
	for k, v := range q {
		switch {
		case len(v) != 1:
		case k == "doc":
			return v[0], true
		case (strings.EqualFold(k, "xsd") || strings.EqualFold(k, "wsdl")) && v[0] != "": // as other servers name theirs
			return v[0], true
		case strings.EqualFold(k, "wsdl"):
			return "", true
		}
	}
	return "", false
}

func (s *Service) mainDocument() (string, error) {
	if s.WSDLFile != "" {
		return s.WSDLFile, nil
	}
	all, err := fs.Glob(s.WSDL, "*.wsdl")
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", errors.New("soapserver: WSDLFile is not set and there is not exactly one *.wsdl")
	}
	return all[0], nil
}

// address returns the URL of this endpoint.
func (s *Service) address(r *http.Request) string {
	if s.URL != "" {
		return s.URL
	}
	u := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if s.AllowForwarded {
		if host := r.Header.Get("X-Forwarded-Host"); host != "" && !strings.Contains(host, ",") {
			u.Host = strings.TrimSpace(host)
		}
		if p := r.Header.Get("X-Forwarded-Proto"); p == "http" || p == "https" {
			u.Scheme = p
		}
	}
	return u.String()
}

// Namespaces of the elements that hold an address.
const (
	wsdlSpace   = "http://schemas.xmlsoap.org/wsdl/"
	soapSpace   = "http://schemas.xmlsoap.org/wsdl/soap/"
	soap12Space = "http://schemas.xmlsoap.org/wsdl/soap12/"
)

// publish returns a document with its service's address replaced, and each
// reference to another document in files by one to this endpoint. The rest
// stays as it is.
func publish(doc []byte, files fs.FS, name, address string) ([]byte, error) {
	limits := wire.Limits{Bytes: 64 << 20, Elements: 1 << 22}
	r := wire.NewReader(doc, wire.Options{Limits: limits})
	var out []byte
	done := 0
	text := r.Document()
	if strings.HasPrefix(text, "<?xml") { // it may name another encoding
		done = strings.Index(text, "?>") + 2
	}
	out = append(out, `<?xml version="1.0" encoding="utf-8"?>`...)
	for {
		switch r.Next() {
		case wire.EOF:
			return append(out, text[done:]...), r.Err()
		case wire.Start:
		default:
			continue
		}
		attr, value := replacement(r, files, name, address)
		if attr == "" {
			continue
		}
		start, end := r.Span()
		from, to, ok := attrValue(text[start:end], attr)
		if !ok {
			continue
		}
		out = append(out, text[done:start+from]...)
		out = appendAttr(out, value)
		done = start + to
	}
}

// replacement returns which attribute of the current element gets a new value.
func replacement(r *wire.Reader, files fs.FS, name, address string) (attr, value string) {
	switch {
	case r.Is(soapSpace, "address"), r.Is(soap12Space, "address"):
		return "location", address
	case r.Is(wsdlSpace, "import"):
		attr = "location"
	case r.Space() == wire.XSD && (r.Local() == "import" || r.Local() == "include" || r.Local() == "redefine"):
		attr = "schemaLocation"
	default:
		return "", ""
	}
	ref, ok := r.Attr("", attr)
	if !ok {
		return "", ""
	}
	u, err := url.Parse(strings.TrimSpace(ref))
	if err != nil || u.IsAbs() || u.Host != "" || u.Path == "" || strings.HasPrefix(u.Path, "/") {
		return "", ""
	}
	target := path.Join(path.Dir(name), u.Path)
	if _, err := fs.Stat(files, target); err != nil {
		return "", ""
	}
	// The query alone would do, but zeep and others resolve it badly.
	base, _, _ := strings.Cut(address, "?")
	return attr, base + "?doc=" + url.QueryEscape(target)
}

// attrValue finds the value of an unprefixed attribute in a well-formed start
// tag.
func attrValue(tag, attr string) (from, to int, ok bool) {
	for i := 0; i < len(tag); {
		q := strings.IndexAny(tag[i:], `"'`)
		if q < 0 {
			return 0, 0, false
		}
		q += i
		end := strings.IndexByte(tag[q+1:], tag[q])
		if end < 0 {
			return 0, 0, false
		}
		end += q + 1
		name := strings.TrimRight(tag[i:q], " \t\r\n=")
		name = name[strings.LastIndexAny(name, " \t\r\n")+1:]
		if name == attr {
			return q + 1, end, true
		}
		i = end + 1
	}
	return 0, 0, false
}

// appendAttr appends an attribute value that may stand in either quotes.
func appendAttr(dst []byte, s string) []byte {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return append(dst, b.String()...)
}
