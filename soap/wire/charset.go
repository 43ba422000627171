package wire

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decode turns a message into UTF-8 without byte order mark. What counts is,
// in this order (RFC 7303 3): the byte order mark, the charset of the
// Content-Type, the XML declaration.
func decode(b []byte, charset string) (string, error) {
	switch {
	case len(b) >= 3 && string(b[:3]) == "\xEF\xBB\xBF":
		return string(b[3:]), nil
	case len(b) >= 2 && b[0] == 0xFE && b[1] == 0xFF:
		return decodeUTF16(b, 2, true)
	case len(b) >= 2 && b[0] == 0xFF && b[1] == 0xFE:
		return decodeUTF16(b, 2, false)
	}
	// XML 1.0 4.3.3 and appendix F: UTF-16 that neither has a mark nor a label
	// begins with a declaration.
	wide := bytes.HasPrefix(b, []byte("\x00<\x00?")) || bytes.HasPrefix(b, []byte("<\x00?\x00"))
	if charset == "" && !wide {
		charset = declared(b)
		if strings.HasPrefix(strings.ToLower(charset), "utf-16") {
			// The declaration itself was legible as bytes, so it lies: .NET
			// programs that serialise to a string first send this.
			charset = ""
		}
	}
	switch strings.ToLower(strings.Trim(charset, " \t\"'")) {
	case "", "utf-8", "utf8":
		if !wide {
			return string(b), nil
		}
		return decodeUTF16(b, 0, b[0] == 0)
	case "utf-16", "utf-16be", "utf-16le", "utf16", "unicode":
		if len(b) >= 2 && b[0] != 0 && b[1] != 0 {
			return string(b), nil // the label lies, as above
		}
		return decodeUTF16(b, 0, len(b) > 0 && b[0] == 0)
	case "us-ascii", "ascii":
		for i, c := range b {
			if c >= utf8.RuneSelf {
				return "", &SyntaxError{Pos: Pos{Line: 1, Column: 1, Offset: i}, Msg: "byte above 0x7F in a us-ascii message"}
			}
		}
		return string(b), nil
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "iso_8859-1":
		return decodeBytes(b, nil)
	case "windows-1252", "cp1252", "cp-1252":
		return decodeBytes(b, &windows1252)
	}
	return "", &SyntaxError{Pos: Pos{Line: 1, Column: 1}, Msg: fmt.Sprintf("unsupported encoding %.40q", charset)}
}

// usualDeclaration is what most messages begin with.
const usualDeclaration = `<?xml version="1.0" encoding="utf-8"?>`

// declared returns the encoding that the XML declaration of an ASCII-compatible
// document names.
func declared(b []byte) string {
	const most = 256 // more than any declaration
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return ""
	}
	if bytes.HasPrefix(b, []byte(usualDeclaration)) {
		return "utf-8"
	}
	s := string(b[:min(len(b), most)])
	end := strings.Index(s, "?>")
	if end < 0 {
		return ""
	}
	attrs, n, _ := pseudoAttrs(s[5:end])
	for _, a := range attrs[:n] {
		if a.name == "encoding" {
			return a.value
		}
	}
	return ""
}

// decodeUTF16 reads b from the given offset on.
func decodeUTF16(b []byte, from int, big bool) (string, error) {
	bad := func(i int) error {
		return &SyntaxError{Pos: Pos{Line: 1, Column: 1, Offset: i}, Msg: "invalid UTF-16"}
	}
	if len(b)%2 != 0 {
		return "", bad(len(b) - 1)
	}
	unit := func(i int) rune {
		if big {
			return rune(b[i])<<8 | rune(b[i+1])
		}
		return rune(b[i+1])<<8 | rune(b[i])
	}
	var s strings.Builder
	s.Grow(len(b)/2 + len(b)/8)
	for i := from; i < len(b); i += 2 {
		c := unit(i)
		if utf16.IsSurrogate(c) {
			if i+3 >= len(b) {
				return "", bad(i)
			}
			if c = utf16.DecodeRune(c, unit(i+2)); c == utf8.RuneError {
				return "", bad(i)
			}
			i += 2
		}
		s.WriteRune(c)
	}
	return s.String(), nil
}

// windows1252 is what the bytes 0x80 to 0x9F mean; 0 means nothing.
var windows1252 = [32]rune{
	0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
	0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
}

// decodeBytes reads one character per byte; high says what 0x80 to 0x9F are if
// they are not themselves.
func decodeBytes(b []byte, high *[32]rune) (string, error) {
	var s strings.Builder
	s.Grow(len(b) + len(b)/8)
	for i, c := range b {
		ch := rune(c)
		if high != nil && c >= 0x80 && c <= 0x9F {
			if ch = high[c-0x80]; ch == 0 {
				return "", &SyntaxError{Pos: Pos{Line: 1, Column: 1, Offset: i}, Msg: "byte that windows-1252 does not assign"}
			}
		}
		s.WriteRune(ch)
	}
	return s.String(), nil
}
