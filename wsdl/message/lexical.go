package message

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/wsdl"
)

// lexical returns the text of v as a value of t, and complains if t has no such
// value. Facets other than enumerations are left to the server.
func (x *encoder) lexical(t *wsdl.Type, v *value) string {
	if v.kind == file {
		return fileText(t, v.text)
	}
	if err := check(t, v.text); err != nil {
		x.fail("%w", err)
	}
	return v.text
}

// fileText is the content of a file as a value of t.
func fileText(t *wsdl.Type, data string) string {
	if t != nil && t.Simple != nil && t.Simple.Atom != nil {
		switch t.Simple.Atom.Name.Local {
		case "base64Binary":
			return base64.StdEncoding.EncodeToString([]byte(data))
		case "hexBinary":
			return strings.ToUpper(hex.EncodeToString([]byte(data)))
		}
	}
	return data
}

// check reports what is wrong with s as a value of t.
func check(t *wsdl.Type, s string) error {
	if t == nil || t.Simple == nil {
		return nil
	}
	switch t.Simple.Variety {
	case wsdl.List:
		for _, item := range strings.Fields(s) {
			if err := check(t.Simple.Item, item); err != nil {
				return err
			}
		}
		return nil
	case wsdl.Union:
		var first error
		for _, m := range t.Simple.Members {
			err := check(m, s)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
	if len(t.Simple.Enum) > 0 && !isQName(t) {
		var all []string
		for _, e := range t.Simple.Enum {
			if e.Value == s || xsd.Collapse(e.Value) == xsd.Collapse(s) {
				return nil
			}
			all = append(all, e.Value)
		}
		return fmt.Errorf("%q is not one of the values allowed%s", s, didYouMean(s, all))
	}
	if t.Simple.Atom == nil {
		return nil
	}
	name := t.Simple.Atom.Name.Local
	parse := parsers[name]
	if parse == nil {
		return nil
	}
	if err := parse(s); err != nil {
		return fmt.Errorf("%q is no xs:%s, such as %s", s, name, plainExample(name))
	}
	return nil
}

func parser[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

// parsers check the built-in types whose values can be wrong.
var parsers = map[string]func(string) error{
	"boolean": parser(xsd.ParseBool), "decimal": parser(xsd.ParseDecimal), "float": parser(xsd.ParseFloat32),
	"double": parser(xsd.ParseFloat64), "duration": parser(xsd.ParseDuration), "dateTime": parser(xsd.ParseDateTime),
	"time": parser(xsd.ParseTime), "date": parser(xsd.ParseDate), "hexBinary": parser(xsd.ParseHex),
	"base64Binary": parser(xsd.ParseBase64), "integer": parser(xsd.ParseInteger), "long": parser(xsd.ParseInt64),
	"int": parser(xsd.ParseInt32), "short": parser(xsd.ParseInt16), "byte": parser(xsd.ParseInt8),
	"unsignedLong": parser(xsd.ParseUint64), "unsignedInt": parser(xsd.ParseUint32),
	"unsignedShort": parser(xsd.ParseUint16), "unsignedByte": parser(xsd.ParseUint8),
	"nonNegativeInteger": parser(xsd.ParseInteger), "positiveInteger": parser(xsd.ParseInteger),
	"nonPositiveInteger": parser(xsd.ParseInteger), "negativeInteger": parser(xsd.ParseInteger),
}

// didYouMean proposes the name most like s, or lists a few.
func didYouMean(s string, names []string) string {
	best, least := "", max(2, len(s)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(s), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" && s != "" { // a part of one
		for _, n := range names {
			if strings.Contains(strings.ToLower(n), strings.ToLower(s)) {
				best = n
				break
			}
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(names) == 0:
		return ""
	}
	const show = 12
	list := strings.Join(names[:min(show, len(names))], ", ")
	if len(names) > show {
		list += fmt.Sprintf(" and %d more", len(names)-show)
	}
	return "; there is " + list
}

// distance is the number of edits between two names (Levenshtein).
func distance(a, b string) int {
	const long = 200
	x, y := []rune(a[:min(len(a), long)]), []rune(b[:min(len(b), long)])
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{cost, row[j] + 1, diagonal + 1})
		}
	}
	return row[len(y)]
}
