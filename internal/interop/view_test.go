package interop

import (
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/interop/catalog"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
)

// A view is what one side understood of a value: the text of everything in it
// by path, as in
//
//	items.item[0].price           19.90
//	items.item[0].price.currency  CHF
//	customer.@type                Company
//
// Names are those of the schema in small letters. What is absent has no path.
type view map[string]string

const (
	isNil   = "(nil)"   // present without a value, xsi:nil
	isEmpty = "(empty)" // an element that could have children and has none
	absent  = "(absent)"
)

// viewOf returns the view of a generated value, and the Go type at each path.
func viewOf(v any) (view, map[string]reflect.Type) {
	b := builder{view{}, map[string]reflect.Type{}}
	b.add("", reflect.ValueOf(v))
	return b.view, b.types
}

type builder struct {
	view  view
	types map[string]reflect.Type
}

func (b builder) put(path string, t reflect.Type, text string) {
	b.view[path], b.types[path] = text, t
}

func (b builder) add(path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if !v.IsNil() {
			b.add(path, v.Elem())
		}
		return
	}
	switch x := v.Interface().(type) {
	case []byte:
		b.put(path, v.Type(), hex.EncodeToString(x))
		return
	case xml.Name:
		b.put(path, v.Type(), "{"+x.Space+"}"+x.Local)
		return
	case catalog.Note:
		b.put(path, v.Type(), infoset(x.Content))
		return
	case wire.Raw:
		b.put(path, v.Type(), infoset(x))
		return
	case fmt.Stringer:
		b.put(path, v.Type(), x.String())
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			b.put(path+".@type", reflect.TypeFor[string](), v.Elem().Elem().Type().Name())
			b.add(path, v.Elem())
		}
	case reflect.Slice:
		if list, ok := lists[path]; ok {
			b.put(path, v.Type(), list(v))
			return
		}
		for i := range v.Len() {
			b.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Struct:
		b.addStruct(path, v)
	default:
		b.put(path, v.Type(), fmt.Sprint(v.Interface()))
	}
}

// lists are the elements that hold an xs:list, where nothing is not absence.
var lists = map[string]func(reflect.Value) string{"sizes": joined, "colors": joinedOrAbsent}

func joined(v reflect.Value) string { return strings.Trim(fmt.Sprint(v.Interface()), "[]") }

func joinedOrAbsent(v reflect.Value) string {
	if v.IsNil() {
		return absent
	}
	return joined(v)
}

func (b builder) addStruct(path string, v reflect.Value) {
	if n, ok := nillable(v); ok {
		if v.FieldByName("Nil").Bool() {
			b.put(path, v.Type(), isNil)
		} else {
			b.add(path, n)
		}
		return
	}
	before := len(b.view)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := strings.ToLower(f.Name)
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case name == "value" || name == "choice": // simple content; a choice has no element of its own
			at = path
		case name == "choices":
			at = strings.TrimPrefix(path+".", ".") + "event"
		case (name == "remark" || name == "quantity") && v.Field(i).IsNil(): // nillable, and required
			b.put(at, f.Type, isNil)
		}
		b.add(at, v.Field(i))
	}
	if len(b.view) == before && path != "" {
		b.put(path, v.Type(), isEmpty)
	}
}

// nillable returns the value of a wire.Nillable.
func nillable(v reflect.Value) (reflect.Value, bool) {
	if !strings.HasPrefix(v.Type().Name(), "Nillable[") {
		return v, false
	}
	return v.FieldByName("Value"), true
}

// infoset returns what XML says, whatever its prefixes.
func infoset(x wire.Raw) string {
	var b strings.Builder
	d := xml.NewDecoder(strings.NewReader(x.String()))
	for {
		tok, err := d.Token()
		if err != nil {
			return b.String()
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			fmt.Fprintf(&b, "<{%s}%s", tok.Name.Space, tok.Name.Local)
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					fmt.Fprintf(&b, " {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
				}
			}
			b.WriteByte('>')
		case xml.EndElement:
			b.WriteString("</>")
		case xml.CharData:
			b.Write(tok)
		}
	}
}

// with returns all of some views, the last one winning.
func with(views ...view) view {
	all := view{}
	for _, v := range views {
		maps.Copy(all, v)
	}
	return all
}

// readXML returns v with all XML in it as viewOf gives it. Elements of an xs:any
// may be under paths of their own or all under "any".
func readXML(v view) view {
	out := view{}
	for path, text := range v {
		raw, err := wire.ParseRaw(text)
		switch {
		case err != nil, !strings.HasPrefix(path, "any") && path != "note":
			out[path] = text
		case path == "any":
			for i, e := range raw.Elements() {
				out[fmt.Sprintf("any[%d]", i)] = infoset(e)
			}
		default:
			out[path] = infoset(raw)
		}
	}
	return out
}

// same reports whether two texts are the same value of a type.
func same(t reflect.Type, a, b string) bool {
	if a == b {
		return true
	}
	x, errA := value(t, a)
	y, errB := value(t, b)
	return errA == nil && errB == nil && x == y
}

// value returns what a text means, in a form that can be compared.
func value(t reflect.Type, s string) (any, error) {
	if t == nil {
		return s, nil
	}
	switch t {
	case reflect.TypeFor[xsd.DateTime]():
		v, err := xsd.ParseDateTime(s)
		return fmt.Sprint(v.HasZone(), v.Time(nil).UTC()), err
	case reflect.TypeFor[xsd.Time]():
		v, err := xsd.ParseTime(s)
		return fmt.Sprint(v.HasZone(), v.Time(nil).UTC()), err
	case reflect.TypeFor[xsd.Date]():
		v, err := xsd.ParseDate(s)
		return fmt.Sprint(v.HasZone(), v.Time(nil).UTC()), err
	case reflect.TypeFor[xsd.Duration]():
		v, err := xsd.ParseDuration(s)
		if err != nil {
			return nil, err
		}
		span, err := v.Span()
		return fmt.Sprint(span), err
	case reflect.TypeFor[xsd.Decimal](), reflect.TypeFor[xsd.Integer]():
		v, ok := new(big.Rat).SetString(s)
		if !ok {
			return nil, strconv.ErrSyntax
		}
		return v.RatString(), nil
	}
	if t == reflect.TypeFor[xml.Name]() {
		return strings.TrimPrefix(s, "{}"), nil
	}
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		v, err := strconv.ParseFloat(s, t.Bits())
		return fmt.Sprint(v), err // NaN is NaN here
	case reflect.Bool:
		return strconv.ParseBool(s)
	case reflect.Slice:
		return strings.ToLower(s), nil // hexadecimal, and names
	}
	return s, nil
}

// checkView compares what somebody understood with what was meant. Paths in
// differs have the text given there instead: a stack's peculiarity, which must
// show, or it is no more one.
func checkView(t *testing.T, what string, got view, want any, differs view) {
	t.Helper()
	for _, line := range compare(got, want, differs) {
		t.Errorf("%s: %s", what, line)
	}
}

func compare(got view, meant any, differs view) (lines []string) {
	want, types := viewOf(meant)
	paths := maps.Clone(want)
	maps.Copy(paths, got)
	maps.Copy(paths, differs)
	at := func(m view, path string) string {
		if s, ok := m[path]; ok {
			return s
		}
		return absent
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		w, differ := differs[path]
		if !differ {
			w = at(want, path)
		}
		g := at(got, path)
		switch {
		case differ && same(types[path], at(want, path), w):
			lines = append(lines, fmt.Sprintf("%s is said to differ and to be %q, which is what is meant", path, w))
		case !same(types[path], g, w):
			lines = append(lines, fmt.Sprintf("%s = %q, want %q", path, g, w))
		}
	}
	return lines
}

func TestCompare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(view)
		differs view
		want    string // part of the one line; empty: no line
	}{
		{"same", func(view) {}, nil, ""},
		{"other lexical form", func(v view) {
			v["placed"], v["total"], v["factor"] = "2026-02-28T18:29:59.500Z", "12345678901234567890.1234567890", "1.7976931348623157E+308"
			v["active"], v["validfor"] = "1", "P1Y2M3DT4H5M6.750S"
		}, nil, ""},
		{"zone lost", func(v view) { v["placed"] = "2026-02-28T23:59:59.5" }, nil, `placed = "2026-02-28T23:59:59.5", want`},
		{"digit lost", func(v view) { v["total"] = "12345678901234567890.12345678" }, nil, "total = "},
		{"element lost", func(v view) { delete(v, "items.item[1].sku") }, nil, `items.item[1].sku = "(absent)", want "B-2"`},
		{"nil became empty", func(v view) { v["items.item[1].quantity"] = "" }, nil, `quantity = "", want "(nil)"`},
		{"one too many", func(v view) { v["tag[2]"] = "x" }, nil, `tag[2] = "x", want "(absent)"`},
		{"type lost", func(v view) { v["customer.@type"] = "Party" }, nil, "customer.@type"},
		{"known peculiarity", func(v view) { delete(v, "lang") }, view{"lang": absent}, ""},
		{"peculiarity gone", func(view) {}, view{"lang": absent}, `lang = "de-CH", want "(absent)"`},
		{"no peculiarity", func(view) {}, view{"lang": "de-CH"}, "lang is said to differ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _ := viewOf(fullOrder())
			tt.change(got)
			lines := compare(got, fullOrder(), tt.differs)
			switch {
			case tt.want == "" && len(lines) > 0:
				t.Errorf("compare = %q, want nothing", lines)
			case tt.want != "" && (len(lines) != 1 || !strings.Contains(lines[0], tt.want)):
				t.Errorf("compare = %q, want one line with %q", lines, tt.want)
			}
		})
	}
}
