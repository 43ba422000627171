package ntlm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxMessage bounds what is parsed. The largest AUTHENTICATE seen, with long
// names and every AV pair, is below 1 KiB.
const maxMessage = 16 << 10

// signature begins each message (MS-NLMP 2.2.1).
const signature = "NTLMSSP\x00"

// The message types (MS-NLMP 2.2.1).
const (
	typeNegotiate    = 1
	typeChallenge    = 2
	typeAuthenticate = 3
)

var le = binary.LittleEndian

// errSyntax is what every error of a parser wraps.
var errSyntax = errors.New("malformed message")

func syntaxError(format string, args ...any) error {
	return fmt.Errorf("ntlm: %w: "+format, append([]any{errSyntax}, args...)...)
}

// messageType returns the type of message b claims to be, or 0 if b is no
// NTLM message.
func messageType(b []byte) uint32 {
	if len(b) < len(signature)+4 || string(b[:len(signature)]) != signature {
		return 0
	}
	return le.Uint32(b[len(signature):])
}

// checkHeader reports whether b can be a message of type typ whose header has
// at least size bytes.
func checkHeader(b []byte, typ uint32, name string, size int) error {
	switch {
	case messageType(b) != typ:
		return syntaxError("not a %s", name)
	case len(b) < size:
		return syntaxError("%s of %d bytes, want at least %d", name, len(b), size)
	case len(b) > maxMessage:
		return syntaxError("%s of %d bytes, want at most %d", name, len(b), maxMessage)
	}
	return nil
}

// A payload reads the variable parts of a message. start is where the first
// of them begins, which tells how long the header is.
type payload struct {
	msg    []byte
	header int // smallest header this message can have
	start  int
	cut    *CutError // nil: a part that ends behind the message is an error
}

func newPayload(msg []byte, header int, cut *CutError) payload {
	return payload{msg: msg, header: header, start: len(msg), cut: cut}
}

// field returns the part called name that the length, maximum and offset at
// position at describe. The maximum is ignored (MS-NLMP 2.2.1.1 and later
// sections), and so is the offset of an empty field.
func (p *payload) field(at int, name string) ([]byte, error) {
	n, off := uint64(le.Uint16(p.msg[at:])), uint64(le.Uint32(p.msg[at+4:]))
	if n == 0 {
		return nil, nil
	}
	end := min(off+n, uint64(len(p.msg)))
	switch {
	case off >= uint64(p.header) && off+n <= uint64(len(p.msg)):
	case p.cut == nil || off < uint64(p.header) || off+n > maxMessage:
		return nil, syntaxError("%s at %d: %d bytes at offset %d of %d", name, at, n, off, len(p.msg))
	default:
		p.cut.Fields = append(p.cut.Fields, CutField{name, int(n)})
		if off >= end {
			return nil, nil
		}
	}
	p.start = min(p.start, int(off))
	return p.msg[off:end:end], nil
}

// version returns the version at position at. One that is announced where the
// payload begins already is ignored, as some peers copy the flag from us: it is
// for debugging only (MS-NLMP 2.2.2.10).
func (p *payload) version(f Flags, at int) Version {
	if !f.Has(FlagVersion) || p.start < at+versionSize {
		return Version{}
	}
	return parseVersion(p.msg[at:])
}

// putField writes the length, maximum and offset of a field at position at of
// the message that begins at msg.
func putField(msg []byte, at, n, off int) {
	le.PutUint16(msg[at:], uint16(n))
	le.PutUint16(msg[at+2:], uint16(n))
	le.PutUint32(msg[at+4:], uint32(off))
}

// appendHeader appends size bytes: signature, type, and zeros.
func appendHeader(b []byte, typ uint32, size int) []byte {
	b = append(b, signature...)
	b = le.AppendUint32(b, typ)
	return append(b, make([]byte, size-len(signature)-4)...)
}

// Version is the operating system version in a message (MS-NLMP 2.2.2.10). It
// is for debugging only.
type Version struct {
	Major, Minor uint8
	Build        uint16
	Revision     uint8 // 15 for today's NTLM
}

const versionSize = 8

func parseVersion(b []byte) Version {
	return Version{Major: b[0], Minor: b[1], Build: le.Uint16(b[2:]), Revision: b[7]}
}

func (v Version) put(b []byte) {
	b[0], b[1], b[7] = v.Major, v.Minor, v.Revision
	le.PutUint16(b[2:], v.Build)
}

// String returns major.minor.build.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Build) }

// appendUTF16 appends s in UTF-16LE.
func appendUTF16(b []byte, s string) []byte {
	for _, r := range s {
		b = appendUTF16Rune(b, r)
	}
	return b
}

func appendUTF16Rune(b []byte, r rune) []byte {
	if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
		return le.AppendUint16(le.AppendUint16(b, uint16(r1)), uint16(r2))
	}
	return le.AppendUint16(b, uint16(r))
}

// decodeUTF16 is strict: neither half a unit, half a pair, nor a control
// character, which no name of Windows contains and which could end a name
// early elsewhere.
func decodeUTF16(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", syntaxError("UTF-16 of %d bytes", len(b))
	}
	s := make([]byte, 0, len(b))
	for i := 0; i < len(b); i += 2 {
		r := rune(le.Uint16(b[i:]))
		if utf16.IsSurrogate(r) {
			if i += 2; i == len(b) {
				return "", syntaxError("UTF-16 ends inside a pair")
			}
			if r = utf16.DecodeRune(r, rune(le.Uint16(b[i:]))); r == utf8.RuneError {
				return "", syntaxError("UTF-16 with half a pair")
			}
		}
		if r < 0x20 || r == 0x7f {
			return "", syntaxError("control character in a name")
		}
		s = utf8.AppendRune(s, r)
	}
	return string(s), nil
}

// errOEM tells of a name in a code page we are not told.
var errOEM = fmt.Errorf("ntlm: %w: name outside ASCII in an OEM message", errSyntax)

// decodeOEM accepts ASCII only: which code page the rest is in, a message does
// not say (MS-NLMP 2.2.1.3 leaves it to both ends to have the same).
func decodeOEM(b []byte) (string, error) {
	for _, c := range b {
		switch {
		case c >= 0x80:
			return "", errOEM
		case c < 0x20 || c == 0x7f:
			return "", syntaxError("control character in a name")
		}
	}
	return string(b), nil
}

// decodeName decodes a name in the character set that f says.
func decodeName(f Flags, b []byte) (string, error) {
	if f.Has(FlagUnicode) {
		return decodeUTF16(b)
	}
	return decodeOEM(b)
}

// appendName is the inverse of decodeName.
func appendName(b []byte, f Flags, s string) []byte {
	if f.Has(FlagUnicode) {
		return appendUTF16(b, s)
	}
	return append(b, s...)
}
