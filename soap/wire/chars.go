package wire

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Byte classes of names (XML 1.0 2.3 [4], [4a], without the colon, which
// Namespaces in XML 1.0 3 [7] takes out). Bytes above 0x7F are looked at as
// runes by checkName.
const (
	nameStart = 1 << iota
	nameRest
	nameHigh
)

var nameClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			t[c] = nameStart | nameRest
		case c >= '0' && c <= '9', c == '-', c == '.':
			t[c] = nameRest
		case c >= utf8.RuneSelf:
			t[c] = nameStart | nameRest | nameHigh
		}
	}
	return t
}()

// isNameStart reports whether r may begin a name. XML 1.0 2.3 [4].
func isNameStart(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return nameClass[r]&nameStart != 0
	case r >= 0xC0 && r <= 0x2FF:
		return r != 0xD7 && r != 0xF7
	case r >= 0x370 && r <= 0x1FFF:
		return r != 0x37E
	case r >= 0x200C && r <= 0x200D, r >= 0x2070 && r <= 0x218F, r >= 0x2C00 && r <= 0x2FEF,
		r >= 0x3001 && r <= 0xD7FF, r >= 0xF900 && r <= 0xFDCF, r >= 0xFDF0 && r <= 0xFFFD,
		r >= 0x10000 && r <= 0xEFFFF:
		return true
	}
	return false
}

// isNameRest reports whether r may follow in a name. XML 1.0 2.3 [4a].
func isNameRest(r rune) bool {
	if r < utf8.RuneSelf {
		return nameClass[r]&nameRest != 0
	}
	return isNameStart(r) || r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// IsNCName reports whether s is a name without a colon, the lexical space of
// xs:NCName.
func IsNCName(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for i, r := range s {
		if i == 0 && !isNameStart(r) || i > 0 && !isNameRest(r) {
			return false
		}
	}
	return true
}

// isChar reports whether r may occur in a document at all. XML 1.0 2.2 [2].
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isBlank(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isSpace(s[i]) {
			return false
		}
	}
	return true
}

// illegal returns the offset of the first byte of s that cannot stand in an
// XML document, and what is wrong with it, or -1. It lets the scanner look for
// structure alone.
func illegal(s string) (int, string) {
	at, msg := -1, ""
	i, ascii := control(s)
	if i >= 0 {
		at, msg = i, "illegal control character"
	}
	if ascii {
		return at, msg
	}
	if !utf8.ValidString(s) {
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				if at < 0 || i < at {
					at, msg = i, "invalid UTF-8"
				}
				break
			}
			i += n
		}
	}
	for _, bad := range [...]string{"\uFFFE", "\uFFFF"} {
		if i := strings.Index(s, bad); i >= 0 && (at < 0 || i < at) {
			at, msg = i, "illegal character"
		}
	}
	return at, msg
}

// control returns the offset of the first control character that XML does not
// allow, or -1, and whether all of s is ASCII, as far as it looked. It looks at
// eight bytes at a time.
func control(s string) (at int, ascii bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	var all uint64
	i := 0
	for ; i+8 <= len(s); i += 8 {
		b := s[i : i+8]
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		all |= x
		// A byte's high bit is set if the byte is below 0x20; a borrow can set
		// it in the byte above such a one as well, never when there is none.
		for m := (x - ones*0x20) &^ x & high; m != 0; m &= m - 1 {
			if j := i + bits.TrailingZeros64(m)/8; isControl(s[j]) {
				return j, all&high == 0
			}
		}
	}
	for ; i < len(s); i++ {
		all |= uint64(s[i])
		if isControl(s[i]) {
			return i, all&high == 0
		}
	}
	return -1, all&high == 0
}

func isControl(c byte) bool { return c < 0x20 && c != '\t' && c != '\n' && c != '\r' }
