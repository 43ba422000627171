package wire

import (
	"encoding/xml"
	"strings"
	"testing"
)

func n(space, local string) xml.Name { return xml.Name{Space: space, Local: local} }

func TestWriter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		write func(w *Writer)
		want  string // empty: an error is wanted
		err   string
	}{
		{"empty element", func(w *Writer) { w.Start(n("", "a")); w.End() }, `<a/>`, ""},
		{"text", func(w *Writer) { w.Element(n("", "a"), "x<>&\"'\t\n\ry") }, "<a>x&lt;&gt;&amp;\"'\t\n&#xD;y</a>", ""},
		{"attribute", func(w *Writer) { w.Start(n("", "a")); w.Attr(n("", "b"), "x<>&\"'\t\n\ry"); w.End() },
			`<a b="x&lt;&gt;&amp;&quot;'&#x9;&#xA;&#xD;y"/>`, ""},
		{"late namespaces go to the root", func(w *Writer) {
			w.Start(n("u", "a"))
			w.Element(n("v", "b"), "x")
			w.Start(n("u", "c"))
			w.AttrQName(n("", "t"), n("w", "q"))
			w.End()
			w.End()
		}, `<n1:a xmlns:n1="u" xmlns:n2="v" xmlns:n3="w"><n2:b>x</n2:b><n1:c t="n3:q"/></n1:a>`, ""},
		{"declared beforehand", func(w *Writer) {
			w.Declaration()
			w.Declare("s", "u")
			w.Declare("s", "v")
			w.Declare("again", "u")
			w.Declare("xmlfoo", "w")
			w.Declare("no name", "x")
			w.Start(n("u", "a"))
			w.Element(n("v", "b"), "")
			w.End()
		}, `<?xml version="1.0" encoding="utf-8"?><s:a xmlns:s="u" xmlns:n1="v" xmlns:n2="w" xmlns:n3="x"><n1:b/></s:a>`, ""},
		{"a taken prefix", func(w *Writer) {
			w.Declare("n1", "u")
			w.Start(n("v", "a"))
			w.End()
		}, `<n2:a xmlns:n1="u" xmlns:n2="v"/>`, ""},
		{"xml", func(w *Writer) { w.Start(n("", "a")); w.Attr(n(XML, "lang"), "en"); w.End() }, `<a xml:lang="en"/>`, ""},
		{"nil and type", func(w *Writer) {
			w.Start(n("", "a"))
			w.Nil(n("", "b"))
			w.NextType(n(XSD, "int"))
			w.NextAttr(n("", "c"), "d")
			w.Element(n("", "e"), "5")
			w.Element(n("", "f"), "")
			w.End()
		}, `<a xmlns:xsi="` + XSI + `" xmlns:xsd="` + XSD + `"><b xsi:nil="true"/><e xsi:type="xsd:int" c="d">5</e><f/></a>`, ""},
		{"qname", func(w *Writer) { w.QNameElement(n("u", "a"), n("", "b")) }, `<n1:a xmlns:n1="u">b</n1:a>`, ""},
		{"namespace is escaped", func(w *Writer) { w.Element(n(`u"<&`, "a"), "") }, `<n1:a xmlns:n1="u&quot;&lt;&amp;"/>`, ""},
		{"high characters", func(w *Writer) { w.Element(n("", "é"), "é€😀") }, `<é>é€😀</é>`, ""},

		{"control character", func(w *Writer) { w.Element(n("", "a"), "x\x01") }, "", "write element a: character U+0001"},
		{"control in attribute", func(w *Writer) { w.Start(n("", "a")); w.Attr(n("", "b"), "\x00"); w.End() }, "", "U+0000"},
		{"invalid utf-8", func(w *Writer) { w.Element(n("", "a"), "x\xff") }, "", "invalid UTF-8 at byte 1"},
		{"noncharacter", func(w *Writer) { w.Element(n("", "a"), "\uFFFE") }, "", "illegal character"},
		{"control in namespace", func(w *Writer) { w.Element(n("u\x01", "a"), "") }, "", "U+0001"},
		{"control in late namespace", func(w *Writer) { w.Start(n("", "a")); w.Element(n("u\x01", "b"), ""); w.End() }, "", "U+0001"},
		{"not closed", func(w *Writer) { w.Start(n("", "a")) }, "", "still open"},
		{"nothing", func(*Writer) {}, "", "no element"},
		{"closed twice", func(w *Writer) { w.Start(n("", "a")); w.End(); w.End() }, "", "no element to end"},
		{"two roots", func(w *Writer) { w.Element(n("", "a"), ""); w.Element(n("", "b"), "") }, "", "not allowed here"},
		{"text outside", func(w *Writer) { w.Text("x") }, "", "outside the root"},
		{"late attribute", func(w *Writer) { w.Start(n("", "a")); w.Text("x"); w.Attr(n("", "b"), ""); w.End() }, "", "attribute not allowed"},
		{"bad qname", func(w *Writer) { w.QNameElement(n("", "a"), n("", "b c")) }, "", "not a name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := NewWriter(make([]byte, 0, 8))
			tt.write(w)
			b, err := w.Bytes()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %s, %v, want an error with %q", b, err, tt.err)
				}
				return
			}
			if err != nil || string(b) != tt.want {
				t.Fatalf("got  %s, %v\nwant %s", b, err, tt.want)
			}
			again, err := w.Bytes()
			if err != nil || string(again) != tt.want {
				t.Errorf("second Bytes = %s, %v", again, err)
			}
			if _, err := infoset(NewReader(b, Options{})); err != nil {
				t.Errorf("cannot be read back: %v", err)
			}
			w.Reset()
			tt.write(w)
			if again, err = w.Bytes(); err != nil || string(again) != tt.want {
				t.Errorf("after Reset %s, %v", again, err)
			}
		})
	}
}
