package wsdl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var declaredEncoding = regexp.MustCompile(`^<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,40})["']`)

// asciiBased are encodings whose text other than ASCII is not understood. No
// byte of the markup appears inside their characters.
var asciiBased = regexp.MustCompile(`^(gb2312|gbk|gb18030|big5|shift_jis|sjis|windows-31j|euc-(jp|kr|tw|cn)|koi8-[ru]|` +
	`windows-(125\d|874)|cp125\d|ks_c_5601-1987|iso-8859-\d\d?|tis-620)$`)

// toUTF8 returns a document in UTF-8 without byte order mark. The encoding is
// found by byte order mark, by the pattern of the first bytes, or by the XML
// declaration (XML 1.0 appendix F). unread is the name of an encoding of which
// only ASCII was understood: U+FFFD stands for the rest.
func toUTF8(data []byte) (text []byte, unread string, err error) {
	text, err = decode(data)
	if err != nil {
		if m := declaredEncoding.FindSubmatch(data[:min(len(data), 300)]); m != nil {
			if name := strings.ToLower(string(m[1])); asciiBased.MatchString(name) {
				return toASCII(data), name, nil
			}
		}
	}
	return text, "", err
}

func decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		// The mark says UTF-8, whatever the declaration says.
		if data = data[3:]; !utf8.Valid(data) {
			return nil, errors.New("the document is not valid UTF-8")
		}
		return data, nil
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return fromUTF16(data[2:], binary.BigEndian)
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0, '<', 0}):
		return fromUTF16(data, binary.BigEndian)
	case bytes.HasPrefix(data, []byte{'<', 0}):
		return fromUTF16(data, binary.LittleEndian)
	}
	name := "utf-8"
	if m := declaredEncoding.FindSubmatch(data[:min(len(data), 300)]); m != nil {
		name = strings.ToLower(string(m[1]))
	}
	switch name {
	case "utf-8", "utf8", "us-ascii", "ascii":
	case "utf-16", "utf-16le", "utf-16be":
		// The declaration could be read as ASCII, so it is wrong: the document
		// was transcoded on its way without being edited.
	case "iso-8859-1", "iso8859-1", "latin1", "l1":
		return fromTable(data, nil), nil
	case "iso-8859-15", "latin9":
		return fromTable(data, latin9), nil
	case "windows-1252", "cp1252":
		return fromTable(data, windows1252), nil
	default:
		return nil, fmt.Errorf("encoding %q is not supported; save the document as UTF-8", name)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("the document is not valid UTF-8")
	}
	return data, nil
}

func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, errors.New("the document is not valid UTF-16: odd length")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == utf8.RuneError {
			return nil, errors.New("the document is not valid UTF-16: lone surrogate")
		}
		i++
	}
	return []byte(string(utf16.Decode(units))), nil
}

// toASCII replaces each character that is not ASCII by U+FFFD. The second byte
// of a character of two may be one that ASCII has.
func toASCII(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for i := 0; i < len(data); i++ {
		if data[i] < utf8.RuneSelf {
			out = append(out, data[i])
			continue
		}
		for i+1 < len(data) && data[i+1] >= utf8.RuneSelf {
			i++
		}
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

// fromTable decodes a single-byte encoding that is Latin-1 except for table.
func fromTable(data []byte, table map[byte]rune) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		r := rune(c)
		if t, ok := table[c]; ok {
			r = t
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

var latin9 = map[byte]rune{0xA4: '€', 0xA6: 'Š', 0xA8: 'š', 0xB4: 'Ž', 0xB8: 'ž', 0xBC: 'Œ', 0xBD: 'œ', 0xBE: 'Ÿ'}

var windows1252 = map[byte]rune{
	0x80: '€', 0x82: '‚', 0x83: 'ƒ', 0x84: '„', 0x85: '…', 0x86: '†', 0x87: '‡', 0x88: 'ˆ', 0x89: '‰',
	0x8A: 'Š', 0x8B: '‹', 0x8C: 'Œ', 0x8E: 'Ž', 0x91: '‘', 0x92: '’', 0x93: '“', 0x94: '”', 0x95: '•',
	0x96: '–', 0x97: '—', 0x98: '˜', 0x99: '™', 0x9A: 'š', 0x9B: '›', 0x9C: 'œ', 0x9E: 'ž', 0x9F: 'Ÿ',
}
