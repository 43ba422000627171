package wire

import (
	"fmt"
	"unicode/utf8"
)

// Escaping classes of bytes.
const (
	escText   = 1 << iota // replaced in text
	escAttr               // replaced in attributes
	escRefuse             // not a character
	escHigh               // part of a longer character
)

var escClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case isControl(byte(c)):
			t[c] = escRefuse
		case c >= utf8.RuneSelf:
			t[c] = escHigh
		}
	}
	t['&'], t['<'], t['>'], t['\r'] = escText|escAttr, escText|escAttr, escText|escAttr, escText|escAttr
	t['"'], t['\n'], t['\t'] = escAttr, escAttr, escAttr
	return t
}()

// appendEscaped appends s as text, or as an attribute value. A carriage return
// would be read back as a line feed, and white space in an attribute as a
// space (XML 1.0 2.11, 3.3.3), so those are written as references.
func appendEscaped(dst []byte, s string, attr bool) ([]byte, error) {
	mask := uint8(escText | escRefuse | escHigh)
	if attr {
		mask = escAttr | escRefuse | escHigh
	}
	done, high := 0, false
	for i := 0; i < len(s); i++ {
		c := escClass[s[i]] & mask
		if c == 0 {
			continue
		}
		if c&escHigh != 0 {
			high = true
			continue
		}
		if c&escRefuse != 0 {
			return dst, fmt.Errorf("character U+%04X cannot be written in XML", s[i])
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch s[i] {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&quot;"...)
		case '\r':
			dst = append(dst, "&#xD;"...)
		case '\n':
			dst = append(dst, "&#xA;"...)
		case '\t':
			dst = append(dst, "&#x9;"...)
		}
	}
	if high {
		if at, msg := illegal(s); at >= 0 {
			return dst, fmt.Errorf("%s at byte %d cannot be written in XML", msg, at)
		}
	}
	return append(dst, s[done:]...), nil
}
