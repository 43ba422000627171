package wire

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// textSpecial holds what may not be taken as it is in text: < & ] CR.
var textSpecial = [256]bool{'<': true, '&': true, ']': true, '\r': true}

// plainText returns how long the text at the start of s is if it is short and
// stands for itself, as most text does.
func plainText(s string) (n int, ok bool) {
	const short = 64
	for n < len(s) && n < short && !textSpecial[s[n]] {
		n++
	}
	return n, n < len(s) && s[n] == '<'
}

// text makes a Text of the characters s found at offset p.
func (r *Reader) text(s string, p int) Kind {
	// XML 1.0 2.4: "]]>" does not stand in character data.
	if strings.IndexByte(s, ']') >= 0 {
		if i := strings.Index(s, "]]>"); i >= 0 {
			return r.syntax(p+i, "]]> in text")
		}
	}
	if strings.IndexByte(s, '&') >= 0 || r.hasCR && strings.IndexByte(s, '\r') >= 0 {
		b, ok := r.appendValue(r.scratch[:0], s, p, false)
		if !ok {
			return EOF
		}
		r.kind = Text
		r.makeChars(r.keepScratch(b))
		return Text
	}
	r.kind = Text
	r.setChars(p, p+len(s))
	return Text
}

// appendValue appends s, found at offset p, with references resolved and line
// ends normalised (XML 1.0 2.11), and in an attribute with each white space
// made a space (3.3.3).
func (r *Reader) appendValue(dst []byte, s string, p int, attr bool) ([]byte, bool) {
	dst = slices.Grow(dst, len(s)) // it only gets shorter
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c > '&' || c == ' ' {
			continue
		}
		from := i
		var ch rune
		switch {
		case c == '&':
			n := strings.IndexByte(s[i:min(len(s), i+maxRef)], ';')
			if n < 0 {
				r.syntax(p+i, "malformed reference")
				return nil, false
			}
			var msg string
			if ch, msg = reference(s[i+1 : i+n]); msg != "" {
				r.syntax(p+i, msg)
				return nil, false
			}
			i += n
		case c == '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			ch = lineEnd(attr)
		case attr && (c == '\n' || c == '\t'):
			ch = ' '
		default:
			continue
		}
		dst = append(dst, s[done:from]...)
		dst = utf8.AppendRune(dst, ch)
		done = i + 1
	}
	return append(dst, s[done:]...), true
}

func lineEnd(attr bool) rune {
	if attr {
		return ' '
	}
	return '\n'
}

// appendLines appends s with line ends normalised.
func appendLines(dst []byte, s string) []byte {
	dst = slices.Grow(dst, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\r' {
			if i+1 < len(s) && s[i+1] == '\n' {
				continue
			}
			c = '\n'
		}
		dst = append(dst, c)
	}
	return dst
}

// maxRef bounds a reference: room for leading zeros, as some peers write.
const maxRef = 32

// reference resolves what stands between & and ;. XML 1.0 4.1, 4.6. Other
// entities would need a DTD.
func reference(s string) (r rune, msg string) {
	switch s {
	case "lt":
		return '<', ""
	case "gt":
		return '>', ""
	case "amp":
		return '&', ""
	case "quot":
		return '"', ""
	case "apos":
		return '\'', ""
	}
	if len(s) < 2 || s[0] != '#' {
		return 0, "unknown entity"
	}
	base, digits := rune(10), s[1:]
	if digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	if digits == "" {
		return 0, "malformed reference"
	}
	for i := 0; i < len(digits); i++ {
		d := rune(digits[i])
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case base == 16 && d >= 'a' && d <= 'f':
			d += 10 - 'a'
		case base == 16 && d >= 'A' && d <= 'F':
			d += 10 - 'A'
		default:
			return 0, "malformed reference"
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, "reference to an illegal character"
		}
	}
	if !isChar(r) {
		return 0, "reference to an illegal character"
	}
	return r, ""
}

// declaration skips the XML declaration, if there is one. XML 1.0 2.8 [23].
func (r *Reader) declaration() {
	const open = "<?xml"
	if !strings.HasPrefix(r.doc, open) || len(r.doc) == len(open) || !isSpace(r.doc[len(open)]) {
		return
	}
	end := strings.Index(r.doc, "?>")
	if end < 0 {
		r.syntax(0, "XML declaration does not end")
		return
	}
	attrs, n, ok := pseudoAttrs(r.doc[len(open):end])
	if !ok || n == 0 || attrs[0].name != "version" {
		r.syntax(0, "malformed XML declaration")
		return
	}
	next := 0
	for _, a := range attrs[:n] {
		switch {
		case a.name == "version" && next == 0:
			if a.value != "1.0" {
				r.syntax(0, "XML version is not 1.0")
				return
			}
			next = 1
		case a.name == "encoding" && next == 1 && isEncName(a.value):
			next = 2
		case a.name == "standalone" && next >= 1 && next < 3 && (a.value == "yes" || a.value == "no"):
			next = 3
		default:
			r.syntax(0, "malformed XML declaration")
			return
		}
	}
	r.pos = end + 2
}

// isEncName reports whether s can be the name of an encoding. XML 1.0 4.3.3
// [81].
func isEncName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c >= utf8.RuneSelf || nameClass[c]&nameRest == 0)) {
			return false
		}
	}
	return s != ""
}

type pseudoAttr struct{ name, value string }

// pseudoAttrs splits the inside of an XML declaration into n parts.
func pseudoAttrs(s string) (as [3]pseudoAttr, n int, ok bool) {
	for {
		t := strings.TrimLeft(s, " \t\r\n")
		if t == "" {
			return as, n, true
		}
		if len(t) == len(s) || n == len(as) {
			return as, 0, false // no space before it, or too many
		}
		name, rest, found := strings.Cut(t, "=")
		rest = strings.TrimLeft(rest, " \t\r\n")
		if !found || rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return as, 0, false
		}
		i := strings.IndexByte(rest[1:], rest[0])
		if i < 0 {
			return as, 0, false
		}
		as[n] = pseudoAttr{strings.TrimRight(name, " \t\r\n"), rest[1 : 1+i]}
		n++
		s = rest[i+2:]
	}
}
