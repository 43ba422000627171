package pac

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// NDR here is little-endian type serialization version 1 (MS-RPCE 2.2.6):
// primitives lie on multiples of their size, and what a pointer points to
// follows the structure that holds the pointer, in the order of the pointers.

var (
	errShort   = errors.New("cut short")
	errNDR     = errors.New("malformed NDR")
	errString  = errors.New("malformed string")
	errTooLong = errors.New("string too long")
)

const ndrHeaderSize = 16

// An ndrReader reads one serialized value. After its first error it returns
// zeros and keeps the error.
type ndrReader struct {
	b   []byte
	p   int
	err error
}

// newNDRReader checks the headers (MS-RPCE 2.2.6.1, 2.2.6.2) and the top-level
// pointer, and limits reading to the object they announce.
func newNDRReader(b []byte) (*ndrReader, error) {
	if len(b) < ndrHeaderSize {
		return nil, errShort
	}
	if b[0] != 1 || b[1] != 0x10 || binary.LittleEndian.Uint16(b[2:]) != 8 {
		return nil, errNDR
	}
	n := uint64(binary.LittleEndian.Uint32(b[8:]))
	if n > uint64(len(b)-ndrHeaderSize) {
		return nil, errShort
	}
	r := &ndrReader{b: b[:ndrHeaderSize+int(n)], p: ndrHeaderSize}
	if r.u32() == 0 {
		return nil, errNDR // null instead of the structure
	}
	return r, nil
}

func (r *ndrReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.p = len(r.b)
}

// take returns the next n bytes from a multiple of align on, or nil.
func (r *ndrReader) take(align, n int) []byte {
	start := (r.p + align - 1) &^ (align - 1)
	if r.err != nil || start > len(r.b) || n > len(r.b)-start {
		r.fail(errShort)
		return nil
	}
	r.p = start + n
	return r.b[start:r.p]
}

func (r *ndrReader) u16() uint16 {
	if b := r.take(2, 2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *ndrReader) u32() uint32 {
	if b := r.take(4, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// time reads a FILETIME, which is a pair of 32-bit numbers.
func (r *ndrReader) time() time.Time {
	if b := r.take(4, 8); b != nil {
		return fromFileTime(binary.LittleEndian.Uint64(b))
	}
	return time.Time{}
}

// strRef is the part of an RPC_UNICODE_STRING (MS-DTYP 2.3.10) that lies in
// the structure.
type strRef struct {
	length, max uint16
	ptr         uint32
}

func (r *ndrReader) strRef() strRef {
	return strRef{length: r.u16(), max: r.u16(), ptr: r.u32()}
}

// str reads what s points to: a conformant varying array of UTF-16.
func (r *ndrReader) str(s strRef) string {
	if s.length%2 != 0 || s.length > s.max || s.ptr == 0 && s.length != 0 {
		r.fail(errString)
		return ""
	}
	if s.ptr == 0 {
		return ""
	}
	maxCount, offset, count := r.u32(), r.u32(), r.u32()
	if r.err == nil && (offset != 0 || count > maxCount || count != uint32(s.length/2)) {
		r.fail(errString)
	}
	return fromUTF16(r.take(2, int(s.length)))
}

// array checks the count in front of the elements of a conformant array
// against the one in the structure and returns how many elements to read.
func (r *ndrReader) array(count, ptr uint32, elemSize int) int {
	if ptr == 0 {
		if count != 0 {
			r.fail(errNDR)
		}
		return 0
	}
	n := r.u32()
	if r.err == nil && (n != count || uint64(n)*uint64(elemSize) > uint64(len(r.b)-r.p)) {
		r.fail(errNDR)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// sid reads an RPC_SID (MS-DTYP 2.4.2.3) and returns its binary form.
func (r *ndrReader) sid() []byte {
	n := r.u32()
	if n > maxSubAuthorities {
		r.fail(errSID)
		return nil
	}
	b := r.take(4, 8+4*int(n))
	if b != nil && (b[0] != 1 || uint32(b[1]) != n) {
		r.fail(errSID)
		return nil
	}
	return b
}

// An ndrWriter writes one serialized value: the structure first, then what its
// pointers point to.
type ndrWriter struct {
	b        []byte
	referent uint32
	deferred []func()
	err      error
}

func newNDRWriter() *ndrWriter {
	w := &ndrWriter{b: make([]byte, ndrHeaderSize, 1024), referent: 0x20000}
	copy(w.b, []byte{1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc})
	w.pointer(nil)
	return w
}

// finish writes what was deferred and fills in the length.
func (w *ndrWriter) finish() ([]byte, error) {
	w.flush()
	w.align(8)
	binary.LittleEndian.PutUint32(w.b[8:], uint32(len(w.b)-ndrHeaderSize))
	return w.b, w.err
}

// flush writes the referents of the pointers written so far, and theirs.
func (w *ndrWriter) flush() {
	for len(w.deferred) > 0 {
		d := w.deferred
		w.deferred = nil
		for _, f := range d {
			f()
			w.flush()
		}
	}
}

func (w *ndrWriter) align(n int) {
	for len(w.b)%n != 0 {
		w.b = append(w.b, 0)
	}
}

func (w *ndrWriter) u16(v uint16) {
	w.align(2)
	w.b = binary.LittleEndian.AppendUint16(w.b, v)
}

func (w *ndrWriter) u32(v uint32) {
	w.align(4)
	w.b = binary.LittleEndian.AppendUint32(w.b, v)
}

func (w *ndrWriter) time(t time.Time) {
	w.align(4)
	w.b = binary.LittleEndian.AppendUint64(w.b, toFileTime(t))
}

// pointer writes a pointer to what f will write.
func (w *ndrWriter) pointer(f func()) {
	w.referent += 4
	w.u32(w.referent)
	if f != nil {
		w.deferred = append(w.deferred, f)
	}
}

func (w *ndrWriter) str(s string) {
	u := toUTF16(s)
	if len(u) > 0xfffe {
		w.err = errTooLong
		return
	}
	w.u16(uint16(len(u)))
	w.u16(uint16(len(u)))
	w.pointer(func() {
		w.u32(uint32(len(u) / 2))
		w.u32(0)
		w.u32(uint32(len(u) / 2))
		w.b = append(w.b, u...)
	})
}

func (w *ndrWriter) sid(s SID) {
	b, err := s.encode()
	if err != nil {
		w.err = err
		return
	}
	w.u32(uint32(b[1]))
	w.b = append(w.b, b...)
}

// ---- values shared with the buffers that are not NDR ----

const (
	fileTimeEpoch = 11644473600 // seconds from 1601 to 1970
	never         = 1<<63 - 1   // MS-PAC 2.5: no such event is planned
)

// fromFileTime converts 100 ns intervals since 1601. Zero and never give the
// zero time.
func fromFileTime(v uint64) time.Time {
	if v == 0 || v >= never {
		return time.Time{}
	}
	return time.Unix(int64(v/1e7)-fileTimeEpoch, int64(v%1e7)*100).UTC()
}

// toFileTime is the inverse; the zero time gives never.
func toFileTime(t time.Time) uint64 {
	if t.IsZero() {
		return never
	}
	return uint64(t.Unix()+fileTimeEpoch)*1e7 + uint64(t.Nanosecond()/100)
}

// fromUTF16 decodes little-endian UTF-16 of even length.
func fromUTF16(b []byte) string {
	var sb strings.Builder
	sb.Grow(len(b) / 2)
	for i := 0; i+1 < len(b); i += 2 {
		u := rune(binary.LittleEndian.Uint16(b[i:]))
		switch {
		case u < utf8.RuneSelf:
			sb.WriteByte(byte(u))
			continue
		case utf16.IsSurrogate(u):
			lo := rune(utf8.RuneError)
			if i+3 < len(b) {
				lo = rune(binary.LittleEndian.Uint16(b[i+2:]))
			}
			if u = utf16.DecodeRune(u, lo); u != utf8.RuneError {
				i += 2
			}
		}
		sb.WriteRune(u)
	}
	return sb.String()
}

func toUTF16(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range s {
		if c >= 0x10000 {
			hi, lo := utf16.EncodeRune(c)
			b = binary.LittleEndian.AppendUint16(b, uint16(hi))
			c = lo
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return b
}
