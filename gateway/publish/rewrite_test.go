package publish

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
)

// nowhere leaves all addresses as they are.
func nowhere(*url.URL) *url.URL { return nil }

func TestRewrite(t *testing.T) {
	t.Parallel()
	to := func(old *url.URL) *url.URL {
		if old.Host == "left.test" {
			return nil
		}
		return &url.URL{Scheme: "http", Host: "local:1", Path: "/p" + old.Path, RawQuery: old.RawQuery}
	}
	const open = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"><service><port>`
	const shut = `</port></service></definitions>`
	for _, tt := range []struct{ name, doc, want string }{
		{"address", open + `<s:address location="http://a/b"/>` + shut, open + `<s:address location="http://local:1/p/b"/>` + shut},
		{"left", open + `<s:address location="http://left.test/b"/>` + shut, ""},
		{"query", open + `<s:address location='http://a/b?x=1&amp;y=&#39;'/>` + shut, open + `<s:address location='http://local:1/p/b?x=1&amp;y=&#39;'/>` + shut},
		{"not an address", open + `<s:address location="http://A:B/"/>` + shut, open + `<s:address location="http://local:1/p"/>` + shut},
		{"other attributes", open + `<s:address x='location="http://a/b"' s:location="http://a/b" location="http://a/b"/>` + shut, open + `<s:address x='location="http://a/b"' s:location="http://a/b" location="http://local:1/p/b"/>` + shut},
		{"relative", `<schema xmlns="http://www.w3.org/2001/XMLSchema"><include schemaLocation="x.xsd"/></schema>`, `<schema xmlns="http://www.w3.org/2001/XMLSchema"><include schemaLocation="http://local:1/px.xsd"/></schema>`},
		{"in a comment", `<schema xmlns="http://www.w3.org/2001/XMLSchema"><!--<include schemaLocation="x.xsd"/>--></schema>`, ""},
		{"in text", `<schema xmlns="http://www.w3.org/2001/XMLSchema"><![CDATA[<include schemaLocation="x.xsd"/>]]></schema>`, ""},
		{"declaration", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><schema xmlns="http://www.w3.org/2001/XMLSchema"/>`, ""},
		{"a page", `<html><a href="http://a/b"/></html>`, ""},
		{"an envelope", `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>`, ""},
		{
			"identity", strings.Replace(open, "<port>", `<port xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:i="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity">`, 1) +
				`<a:EndpointReference><a:Address>http://a/b</a:Address><i:Identity><i:Spn>HTTP/a</i:Spn></i:Identity></a:EndpointReference>` + shut,
			strings.Replace(open, "<port>", `<port xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:i="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity">`, 1) +
				`<a:EndpointReference><a:Address>http://local:1/p/b</a:Address></a:EndpointReference>` + shut,
		},
		{
			"identity of a service left", strings.Replace(open, "<port>", `<port xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:i="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity">`, 1) +
				`<a:EndpointReference><a:Address>http://left.test/b</a:Address><i:Identity><i:Spn>HTTP/a</i:Spn></i:Identity></a:EndpointReference>` + shut, "",
		},
		{
			"another server's endpoint", strings.ReplaceAll(open, "<port>", `<port xmlns:a="http://www.w3.org/2005/08/addressing">`) + `</port></service>` +
				`<issuer xmlns:a="http://www.w3.org/2005/08/addressing"><a:EndpointReference><a:Address>http://sts/</a:Address></a:EndpointReference></issuer></definitions>`, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == "" {
				want = tt.doc
			}
			got, err := Rewrite([]byte(tt.doc), to)
			if err != nil || string(got) != want {
				t.Errorf("got\n%s, %v\nwant\n%s", got, err, want)
			}
		})
	}
}

// What is not UTF-8 becomes so, and says so.
func TestRewriteEncodings(t *testing.T) {
	t.Parallel()
	const text = `<schema xmlns="http://www.w3.org/2001/XMLSchema"><!-- é --></schema>`
	wide := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(`<?xml version="1.0" encoding="utf-16"?>` + text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	latin := bytes.ReplaceAll([]byte(`<?xml version="1.0" encoding="iso-8859-1"?>`+text), []byte("é"), []byte{0xE9})
	for name, doc := range map[string][]byte{"UTF-16": wide, "Latin-1": latin} {
		got, err := Rewrite(doc, nowhere)
		if want := usualDeclaration + text; err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
}

// FuzzRewrite looks that nothing changes but what was asked for: mapping there and
// back gives the text that mapping to the same addresses gives.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte(small(`<import location="a&amp;b"/>`)))
	f.Add([]byte(`<schema xmlns="http://www.w3.org/2001/XMLSchema"><import schemaLocation='x'/></schema>`))
	f.Add([]byte(`<a:x xmlns:a="http://schemas.xmlsoap.org/wsdl/"><a:port/></a:x>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		first, err := Rewrite(doc, func(*url.URL) *url.URL { return &url.URL{Scheme: "http", Host: "a", Path: `/"'<&`} })
		if err != nil {
			return
		}
		again, err := Rewrite(first, func(*url.URL) *url.URL { return &url.URL{Scheme: "http", Host: "a", Path: `/"'<&`} })
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("%q becomes %q, which becomes %q, %v", doc, first, again, err)
		}
	})
}

func BenchmarkRewrite(b *testing.B) {
	doc := []byte(strings.Replace(small(""), "<message", strings.Repeat(`<message name="Message"><part name="parameters" element="a:Element"/></message>`+"\n", 16<<20/80)+"<message", 1))
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := Rewrite(doc, func(old *url.URL) *url.URL { return &url.URL{Scheme: "http", Host: "local", Path: old.Path} }); err != nil {
			b.Fatal(err)
		}
	}
}
