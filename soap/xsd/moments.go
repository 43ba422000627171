package xsd

import (
	"encoding"
	"time"
)

// DateTime is an xs:dateTime, kept as it was written. The zero value is
// 0001-01-01T00:00:00Z. 3.2.7.
type DateTime struct{ moment }

// DateTimeOf returns t, its zone included.
func DateTimeOf(t time.Time) DateTime {
	return DateTime{moment{string(appendYear(nil, t.Year())) + t.Format("-01-02T"+clockLayout) + zone(t)}}
}

// LocalDateTimeOf returns the date and clock of t without zone.
func LocalDateTimeOf(t time.Time) DateTime {
	return DateTime{moment{string(appendYear(nil, t.Year())) + t.Format("-01-02T"+clockLayout)}}
}

// ParseDateTime parses an xs:dateTime.
func ParseDateTime(s string) (DateTime, error) {
	m, err := parseMoment(s, "dateTime", dateTimeLayout)
	return DateTime{m}, err
}

// AppendDateTime appends an xs:dateTime.
func AppendDateTime(dst []byte, v DateTime) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v DateTime) String() string { return v.or("0001-01-01T00:00:00Z") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v DateTime) Time(loc *time.Location) time.Time { return timeOf(v.String(), dateTimeLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v DateTime) MarshalText() ([]byte, error) { return AppendDateTime(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *DateTime) UnmarshalText(b []byte) (err error) {
	*v, err = ParseDateTime(string(b))
	return err
}

// Date is an xs:date, kept as it was written. The zero value is
// 0001-01-01. 3.2.9.
type Date struct{ moment }

// DateOf returns the date of t without zone.
func DateOf(t time.Time) Date {
	return Date{moment{string(appendYear(nil, t.Year())) + t.Format("-01-02")}}
}

// ParseDate parses an xs:date.
func ParseDate(s string) (Date, error) {
	m, err := parseMoment(s, "date", dateLayout)
	return Date{m}, err
}

// AppendDate appends an xs:date.
func AppendDate(dst []byte, v Date) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v Date) String() string { return v.or("0001-01-01") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v Date) Time(loc *time.Location) time.Time { return timeOf(v.String(), dateLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v Date) MarshalText() ([]byte, error) { return AppendDate(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Date) UnmarshalText(b []byte) (err error) {
	*v, err = ParseDate(string(b))
	return err
}

// Time is an xs:time: a time of day, kept as it was written. The zero value is
// 00:00:00. 3.2.8.
type Time struct{ moment }

// TimeOf returns the clock of t without zone.
func TimeOf(t time.Time) Time { return Time{moment{t.Format(clockLayout)}} }

// ParseTime parses an xs:time.
func ParseTime(s string) (Time, error) {
	m, err := parseMoment(s, "time", timeLayout)
	return Time{m}, err
}

// AppendTime appends an xs:time.
func AppendTime(dst []byte, v Time) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v Time) String() string { return v.or("00:00:00") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v Time) Time(loc *time.Location) time.Time { return timeOf(v.String(), timeLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v Time) MarshalText() ([]byte, error) { return AppendTime(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Time) UnmarshalText(b []byte) (err error) {
	*v, err = ParseTime(string(b))
	return err
}

// GYear is an xs:gYear, kept as it was written. The zero value is
// 0001. 3.2.11.
type GYear struct{ moment }

// GYearOf returns a year without zone.
func GYearOf(year int) GYear { return GYear{moment{string(appendYear(nil, year))}} }

// ParseGYear parses an xs:gYear.
func ParseGYear(s string) (GYear, error) {
	m, err := parseMoment(s, "gYear", yearLayout)
	return GYear{m}, err
}

// AppendGYear appends an xs:gYear.
func AppendGYear(dst []byte, v GYear) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v GYear) String() string { return v.or("0001") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v GYear) Time(loc *time.Location) time.Time { return timeOf(v.String(), yearLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v GYear) MarshalText() ([]byte, error) { return AppendGYear(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *GYear) UnmarshalText(b []byte) (err error) {
	*v, err = ParseGYear(string(b))
	return err
}

// GYearMonth is an xs:gYearMonth, kept as it was written. The zero value is
// 0001-01. 3.2.10.
type GYearMonth struct{ moment }

// GYearMonthOf returns the year and month of t without zone.
func GYearMonthOf(t time.Time) GYearMonth {
	return GYearMonth{moment{string(appendYear(nil, t.Year())) + t.Format("-01")}}
}

// ParseGYearMonth parses an xs:gYearMonth.
func ParseGYearMonth(s string) (GYearMonth, error) {
	m, err := parseMoment(s, "gYearMonth", yearMonthLayout)
	return GYearMonth{m}, err
}

// AppendGYearMonth appends an xs:gYearMonth.
func AppendGYearMonth(dst []byte, v GYearMonth) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v GYearMonth) String() string { return v.or("0001-01") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v GYearMonth) Time(loc *time.Location) time.Time {
	return timeOf(v.String(), yearMonthLayout, loc)
}

// MarshalText implements encoding.TextMarshaler.
func (v GYearMonth) MarshalText() ([]byte, error) { return AppendGYearMonth(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *GYearMonth) UnmarshalText(b []byte) (err error) {
	*v, err = ParseGYearMonth(string(b))
	return err
}

// GMonth is an xs:gMonth: a month of every year, kept as it was written. The zero value is
// --01. 3.2.14.
type GMonth struct{ moment }

// GMonthOf returns a month without zone.
func GMonthOf(m time.Month) GMonth {
	return GMonth{moment{time.Date(1, m, 1, 0, 0, 0, 0, time.UTC).Format("--01")}}
}

// ParseGMonth parses an xs:gMonth.
func ParseGMonth(s string) (GMonth, error) {
	m, err := parseMoment(s, "gMonth", monthLayout)
	return GMonth{m}, err
}

// AppendGMonth appends an xs:gMonth.
func AppendGMonth(dst []byte, v GMonth) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v GMonth) String() string { return v.or("--01") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v GMonth) Time(loc *time.Location) time.Time { return timeOf(v.String(), monthLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v GMonth) MarshalText() ([]byte, error) { return AppendGMonth(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *GMonth) UnmarshalText(b []byte) (err error) {
	*v, err = ParseGMonth(string(b))
	return err
}

// GMonthDay is an xs:gMonthDay: a day of every year, kept as it was written. The zero value is
// --01-01. 3.2.12.
type GMonthDay struct{ moment }

// GMonthDayOf returns the month and day of t without zone.
func GMonthDayOf(t time.Time) GMonthDay { return GMonthDay{moment{t.Format("--01-02")}} }

// ParseGMonthDay parses an xs:gMonthDay.
func ParseGMonthDay(s string) (GMonthDay, error) {
	m, err := parseMoment(s, "gMonthDay", monthDayLayout)
	return GMonthDay{m}, err
}

// AppendGMonthDay appends an xs:gMonthDay.
func AppendGMonthDay(dst []byte, v GMonthDay) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v GMonthDay) String() string { return v.or("--01-01") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v GMonthDay) Time(loc *time.Location) time.Time { return timeOf(v.String(), monthDayLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v GMonthDay) MarshalText() ([]byte, error) { return AppendGMonthDay(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *GMonthDay) UnmarshalText(b []byte) (err error) {
	*v, err = ParseGMonthDay(string(b))
	return err
}

// GDay is an xs:gDay: a day of every month, kept as it was written. The zero value is
// ---01. 3.2.13.
type GDay struct{ moment }

// GDayOf returns the day of t without zone.
func GDayOf(t time.Time) GDay { return GDay{moment{t.Format("---02")}} }

// ParseGDay parses an xs:gDay.
func ParseGDay(s string) (GDay, error) {
	m, err := parseMoment(s, "gDay", dayLayout)
	return GDay{m}, err
}

// AppendGDay appends an xs:gDay.
func AppendGDay(dst []byte, v GDay) []byte { return append(dst, v.String()...) }

// String returns the value as it was written.
func (v GDay) String() string { return v.or("---01") }

// Time returns the value as a time, what it lacks taken from midnight of
// 1 January of the year 1, its zone from loc. A nil loc is UTC.
func (v GDay) Time(loc *time.Location) time.Time { return timeOf(v.String(), dayLayout, loc) }

// MarshalText implements encoding.TextMarshaler.
func (v GDay) MarshalText() ([]byte, error) { return AppendGDay(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *GDay) UnmarshalText(b []byte) (err error) {
	*v, err = ParseGDay(string(b))
	return err
}

var (
	_ encoding.TextUnmarshaler = (*DateTime)(nil)
	_ encoding.TextUnmarshaler = (*Date)(nil)
	_ encoding.TextUnmarshaler = (*Time)(nil)
	_ encoding.TextUnmarshaler = (*GYear)(nil)
	_ encoding.TextUnmarshaler = (*GYearMonth)(nil)
	_ encoding.TextUnmarshaler = (*GMonth)(nil)
	_ encoding.TextUnmarshaler = (*GMonthDay)(nil)
	_ encoding.TextUnmarshaler = (*GDay)(nil)
)
