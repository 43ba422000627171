package xsd

import (
	"encoding"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits bounds Integer and Decimal. Schema processors must support 18
// (4.3 of the conformance notes); arithmetic on millions of digits would let a
// peer burn our time.
const maxDigits = 1024

// Integer is an xs:integer: a whole number of any size, kept as it was
// written. The zero value is 0. 3.3.13.
type Integer struct{ lex string }

// IntegerOf returns n as an Integer.
func IntegerOf(n int64) Integer { return Integer{strconv.FormatInt(n, 10)} }

// IntegerOfBig returns n as an Integer. nil is 0.
func IntegerOfBig(n *big.Int) Integer {
	if n == nil {
		return Integer{}
	}
	return Integer{n.String()}
}

func lexInteger(s, typ string) (string, error) {
	t := trim(s)
	u := t
	if u != "" && (u[0] == '+' || u[0] == '-') {
		u = u[1:]
	}
	if u == "" || digits(u) != len(u) || len(u) > maxDigits {
		return "", bad(typ, s)
	}
	return t, nil
}

// signOf returns the sign of a number in lexical form.
func signOf(lex string) int {
	if strings.Trim(lex, "+-0.") == "" {
		return 0
	}
	if lex[0] == '-' {
		return -1
	}
	return 1
}

func parseInteger(s, typ string, ok func(sign int) bool) (Integer, error) {
	t, err := lexInteger(s, typ)
	if err != nil {
		return Integer{}, err
	}
	if !ok(signOf(t)) {
		return Integer{}, bad(typ, s)
	}
	return Integer{t}, nil
}

// ParseInteger parses an xs:integer.
func ParseInteger(s string) (Integer, error) {
	return parseInteger(s, "integer", func(int) bool { return true })
}

// ParseNonNegativeInteger parses an xs:nonNegativeInteger. 3.3.20.
func ParseNonNegativeInteger(s string) (Integer, error) {
	return parseInteger(s, "nonNegativeInteger", func(n int) bool { return n >= 0 })
}

// ParsePositiveInteger parses an xs:positiveInteger. 3.3.25.
func ParsePositiveInteger(s string) (Integer, error) {
	return parseInteger(s, "positiveInteger", func(n int) bool { return n > 0 })
}

// ParseNonPositiveInteger parses an xs:nonPositiveInteger. 3.3.14.
func ParseNonPositiveInteger(s string) (Integer, error) {
	return parseInteger(s, "nonPositiveInteger", func(n int) bool { return n <= 0 })
}

// ParseNegativeInteger parses an xs:negativeInteger. 3.3.15.
func ParseNegativeInteger(s string) (Integer, error) {
	return parseInteger(s, "negativeInteger", func(n int) bool { return n < 0 })
}

// AppendInteger appends an xs:integer.
func AppendInteger(dst []byte, v Integer) []byte { return append(dst, v.String()...) }

// String returns the number as it was written.
func (v Integer) String() string {
	if v.lex == "" {
		return "0"
	}
	return v.lex
}

// Int64 returns v, or an error if it does not fit.
func (v Integer) Int64() (int64, error) {
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("xsd: integer of %d digits does not fit in int64", len(v.lex))
	}
	return n, nil
}

// Big returns v.
func (v Integer) Big() *big.Int {
	n, _ := new(big.Int).SetString(v.String(), 10) // lexical form was checked
	return n
}

// Cmp compares values: "+07" equals "7".
func (v Integer) Cmp(w Integer) int { return v.Big().Cmp(w.Big()) }

// MarshalText implements encoding.TextMarshaler.
func (v Integer) MarshalText() ([]byte, error) { return AppendInteger(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Integer) UnmarshalText(b []byte) (err error) { *v, err = ParseInteger(string(b)); return err }

// Decimal is an xs:decimal: a decimal number of any precision, kept as it was
// written. The zero value is 0. 3.2.3.
type Decimal struct{ lex string }

// DecimalOf returns n as a Decimal.
func DecimalOf(n int64) Decimal { return Decimal{strconv.FormatInt(n, 10)} }

// DecimalOfFloat returns the shortest Decimal that reads back as f. It is an
// error if f is not a number or too large.
func DecimalOfFloat(f float64) (Decimal, error) {
	return ParseDecimal(strconv.FormatFloat(f, 'f', -1, 64))
}

// ParseDecimal parses an xs:decimal.
func ParseDecimal(s string) (Decimal, error) {
	t := trim(s)
	u := t
	if u != "" && (u[0] == '+' || u[0] == '-') {
		u = u[1:]
	}
	whole := digits(u)
	frac := 0
	if u = u[whole:]; u != "" && u[0] == '.' {
		frac = digits(u[1:])
		u = u[1+frac:]
	}
	if u != "" || whole+frac == 0 || whole+frac > maxDigits {
		return Decimal{}, bad("decimal", s)
	}
	return Decimal{t}, nil
}

// AppendDecimal appends an xs:decimal.
func AppendDecimal(dst []byte, v Decimal) []byte { return append(dst, v.String()...) }

// String returns the number as it was written.
func (v Decimal) String() string {
	if v.lex == "" {
		return "0"
	}
	return v.lex
}

// Float64 returns the nearest float64. Money should use Rat or String.
func (v Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(v.String(), 64) // out of range is an infinity
	return f
}

// Rat returns v exactly.
func (v Decimal) Rat() *big.Rat {
	n, _ := new(big.Rat).SetString(v.String()) // lexical form was checked
	return n
}

// Int64 returns v, or an error if it has a fraction or does not fit.
func (v Decimal) Int64() (int64, error) {
	whole, frac, _ := strings.Cut(v.String(), ".")
	if strings.Trim(frac, "0") != "" {
		return 0, errors.New("xsd: decimal has a fraction")
	}
	if strings.Trim(whole, "+-") == "" {
		return 0, nil // ".0"
	}
	return Integer{whole}.Int64()
}

// Cmp compares values: "1.50" equals "1.5".
func (v Decimal) Cmp(w Decimal) int { return v.Rat().Cmp(w.Rat()) }

// MarshalText implements encoding.TextMarshaler.
func (v Decimal) MarshalText() ([]byte, error) { return AppendDecimal(nil, v), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Decimal) UnmarshalText(b []byte) (err error) { *v, err = ParseDecimal(string(b)); return err }

var (
	_ encoding.TextUnmarshaler = (*Integer)(nil)
	_ encoding.TextUnmarshaler = (*Decimal)(nil)
)
