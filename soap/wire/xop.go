package wire

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
)

const (
	xopSpace   = "http://www.w3.org/2004/08/xop/include"
	xmimeSpace = "http://www.w3.org/2005/05/xmlmime"
)

var xopInclude = xml.Name{Space: xopSpace, Local: "Include"}

var (
	errIncludeAlone  = errors.New("xop:Include is not alone in its element") // XOP 1.0 3.2
	errIncludeNested = errors.New("xop:Include inside an xop:Include")       // XOP 1.0 2.1
	errNoParts       = errors.New("the message has no attachments")
	errNoCID         = errors.New("the reference to an attachment is no cid: URL")
)

// Parts finds the parts of a multipart message that an element refers to. Its
// errors stop the Reader as they are.
type Parts interface {
	// Part returns the part with that Content-ID. It need not have arrived.
	Part(id string) (Binary, error)

	// Named returns the part that is the attachment called name in the WSDL
	// (Attachments Profile 1.0 3.8). It need not have arrived.
	Named(name string) (Binary, error)

	// Load returns the content of a part, which may be called for again, or
	// ErrBinaryTooLong if it is longer than limit.
	Load(id string, limit int64) ([]byte, error)
}

// An Attacher takes what does not travel in the XML.
type Attacher interface {
	// Include takes the content of an element in place of base64 and returns the
	// Content-ID of its part. It reports false if the content is to be written
	// as base64.
	Include(b Binary) (id string, ok bool)

	// Attach takes an attachment and returns the Content-ID of its part. name is
	// that of the attachment in the WSDL, or empty.
	Attach(name string, b Binary) (id string, err error)
}

// include turns the xop:Include that begins at p into a Text. Its characters
// are the element itself, so that whoever looks for blanks finds none; Chars,
// content and the methods of this file take the part instead.
func (r *Reader) include(p int) Kind {
	if len(r.open) == 1 {
		return r.syntax(p, "xop:Include is the root element")
	}
	if r.inside {
		r.Fail(errIncludeNested)
		return EOF
	}
	href, _ := r.Attr("", "href")
	r.inside = true
	r.Skip() // extensions: XOP 1.0 2.1 allows elements of others
	r.inside = false
	if r.err != nil {
		return EOF
	}
	r.href = href
	r.tok, r.kind = p, Text
	r.setChars(p, r.pos)
	return Text
}

// included reports whether the current Text is an xop:Include.
func (r *Reader) included() bool {
	return r.xop && r.kind == Text && r.doc[r.tok] == '<' && r.doc[r.tok+1] != '!'
}

// cid returns the Content-ID in a cid: URL. RFC 2392 2.
func cid(href string) (string, error) {
	href = strings.Trim(href, " \t\r\n")
	if len(href) < 4 || !strings.EqualFold(href[:4], "cid:") {
		return "", errNoCID
	}
	id := href[4:]
	if u, err := url.PathUnescape(id); err == nil {
		id = u
	}
	return id, nil
}

// load returns the content of a part. What all of them add to a message is
// bounded like the message.
func (r *Reader) load(href string) []byte {
	id, err := cid(href)
	if err != nil {
		r.Fail(err)
		return nil
	}
	b, err := r.parts.Load(id, r.lim.Bytes-r.added)
	if errors.Is(err, ErrBinaryTooLong) {
		r.limit("bytes", r.lim.Bytes, r.tok)
		return nil
	}
	if err != nil {
		r.stop(err)
		return nil
	}
	r.added += int64(len(b))
	return b
}

// loadText returns a part as base64.
func (r *Reader) loadText(href string) string {
	b := r.load(href)
	n := base64.StdEncoding.EncodedLen(len(b))
	if r.added += int64(n - len(b)); r.added > r.lim.Bytes {
		r.limit("bytes", r.lim.Bytes, r.tok)
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// contentOrPart consumes the current element and returns its characters, or
// the reference in the xop:Include that stands for them.
func (r *Reader) contentOrPart() (s, href string, included bool) {
	var text strings.Builder
	at := r.tok
	for {
		switch r.Next() {
		case Text:
			switch {
			case !r.included():
				text.WriteString(r.piece())
			case included:
				r.Fail(errIncludeAlone)
				return "", "", false
			default:
				included, href = true, r.href
			}
		case End:
			r.tok = at
			if s = text.String(); included && !isBlank(s) { // white space is what pretty printers add
				r.Fail(errIncludeAlone)
				return "", "", false
			}
			return s, href, included
		case Start:
			r.Fail(errElement)
			return "", "", false
		default:
			return "", "", false
		}
	}
}

// Base64 consumes the current element and returns the bytes in it, be they
// base64 or in a part of their own.
func (r *Reader) Base64() []byte {
	if !r.xop {
		return Value(r, parseBase64)
	}
	s, href, included := r.contentOrPart()
	if included {
		return r.load(href)
	}
	return r.parse(s)
}

func (r *Reader) parse(s string) []byte {
	if r.err != nil {
		return nil
	}
	b, err := parseBase64(s)
	if err != nil {
		r.Fail(err)
	}
	return b
}

// Binary consumes the current element and returns the content in it. A part of
// its own is not read yet.
func (r *Reader) Binary() Binary {
	media, _ := r.Attr(xmimeSpace, "contentType")
	media = r.Keep(media)
	var b Binary
	if s, href, included := r.contentOrPart(); included {
		b = r.part(href)
	} else {
		b = BytesBinary(r.parse(s))
	}
	if b.ContentType == "" {
		b.ContentType = media
	}
	return b
}

// Ref consumes the current element, a ref:swaRef, and returns the attachment
// that it names, or a LinkBinary if it names something else. Attachments Profile
// 1.0 4.4.
func (r *Reader) Ref() Binary {
	s, _ := r.content()
	if r.err != nil {
		return Binary{}
	}
	if _, err := cid(s); err != nil {
		return LinkBinary(r.Keep(s))
	}
	return r.part(s)
}

// part returns the part that a cid: URL names.
func (r *Reader) part(href string) Binary {
	id, err := cid(href)
	if err != nil {
		r.Fail(err)
		return Binary{}
	}
	if r.parts == nil {
		r.Fail(errNoParts)
		return Binary{}
	}
	b, err := r.parts.Part(id)
	if err != nil {
		r.stop(err)
	}
	return b
}

// Part returns the attachment that the WSDL calls name. It consumes nothing. In
// a message without any attachments it is the zero Binary.
func (r *Reader) Part(name string) Binary {
	if r.err != nil || r.parts == nil {
		return Binary{}
	}
	b, err := r.parts.Named(name)
	if err != nil {
		r.stop(err)
	}
	return b
}

// skip consumes the current element and returns where its xop:Includes are.
func (r *Reader) skip() (found []inclusion) {
	if !r.xop {
		r.Skip()
		return nil
	}
	for depth := 1; depth > 0; {
		switch r.Next() {
		case Start:
			depth++
		case End:
			depth--
		case Text:
			if r.included() {
				found = append(found, inclusion{r.tok, r.pos, r.href})
			}
		case EOF:
			return found
		}
	}
	return found
}

type inclusion struct {
	from, to int
	href     string
}

// replaced appends the document between from and the end of the current token,
// with base64 in place of each xop:Include.
func (r *Reader) replaced(b *strings.Builder, from int, found []inclusion) {
	to := r.pos
	for _, i := range found {
		b.WriteString(r.doc[from:i.from])
		b.WriteString(r.loadText(i.href))
		from = i.to
	}
	b.WriteString(r.doc[from:to])
}

// SetAttacher makes w hand binary content to a. Without an Attacher it is
// written as base64, and there are no attachments.
func (w *Writer) SetAttacher(a Attacher) { w.attach = a }

// Base64 writes an element that holds b.
func (w *Writer) Base64(name xml.Name, b []byte) {
	w.Start(name)
	w.Base64Text(b)
	w.End()
}

// Base64Text writes b as the content of the current element.
func (w *Writer) Base64Text(b []byte) {
	if w.attach != nil && len(b) > 0 && w.included(BytesBinary(b)) {
		return
	}
	PutText(w, base64.StdEncoding.AppendEncode, b)
}

// BinaryText writes b as the content of the current element. If b has no media
// type it has that of the element's attribute xmime:contentType.
func (w *Writer) BinaryText(b Binary) {
	if n := len(w.open); b.ContentType == "" && w.inTag && n > 0 && w.open[n-1].from == w.mediaAt {
		b.ContentType = w.media // XOP 1.0 4.1
	}
	if w.err != nil || w.attach != nil && w.included(b) {
		return
	}
	PutText(w, func(dst []byte, b Binary) []byte {
		var to appender = dst
		enc := base64.NewEncoder(base64.StdEncoding, &to)
		if _, err := b.WriteTo(enc); err != nil {
			w.Fail(err)
		}
		_ = enc.Close() // an appender never fails
		return to
	}, b)
}

// appender is an io.Writer that appends.
type appender []byte

func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

// included writes an xop:Include if b gets a part of its own.
func (w *Writer) included(b Binary) bool {
	if w.err != nil || w.inAttr {
		return false
	}
	id, ok := w.attach.Include(b)
	if !ok {
		return false
	}
	w.Start(xopInclude)
	w.Attr(xml.Name{Local: "href"}, "cid:"+url.PathEscape(id))
	w.End()
	return true
}

// Ref writes an element of type ref:swaRef and attaches b, unless b is a
// LinkBinary. Attachments Profile 1.0 4.4.
func (w *Writer) Ref(name xml.Name, b Binary) {
	w.Start(name)
	if uri, ok := b.Link(); ok {
		w.Text(uri)
	} else if id := w.attached("", b); id != "" {
		w.Text("cid:" + url.PathEscape(id))
	}
	w.End()
}

// Part attaches b, which the WSDL calls name. It writes nothing. Without an
// Attacher b must be the zero Binary.
func (w *Writer) Part(name string, b Binary) {
	if w.attach != nil || !b.IsZero() {
		w.attached(name, b)
	}
}

func (w *Writer) attached(name string, b Binary) (id string) {
	if w.err != nil {
		return ""
	}
	if w.attach == nil {
		w.Fail(errors.New("attachments are not possible here"))
		return ""
	}
	id, err := w.attach.Attach(name, b)
	if err != nil {
		w.Fail(err)
	}
	return id
}
