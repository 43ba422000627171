package krb5

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrMalformed means bytes that are not the message they should be.
var ErrMalformed = errors.New("malformed DER")

const tagGeneralString = asn1.Tag(27)

// A reader is the content of one DER element. Its methods never fail where
// they are called: the first failure is kept, every later read gives a zero
// value, and finish returns the error. Values that hold bytes alias the input.
type reader struct {
	s   cryptobyte.String
	err *error
}

func newReader(b []byte) reader {
	return reader{s: b, err: new(error)}
}

// finish returns m, or the first failure as a DamageError. r is the reader that
// the message was read from, as newReader returned it.
func finish[T any](r reader, name string, m *T) (*T, error) {
	if *r.err == nil {
		return m, nil
	}
	e := &DamageError{Message: name, Partial: m, Err: *r.err}
	var f *failure
	if errors.As(e.Err, &f) {
		e.Offset, e.Err = cap(r.s)-f.left, f.err
	}
	return nil, e
}

// A DamageError says where bytes stop being the message they should be. All
// errors of this package's parsers are of this type, but for those of
// UnframeToken.
type DamageError struct {
	Message string // such as "AP-REQ"
	Offset  int    // where reading stopped, in the bytes that were parsed
	Err     error

	// Partial is what was read until there, an *APReq or the like, whose other
	// fields are zero. It is for showing to people, not for acting on.
	Partial any
}

func (e *DamageError) Error() string { return fmt.Sprintf("krb5: parse %s: %v", e.Message, e.Err) }
func (e *DamageError) Unwrap() error { return e.Err }

// failure is what readers keep. Slices of the input reach to the end of its
// array, so their capacity tells where they begin.
type failure struct {
	err  error
	left int // capacity at the element that cannot be read
}

func (f *failure) Error() string { return f.err.Error() }

func (r reader) fail() reader {
	return r.failWith(ErrMalformed)
}

func (r reader) failWith(err error) reader {
	if *r.err == nil {
		*r.err = &failure{err, cap(r.s)}
	}
	return reader{err: r.err}
}

// more reports whether elements are left in a SEQUENCE OF. It is false after a
// failure, so that loops end.
func (r *reader) more() bool { return *r.err == nil && !r.s.Empty() }

// end fails if anything is left.
func (r *reader) end() {
	if !r.s.Empty() {
		r.fail()
	}
}

// next takes the next element, which must have the tag.
func (r *reader) next(tag asn1.Tag) reader {
	at := *r // the element is passed over even if it has another tag
	var c cryptobyte.String
	if *r.err != nil || !r.s.ReadASN1(&c, tag) {
		return at.fail()
	}
	return reader{c, r.err}
}

// field takes the element tagged [n].
func (r *reader) field(n uint8) reader { return r.next(contextTag(n)) }

// optional takes the element tagged [n] if it is the next one.
func (r *reader) optional(n uint8) (reader, bool) {
	if !r.s.PeekASN1Tag(contextTag(n)) {
		return reader{err: r.err}, false
	}
	return r.field(n), true
}

// only returns the content of the single element r consists of.
func (r reader) only(tag asn1.Tag) reader {
	c := r.next(tag)
	r.end()
	return c
}

// seq returns the content of the SEQUENCE that r consists of.
func (r reader) seq() reader { return r.only(asn1.SEQUENCE) }

// app returns the content of [APPLICATION n] SEQUENCE, which r consists of.
func (r reader) app(n uint8) reader { return r.only(appTag(n)).seq() }

// sealed is app for a message that was encrypted: encryption types with blocks
// leave zero bytes at its end (RFC 3961 4).
func (r reader) sealed(tags ...uint8) reader {
	for _, n := range tags {
		if !r.s.PeekASN1Tag(appTag(n)) {
			continue
		}
		c := r.next(appTag(n))
		if strings.Trim(string(r.s), "\x00") != "" {
			return r.fail()
		}
		return c.seq()
	}
	return r.fail()
}

// integer reads an INTEGER within bounds.
func (r reader) integer(low, high int64) int64 {
	at := r
	var v int64
	if *r.err != nil || !r.s.ReadASN1Integer(&v) || !r.s.Empty() || v < low || v > high {
		at.fail()
		return 0
	}
	return v
}

func (r reader) int32() int32 { return int32(r.integer(-1<<31, 1<<31-1)) }

// uint32 reads a UInt32, also where a peer encodes it as a negative Int32: MIT
// before 1.7 does it with sequence numbers, Windows with the kvno of
// read-only domain controllers.
func (r reader) uint32() uint32 { return uint32(r.integer(-1<<31, 1<<32-1)) }

func (r reader) microseconds() int { return int(r.integer(0, 999_999)) }

// is fails unless r is the INTEGER v: protocol version or message type.
func (r reader) is(v int64) { r.integer(v, v) }

func (r reader) octets() []byte { return []byte(r.only(asn1.OCTET_STRING).s) }

// string reads a KerberosString. A zero byte in a name could end it early in
// somebody else's eyes, and is refused.
func (r reader) string() string {
	c := r.only(tagGeneralString)
	s := string(c.s)
	if strings.IndexByte(s, 0) >= 0 {
		r.fail()
		return ""
	}
	return s
}

func (r reader) boolean() bool {
	var v bool
	if *r.err != nil || !r.s.ReadASN1Boolean(&v) || !r.s.Empty() {
		r.fail()
	}
	return v
}

// time reads a KerberosTime: GeneralizedTime in UTC without a fraction (RFC
// 4120 5.2.3). A year before 1970 is refused, so the zero time.Time can mean
// absent.
func (r reader) time() time.Time {
	c := r.only(asn1.GeneralizedTime).s
	if len(c) != 15 || c[14] != 'Z' {
		r.fail()
		return time.Time{}
	}
	for _, d := range c[:14] {
		if d < '0' || d > '9' {
			r.fail()
			return time.Time{}
		}
	}
	two := func(i int) int { return int(c[i]-'0')*10 + int(c[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(4), two(6)
	hour, minute, second := two(8), two(10), two(12)
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if year < 1970 || month < 1 || month > 12 || t.Day() != day || hour > 23 || minute > 59 || second > 60 {
		r.fail()
		return time.Time{}
	}
	return t
}

// flags reads KerberosFlags: at least 32 bits (RFC 4120 5.2.8), of which all
// that have a meaning are the first 32. A shorter string is filled with zeros.
func (r reader) flags() Flags {
	c := r.only(asn1.BIT_STRING).s
	if len(c) == 0 || c[0] > 7 || len(c) == 1 && c[0] != 0 {
		r.fail()
		return 0
	}
	bits := [4]byte{}
	copy(bits[:], c[1:])
	return Flags(uint32(bits[0])<<24 | uint32(bits[1])<<16 | uint32(bits[2])<<8 | uint32(bits[3]))
}

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
func appTag(n uint8) asn1.Tag     { return asn1.Tag(0x40 | n).Constructed() }
