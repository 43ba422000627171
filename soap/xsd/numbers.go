package xsd

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
)

// ParseBool parses an xs:boolean. 3.2.2.
func ParseBool(s string) (bool, error) {
	switch trim(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, bad("boolean", s)
}

// AppendBool appends an xs:boolean.
func AppendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

func parseInt(s, typ string, bits int) (int64, error) {
	t := trim(s)
	n, err := strconv.ParseInt(t, 10, bits) // takes a sign, but underscores only in base 0
	if err != nil {
		return 0, bad(typ, s)
	}
	return n, nil
}

func parseUint(s, typ string, bits int) (uint64, error) {
	t := trim(s)
	if t != "" && t[0] == '+' { // 3.3.13 with 3.3.20: a sign is allowed
		t = t[1:]
	}
	if t == "-0" {
		return 0, nil
	}
	n, err := strconv.ParseUint(t, 10, bits)
	if err != nil {
		return 0, bad(typ, s)
	}
	return n, nil
}

// ParseInt8 parses an xs:byte. 3.3.19.
func ParseInt8(s string) (int8, error) { n, err := parseInt(s, "byte", 8); return int8(n), err }

// ParseInt16 parses an xs:short. 3.3.18.
func ParseInt16(s string) (int16, error) { n, err := parseInt(s, "short", 16); return int16(n), err }

// ParseInt32 parses an xs:int. 3.3.17.
func ParseInt32(s string) (int32, error) { n, err := parseInt(s, "int", 32); return int32(n), err }

// ParseInt64 parses an xs:long. 3.3.16.
func ParseInt64(s string) (int64, error) { return parseInt(s, "long", 64) }

// ParseUint8 parses an xs:unsignedByte. 3.3.24.
func ParseUint8(s string) (uint8, error) {
	n, err := parseUint(s, "unsignedByte", 8)
	return uint8(n), err
}

// ParseUint16 parses an xs:unsignedShort. 3.3.23.
func ParseUint16(s string) (uint16, error) {
	n, err := parseUint(s, "unsignedShort", 16)
	return uint16(n), err
}

// ParseUint32 parses an xs:unsignedInt. 3.3.22.
func ParseUint32(s string) (uint32, error) {
	n, err := parseUint(s, "unsignedInt", 32)
	return uint32(n), err
}

// ParseUint64 parses an xs:unsignedLong. 3.3.21.
func ParseUint64(s string) (uint64, error) { return parseUint(s, "unsignedLong", 64) }

// AppendInt8 appends an xs:byte.
func AppendInt8(dst []byte, v int8) []byte { return strconv.AppendInt(dst, int64(v), 10) }

// AppendInt16 appends an xs:short.
func AppendInt16(dst []byte, v int16) []byte { return strconv.AppendInt(dst, int64(v), 10) }

// AppendInt32 appends an xs:int.
func AppendInt32(dst []byte, v int32) []byte { return strconv.AppendInt(dst, int64(v), 10) }

// AppendInt64 appends an xs:long.
func AppendInt64(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// AppendUint8 appends an xs:unsignedByte.
func AppendUint8(dst []byte, v uint8) []byte { return strconv.AppendUint(dst, uint64(v), 10) }

// AppendUint16 appends an xs:unsignedShort.
func AppendUint16(dst []byte, v uint16) []byte { return strconv.AppendUint(dst, uint64(v), 10) }

// AppendUint32 appends an xs:unsignedInt.
func AppendUint32(dst []byte, v uint32) []byte { return strconv.AppendUint(dst, uint64(v), 10) }

// AppendUint64 appends an xs:unsignedLong.
func AppendUint64(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }

func parseFloat(s, typ string, bits int) (float64, error) {
	t := trim(s)
	// zeep 4.2 and PHP 8.2 write inf, INF, nan and NAN, JavaScript Infinity.
	switch strings.ToLower(t) {
	case "inf", "+inf", "infinity":
		return math.Inf(1), nil
	case "-inf", "-infinity":
		return math.Inf(-1), nil
	case "nan":
		return math.NaN(), nil
	}
	for i := 0; i < len(t); i++ { // strconv also takes 0x1p4 and 1_0
		switch c := t[i]; {
		case c-'0' <= 9, c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, bad(typ, s)
		}
	}
	f, err := strconv.ParseFloat(t, bits)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range rounds to INF, 3.2.5
		return 0, bad(typ, s)
	}
	return f, nil
}

// ParseFloat32 parses an xs:float. 3.2.4. INF and NaN may also be spelt as
// other languages do: inf, Infinity, nan.
func ParseFloat32(s string) (float32, error) {
	f, err := parseFloat(s, "float", 32)
	return float32(f), err
}

// ParseFloat64 parses an xs:double, with the same freedom as ParseFloat32.
// 3.2.5.
func ParseFloat64(s string) (float64, error) { return parseFloat(s, "double", 64) }

func appendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "INF"...)
	case math.IsInf(v, -1):
		return append(dst, "-INF"...)
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits)
}

// AppendFloat32 appends an xs:float in the shortest form that reads back equal.
func AppendFloat32(dst []byte, v float32) []byte { return appendFloat(dst, float64(v), 32) }

// AppendFloat64 appends an xs:double in the shortest form that reads back equal.
func AppendFloat64(dst []byte, v float64) []byte { return appendFloat(dst, v, 64) }

// ParseBase64 parses an xs:base64Binary. White space may stand anywhere.
// 3.2.16.
func ParseBase64(s string) ([]byte, error) {
	t := s
	if strings.ContainsAny(t, " \t") { // line ends the decoder skips by itself
		t = strings.Join(fields(t), "")
	}
	b, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		return nil, bad("base64Binary", s)
	}
	return b, nil
}

// AppendBase64 appends an xs:base64Binary.
func AppendBase64(dst, v []byte) []byte { return base64.StdEncoding.AppendEncode(dst, v) }

// ParseHex parses an xs:hexBinary. 3.2.15.
func ParseHex(s string) ([]byte, error) {
	b, err := hex.DecodeString(trim(s))
	if err != nil {
		return nil, bad("hexBinary", s)
	}
	return b, nil
}

// AppendHex appends an xs:hexBinary in its canonical upper case. 3.2.15.2.
func AppendHex(dst, v []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, b := range v {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}
