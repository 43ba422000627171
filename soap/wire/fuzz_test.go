package wire

import (
	"encoding/xml"
	"strings"
	"testing"
)

// FuzzReader: no input makes the Reader panic, and Text reads what Next does;
// what it accepts means the same after re-encoding, and after being carried as
// Raw into a document that binds the same prefixes differently.
// FuzzReaderBesideLibxml2 and FuzzReaderBesideEncodingXML say whether it is the
// right meaning.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		`<a/>`,
		`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:x xmlns:m="u" m:a="1">t&amp;<![CDATA[<]]>&#x41;</m:x></s:Body></s:Envelope>`,
		`<a xmlns="u" xmlns:p="v"><p:b xmlns="" c="p:d"/><!-- c --><?pi?></a>`,
		"<a b='1\r\n2'>\r\n&#13;</a>",
		"\xFF\xFE<\x00a\x00/\x00>\x00",
		`<?xml version='1.0' encoding='ISO-8859-1'?><a>` + "\xE9</a>",
		`<!DOCTYPE a><a/>`,
		`<n1:a xmlns:n1="u"><n2:b xmlns:n2="v" n1:x=""/></n1:a>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		checkLeaves(t, doc, Options{})
		want, err := infoset(NewReader(doc, Options{}))
		if err != nil {
			return
		}
		w := NewWriter(nil)
		rewrite(w, NewReader(doc, Options{}))
		b, err := w.Bytes()
		if err != nil {
			t.Fatalf("re-encode: %v", err)
		}
		if got, err := infoset(NewReader(b, Options{Limits: Limits{Bytes: 1 << 30, Name: 1 << 20}})); got != want || err != nil {
			t.Fatalf("re-encoded as %q: %v\n%s\nwant\n%s", b, err, got, want)
		}

		r := NewReader(doc, Options{})
		r.Next()
		raw := r.Raw()
		if _, err := ParseRaw(raw.String()); err != nil {
			t.Fatalf("captured %q: %v", raw, err)
		}
		host := NewWriter(nil)
		host.Declare("n1", "urn:other")
		host.Declare("p", "urn:another")
		host.Start(xml.Name{Space: "urn:other", Local: "host"})
		host.Raw(raw)
		host.End()
		b, err = host.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		want = "<{urn:other}host>\n" + want + "</{urn:other}host>\n"
		if got, err := infoset(NewReader(b, Options{Limits: Limits{Bytes: 1 << 30, Depth: 300}})); got != want || err != nil {
			t.Fatalf("carried as %q: %v\n%s\nwant\n%s", b, err, got, want)
		}

	})
}

// FuzzParseRaw: what is accepted as content is content, wherever it is put.
func FuzzParseRaw(f *testing.F) {
	for _, s := range []string{"", "t", "<a/>t<b/>", "</x><x>", "</x><!--", "<![CDATA[", "&lt;", "]]>", "<?x?>", "</x>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := ParseRaw(s)
		if err != nil {
			return
		}
		w := NewWriter(nil)
		w.Start(xml.Name{Local: "a"})
		w.Start(xml.Name{Local: "b"})
		w.Raw(raw)
		w.End()
		w.Element(xml.Name{Local: "c"}, "")
		w.End()
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(b, Options{Limits: Limits{Depth: 1 << 20, Elements: 1 << 20, Attributes: 1 << 20, Namespaces: 1 << 20, Name: 1 << 20}}) // ParseRaw has none
		r.Next()
		var names []string
		for r.Child() {
			names = append(names, r.Local())
			r.Skip()
		}
		if r.Err() != nil || strings.Join(names, " ") != "b c" {
			t.Fatalf("%q broke out of its element: %v, %v", s, names, r.Err())
		}
	})
}
