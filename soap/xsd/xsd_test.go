package xsd

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// lexical checks one type: what of ok is read comes back as want (the same, if
// empty), and bad is refused.
type lexical struct {
	typ string
	rt  func(string) (string, error) // parse, then append
	ok  [][2]string
	bad []string
}

func roundTrip[T any](parse func(string) (T, error), app func([]byte, T) []byte) func(string) (string, error) {
	return func(s string) (string, error) {
		v, err := parse(s)
		return string(app([]byte("pre"), v)), err
	}
}

// same lists values that are written as they are read.
func same(ss ...string) (all [][2]string) {
	for _, s := range ss {
		all = append(all, [2]string{s, s})
	}
	return all
}

func TestLexicalForms(t *testing.T) {
	t.Parallel()
	tests := []lexical{
		{"boolean", roundTrip(ParseBool, AppendBool),
			[][2]string{{"true", "true"}, {" 1\n", "true"}, {"false", "false"}, {"0", "false"}},
			[]string{"", "True", "TRUE", "yes", "10", "t"}},
		{"byte", roundTrip(ParseInt8, AppendInt8), append(same("0", "127", "-128"), [2]string{"+007", "7"}), []string{"128", "-129", "", "1.0", "1e1", "0x1", "1_0", "+", "--1", "1 2"}},
		{"short", roundTrip(ParseInt16, AppendInt16), same("32767", "-32768"), []string{"32768", "-32769"}},
		{"int", roundTrip(ParseInt32, AppendInt32), append(same("2147483647", "-2147483648"), [2]string{"\t-0 ", "0"}), []string{"2147483648", "\u00a01", "１"}},
		{"long", roundTrip(ParseInt64, AppendInt64), same("9223372036854775807", "-9223372036854775808"), []string{"9223372036854775808"}},
		{"unsignedByte", roundTrip(ParseUint8, AppendUint8), append(same("0", "255"), [2]string{"+1", "1"}, [2]string{"-0", "0"}), []string{"256", "-1", "++1", "+", ""}},
		{"unsignedShort", roundTrip(ParseUint16, AppendUint16), same("65535"), []string{"65536"}},
		{"unsignedInt", roundTrip(ParseUint32, AppendUint32), same("4294967295"), []string{"4294967296"}},
		{"unsignedLong", roundTrip(ParseUint64, AppendUint64), same("18446744073709551615"), []string{"18446744073709551616", "-5"}},
		{"double", roundTrip(ParseFloat64, AppendFloat64),
			append(same("0", "-0", "1.5", "INF", "-INF", "NaN", "1e+300", "5e-324", "0.1"), [2]string{" 1.50E2 ", "150"}, [2]string{".5", "0.5"}, [2]string{"5.", "5"}, [2]string{"+INF", "INF"}, [2]string{"1e999", "INF"}, [2]string{"-1e999", "-INF"},
				[2]string{"inf", "INF"}, [2]string{"-inf", "-INF"}, [2]string{"Infinity", "INF"}, [2]string{"-Infinity", "-INF"}, [2]string{"nan", "NaN"}, [2]string{"NAN", "NaN"}),
			[]string{"", "in", "infinit", "nano", "-nan", "0x1p4", "1_0", "1e", "1,5", "e5", "- 1", "1d"}},
		{"float", roundTrip(ParseFloat32, AppendFloat32), append(same("0.1", "3.4028235e+38", "NaN"), [2]string{"0.10000000149", "0.1"}), []string{"Infi", "x"}},
		{"integer", roundTrip(ParseInteger, AppendInteger), append(same("0", "+007", "-0", strings.Repeat("9", 1024)), [2]string{" 5 ", "5"}), []string{"", "+", "1.0", "1e3", "5 5", "a", strings.Repeat("9", 1025)}},
		{"nonNegativeInteger", roundTrip(ParseNonNegativeInteger, AppendInteger), same("0", "-0", "5"), []string{"-1"}},
		{"positiveInteger", roundTrip(ParsePositiveInteger, AppendInteger), same("1", "+10"), []string{"0", "-0", "-1"}},
		{"nonPositiveInteger", roundTrip(ParseNonPositiveInteger, AppendInteger), same("0", "-5"), []string{"1", "+1"}},
		{"negativeInteger", roundTrip(ParseNegativeInteger, AppendInteger), same("-10"), []string{"0", "-0", "1"}},
		{"decimal", roundTrip(ParseDecimal, AppendDecimal), append(same("0", "1.50", "-.5", "5.", "+1.0", "12345678901234567890.12345678901234567890"), [2]string{"\n1.5\t", "1.5"}), []string{"", ".", "-", "1e3", "1.2.3", "1,2", "INF", "NaN", "--1", strings.Repeat("9", 600) + "." + strings.Repeat("9", 600)}},
		{"base64Binary", roundTrip(ParseBase64, AppendBase64), append(same("", "aGVsbG8="), [2]string{" aG Vs\r\n\tbG8 = ", "aGVsbG8="}), []string{"a", "aGVsbG8", "a-__", "aGVsbG8=x", "aGVsbG9="[:5]}},
		{"hexBinary", roundTrip(ParseHex, AppendHex), append(same("", "00FF"), [2]string{" 0aFf\n", "0AFF"}), []string{"0", "0g", "0 0a"}},
		{"dateTime", roundTrip(ParseDateTime, AppendDateTime),
			append(same("2024-02-29T23:59:59", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123456789012+14:00", "2024-01-01T24:00:00-05:30", "-0044-03-15T00:00:00", "12024-01-01T00:00:00", "0000-01-01T00:00:00", "2000-02-29T24:00:00.000"), [2]string{" 2024-01-01T00:00:00\n", "2024-01-01T00:00:00"}),
			[]string{"", "2024-01-01", "2024-01-01 00:00:00", "2023-02-29T00:00:00", "1900-02-29T00:00:00", "2024-13-01T00:00:00", "2024-00-01T00:00:00", "2024-04-31T00:00:00", "2024-01-00T00:00:00",
				"24-01-01T00:00:00", "02024-01-01T00:00:00", "+2024-01-01T00:00:00", "2024-01-01T24:00:01", "2024-01-01T24:00:00.1", "2024-01-01T25:00:00", "2024-01-01T00:60:00", "2024-01-01T00:00:60",
				"2024-01-01T00:00", "2024-01-01T00:00:00.", "2024-01-01T00:00:00+14:01", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00z", "2024-01-01T00:00:00Z ;", "2024-1-1T0:0:0", "2024-01-01T00:00:00+0100",
				"2024-01-01T00:00:00." + strings.Repeat("0", 300)}},
		{"date", roundTrip(ParseDate, AppendDate), same("2024-02-29", "2024-02-29Z", "-0001-01-01+05:00"), []string{"2024-02-30", "2024-02-29T00:00:00", "20240229"}},
		{"time", roundTrip(ParseTime, AppendTime), same("00:00:00", "24:00:00", "12:34:56.7Z", "12:34:56-14:00"), []string{"12:34", "24:00:01", "1:02:03", "12:34:56,7"}},
		{"gYear", roundTrip(ParseGYear, AppendGYear), same("2024", "-0044", "12024Z"), []string{"24", "02024", "2024-01"}},
		{"gYearMonth", roundTrip(ParseGYearMonth, AppendGYearMonth), same("2024-02", "2024-02+01:00"), []string{"2024-13", "2024", "2024-02-01"}},
		{"gMonth", roundTrip(ParseGMonth, AppendGMonth), same("--02", "--12Z"), []string{"02", "--13", "--00", "--1"}},
		{"gMonthDay", roundTrip(ParseGMonthDay, AppendGMonthDay), same("--02-29", "--12-31-05:00"), []string{"--02-30", "--04-31", "02-29"}},
		{"gDay", roundTrip(ParseGDay, AppendGDay), same("---31", "---01Z"), []string{"---32", "---00", "31", "--31"}},
		{"duration", roundTrip(ParseDuration, AppendDuration),
			append(same("P1Y2M3DT4H5M6.789S", "-P1D", "PT0S", "P0Y", "PT5M", "P5M", "PT36H", "P1YT0.000000000001S", "P99999999999999999999Y"), [2]string{" PT1S ", "PT1S"}),
			[]string{"", "P", "PT", "P1DT", "1D", "+P1D", "P-1D", "P1H", "PT1D", "P1D1Y", "PT1S1M", "P1Y1Y", "PT1.S", "PT.5S", "P1.5D", "PT1.5M", "P1", "PTT1S", "P1Y T1S", "--P1D"}},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			t.Parallel()
			for _, c := range tt.ok {
				if got, err := tt.rt(c[0]); err != nil || got != "pre"+c[1] {
					t.Errorf("%q became %q, %v, want %q", c[0], got, err, c[1])
				}
			}
			for _, s := range tt.bad {
				got, err := tt.rt(s)
				var le *LexicalError
				if !errors.As(err, &le) || le.Type != tt.typ || len(le.Text) > 50 {
					t.Errorf("%q became %q, %v, want a LexicalError of %s", s, got, err, tt.typ)
				}
			}
		})
	}
}

func TestWhiteSpaceOfStrings(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, normalized, token string }{
		{"", "", ""},
		{"a b", "a b", "a b"},
		{"\ta\r\nb  c\n", " a  b  c ", "a b c"},
		{"a\u00a0 b", "a\u00a0 b", "a\u00a0 b"},
		{"a\tb", "a b", "a b"},
		{"   ", "   ", ""},
	}
	for _, tt := range tests {
		if got, _ := ParseNormalizedString(tt.in); got != tt.normalized {
			t.Errorf("normalizedString of %q = %q, want %q", tt.in, got, tt.normalized)
		}
		if got, _ := ParseToken(tt.in); got != tt.token {
			t.Errorf("token of %q = %q, want %q", tt.in, got, tt.token)
		}
		if got, _ := ParseString(tt.in); got != tt.in {
			t.Errorf("string of %q = %q", tt.in, got)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	parse, app := ParseList(ParseInt32), AppendList(AppendInt32)
	for in, want := range map[string][]int32{"": {}, " 1\t-2\n 3 ": {1, -2, 3}} {
		got, err := parse(in)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q = %v, %v", in, got, err)
		}
	}
	if _, err := parse("1 x"); err == nil {
		t.Error("item that is no int accepted")
	}
	if got := string(app(nil, []int32{1, -2, 3})); got != "1 -2 3" {
		t.Errorf("got %q", got)
	}
}

func TestIntegerAndDecimalValues(t *testing.T) {
	t.Parallel()
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	n, err := ParseInteger("+" + huge.String())
	if err != nil || n.Big().Cmp(huge) != 0 || n != (Integer{"+" + huge.String()}) {
		t.Errorf("got %v, %v", n, err)
	}
	if _, err := n.Int64(); err == nil {
		t.Error("30 digits fit in int64")
	}
	if v, err := IntegerOf(math.MinInt64).Int64(); err != nil || v != math.MinInt64 {
		t.Errorf("got %d, %v", v, err)
	}
	if IntegerOfBig(huge).String() != huge.String() || IntegerOfBig(nil).String() != "0" || (Integer{}).String() != "0" {
		t.Error("IntegerOfBig or zero value")
	}
	d, _ := ParseDecimal("1.50")
	e, _ := ParseDecimal("01.5")
	if d.Cmp(e) != 0 || d == e || d.Float64() != 1.5 || d.Rat().Cmp(big.NewRat(3, 2)) != 0 {
		t.Errorf("%v and %v", d, e)
	}
	for in, want := range map[string]int64{"5.00": 5, "-7": -7, ".0": 0, "-.0": 0, "+3.": 3} {
		d, err := ParseDecimal(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Int64(); err != nil || got != want {
			t.Errorf("%q = %d, %v", in, got, err)
		}
	}
	if _, err := d.Int64(); err == nil {
		t.Error("1.50 is an int64")
	}
	if d, err := DecimalOfFloat(1e21); err != nil || d.String() != "1000000000000000000000" {
		t.Errorf("got %v, %v", d, err)
	}
	if _, err := DecimalOfFloat(math.NaN()); err == nil {
		t.Error("NaN is a decimal")
	}
	if (Decimal{}).String() != "0" || DecimalOf(-5).String() != "-5" {
		t.Error("zero value or DecimalOf")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	tests := []struct {
		lex  string
		want time.Time
	}{
		{"2024-05-06T07:08:09Z", time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)},
		{"2024-05-06T07:08:09.5-03:30", time.Date(2024, 5, 6, 10, 38, 9, 5e8, time.UTC)},
		{"2024-05-06T07:08:09", time.Date(2024, 5, 6, 7, 8, 9, 0, berlin)},
		{"2023-12-31T24:00:00Z", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"-0044-03-15T12:00:00Z", time.Date(-44, 3, 15, 12, 0, 0, 0, time.UTC)},
		{"12024-01-01T00:00:00.1234567899Z", time.Date(12024, 1, 1, 0, 0, 0, 123456789, time.UTC)},
	}
	for _, tt := range tests {
		v, err := ParseDateTime(tt.lex)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Time(berlin); !got.Equal(tt.want) {
			t.Errorf("%s = %v, want %v", tt.lex, got, tt.want)
		}
		if v.HasZone() == (tt.lex == "2024-05-06T07:08:09") {
			t.Errorf("%s: HasZone = %v", tt.lex, v.HasZone())
		}
	}
	at := time.Date(44, 3, 5, 1, 2, 3, 120e6, berlin)
	for _, c := range []struct {
		got  fmt.Stringer
		want string
	}{
		{DateTimeOf(at), "0044-03-05T01:02:03.12+01:00"}, {DateTimeOf(at.UTC()), "0044-03-05T00:02:03.12Z"},
		{LocalDateTimeOf(at), "0044-03-05T01:02:03.12"}, {DateOf(at), "0044-03-05"}, {TimeOf(at), "01:02:03.12"},
		{GYearOf(-44), "-0044"}, {GYearOf(12024), "12024"}, {GYearMonthOf(at), "0044-03"}, {GMonthOf(time.March), "--03"},
		{GMonthDayOf(at), "--03-05"}, {GDayOf(at), "---05"},
		{DateTime{}, "0001-01-01T00:00:00Z"}, {Date{}, "0001-01-01"}, {Time{}, "00:00:00"},
		{GYear{}, "0001"}, {GYearMonth{}, "0001-01"}, {GMonth{}, "--01"}, {GMonthDay{}, "--01-01"}, {GDay{}, "---01"},
	} {
		if c.got.String() != c.want {
			t.Errorf("%T %s, want %s", c.got, c.got, c.want)
		}
	}
	if !(DateTime{}).Time(nil).IsZero() {
		t.Error("the zero DateTime is not the zero time")
	}
	if d, _ := ParseDate("2024-02-29"); !d.Time(nil).Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Error("Date.Time")
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 1, time.Second, 90 * time.Minute, 25*time.Hour + 30*time.Second + 5*time.Millisecond, math.MaxInt64, math.MinInt64 + 1, -time.Hour} {
		v := DurationOf(d)
		back, err := ParseDuration(v.String())
		if err != nil || back.String() != v.String() {
			t.Errorf("%v = %s: %v", d, v, err)
		}
		if got, err := v.Duration(); d.Abs() < math.MaxInt64-2*time.Second && (err != nil || got != d) {
			t.Errorf("%v = %s = %v, %v", d, v, got, err)
		}
	}
	if got := DurationOf(25*time.Hour + 30*time.Second + 5*time.Millisecond).String(); got != "P1DT1H30.005S" {
		t.Errorf("got %s", got)
	}
	if s := DurationOf(math.MinInt64).String(); s != "-P106751DT23H47M16.854775808S" {
		t.Errorf("got %s", s)
	}
	v, _ := ParseDuration("-P1Y2M3DT4H5M6.7S")
	if s, err := v.Span(); err != nil || s != (Span{Negative: true, Months: 14, Seconds: 3*86400 + 4*3600 + 5*60 + 6, Nanoseconds: 7e8}) {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, s := range []string{"P1M", "P99999999999999999999D", "P200000D", "P9223372036854775807DT1S"} {
		v, err := ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := v.Duration(); err == nil {
			t.Errorf("%s = %v", s, d)
		}
	}
}

// FuzzParse: whatever is accepted is written as it was read, white space
// aside, and its values can be had without a panic.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1.50", "2024-02-29T24:00:00Z", "P1Y2M3DT4H5M6.7S", "--02-29", "---31", "-0044", "12:34:56.789-14:00", "1e5", "INF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(got string) {
			if got != trim(s) {
				t.Fatalf("%q became %q", s, got)
			}
		}
		if v, err := ParseInteger(s); err == nil {
			check(v.String())
			if n, err := v.Int64(); err == nil && v.Big().Cmp(big.NewInt(n)) != 0 {
				t.Fatalf("%s is %d and %s", v, n, v.Big())
			}
		}
		if v, err := ParseDecimal(s); err == nil {
			check(v.String())
			if n, err := v.Int64(); err == nil && v.Rat().Cmp(new(big.Rat).SetInt64(n)) != 0 {
				t.Fatalf("%s is %d and %s", v, n, v.Rat())
			}
			v.Float64()
		}
		if v, err := ParseDateTime(s); err == nil {
			check(v.String())
			if at := v.Time(time.UTC); at.Year() >= 0 && at.Year() <= 9999 {
				if again, err := ParseDateTime(DateTimeOf(at).String()); err != nil || !again.Time(time.UTC).Equal(at) {
					t.Fatalf("%s is %v, then %s, %v", v, at, again, err)
				}
			}
		}
		if v, err := ParseDuration(s); err == nil {
			check(v.String())
			if d, err := v.Duration(); err == nil {
				if again, err := DurationOf(d).Duration(); err != nil || again != d {
					t.Fatalf("%s is %v, then %v, %v", v, d, again, err)
				}
			}
		}
		if v, err := ParseDate(s); err == nil {
			check(v.String())
			v.Time(nil)
		}
		if v, err := ParseTime(s); err == nil {
			check(v.String())
			v.Time(nil)
		}
		if v, err := ParseGMonthDay(s); err == nil {
			check(v.String())
			v.Time(nil)
		}
	})
}
