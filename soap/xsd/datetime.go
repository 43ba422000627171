package xsd

import (
	"strconv"
	"strings"
	"time"
)

// moment is what the date and time types share: the lexical form.
type moment struct{ lex string }

// HasZone reports whether the value says which time zone it is in.
func (m moment) HasZone() bool {
	_, zone := cutZone(m.lex)
	return zone != ""
}

// cutZone splits a value into its fields and its zone, "" if it has none.
func cutZone(s string) (rest, zone string) {
	n := len(s)
	switch {
	case n > 0 && s[n-1] == 'Z':
		return s[:n-1], s[n-1:]
	case n >= 6 && s[n-3] == ':' && (s[n-6] == '+' || s[n-6] == '-'):
		return s[:n-6], s[n-6:]
	}
	return s, ""
}

// fieldsOf is a value taken apart. Fields that the type lacks have the value
// that makes a time.Time of it sensible: year 1, January, the first.
type fieldsOf struct {
	year                  int64
	month, day            int
	hour, minute, sec, ns int
	zoned                 bool
	offset                int // seconds east of UTC
}

// two reads two digits at the start of s.
func two(s string) (n int, rest string, ok bool) {
	if len(s) < 2 || s[0]-'0' > 9 || s[1]-'0' > 9 {
		return 0, s, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), s[2:], true
}

// scan takes s apart after a layout of one letter per field: Y year, M month,
// D day, C clock; other bytes stand for themselves. Appendix D, 3.2.7.
func scan(s, layout string) (f fieldsOf, ok bool) {
	f = fieldsOf{year: 1, month: 1, day: 1}
	hasYear, hasDay := false, false
	for i := 0; i < len(layout); i++ {
		switch layout[i] {
		case 'Y':
			neg := s != "" && s[0] == '-'
			if neg {
				s = s[1:]
			}
			n := digits(s)
			if n < 4 || n > 18 || n > 4 && s[0] == '0' {
				return f, false
			}
			f.year, _ = strconv.ParseInt(s[:n], 10, 64)
			if neg {
				f.year = -f.year
			}
			s, hasYear = s[n:], true
		case 'M':
			if f.month, s, ok = two(s); !ok || f.month < 1 || f.month > 12 {
				return f, false
			}
		case 'D':
			if f.day, s, ok = two(s); !ok || f.day < 1 || f.day > 31 {
				return f, false
			}
			hasDay = true
		case 'C':
			if s, ok = f.clock(s); !ok {
				return f, false
			}
		default:
			if s == "" || s[0] != layout[i] {
				return f, false
			}
			s = s[1:]
		}
	}
	if hasDay && f.day > f.days(hasYear) {
		return f, false
	}
	switch {
	case s == "":
		return f, true
	case s == "Z":
		f.zoned = true
		return f, true
	}
	sign := 1
	if s[0] == '-' {
		sign = -1
	} else if s[0] != '+' {
		return f, false
	}
	h, s, ok1 := two(s[1:])
	if !ok1 || s == "" || s[0] != ':' {
		return f, false
	}
	m, s, ok2 := two(s[1:])
	if !ok2 || s != "" || m > 59 || h > 14 || h == 14 && m > 0 { // 3.2.7.3
		return f, false
	}
	f.zoned, f.offset = true, sign*(h*3600+m*60)
	return f, true
}

func (f *fieldsOf) clock(s string) (rest string, ok bool) {
	ok1, ok2, ok3 := false, false, false
	if f.hour, s, ok1 = two(s); !ok1 || s == "" || s[0] != ':' {
		return s, false
	}
	if f.minute, s, ok2 = two(s[1:]); !ok2 || s == "" || s[0] != ':' {
		return s, false
	}
	if f.sec, s, ok3 = two(s[1:]); !ok3 {
		return s, false
	}
	zero := true
	if s != "" && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 {
			return s, false
		}
		frac := s[1 : 1+n]
		zero = strings.Trim(frac, "0") == ""
		f.ns, _ = strconv.Atoi((frac + "000000000")[:9])
		s = s[1+n:]
	}
	if f.hour == 24 { // 3.2.7.1: the end of the day
		return s, f.minute == 0 && f.sec == 0 && zero
	}
	return s, f.hour < 24 && f.minute < 60 && f.sec < 60
}

func (f *fieldsOf) days(hasYear bool) int {
	switch f.month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if !hasYear || f.year%4 == 0 && (f.year%100 != 0 || f.year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// time returns the instant. Years that time.Time cannot hold are cut to what
// it can.
func (f *fieldsOf) time(loc *time.Location) time.Time {
	switch {
	case f.zoned && f.offset == 0:
		loc = time.UTC
	case f.zoned:
		loc = time.FixedZone("", f.offset)
	case loc == nil:
		loc = time.UTC
	}
	year := min(max(f.year, -200_000_000), 200_000_000)
	return time.Date(int(year), time.Month(f.month), f.day, f.hour, f.minute, f.sec, f.ns, loc)
}

func parseMoment(s, typ, layout string) (moment, error) {
	t := trim(s)
	if _, ok := scan(t, layout); !ok || len(t) > 256 {
		return moment{}, bad(typ, s)
	}
	return moment{t}, nil
}

func (m moment) or(zero string) string {
	if m.lex == "" {
		return zero
	}
	return m.lex
}

func timeOf(lex, layout string, loc *time.Location) time.Time {
	f, _ := scan(lex, layout) // lexical form was checked
	return f.time(loc)
}

func appendYear(dst []byte, year int) []byte {
	if year < 0 {
		dst, year = append(dst, '-'), -year
	}
	for n := 1000; n > 1 && year < n; n /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(year), 10)
}

// zone returns the zone of t as a layout understands it, cut to whole minutes.
func zone(t time.Time) string { return t.Format("Z07:00") }

const (
	clockLayout     = "15:04:05.999999999"
	dateTimeLayout  = "Y-M-DTC"
	dateLayout      = "Y-M-D"
	timeLayout      = "C"
	yearLayout      = "Y"
	yearMonthLayout = "Y-M"
	monthLayout     = "--M"
	monthDayLayout  = "--M-D"
	dayLayout       = "---D"
)
