package main

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

const nsXSD = "http://www.w3.org/2001/XMLSchema"

// canonical returns one text for each value of a simple type, whatever its
// lexical form (XML Schema 2 2.2). It is false for text that is none of them.
// The code is independent of package xsd on purpose.
func canonical(s *wsdl.Simple, text string, scope *node) (string, bool) {
	switch s.Variety {
	case wsdl.List:
		var out []string
		for _, f := range strings.Fields(text) {
			c, ok := canonicalType(s.Item, f, scope)
			if !ok {
				return "", false
			}
			out = append(out, c)
		}
		return strings.Join(out, "\x00"), true
	case wsdl.Union: // the first member that takes the text counts
		for i, m := range s.Members {
			if c, ok := canonicalType(m, text, scope); ok && allowed(m, text) {
				return strconv.Itoa(i) + "\x00" + c, true
			}
		}
		return "", false
	}
	name := "anySimpleType"
	if s.Atom != nil {
		name = s.Atom.Name.Local
	}
	return primitive(name, whiteSpace(s, name, text), scope)
}

func canonicalType(t *wsdl.Type, text string, scope *node) (string, bool) {
	if t == nil || t.Simple == nil {
		return text, true
	}
	return canonical(t.Simple, text, scope)
}

// allowed reports whether a member of a union has a value, by its enumeration.
func allowed(t *wsdl.Type, text string) bool {
	if t.Simple == nil || len(t.Simple.Enum) == 0 {
		return true
	}
	for _, e := range t.Simple.Enum {
		if e.Value == strings.TrimSpace(text) {
			return true
		}
	}
	return false
}

// whiteSpace applies the facet of that name.
func whiteSpace(s *wsdl.Simple, name, text string) string {
	mode := "collapse"
	switch name {
	case "string", "anySimpleType":
		mode = "preserve"
	case "normalizedString":
		mode = "replace"
	}
	for _, f := range s.Facets {
		if f.Name == "whiteSpace" {
			mode = f.Value
			break
		}
	}
	switch mode {
	case "preserve":
		return text
	case "replace":
		return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(text)
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
}

var decimalForm = regexp.MustCompile(`^([+-]?)(\d*)(?:\.(\d*))?$`)

// primitive is canonical for a built-in type.
func primitive(name, s string, scope *node) (string, bool) {
	switch name {
	case "decimal", "integer", "long", "int", "short", "byte", "nonNegativeInteger", "positiveInteger", "nonPositiveInteger",
		"negativeInteger", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte":
		m := decimalForm.FindStringSubmatch(s)
		if m == nil || m[2]+m[3] == "" || name != "decimal" && strings.Contains(s, ".") {
			return "", false
		}
		whole, frac := strings.TrimLeft(m[2], "0"), strings.TrimRight(m[3], "0")
		if whole+frac == "" {
			return "0", true
		}
		return strings.TrimPrefix(m[1], "+") + whole + "." + frac, true
	case "float", "double":
		bits := 64
		if name == "float" {
			bits = 32
		}
		switch s {
		case "INF", "-INF", "NaN":
			return s, true
		}
		if strings.ContainsAny(s, "xXpPnN_") {
			return "", false
		}
		f, err := strconv.ParseFloat(s, bits)
		if err != nil && !math.IsInf(f, 0) {
			return "", false
		}
		return strconv.FormatFloat(f, 'g', -1, bits), true
	case "boolean":
		switch s {
		case "true", "1":
			return "true", true
		case "false", "0":
			return "false", true
		}
		return "", false
	case "base64Binary":
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(s, " ", ""))
		return string(b), err == nil
	case "hexBinary":
		b, err := hex.DecodeString(s)
		return string(b), err == nil
	case "QName", "NOTATION":
		q, ok := scope.qname(s)
		return "{" + q.Space + "}" + q.Local, ok
	case "duration", "yearMonthDuration", "dayTimeDuration":
		return duration(s)
	case "dateTime", "dateTimeStamp", "date", "time", "gYear", "gYearMonth", "gMonth", "gMonthDay", "gDay":
		return moment(name, s)
	case "NMTOKENS", "IDREFS", "ENTITIES":
		return strings.Join(strings.Fields(s), " "), true
	}
	return s, true
}

var durationForm = regexp.MustCompile(`^(-?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d*)?|\.\d+)S)?)?$`)

// duration makes months and seconds of a duration (XML Schema 2 3.2.6).
func duration(s string) (string, bool) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil || m[5] == "T" || m[2]+m[3]+m[4]+m[5] == "" {
		return "", false
	}
	number := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			return new(big.Rat)
		}
		return r
	}
	months := new(big.Rat).Add(number(m[3]), new(big.Rat).Mul(number(m[2]), big.NewRat(12, 1)))
	seconds := number(strings.TrimSuffix(m[8], "."))
	for i, unit := range map[int]int64{4: 86400, 6: 3600, 7: 60} {
		seconds.Add(seconds, new(big.Rat).Mul(number(m[i]), big.NewRat(unit, 1)))
	}
	if months.Sign() == 0 && seconds.Sign() == 0 {
		return "0", true
	}
	return m[1] + months.RatString() + " " + seconds.RatString(), true
}

var momentForms = func() map[string]*regexp.Regexp {
	const year, month, day, clock = `(?P<y>-?\d{4,})`, `(?P<m>\d\d)`, `(?P<d>\d\d)`, `(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d+))?`
	forms := map[string]string{
		"dateTime": year + "-" + month + "-" + day + "T" + clock, "date": year + "-" + month + "-" + day, "time": clock,
		"gYear": year, "gYearMonth": year + "-" + month, "gMonth": "--" + month + "(?:--)?", "gMonthDay": "--" + month + "-" + day, "gDay": "---" + day,
	}
	forms["dateTimeStamp"] = forms["dateTime"]
	m := map[string]*regexp.Regexp{}
	for name, form := range forms {
		m[name] = regexp.MustCompile("^" + form + `(?P<z>Z|[+-]\d\d:\d\d)?$`)
	}
	return m
}()

// moment makes a point in time, of those with a zone in UTC (XML Schema 2
// 3.2.7 to 3.2.14).
func moment(name, s string) (string, bool) {
	form := momentForms[name]
	m := form.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	get := func(field string) string {
		if i := form.SubexpIndex(field); i >= 0 {
			return m[i]
		}
		return ""
	}
	number := func(field string, def int64) int64 {
		v := get(field)
		if v == "" {
			return def
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || len(v) > 14 {
			return math.MinInt64
		}
		return n
	}
	year := number("y", 2000)
	if year == math.MinInt64 {
		return s, true // too large to calculate with
	}
	seconds := days(year, number("m", 1), number("d", 1))*86400 + number("H", 0)*3600 + number("M", 0)*60 + number("S", 0)
	zone := get("z")
	if zone != "" && zone != "Z" {
		h, _ := strconv.ParseInt(zone[1:3], 10, 64) // the form has digits there
		min, _ := strconv.ParseInt(zone[4:], 10, 64)
		offset := h*3600 + min*60
		if zone[0] == '-' {
			offset = -offset
		}
		seconds -= offset
		zone = "Z"
	}
	if name == "time" {
		seconds = ((seconds % 86400) + 86400) % 86400
	}
	return strconv.FormatInt(seconds, 10) + "." + strings.TrimRight(get("f"), "0") + zone, true
}

// days counts from an arbitrary day, by the Gregorian calendar.
func days(y, m, d int64) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	floor := func(a, b int64) int64 {
		if a < 0 {
			return (a - b + 1) / b
		}
		return a / b
	}
	return 365*y + floor(y, 4) - floor(y, 100) + floor(y, 400) + (153*(m-3)+2)/5 + d
}
