package krb5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// A writer builds a message in one piece of memory. Like reader it keeps the
// first failure. It has the methods of cryptobyte.Builder, which takes new
// memory for each element.
type writer struct {
	b   []byte
	err error
}

// writerSize is room for an AP-REP, which a service makes for each login.
const writerSize = 256

// marshal returns what f writes inside [APPLICATION n] SEQUENCE.
func marshal(name string, n uint8, f func(w *writer)) ([]byte, error) {
	w := writer{b: make([]byte, 0, writerSize)}
	w.AddASN1(appTag(n), func(w *writer) { w.AddASN1(asn1.SEQUENCE, f) })
	return finishWriter(name, &w)
}

// marshalSeq returns what f writes inside a SEQUENCE.
func marshalSeq(name string, f func(w *writer)) ([]byte, error) {
	w := writer{b: make([]byte, 0, writerSize)}
	w.AddASN1(asn1.SEQUENCE, f)
	return finishWriter(name, &w)
}

func finishWriter(name string, w *writer) ([]byte, error) {
	if w.err != nil {
		return nil, fmt.Errorf("krb5: marshal %s: %w", name, w.err)
	}
	return w.b, nil
}

// SetError makes the message a failure.
func (w *writer) SetError(err error) {
	if w.err == nil {
		w.err = err
	}
}

// AddBytes writes b as it is.
func (w *writer) AddBytes(b []byte) { w.b = append(w.b, b...) }

// AddASN1 writes an element around what f writes.
func (w *writer) AddASN1(tag asn1.Tag, f func(w *writer)) {
	w.b = append(w.b, byte(tag), 0)
	start := len(w.b)
	f(w)
	w.endElement(start)
}

// endElement writes the length of the element whose content begins at start:
// into the byte in front of it, and into more of them if one is not enough
// (X.690 8.1.3).
func (w *writer) endElement(start int) {
	n := len(w.b) - start
	if n < 0x80 {
		w.b[start-1] = byte(n)
		return
	}
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(n))
	skip := 0
	for length[skip] == 0 {
		skip++
	}
	more := len(length) - skip
	w.b = append(w.b, length[skip:]...) // room, for now
	copy(w.b[start+more:], w.b[start:start+n])
	copy(w.b[start:], length[skip:])
	w.b[start-1] = 0x80 | byte(more)
}

// addPrimitive writes an element with the given content.
func (w *writer) addPrimitive(tag asn1.Tag, content ...byte) {
	w.b = append(w.b, byte(tag), 0)
	start := len(w.b)
	w.b = append(w.b, content...)
	w.endElement(start)
}

// AddASN1Int64 writes an INTEGER in the fewest bytes (X.690 8.3).
func (w *writer) AddASN1Int64(v int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	skip := 0
	for skip < 7 && (b[skip] == 0 && b[skip+1] < 0x80 || b[skip] == 0xff && b[skip+1] >= 0x80) {
		skip++
	}
	w.addPrimitive(asn1.INTEGER, b[skip:]...)
}

// AddASN1OctetString writes an OCTET STRING.
func (w *writer) AddASN1OctetString(b []byte) { w.addPrimitive(asn1.OCTET_STRING, b...) }

// addField writes [n] around what f writes.
func addField(w *writer, n uint8, f func(w *writer)) { w.AddASN1(contextTag(n), f) }

// addSeq writes [n] SEQUENCE around what f writes.
func addSeq(w *writer, n uint8, f func(w *writer)) {
	addField(w, n, func(w *writer) { w.AddASN1(asn1.SEQUENCE, f) })
}

func addInt(w *writer, n uint8, v int64) {
	addField(w, n, func(w *writer) { w.AddASN1Int64(v) })
}

func addOctets(w *writer, n uint8, v []byte) {
	addField(w, n, func(w *writer) { w.AddASN1OctetString(v) })
}

func addString(w *writer, n uint8, s string) {
	addField(w, n, func(w *writer) { addGeneralString(w, s) })
}

func addGeneralString(w *writer, s string) {
	if strings.IndexByte(s, 0) >= 0 {
		w.SetError(errors.New("zero byte in a name"))
		return
	}
	w.addPrimitive(tagGeneralString, []byte(s)...)
}

func addBoolean(w *writer, n uint8, v bool) {
	var b byte
	if v {
		b = 0xff // X.690 11.1
	}
	addField(w, n, func(w *writer) { w.addPrimitive(asn1.BOOLEAN, b) })
}

// addTime writes a time, cut to seconds.
func addTime(w *writer, n uint8, t time.Time) {
	t = t.UTC()
	if y := t.Year(); y < 1970 || y > 9999 {
		w.SetError(errors.New("time out of range"))
		return
	}
	addField(w, n, func(w *writer) {
		w.AddASN1(asn1.GeneralizedTime, func(w *writer) { w.b = t.AppendFormat(w.b, "20060102150405Z") })
	})
}

// addOptionalTime writes t unless it is zero.
func addOptionalTime(w *writer, n uint8, t time.Time) {
	if !t.IsZero() {
		addTime(w, n, t)
	}
}

func addFlags(w *writer, n uint8, f Flags) {
	addField(w, n, func(w *writer) {
		w.addPrimitive(asn1.BIT_STRING, 0, byte(f>>24), byte(f>>16), byte(f>>8), byte(f)) // 0: all bits count
	})
}
