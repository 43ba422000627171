package xsd

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// lexicals checks the lexical forms of the types that have not just any.
var lexicals = map[string]func(string) error{
	"boolean": parses(ParseBool), "float": parses(ParseFloat32), "double": parses(ParseFloat64),
	"decimal": parses(ParseDecimal), "integer": parses(ParseInteger),
	"nonNegativeInteger": parses(ParseNonNegativeInteger), "positiveInteger": parses(ParsePositiveInteger),
	"nonPositiveInteger": parses(ParseNonPositiveInteger), "negativeInteger": parses(ParseNegativeInteger),
	"byte": parses(ParseInt8), "short": parses(ParseInt16), "int": parses(ParseInt32), "long": parses(ParseInt64),
	"unsignedByte": parses(ParseUint8), "unsignedShort": parses(ParseUint16),
	"unsignedInt": parses(ParseUint32), "unsignedLong": parses(ParseUint64),
	"dateTime": parses(ParseDateTime), "dateTimeStamp": parses(ParseDateTime), "date": parses(ParseDate), "time": parses(ParseTime),
	"gYear": parses(ParseGYear), "gYearMonth": parses(ParseGYearMonth), "gMonth": parses(ParseGMonth),
	"gMonthDay": parses(ParseGMonthDay), "gDay": parses(ParseGDay),
	"duration": parses(ParseDuration), "dayTimeDuration": parses(ParseDuration), "yearMonthDuration": parses(ParseDuration),
	"base64Binary": parses(ParseBase64), "hexBinary": parses(ParseHex),
}

// orders compares values by their lexical forms. It reports false if two have
// no order, or one is no value. 3.2, property ordered.
var orders = map[string]func(a, b string) (int, bool){
	"decimal": compareDecimals, "integer": compareDecimals, "nonNegativeInteger": compareDecimals, "positiveInteger": compareDecimals,
	"nonPositiveInteger": compareDecimals, "negativeInteger": compareDecimals,
	"byte": compareDecimals, "short": compareDecimals, "int": compareDecimals, "long": compareDecimals,
	"unsignedByte": compareDecimals, "unsignedShort": compareDecimals, "unsignedInt": compareDecimals, "unsignedLong": compareDecimals,
	"float": ordered(ParseFloat64, compareFloats), "double": ordered(ParseFloat64, compareFloats),
	"dateTime": ordered(ParseDateTime, moments), "dateTimeStamp": ordered(ParseDateTime, moments),
	"date": ordered(ParseDate, moments), "time": ordered(ParseTime, moments), "gYear": ordered(ParseGYear, moments),
	"gYearMonth": ordered(ParseGYearMonth, moments), "gMonth": ordered(ParseGMonth, moments),
	"gMonthDay": ordered(ParseGMonthDay, moments), "gDay": ordered(ParseGDay, moments),
	"duration": ordered(ParseDuration, compareDurations), "dayTimeDuration": ordered(ParseDuration, compareDurations),
	"yearMonthDuration": ordered(ParseDuration, compareDurations),
}

func parses[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error { _, err := parse(s); return err }
}

func ordered[T any](parse func(string) (T, error), compare func(a, b T) (int, bool)) func(a, b string) (int, bool) {
	return func(a, b string) (int, bool) {
		x, errX := parse(a)
		y, errY := parse(b)
		if errX != nil || errY != nil {
			return 0, false
		}
		return compare(x, y)
	}
}

func compareFloats(a, b float64) (int, bool) {
	return cmp.Compare(a, b), !math.IsNaN(a) && !math.IsNaN(b)
}

// moments compares in time, if both values have a zone or neither.
func moments[T interface {
	HasZone() bool
	Time(*time.Location) time.Time
}](a, b T) (int, bool) {
	return a.Time(time.UTC).Compare(b.Time(time.UTC)), a.HasZone() == b.HasZone()
}

// compareDurations compares where the length of a month does not matter.
// 3.2.6.2.
func compareDurations(a, b Duration) (int, bool) {
	x, errX := a.Span()
	y, errY := b.Span()
	if errX != nil || errY != nil {
		return 0, false
	}
	const day = 24 * 60 * 60
	at := func(s Span, month float64) float64 {
		v := float64(s.Months)*month*day + float64(s.Seconds) + float64(s.Nanoseconds)/1e9
		if s.Negative {
			return -v
		}
		return v
	}
	short, long := cmp.Compare(at(x, 28), at(y, 28)), cmp.Compare(at(x, 31), at(y, 31))
	return short, short == long
}

// compareDecimals compares digits, however many there are.
func compareDecimals(a, b string) (int, bool) {
	a, b = trim(a), trim(b)
	if parses(ParseDecimal)(a) != nil || parses(ParseDecimal)(b) != nil {
		return 0, false
	}
	negA, wholeA, fracA := splitDecimal(a)
	negB, wholeB, fracB := splitDecimal(b)
	c := cmp.Or(cmp.Compare(len(wholeA), len(wholeB)), strings.Compare(wholeA, wholeB), strings.Compare(fracA, fracB))
	switch {
	case negA && negB:
		return -c, true
	case negA:
		return -1, true
	case negB:
		return 1, true
	}
	return c, true
}

// splitDecimal takes a decimal apart, without zeros that mean nothing.
func splitDecimal(s string) (negative bool, whole, fraction string) {
	negative = strings.HasPrefix(s, "-")
	whole, fraction, _ = strings.Cut(strings.TrimLeft(s, "+-"), ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	return negative && whole+fraction != "", whole, fraction
}
