package xsd

import (
	"encoding"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is an xs:duration, kept as it was written. The zero value is PT0S.
// It serves xs:dayTimeDuration and xs:yearMonthDuration as well. 3.2.6.
type Duration struct{ lex string }

// Span is a Duration taken apart. A year always has twelve months; a day has
// 24 hours as far as anybody can tell.
type Span struct {
	Negative      bool
	Months        int64 // years included
	Seconds       int64 // days, hours and minutes included
	Nanoseconds   int64 // less than a second; finer digits are cut off
	overflow, set bool
}

// DurationOf returns d in days, hours, minutes and seconds.
func DurationOf(d time.Duration) Duration {
	if d == 0 {
		return Duration{}
	}
	b := make([]byte, 0, 32)
	n := uint64(d)
	if d < 0 {
		b, n = append(b, '-'), -n
	}
	b = append(b, 'P')
	unit := func(size uint64, letter byte) {
		if v := n / size; v > 0 {
			b = append(strconv.AppendUint(b, v, 10), letter)
			n %= size
		}
	}
	unit(uint64(24*time.Hour), 'D')
	if n > 0 {
		b = append(b, 'T')
		unit(uint64(time.Hour), 'H')
		unit(uint64(time.Minute), 'M')
	}
	if n > 0 {
		b = strconv.AppendUint(b, n/1e9, 10)
		if f := n % 1e9; f > 0 {
			b = append(b, strings.TrimRight("."+strconv.FormatUint(1e9+f, 10)[1:], "0")...)
		}
		b = append(b, 'S')
	}
	return Duration{string(b)}
}

// scanDuration takes s apart. 3.2.6.1.
func scanDuration(s string) (d Span, ok bool) {
	if d.Negative = strings.HasPrefix(s, "-"); d.Negative {
		s = s[1:]
	}
	if s == "" || s[0] != 'P' {
		return d, false
	}
	s = s[1:]
	const date, clock = "YMD", "HMS"
	left, inTime := date, false
	for s != "" {
		if s[0] == 'T' {
			if inTime || len(s) == 1 {
				return d, false
			}
			left, inTime, s = clock, true, s[1:]
		}
		n := digits(s)
		if n == 0 || n == len(s) {
			return d, false
		}
		num, rest := s[:n], s[n:]
		frac := ""
		if rest[0] == '.' {
			f := digits(rest[1:])
			if f == 0 || 1+f == len(rest) || rest[1+f] != 'S' {
				return d, false
			}
			frac, rest = rest[1:1+f], rest[1+f:]
		}
		i := strings.IndexByte(left, rest[0])
		if i < 0 {
			return d, false
		}
		left, s, d.set = left[i+1:], rest[1:], true
		switch rest[0] {
		case 'Y':
			d.add(&d.Months, num, 12)
		case 'M':
			if inTime {
				d.add(&d.Seconds, num, 60)
			} else {
				d.add(&d.Months, num, 1)
			}
		case 'D':
			d.add(&d.Seconds, num, 24*60*60)
		case 'H':
			d.add(&d.Seconds, num, 60*60)
		case 'S':
			d.add(&d.Seconds, num, 1)
			d.Nanoseconds, _ = strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		}
	}
	return d, d.set
}

func (d *Span) add(to *int64, num string, unit int64) {
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n > (math.MaxInt64-*to)/unit {
		d.overflow = true
		return
	}
	*to += n * unit
}

// ParseDuration parses an xs:duration.
func ParseDuration(s string) (Duration, error) {
	t := trim(s)
	if _, ok := scanDuration(t); !ok || len(t) > 256 {
		return Duration{}, bad("duration", s)
	}
	return Duration{t}, nil
}

// AppendDuration appends an xs:duration.
func AppendDuration(dst []byte, v Duration) []byte { return append(dst, v.String()...) }

// String returns the duration as it was written.
func (v Duration) String() string {
	if v.lex == "" {
		return "PT0S"
	}
	return v.lex
}

// Span returns v taken apart, or an error if it is too long for that.
func (v Duration) Span() (Span, error) {
	d, _ := scanDuration(v.String()) // lexical form was checked
	if d.overflow {
		return Span{}, errors.New("xsd: duration too long")
	}
	d.set = false
	return d, nil
}

// Duration returns v as a time.Duration. It is an error if v has years or
// months, whose length nobody knows, or does not fit.
func (v Duration) Duration() (time.Duration, error) {
	d, err := v.Span()
	if err != nil {
		return 0, err
	}
	if d.Months != 0 {
		return 0, errors.New("xsd: duration has years or months")
	}
	if d.Seconds > math.MaxInt64/int64(time.Second)-1 {
		return 0, errors.New("xsd: duration too long for time.Duration")
	}
	n := time.Duration(d.Seconds)*time.Second + time.Duration(d.Nanoseconds)
	if d.Negative {
		n = -n
	}
	return n, nil
}

// MarshalText implements encoding.TextMarshaler.
func (v Duration) MarshalText() ([]byte, error) { return AppendDuration(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Duration) UnmarshalText(b []byte) (err error) {
	*v, err = ParseDuration(string(b))
	return err
}

var _ encoding.TextUnmarshaler = (*Duration)(nil)
