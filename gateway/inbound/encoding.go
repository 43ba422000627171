package inbound

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strings"
	"unicode/utf8"
)

var errTwoEncodings = errors.New("the XML declaration names an encoding that is not supported, or another one than the Content-Type")

// An encoding is what a message may be written in, without those of UTF-16, which
// show by themselves.
type encoding int

const (
	unknownEncoding encoding = iota
	inUTF8                   // ASCII too
	inLatin1
	in1252
)

// encodingOf knows those that package wire does.
func encodingOf(name string) encoding {
	switch strings.ToLower(strings.Trim(name, " \t\"'")) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return inUTF8
	case "utf-16", "utf-16be", "utf-16le", "utf16", "unicode": // a label, which the bytes belie
		return inUTF8
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "iso_8859-1":
		return inLatin1
	case "windows-1252", "cp1252", "cp-1252":
		return in1252
	}
	return unknownEncoding
}

// oneEncoding refuses a message that a server may read in another encoding than
// we do. We go by the Content-Type first (RFC 7303 3), others by the XML
// declaration alone, such as PHP; and there are encodings in which markup hides
// in letters: UTF-7, ISO-2022. In those that we know markup is ASCII, so that they
// may differ where the operation's name is ASCII too.
func oneEncoding(b []byte, charset string, name xml.Name) error {
	if wide, _ := isWide(b); wide {
		return nil
	}
	b, marked := bytes.CutPrefix(b, []byte("\xef\xbb\xbf"))
	said, ok := declaredEncoding(b)
	switch {
	case !ok:
		return errTwoEncodings
	case marked || charset == "" || said == encodingOf(charset) || isASCII(name.Space) && isASCII(name.Local):
		return nil
	}
	return errTwoEncodings
}

// declaredEncoding is that of the XML declaration, UTF-8 if it names none. It is
// not ok if that is unknown, or not plain.
func declaredEncoding(b []byte) (e encoding, ok bool) {
	e = inUTF8
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return e, true
	}
	text, _, _ := bytes.Cut(b, []byte("?>"))
	parts := strings.Split(string(text), "encoding")
	for _, p := range parts[1:] {
		p, ok = strings.CutPrefix(strings.TrimLeft(p, " \t\r\n"), "=")
		p = strings.TrimLeft(p, " \t\r\n")
		if !ok || p == "" || p[0] != '"' && p[0] != '\'' {
			return unknownEncoding, false
		}
		value, _, closed := strings.Cut(p[1:], p[:1])
		if e = encodingOf(value); !closed || e == unknownEncoding {
			return unknownEncoding, false
		}
	}
	return e, len(parts) <= 2
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
