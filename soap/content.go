package soap

import (
	"errors"
	"io"
	"mime"
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
	xop             bool   // a multipart message says that it is MTOM
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
		if params = looseParams(header); params == nil {
			return Content{Version: V11}
		}
	} else if err != nil {
		return Content{Version: V11}
	}
	c := Content{Type: mt, Charset: params["charset"], Version: V11}
	kind := mt
	if mt == typeMultipart {
		c.boundary, c.start = params["boundary"], params["start"]
		kind = params["start-info"] + params["type"]
		c.xop = strings.EqualFold(params["type"], typeXOP)
	}
	if mt == typeXOP { // the envelope's part
		kind = params["type"]
	}
	if strings.Contains(kind, V12.MediaType()) {
		c.Version, c.Action = V12, params["action"]
		if _, info, err := mime.ParseMediaType(params["start-info"]); err == nil && c.Action == "" {
			c.Action = info["action"] // JAX-WS RI puts it there
		}
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
// values with a slash or colon in them: action=urn:x, type=text/xml. One that is
// there twice with different values means something else to everybody: nil.
func looseParams(header string) map[string]string {
	params := map[string]string{}
	parts := strings.Split(header, ";")
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		k = strings.ToLower(strings.TrimSpace(k))
		v = strings.Trim(strings.TrimSpace(v), `"`)
		if old, again := params[k]; again && old != v {
			return nil
		}
		params[k] = v
	}
	return params
}

const (
	typeMultipart = "multipart/related"
	typeXOP       = "application/xop+xml"

	maxBoundary = 70 // RFC 2046 5.1.1
)

// Multipart reports whether the message has parts.
func (c Content) Multipart() bool { return c.Type == typeMultipart }

// IsXOP reports whether the message is an MTOM message, whose sender
// understands such answers.
func (c Content) IsXOP() bool { return c.xop }

// IsXML reports whether a body of this type can hold a message: XML, or a
// multipart message that begins with XML (MTOM, SOAP with attachments).
func (c Content) IsXML() bool {
	switch c.Type {
	case V11.MediaType(), V12.MediaType(), "application/xml":
		return true
	case typeMultipart:
		return c.boundary != "" && len(c.boundary) <= maxBoundary
	}
	return false
}

// Open reads the whole body and returns a Reader over the envelope in it. Parts
// of a multipart message are kept in memory, so that there is nothing to close;
// Limits.Bytes bounds them together, and the envelope by itself. OpenParts reads
// long attachments better.
//
// An error is that of body, a *ContentError, or one of the Reader's; most of
// what is wrong with the XML is told later by the Reader, and so is an
// xop:Include that names no part.
func (c Content) Open(body io.Reader, o wire.Options) (*wire.Reader, error) {
	limit := o.WithDefaults().Limits.Bytes
	r, a, err := c.OpenParts(body, o, AttachmentLimits{Total: limit, Memory: 2 * limit}) // never a file
	if err == nil {
		err = a.keepAll()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
