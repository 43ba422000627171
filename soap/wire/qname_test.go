package wire

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"
)

// names is an element with qualified names in it and in an attribute.
type names struct{ attr, text []xml.Name }

func (x *names) UnmarshalWire(r *Reader) {
	for _, a := range r.Attrs() {
		x.attr = r.AttrQNameList(a)
	}
	x.text = r.QNameList()
}

func (x *names) MarshalWire(w *Writer, name xml.Name) {
	w.Start(name)
	w.BeginAttr(xml.Name{Local: "a"})
	w.QNameList(x.attr)
	w.EndAttr()
	w.QNameList(x.text)
	w.End()
}

// TestQNameList keeps what the names mean, whatever their prefixes.
func TestQNameList(t *testing.T) {
	t.Parallel()
	a, b, c := xml.Name{Space: "urn:a", Local: "x"}, xml.Name{Space: "urn:b", Local: "x"}, xml.Name{Local: "y"}
	for _, tt := range []struct {
		doc        string
		attr, text []xml.Name
		err        string
	}{
		{`<e xmlns:p="urn:a" xmlns:q="urn:b" a=" p:x  q:x "> y` + "\n" + `p:x </e>`, []xml.Name{a, b}, []xml.Name{c, a}, ""},
		{`<e xmlns="urn:a" a="">x</e>`, []xml.Name{}, []xml.Name{a}, ""},
		{`<e a="p:x"/>`, nil, nil, "undeclared prefix p"},
		{`<e>p:x</e>`, nil, nil, "undeclared prefix p"},
		{`<e>1</e>`, nil, nil, "not a qualified name"},
	} {
		var v, again names
		err := Unmarshal([]byte(tt.doc), &v, Options{})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %q", tt.doc, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(v.attr, tt.attr) || !slices.Equal(v.text, tt.text) {
			t.Errorf("%s: got %v, %v", tt.doc, v, err)
		}
		out, err := Marshal(&v, xml.Name{Local: "e"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(out, &again, Options{}); err != nil || !slices.Equal(again.attr, tt.attr) || !slices.Equal(again.text, tt.text) {
			t.Errorf("%s: got %v, %v from %s", tt.doc, again, err, out)
		}
	}
}

// TestAnyQName guards against losing the prefix of a name in an element of any
// type.
func TestAnyQName(t *testing.T) {
	t.Parallel()
	const doc = `<e xmlns:i="` + XSI + `" xmlns:s="` + XSD + `" xmlns:p="urn:a" i:type="s:QName">p:x</e>`
	var v, again Any
	if err := Unmarshal([]byte(doc), &v, Options{}); err != nil {
		t.Fatal(err)
	}
	want := xml.Name{Space: "urn:a", Local: "x"}
	for _, x := range []Any{v, QNameAny(want)} {
		out, err := Marshal(&x, xml.Name{Local: "e"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(out, &again, Options{}); err != nil {
			t.Fatal(err)
		}
		if got, ok := again.QName(); !ok || got != want {
			t.Errorf("got %v, %v from %s", got, ok, out)
		}
	}
	v.Type = xml.Name{Space: XSD, Local: "string"}
	if _, ok := v.QName(); ok {
		t.Error("a string is a qualified name")
	}
}
