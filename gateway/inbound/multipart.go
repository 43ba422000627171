package inbound

import (
	"bytes"
	"errors"
	"mime"
	"strings"
)

// What is wrong with a multipart message. Servers differ in which part they take
// for the envelope, so there must be no choice (RFC 2387 3.2).
var (
	errMultipart = errors.New("malformed multipart message")
	errPreamble  = errors.New("text in front of the first part")
	errRoot      = errors.New("the envelope is not the first part")
	errRootType  = errors.New("the first part is not an envelope by its type and encoding")
	errSameID    = errors.New("two parts have the Content-ID of the envelope")
)

// maxPartHeader bounds the header of a part.
const maxPartHeader = 16 << 10

// related is what the Content-Type of a multipart message says.
type related struct {
	delimiter []byte // LF--boundary: it must be found behind any line end
	start     string
}

// parseRelated takes the parameters apart. It is stricter than package soap,
// which may guess: here nobody must guess differently.
func parseRelated(contentType string) (r related, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return r, errMultipart
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > 70 || strings.ContainsFunc(boundary, badBoundary) {
		return r, errMultipart
	}
	return related{delimiter: []byte("\n--" + boundary), start: trimID(params["start"])}, nil
}

// badBoundary is for characters that no boundary has (RFC 2046 5.1.1). Some
// senders use those of UUIDs in braces, and @.
func badBoundary(c rune) bool {
	return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("'()+_,-./:=?{}@", c))
}

func trimID(id string) string {
	id = strings.TrimSpace(id)
	if n := len(id); n >= 2 && id[0] == '<' && id[n-1] == '>' {
		return id[1 : n-1]
	}
	return id
}

// partHeader is the header of a part, as far as it counts.
type partHeader struct{ id, contentType, encoding string }

// parsePartHeader reads lines without the empty one at their end. A field twice
// is an error where it would be a choice.
func parsePartHeader(b []byte) (h partHeader, err error) {
	lines := strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
	seen := map[string]bool{}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		for i+1 < len(lines) && lines[i+1] != "" && (lines[i+1][0] == ' ' || lines[i+1][0] == '\t') {
			i++
			line += " " + strings.TrimSpace(lines[i])
		}
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(name, " \t\r") {
			return h, errMultipart
		}
		value = strings.TrimSpace(value)
		name = strings.ToLower(name)
		switch name {
		case "content-id":
			h.id = trimID(value)
		case "content-type":
			h.contentType = value
		case "content-transfer-encoding":
			h.encoding = strings.ToLower(value)
		default:
			continue
		}
		if seen[name] {
			return h, errMultipart
		}
		seen[name] = true
	}
	return h, nil
}

// root is the part that holds the envelope.
type root struct {
	partHeader
	from int // where its content begins
	to   int // where it ends, -1 if that is not yet seen
}

// findRoot finds the first part. ok is false if more of the message is needed.
func (r *related) findRoot(b []byte) (p root, ok bool, err error) {
	at := 0
	for at+1 < len(b) && b[at] == '\r' && b[at+1] == '\n' { // as gSOAP begins
		at += 2
	}
	open := r.delimiter[1:]
	if len(b)-at < len(open) {
		if !bytes.HasPrefix(open, b[at:]) {
			return p, false, errPreamble
		}
		return p, false, nil
	}
	if !bytes.HasPrefix(b[at:], open) {
		return p, false, errPreamble
	}
	at += len(open)
	line := bytes.IndexByte(b[at:], '\n')
	if line < 0 {
		return p, false, nil
	}
	if len(bytes.Trim(b[at:at+line], " \t\r")) > 0 {
		return p, false, errMultipart
	}
	at += line + 1
	length, skip := headerEnd(b[at:])
	if length < 0 {
		if len(b)-at > maxPartHeader {
			return p, false, errMultipart
		}
		return p, false, nil
	}
	if p.partHeader, err = parsePartHeader(b[at : at+length]); err != nil {
		return p, false, err
	}
	p.from, p.to = at+length+skip, -1
	if i := bytes.Index(b[p.from:], r.delimiter); i >= 0 {
		p.to = p.from + i
	}
	if r.start != "" && r.start != p.id {
		return p, false, errRoot
	}
	switch p.encoding {
	case "", "7bit", "8bit", "binary":
	default:
		return p, false, errRootType
	}
	return p, true, nil
}

// headerEnd returns the length of a header and of the line ends behind it, or -1.
func headerEnd(b []byte) (length, skip int) {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 0, 2
	case bytes.HasPrefix(b, []byte("\n")):
		return 0, 1
	}
	for i := 0; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		switch rest := b[i+1:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return i, 2
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return i, 3
		}
	}
	return -1, 0
}

// partChecker looks at a multipart message as it passes, from the content of the
// first part on: that is the envelope, and no other part says that it is.
type partChecker struct {
	*related
	envelope checker
	id       string // of the envelope, may be empty

	where  partState
	carry  []byte // may be the start of a delimiter, or of a header
	buffer []byte
}

type partState uint8

const (
	inEnvelope partState = iota
	inHeader
	inPart
	inEpilogue
)

func (p *partChecker) write(b []byte) error {
	if len(p.carry) > 0 {
		p.buffer = append(append(p.buffer[:0], p.carry...), b...)
		b, p.carry = p.buffer, p.carry[:0]
	}
	for {
		switch p.where {
		case inEpilogue:
			return nil
		case inHeader:
			rest, err := p.header(b)
			if rest == nil || err != nil {
				return err
			}
			b = rest
		default:
			i := bytes.Index(b, p.delimiter)
			if i < 0 {
				keep := p.partial(b)
				p.carry = append(p.carry, b[len(b)-keep:]...)
				return p.content(b[:len(b)-keep])
			}
			if err := p.content(b[:i]); err != nil {
				return err
			}
			if p.where == inEnvelope {
				if err := p.envelope.end(); err != nil {
					return err
				}
			}
			b, p.where = b[i+len(p.delimiter):], inHeader
		}
	}
}

func (p *partChecker) content(b []byte) error {
	if p.where == inEnvelope {
		return p.envelope.write(b)
	}
	return nil
}

// partial returns the length of the end of b that a delimiter begins with. There
// is no markup in it.
func (p *partChecker) partial(b []byte) int {
	tail := b[max(0, len(b)-len(p.delimiter)+1):]
	for {
		i := bytes.IndexByte(tail, '\n')
		if i < 0 {
			return 0
		}
		if tail = tail[i:]; bytes.HasPrefix(p.delimiter, tail) {
			return len(tail)
		}
		tail = tail[1:]
	}
}

// header takes what follows a delimiter: the header of a part, or the end. It
// returns what is behind, nil if more is needed.
func (p *partChecker) header(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("--")) {
		p.where = inEpilogue
		return b[2:], nil
	}
	line := bytes.IndexByte(b, '\n')
	length, skip := -1, 0
	if line >= 0 {
		if len(bytes.Trim(b[:line], " \t\r")) > 0 {
			return nil, errMultipart // another boundary, which begins with ours
		}
		length, skip = headerEnd(b[line+1:])
	}
	if length < 0 {
		if len(b) > maxPartHeader {
			return nil, errMultipart
		}
		p.carry = append(p.carry, b...)
		return nil, nil
	}
	h, err := parsePartHeader(b[line+1 : line+1+length])
	if err != nil {
		return nil, err
	}
	if p.id != "" && h.id == p.id {
		return nil, errSameID
	}
	p.where = inPart
	return b[line+1+length+skip:], nil
}

func (p *partChecker) end() error {
	if p.where == inEnvelope {
		return errTruncated
	}
	return nil
}
