package inbound

import (
	"bytes"
	"errors"
	"hash/maphash"
)

// Bounds of what follows the head of a message, as package wire has them.
const (
	maxDepth = 256
	maxName  = 2048
)

// What is wrong with a message. The texts are for operators and callers.
var (
	errDTD       = errors.New("document type declaration refused")
	errMarkup    = errors.New("malformed markup")
	errEndTag    = errors.New("end tag does not match its element")
	errDepth     = errors.New("message exceeds the depth limit of 256")
	errName      = errors.New("message exceeds the name limit of 2048")
	errSecond    = errors.New("more than one element in the body")
	errAfterBody = errors.New("element after the body")
	errAfterEnd  = errors.New("something follows the envelope")
	errTruncated = errors.New("message ends inside the envelope")
)

// scanner follows the tags of a message while it passes: what was decided about
// its first element in the body must be all there is. It looks at neither
// namespaces nor content, needs no more memory for a longer message, and takes
// bytes of any encoding in which markup is ASCII; see wide for the others.
type scanner struct {
	first    int  // ordinal of the start tag that is the first in the body
	multiref bool // others with an id may follow

	state scanState
	depth int
	count int // start tags
	root  bool

	quote  byte
	run    int    // of - in a comment, ] in CDATA, ? in an instruction
	name   []byte // that began in what was written before
	seed   maphash.Seed
	open   []uint64 // hashes of the names of open elements
	token  [8]byte  // what follows "<!"
	tokens int

	// Where name and open begin: most messages need no more.
	someName [48]byte
	someOpen [16]uint64

	more bool // the start tag is one that multiref must allow
	attr []byte
	id   bool
}

type scanState uint8

const (
	inText     scanState = iota
	afterLess            // <
	afterBang            // <!
	inComment            // <!--
	inCDATA              // <![CDATA[
	inPI                 // <?
	inName               // of a start tag
	inTag                // behind the name
	inQuote              // value of an attribute
	afterSlash           // / in a start tag
	inEndName
	afterEndName
)

// seed makes names that nobody can choose to have the same hash.
var seed = maphash.MakeSeed()

func newScanner(first int, multiref bool) *scanner {
	s := &scanner{first: first, multiref: multiref, seed: seed}
	s.name, s.open = s.someName[:0], s.someOpen[:0]
	if multiref {
		s.attr = make([]byte, 0, 32)
	}
	return s
}

// write looks at the next bytes of the message.
func (s *scanner) write(b []byte) error {
	for i := 0; i < len(b); {
		switch s.state {
		case inText:
			n := bytes.IndexByte(b[i:], '<')
			text := b[i:]
			if n >= 0 {
				text = text[:n]
			}
			if s.root && s.depth == 0 && !blank(text) {
				return errAfterEnd
			}
			i += len(text)
			if n >= 0 {
				s.state = afterLess
				i++
			}
			continue
		case inQuote:
			n := bytes.IndexByte(b[i:], s.quote)
			value := b[i:]
			if n >= 0 {
				value = value[:n]
			}
			if bytes.IndexByte(value, '<') >= 0 {
				return errMarkup
			}
			i += len(value)
			if n >= 0 {
				s.state = inTag
				i++
			}
			continue
		case inComment, inCDATA, inPI:
			i += s.skip(b[i:])
			if s.run < 0 {
				return errMarkup
			}
			continue
		case inName, inEndName:
			n, err := s.readName(b[i:])
			if err != nil {
				return err
			}
			i += n
			continue
		case inTag:
			if !s.more {
				i += plain(b[i:])
				if i == len(b) {
					return nil
				}
			}
		}
		if err := s.byte(b[i]); err != nil {
			return err
		}
		i++
	}
	return nil
}

// skip reads what has no tags in it, and returns how much it was. run is the
// number of bytes of the end that are there; it is below zero for "--" in a
// comment that does not end it (XML 1.0 2.5).
func (s *scanner) skip(b []byte) int {
	mark := byte('-')
	switch s.state {
	case inCDATA:
		mark = ']'
	case inPI:
		mark = '?'
	}
	for i := 0; i < len(b); i++ {
		if s.run == 0 {
			n := bytes.IndexByte(b[i:], mark)
			if n < 0 {
				return len(b)
			}
			i += n
			s.run = 1
			continue
		}
		need := 2
		if s.state == inPI {
			need = 1
		}
		switch c := b[i]; {
		case c == '>' && s.run >= need:
			s.run, s.state = 0, inText
			return i + 1
		case c == mark:
			if s.run++; s.state == inComment && s.run > 2 {
				s.run = -1
				return len(b)
			}
		case s.state == inComment && s.run >= 2:
			s.run = -1
			return len(b)
		default:
			s.run = 0
		}
	}
	return len(b)
}

// byte takes one byte of markup.
func (s *scanner) byte(c byte) error {
	switch s.state {
	case afterLess:
		s.name = s.name[:0]
		switch {
		case c == '/':
			s.state = inEndName
		case c == '!':
			s.state, s.tokens = afterBang, 0
		case c == '?':
			s.state, s.run = inPI, 0
		case isSpace(c) || c == '>' || c == '<' || c == '&':
			return errMarkup
		default:
			s.state = inName
			s.name = append(s.name, c)
			return s.begin()
		}
	case afterBang:
		return s.bang(c)
	case inTag:
		return s.tag(c)
	case afterSlash:
		if c != '>' {
			return errMarkup
		}
		if err := s.complete(); err != nil {
			return err
		}
		s.pop()
	case afterEndName:
		switch {
		case c == '>':
			s.pop()
		case !isSpace(c):
			return errEndTag
		}
	}
	return nil
}

// readName reads a name, or a part of one, and returns how long that was.
func (s *scanner) readName(b []byte) (n int, err error) {
	for n < len(b) && !nameEnd[b[n]] {
		n++
	}
	if len(s.name)+n > maxName {
		return 0, errName
	}
	if n == len(b) {
		s.name = append(s.name, b...)
		return n, nil
	}
	if b[n] == '<' {
		return 0, errMarkup
	}
	name := b[:n]
	if len(s.name) > 0 {
		s.name = append(s.name, name...)
		name = s.name
	}
	hash := maphash.Bytes(s.seed, name)
	if s.state == inName {
		s.open = append(s.open[:s.depth-1], hash)
		s.state = inTag
		return n, nil
	}
	if s.depth == 0 || s.open[s.depth-1] != hash || b[n] == '/' {
		return 0, errEndTag
	}
	s.state = afterEndName
	return n, nil
}

// nameEnd are the characters behind a name in a tag.
var nameEnd = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, '/': true, '>': true, '<': true}

// plain returns how much at the start of b means nothing in a start tag.
func plain(b []byte) (n int) {
	for n < len(b) && !tagMark[b[n]] {
		n++
	}
	return n
}

var tagMark = [256]bool{'"': true, '\'': true, '>': true, '/': true, '<': true}

// bang takes what follows "<!".
func (s *scanner) bang(c byte) error {
	s.token[s.tokens] = c
	s.tokens++
	switch got := string(s.token[:s.tokens]); {
	case got == "--":
		s.state, s.run = inComment, 0
	case got == "[CDATA[":
		if s.depth == 0 {
			return errAfterEnd
		}
		s.state, s.run = inCDATA, 0
	case got != "--"[:min(s.tokens, 2)] && got != "[CDATA["[:min(s.tokens, 7)]:
		return errDTD
	}
	return nil
}

// begin is the start of an element, as soon as it is one: nothing of a name that
// must not be there is passed on.
func (s *scanner) begin() error {
	if s.root && s.depth == 0 {
		return errAfterEnd
	}
	if s.depth >= maxDepth {
		return errDepth
	}
	s.root = true
	s.count++
	s.more, s.id = false, false
	if s.count > s.first && s.depth <= 2 {
		switch {
		case s.depth < 2:
			return errAfterBody
		case !s.multiref:
			return errSecond
		}
		s.more = true
		s.attr = s.attr[:0]
	}
	s.depth++
	return nil
}

// tag takes a byte of a start tag behind the name.
func (s *scanner) tag(c byte) error {
	switch c {
	case '"', '\'':
		s.quote, s.state = c, inQuote
	case '>':
		s.state = inText
		return s.complete()
	case '/':
		s.state = afterSlash
	case '<':
		return errMarkup
	case '=':
		if s.more {
			s.id = s.id || isID(s.attr)
			s.attr = s.attr[:0]
		}
	default:
		if s.more && !isSpace(c) && len(s.attr) < cap(s.attr) {
			s.attr = append(s.attr, c)
		}
	}
	return nil
}

// isID reports whether an attribute makes its element one that references lead
// to: id (SOAP 1.1 5.4.1), or one of a namespace (SOAP 1.2 Part 2 3.1.5.1).
func isID(name []byte) bool {
	prefix, local, ok := bytes.Cut(name, []byte(":"))
	if !ok {
		return string(name) == "id"
	}
	return string(local) == "id" && string(prefix) != "xmlns"
}

// complete is the end of a start tag.
func (s *scanner) complete() error {
	if s.more && !s.id {
		return errSecond
	}
	return nil
}

func (s *scanner) pop() {
	s.depth--
	s.state = inText
}

// end is called behind the last byte.
func (s *scanner) end() error {
	if !s.root || s.depth > 0 || s.state != inText {
		return errTruncated
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func blank(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// checker looks at a message as it passes.
type checker interface {
	write(b []byte) error
	end() error
}

// wide gives a scanner the characters of UTF-16, each as one byte: what is not
// ASCII is no markup.
type wide struct {
	s    *scanner
	big  bool
	half []byte // of a character, at most one
	room [512]byte
}

func (w *wide) write(b []byte) error {
	for len(b) > 0 {
		n := 0
		for len(b) > 0 && n < len(w.room) {
			if len(w.half) == 0 && len(b) == 1 {
				w.half = append(w.half, b[0])
				b = nil
				break
			}
			var one, two byte
			if len(w.half) > 0 {
				one, two, b = w.half[0], b[0], b[1:]
				w.half = w.half[:0]
			} else {
				one, two, b = b[0], b[1], b[2:]
			}
			if w.big {
				one, two = two, one
			}
			if two != 0 || one == 0 || one >= 0x80 {
				one = 'x'
			}
			w.room[n] = one
			n++
		}
		if err := w.s.write(w.room[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (w *wide) end() error {
	if len(w.half) > 0 {
		return errTruncated
	}
	return w.s.end()
}
