package inbound

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Namespaces of envelopes and of the action in WS-Addressing.
var (
	space11 = soap.V11.Namespace()
	space12 = soap.V12.Namespace()

	wsa10 = soap.Addressing10.Namespace()
	wsa04 = soap.Addressing200408.Namespace()
)

// What is wrong with the start of a message.
var (
	errHeaderPlace = errors.New("header not in front of the body, or twice")
	errNoBody      = errors.New("envelope without body")
	errNotSOAP     = errors.New("not a SOAP 1.1 or 1.2 envelope")
	errForeign     = errors.New("an envelope, but not of SOAP 1.1 or 1.2")
	errEBCDIC      = errors.New("unsupported encoding EBCDIC")
)

// start is what the start of an envelope says.
type start struct {
	version soap.Version
	body    xml.Name // first element in the body; zero if it is empty. With errNotSOAP the root
	first   int      // how many start tags there were, that of body included
	actions []string // wsa:Action of header blocks
	many    bool     // more than that
}

// parse reads an envelope up to the first element in its body. b may end behind
// that, wherever a tag ends.
func parse(b []byte, charset string, limit int) (s start, err error) {
	r := wire.NewReader(b, wire.Options{Charset: charset, Limits: wire.Limits{Bytes: int64(limit)}})
	if r.Next() != wire.Start {
		return s, r.Err()
	}
	s.first = 1
	env := r.Space()
	switch {
	case r.Is(space11, "Envelope"):
		s.version = soap.V11
	case r.Is(space12, "Envelope"):
		s.version = soap.V12
	case strings.EqualFold(r.Local(), "Envelope"): // gSOAP takes those of drafts
		return s, errForeign
	default:
		s.body = nameOf(r)
		return s, errNotSOAP
	}
	for headers := false; ; {
		switch r.Next() {
		case wire.Text:
		case wire.Start:
			s.first++
			switch {
			case r.Is(env, "Body"):
				if err := s.readBody(r); err != nil {
					return s, err
				}
				return s, oneEncoding(b, charset, s.body)
			case r.Is(env, "Header") && !headers:
				headers = true
				s.readHeaders(r)
			default:
				return s, errHeaderPlace
			}
		default:
			if err := r.Err(); err != nil {
				return s, err
			}
			return s, errNoBody
		}
	}
}

func (s *start) readBody(r *wire.Reader) error {
	for {
		switch r.Next() {
		case wire.Text:
		case wire.Start:
			s.first++
			s.body = nameOf(r)
			return nil
		default:
			return r.Err() // nil at the end of an empty body
		}
	}
}

func nameOf(r *wire.Reader) xml.Name {
	return xml.Name{Space: strings.Clone(r.Space()), Local: strings.Clone(r.Local())}
}

// readHeaders reads the header blocks. Of those that say the action of the
// message each counts, whoever it is for: who is behind may not look at that.
func (s *start) readHeaders(r *wire.Reader) {
	const most = 8
	var action strings.Builder
	within := 0 // depth of the block that is an action
	for outer := r.Depth(); ; {
		switch r.Next() {
		case wire.Start:
			s.first++
			if r.Local() == "Action" && isAddressing(r.Space()) && r.Depth() == outer+1 {
				within = r.Depth()
				action.Reset()
			}
		case wire.Text:
			if within > 0 {
				action.WriteString(r.Chars())
			}
		case wire.End:
			switch {
			case r.Depth() < outer:
				return
			case within > r.Depth():
				within = 0
				if len(s.actions) == most {
					s.many = true
					continue
				}
				s.actions = append(s.actions, strings.TrimSpace(action.String()))
			}
		default:
			return
		}
	}
}

// isAddressing reports whether a namespace is one of WS-Addressing, or of its
// drafts, which gSOAP and old stacks of Microsoft's and IBM's take.
func isAddressing(space string) bool {
	return space == wsa10 || space == wsa04 || strings.HasSuffix(space, "/addressing")
}

// final reports whether an error of parse stays what it is when more of the
// message is there.
func final(err error) bool {
	var (
		limit *wire.LimitError
		bad   *messageError
	)
	switch {
	case errors.As(err, &bad):
		return true
	case errors.Is(err, errNotSOAP), errors.Is(err, errForeign), errors.Is(err, errHeaderPlace), errors.Is(err, errNoBody), errors.Is(err, errTwoEncodings):
		return true
	case errors.As(err, &limit):
		return limit.Limit != "bytes"
	}
	return false
}

// isWide reports whether a message is UTF-16, as package wire sees it, and which
// byte of a character comes first.
func isWide(b []byte) (wide, big bool) {
	switch {
	case len(b) < 2:
		return false, false
	case b[0] == 0xfe && b[1] == 0xff:
		return true, true
	case b[0] == 0xff && b[1] == 0xfe:
		return true, false
	}
	return b[0] == 0 || b[1] == 0, b[0] == 0
}

// cut returns the part of b that ends behind the last tag, so that no character
// is torn apart.
func cut(b []byte) []byte {
	wide, big := isWide(b)
	if !wide {
		return b[:bytes.LastIndexByte(b, '>')+1]
	}
	high, low := 1, 0
	if big {
		high, low = 0, 1
	}
	for i := len(b)/2*2 - 2; i >= 0; i -= 2 {
		if b[i+high] == 0 && b[i+low] == '>' {
			return b[:i+2]
		}
	}
	return nil
}

// markup reports whether a body is, or may be, XML, whatever its Content-Type
// says: a server may not look at that.
func markup(b []byte) bool {
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		b = b[3:]
	}
	if w, _ := isWide(b); w {
		return true
	}
	b = bytes.TrimLeftFunc(b, isSkipped)
	return len(b) == 0 || b[0] == '<' || isEBCDIC(b)
}

// isSkipped is for what some server skips in front of XML: gSOAP does so with all
// control characters. What of it is not white space is then refused.
func isSkipped(r rune) bool { return r <= ' ' }

// isEBCDIC knows "<?xm" (XML 1.0 appendix F), which Java reads.
func isEBCDIC(b []byte) bool { return bytes.HasPrefix(b, []byte("\x4c\x6f\xa7\x94")) }

// head is what was read of a body.
type head struct {
	raw      []byte
	complete bool // raw is all of it
	err      error
	tried    int // how much of raw was parsed last
}

// more reads on, until there is twice as much, up to most bytes in all.
func (h *head) more(body io.Reader, most int) {
	want := min(most, max(2*len(h.raw), 512))
	for len(h.raw) < want && !h.complete && h.err == nil {
		if len(h.raw) == cap(h.raw) {
			grown := make([]byte, len(h.raw), min(most, max(4096, 4*cap(h.raw))))
			copy(grown, h.raw)
			h.raw = grown
		}
		n, err := body.Read(h.raw[len(h.raw):cap(h.raw)])
		h.raw = h.raw[:len(h.raw)+n]
		switch {
		case err == io.EOF:
			h.complete = true
		case err != nil:
			h.err = err
		}
		if n > 0 && h.tried == 0 {
			return // most messages say it in the first packet
		}
	}
}

// whole reads a body of known length that fits.
func (h *head) whole(body io.Reader, length int) {
	h.raw = make([]byte, length)
	n, err := io.ReadFull(body, h.raw)
	h.raw = h.raw[:n]
	switch {
	case err != nil:
		h.err = err
	default:
		h.complete = true
	}
}

// A body is passed on while it is looked at: what a checker does not like is not
// passed on, and the reader gets an error in place of it.
type guarded struct {
	io.ReadCloser
	head  []byte // looked at already
	done  bool   // there is nothing behind it
	left  int64  // of the length that is known, behind head; 0: not known
	check checker
	err   error
	fail  func(error)
}

func (g *guarded) Read(p []byte) (int, error) {
	switch {
	case len(g.head) > 0:
		n := copy(p, g.head)
		g.head = g.head[n:]
		if len(g.head) == 0 && g.done {
			g.err = io.EOF
			return n, io.EOF
		}
		return n, nil
	case g.err != nil:
		return 0, g.err
	case g.done:
		return 0, io.EOF
	}
	n, err := g.ReadCloser.Read(p)
	if g.check == nil {
		return n, err
	}
	bad := g.check.write(p[:n])
	last := err == io.EOF
	if g.left > 0 {
		// Who knows the length need not read until the end is told.
		g.left -= int64(n)
		last = last || g.left <= 0
	}
	if bad == nil && last {
		bad = g.check.end()
	}
	if bad != nil {
		g.err = &messageError{cause: bad}
		g.fail(bad)
		return 0, g.err
	}
	if err != nil {
		g.err = err
	}
	return n, err
}

// messageError is why a message is not passed on, or no further.
type messageError struct {
	status int    // 400 if it is zero
	code   string // reason for the trail; empty: badMessage
	cause  error  // the caller is told
	hint   string // for the operator
}

func (e *messageError) Error() string { return "inbound: message refused: " + e.cause.Error() }

func (e *messageError) Unwrap() error { return e.cause }

// Reason is the code, by which package observe counts it.
func (e *messageError) Reason() string { return cmp.Or(e.code, badMessage) }

func (e *messageError) statusOf() int {
	if e.status == 0 {
		return http.StatusBadRequest
	}
	return e.status
}
