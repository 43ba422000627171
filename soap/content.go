package soap

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Content is what the Content-Type of an HTTP body says of the message in it.
type Content struct {
	Type    string // media type in lower case, "" if it cannot be parsed
	Charset string
	Action  string // SOAP 1.2 only
	Version Version

	boundary, start string // of a multipart message
}

// ParseContentType takes a Content-Type apart.
func ParseContentType(header string) Content {
	if c, ok := usualContentType(header); ok {
		return c
	}
	return anyContentType(header)
}

func anyContentType(header string) Content {
	mt, params, err := mime.ParseMediaType(header)
	if errors.Is(err, mime.ErrInvalidMediaParameter) {
		params = looseParams(header)
	} else if err != nil {
		return Content{Version: V11}
	}
	c := Content{Type: mt, Charset: params["charset"], Version: V11}
	kind := mt
	if mt == typeMultipart {
		c.boundary, c.start = params["boundary"], params["start"]
		kind = params["start-info"] + params["type"]
	}
	if strings.Contains(kind, V12.MediaType()) {
		c.Version, c.Action = V12, params["action"]
	}
	return c
}

// usualContentType knows what most senders send: a type in small letters and a
// charset, or not even that.
func usualContentType(header string) (c Content, ok bool) {
	typ, rest, more := strings.Cut(header, ";")
	switch typ {
	case V11.MediaType():
		c = Content{Type: typ, Version: V11}
	case V12.MediaType():
		c = Content{Type: typ, Version: V12}
	default:
		return c, false
	}
	if !more {
		return c, true
	}
	c.Charset, ok = strings.CutPrefix(strings.TrimPrefix(rest, " "), "charset=")
	if n := len(c.Charset); n >= 2 && c.Charset[0] == '"' && c.Charset[n-1] == '"' {
		c.Charset = c.Charset[1 : n-1]
	}
	for i := 0; i < len(c.Charset); i++ { // a token, RFC 9110 5.6.2, of the characters that a charset has
		b := c.Charset[i]
		if b != '-' && b != '_' && (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			return c, false
		}
	}
	return c, ok && c.Charset != ""
}

// looseParams reads parameters of senders that forget the quotes around
// values with a slash or colon in them: action=urn:x, type=text/xml.
func looseParams(header string) map[string]string {
	params := map[string]string{}
	parts := strings.Split(header, ";")
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		k = strings.ToLower(strings.TrimSpace(k))
		if _, again := params[k]; !again {
			params[k] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return params
}

const (
	typeMultipart = "multipart/related"
	typeXOP       = "application/xop+xml"
	spaceXOP      = "http://www.w3.org/2004/08/xop/include"
)

// IsXML reports whether a body of this type can hold a message: XML, or a
// multipart message that begins with XML (MTOM, SOAP with attachments).
func (c Content) IsXML() bool {
	switch c.Type {
	case V11.MediaType(), V12.MediaType(), "application/xml":
		return true
	case typeMultipart:
		return c.boundary != ""
	}
	return false
}

// A ContentError says why a multipart message cannot be read.
type ContentError struct {
	Msg string
	Err error // of reading it; may be nil
}

func (e *ContentError) Error() string {
	s := "soap: multipart message: " + e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ContentError) Unwrap() error { return e.Err }

// maxParts bounds the parts of a multipart message, the envelope included.
const maxParts = 256

// Open reads the whole body and returns a Reader over the envelope in it. In a
// multipart message each xop:Include is replaced by the part it names, as
// base64, so that codecs need not know of it (MTOM 3.2.1); parts that nothing
// includes are dropped. Limits.Bytes bounds the body and the envelope alike.
//
// An error is that of body, a *ContentError, or one of the Reader's; most of
// what is wrong with the XML is told later by the Reader.
func (c Content) Open(body io.Reader, o wire.Options) (*wire.Reader, error) {
	o.Charset = c.Charset
	if c.Type != typeMultipart {
		return wire.ReadFrom(body, o)
	}
	o = o.WithDefaults()
	limit := o.Limits.Bytes
	bounded := &io.LimitedReader{R: body, N: limit + 1}
	root, parts, err := c.split(bounded)
	if bounded.N <= 0 {
		return nil, tooLong(limit)
	}
	if err != nil {
		return nil, err
	}
	rc := ParseContentType(root.header)
	o.Charset = rc.Charset
	if rc.Type != typeXOP {
		return wire.NewReader(root.data, o), nil
	}
	doc, err := include(root.data, parts, o)
	if err != nil {
		return nil, err
	}
	o.Charset = "utf-8"
	return wire.NewReader(doc, o), nil
}

func tooLong(limit int64) error {
	return &wire.LimitError{Pos: wire.Pos{Line: 1, Column: 1}, Limit: "bytes", Max: limit}
}

type part struct {
	id, header string
	data       []byte
}

// split reads the parts of a multipart message. The envelope is the part that
// the start parameter names, or else the first (RFC 2387 3.2).
func (c Content) split(body io.Reader) (root part, parts map[string]part, err error) {
	mr := multipart.NewReader(body, c.boundary)
	parts = map[string]part{}
	for n := 0; ; n++ {
		p, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return root, nil, &ContentError{"malformed", err}
		}
		if n == maxParts {
			return root, nil, &ContentError{Msg: fmt.Sprintf("more than %d parts", maxParts)}
		}
		id := strings.Trim(strings.TrimSpace(p.Header.Get("Content-Id")), "<>")
		q := part{id: id, header: p.Header.Get("Content-Type")}
		var r io.Reader = p
		if strings.EqualFold(strings.TrimSpace(p.Header.Get("Content-Transfer-Encoding")), "base64") {
			r = base64.NewDecoder(base64.StdEncoding, p)
		}
		if q.data, err = io.ReadAll(r); err != nil {
			return root, nil, &ContentError{"malformed part", err}
		}
		if _, twice := parts[id]; twice && id != "" {
			return root, nil, &ContentError{Msg: "two parts have the same Content-ID"}
		}
		if id != "" {
			parts[id] = q
		}
		if n == 0 && c.start == "" {
			root = q
		}
	}
	if c.start != "" {
		root = parts[strings.Trim(strings.TrimSpace(c.start), "<>")]
	}
	if root.data == nil {
		return root, nil, &ContentError{Msg: "no part holds the envelope"}
	}
	return root, parts, nil
}

// include replaces each xop:Include in doc.
func include(doc []byte, parts map[string]part, o wire.Options) ([]byte, error) {
	r := wire.NewReader(doc, o)
	text := r.Document()
	out := make([]byte, 0, len(text))
	done := 0
	for {
		switch r.Next() {
		case wire.EOF:
			return append(out, text[done:]...), r.Err()
		case wire.Start:
		default:
			continue
		}
		if !r.Is(spaceXOP, "Include") {
			continue
		}
		start, _ := r.Span()
		href, _ := r.Attr("", "href")
		r.Skip()
		if r.Err() != nil {
			return nil, r.Err()
		}
		_, end := r.Span()
		id, ok := strings.CutPrefix(href, "cid:")
		if u, err := url.PathUnescape(id); ok && err == nil { // RFC 2392 2
			id = u
		}
		p, found := parts[id]
		if !ok || !found {
			return nil, &ContentError{Msg: "an xop:Include names no part"}
		}
		size := int64(len(out)) + int64(start-done) + int64(base64.StdEncoding.EncodedLen(len(p.data)))
		if size > o.Limits.Bytes { // one part may be included many times
			return nil, tooLong(o.Limits.Bytes)
		}
		out = append(out, text[done:start]...)
		out = base64.StdEncoding.AppendEncode(out, p.data)
		done = end
	}
}
