package soap

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/soapward/soapward/soap/wire"
)

// Parts collects what travels beside an envelope that is being written, and
// makes the whole message. Give it to Writer.SetAttacher, write, and look at
// Multipart then. The zero value takes attachments, but leaves binary elements
// as base64. It is for one goroutine at a time.
type Parts struct {
	// XOP replaces the content of binary elements by parts of their own (MTOM).
	XOP bool

	// Threshold is the size up to which XOP leaves content as base64. Zero means
	// 2048 bytes, where a part of its own costs about as much.
	Threshold int64

	parts []outPart
}

const defaultThreshold = 2048

type outPart struct {
	id string
	b  wire.Binary
}

var _ wire.Attacher = (*Parts)(nil)

// Include implements wire.Attacher.
func (p *Parts) Include(b wire.Binary) (id string, ok bool) {
	if !p.XOP {
		return "", false
	}
	most := p.Threshold
	if most <= 0 {
		most = defaultThreshold
	}
	if n, err := b.Size(); err != nil || n >= 0 && n <= most {
		return "", false // an error comes again when it is read
	}
	id, err := p.add("", b)
	return id, err == nil // as base64 it needs no media type
}

// Attach implements wire.Attacher.
func (p *Parts) Attach(name string, b wire.Binary) (id string, err error) {
	if _, err := b.Size(); err != nil {
		return "", err
	}
	return p.add(name, b)
}

// add gives b a Content-ID: one for XOP 1.0, or for attachments that the WSDL
// names that of Attachments Profile 1.0 3.8.
func (p *Parts) add(name string, b wire.Binary) (id string, err error) {
	if err := checkMediaType(b.ContentType); b.ContentType != "" && err != nil {
		return "", err
	}
	id = unique() + "@soapward"
	if name != "" {
		id = strings.ReplaceAll(url.PathEscape(name), "=", "%3D") + "=" + id
	}
	p.parts = append(p.parts, outPart{id, b})
	return id, nil
}

// checkMediaType makes sure that ct can stand in a header.
func checkMediaType(ct string) error {
	if _, _, err := mime.ParseMediaType(ct); err != nil || strings.ContainsAny(ct, "\r\n") {
		return fmt.Errorf("soap: attachment: %q is not a media type", ct)
	}
	return nil
}

// Add attaches a, with its own ID if it has one.
func (p *Parts) Add(a Attachment) error {
	if a.ID == "" {
		_, err := p.Attach(a.Name, a.Binary)
		return err
	}
	if strings.ContainsFunc(a.ID, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == '<' || r == '>' }) {
		return fmt.Errorf("soap: attachment: %q is not a Content-ID", a.ID)
	}
	if slices.ContainsFunc(p.parts, func(o outPart) bool { return o.id == a.ID }) {
		return fmt.Errorf("soap: attachment: two have the Content-ID %q", a.ID)
	}
	if _, err := p.Attach("", a.Binary); err != nil {
		return err
	}
	p.parts[len(p.parts)-1].id = a.ID
	return nil
}

// Multipart reports whether there is anything beside the envelope.
func (p *Parts) Multipart() bool { return len(p.parts) > 0 }

// Keep stores parts of a that are part of this message too, so that a can be
// read to its end before this one is sent.
func (p *Parts) Keep(a *Attachments) error {
	for _, o := range p.parts {
		if f, ok := o.b.Source().(*partRef); ok && f.a == a {
			if err := f.keep(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close gives up what was not sent.
func (p *Parts) Close() {
	for _, o := range p.parts {
		_ = o.b.Close() // nothing can be done about it
	}
}

// Package is a multipart message to send.
type Package struct {
	ContentType string
	Length      int64 // bytes, -1 if the length of a part is not known
	Replayable  bool  // Open may be called more than once

	pieces []piece
}

// piece is text, or a part to open.
type piece struct {
	text string
	data []byte
	bin  wire.Binary
	size int64
	open bool
}

// Package makes the message: an XOP package (XOP 1.0 4.1, MTOM 3.2) if XOP is
// set, else SOAP with attachments. envelope must not change until it is sent.
func (p *Parts) Package(v Version, action string, envelope []byte) (*Package, error) {
	boundary := "soapward-" + unique()
	root := "envelope-" + unique() + "@soapward"
	rootType, outer := v.MediaType(), v.MediaType()
	params := ""
	if v == V12 && action != "" { // RFC 3902 2
		params = "; action=" + QuoteAction(action)
	}
	rootType += "; charset=UTF-8" + params
	if p.XOP {
		rootType = typeXOP + "; charset=UTF-8; type=\"" + v.MediaType() + "\"" + params
		outer = typeXOP
	}
	k := &Package{Replayable: true}
	k.ContentType = typeMultipart + `; type="` + outer + `"; start="<` + root + `>"`
	if p.XOP {
		k.ContentType += `; start-info="` + v.MediaType() + `"`
	}
	k.ContentType += `; boundary="` + boundary + `"` + params
	header := func(first, ct, cte, id string) string {
		return first + "--" + boundary + "\r\nContent-Type: " + ct + "\r\nContent-Transfer-Encoding: " + cte +
			"\r\nContent-ID: <" + id + ">\r\n\r\n"
	}
	k.pieces = append(k.pieces, piece{text: header("", rootType, "8bit", root)}, piece{data: envelope})
	for _, o := range p.parts {
		n, err := o.b.Size()
		if err != nil {
			return nil, err
		}
		ct := o.b.ContentType
		if f, ok := o.b.Source().(*partRef); ok && ct == "" {
			ct = f.knownType()
		}
		if ct == "" {
			ct = "application/octet-stream"
		}
		k.pieces = append(k.pieces, piece{text: header("\r\n", ct, "binary", o.id)}, piece{bin: o.b, size: n, open: true})
		k.Replayable = k.Replayable && o.b.Replayable()
	}
	k.pieces = append(k.pieces, piece{text: "\r\n--" + boundary + "--\r\n"})
	for _, c := range k.pieces {
		switch {
		case c.open && c.size < 0:
			k.Length = -1
			return k, nil
		case c.open:
			k.Length += c.size
		default:
			k.Length += int64(len(c.text) + len(c.data))
		}
	}
	return k, nil
}

// Open begins to read the message. Closing the result gives up parts that can
// be read once only and were not.
func (k *Package) Open() io.ReadCloser { return &packageReader{k: k, left: k.pieces} }

// Close gives up parts of a message that is not going to be sent. k may be nil.
func (k *Package) Close() {
	if k != nil {
		_ = k.Open().Close() // nothing can be done about it
	}
}

// packageReader reads the pieces one after the other and opens each part when
// it comes to it. Close may come during a Read, as net/http does it, and does
// not wait for that then: Read cleans up.
type packageReader struct {
	mu     sync.Mutex // held by Read, and while cleaning up
	closed atomic.Bool

	k    *Package
	left []piece
	cur  io.Reader
	part io.ReadCloser // cur, if it is a part
	n    int64         // read of cur
}

func (r *packageReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	n, err := r.read(b)
	r.mu.Unlock()
	if r.closed.Load() {
		return 0, errors.Join(errPackageClosed, r.cleanUp())
	}
	return n, err
}

var errPackageClosed = errors.New("soap: message closed while it was sent")

func (r *packageReader) read(b []byte) (int, error) {
	for len(r.left) > 0 {
		c := &r.left[0]
		if r.cur == nil {
			r.n = 0
			switch {
			case c.open:
				rc, err := c.bin.Open()
				if err != nil {
					return 0, fmt.Errorf("soap: send binary content: %w", err)
				}
				r.part, r.cur = rc, rc
			case c.data != nil:
				r.cur = bytes.NewReader(c.data)
			default:
				r.cur = strings.NewReader(c.text)
			}
		}
		n, err := r.cur.Read(b)
		r.n += int64(n)
		if c.open && r.k.Length >= 0 && (r.n > c.size || err == io.EOF && r.n < c.size) {
			return 0, fmt.Errorf("soap: send binary content: its size was given as %d bytes, which is not true", c.size)
		}
		if err == io.EOF {
			if err = r.closePart(); err == nil {
				r.cur, r.left = nil, r.left[1:]
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

func (r *packageReader) closePart() error {
	if r.part == nil {
		return nil
	}
	err := r.part.Close()
	r.part = nil
	return err
}

func (r *packageReader) Close() error {
	r.closed.Store(true)
	return r.cleanUp()
}

func (r *packageReader) cleanUp() error {
	if !r.mu.TryLock() {
		return nil // whoever has it looks at closed again
	}
	defer r.mu.Unlock()
	err := r.closePart()
	if !r.k.Replayable {
		for _, c := range r.left {
			if c.open && !c.bin.Replayable() {
				err = errors.Join(err, c.bin.Close())
			}
		}
	}
	r.left = nil
	return err
}

// unique returns a random name.
func unique() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
