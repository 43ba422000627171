package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReaderAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want string }{
		{"empty element", `<a/>`, "<a>\n</a>\n"},
		{"space in tags", "<a\t\n >x</a\r\n >", "<a>\n\"x\"\n</a>\n"},
		{"declaration", "<?xml version='1.0'  encoding=\"UTF-8\" standalone = 'yes' ?>\n<a/>", "<a>\n</a>\n"},
		{"around the root", " <!-- c --><?pi x?> <a/> <!----> <?p?>\n", "<a>\n</a>\n"},
		{"entities", `<a b="&lt;&quot;&apos;">&amp;&gt;</a>`, "<a b=\"<\\\"'\">\n\"&>\"\n</a>\n"},
		{"character references", `<a>&#65;&#x42;&#x1F600;&#0000000067;</a>`, "<a>\n\"AB😀C\"\n</a>\n"},
		{"cdata joins text", `<a>x<![CDATA[<&]]]]><![CDATA[>]]>y</a>`, "<a>\n\"x<&]]>y\"\n</a>\n"},
		{"comment splits text", `<a>x<!-- - -->y</a>`, "<a>\n\"xy\"\n</a>\n"},
		{"line ends", "<a>1\r\n2\r3\n4&#xD;5<![CDATA[\r\n\r]]></a>", "<a>\n\"1\\n2\\n3\\n4\\r5\\n\\n\"\n</a>\n"},
		{"attribute white space", "<a b='1\r\n2\t3\n4&#xA;5'/>", "<a b=\"1 2 3 4\\n5\">\n</a>\n"},
		{"default namespace", `<a xmlns="u"><b xmlns="" c="1"/><d/></a>`, "<{u}a>\n<b c=\"1\">\n</b>\n<{u}d>\n</{u}d>\n</{u}a>\n"},
		{"prefixes", `<p:a xmlns:p="u" p:b="1" b="2"><p:c xmlns:p="v"/><p:d/></p:a>`,
			"<{u}a b=\"2\" {u}b=\"1\">\n<{v}c>\n</{v}c>\n<{u}d>\n</{u}d>\n</{u}a>\n"},
		{"declared after use", `<p:a q:x="1" xmlns:q="v" xmlns:p="u"/>`, "<{u}a {v}x=\"1\">\n</{u}a>\n"},
		{"xml prefix", `<a xml:lang="en" xmlns:xml="http://www.w3.org/XML/1998/namespace"/>`,
			"<a {http://www.w3.org/XML/1998/namespace}lang=\"en\">\n</a>\n"},
		{"names", "<å·b-c.d_1 _='x'/>", "<å·b-c.d_1 _=\"x\">\n</å·b-c.d_1>\n"},
		{"gt and bracket in text", `<a b=">">]>]] ></a>`, "<a b=\">\">\n\"]>]] >\"\n</a>\n"},
		{"like xmlns", `<a xmlnsx="1" xmlnx="2"/>`, "<a xmlnsx=\"1\" xmlnx=\"2\">\n</a>\n"},
		{"namespace with references", `<a xmlns="u&amp;v"/>`, "<{u&v}a>\n</{u&v}a>\n"},
		{"many attributes", "<a " + numbered(200, `a%d="%[1]d"`) + "/>", "<a" + sortedAttrs(200) + ">\n</a>\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := infoset(NewReader([]byte(tt.doc), Options{}))
			if err != nil || got != tt.want {
				t.Errorf("infoset(%q) = %s, %v\nwant %s", tt.doc, got, err, tt.want)
			}
		})
	}
}

func numbered(n int, format string) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf(format, i))
	}
	return strings.Join(s, " ")
}

func sortedAttrs(n int) string {
	var d dump
	var as []xml.Attr
	for i := range n {
		as = append(as, xml.Attr{Name: xml.Name{Local: fmt.Sprint("a", i)}, Value: fmt.Sprint(i)})
	}
	d.start(xml.Name{Local: "a"}, as)
	return strings.TrimSuffix(strings.TrimPrefix(d.out.String(), "<a"), ">\n")
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want string }{
		{"nothing", "", "no root element"},
		{"only space", " \n ", "no root element: line 2, column 2"},
		{"text first", "x<a/>", "text outside the root"},
		{"text last", "<a/>x", "text outside the root"},
		{"cdata outside", "<a/><![CDATA[]]>", "text outside the root"},
		{"reference outside", "<a/>&#32;", "text outside the root"},
		{"two roots", "<a/><b/>", "second root"},
		{"not closed", "<a><b></b>", "inside element a"},
		{"crossed", "<a><b></a></b>", "does not match element b"},
		{"longer end", "<a></ab>", "does not match element a"},
		{"end with attribute", "<a></a b='1'>", "does not match"},
		{"end cut", "<a></a", "does not match"},
		{"prefix differs", `<p:a xmlns:p="u" xmlns:q="u"></q:a>`, "does not match"},
		{"end first", "</a>", "end tag without start"},
		{"lone lt", "<", "unexpected end"},
		{"space after lt", "< a/>", "malformed markup"},
		{"digit first", "<1a/>", "malformed markup"},
		{"two colons", "<a:b:c xmlns:a='u'/>", "malformed"},
		{"colon first", "<:a/>", "malformed"},
		{"colon last", "<a: xmlns:a='u'/>", "malformed"},
		{"digit after colon", "<a:1 xmlns:a='u'/>", "malformed"},
		{"name not a name", "<a×/>", "malformed"},
		{"second part not a name", "<a:\u0300b xmlns:a='u'/>", "malformed"},
		{"slash alone", "<a/ >", "malformed start tag"},
		{"tag cut", "<a b='1'", "start tag does not end"},
		{"no space between attributes", "<a b='1'c='2'/>", "malformed start tag"},
		{"no value", "<a b/>", "attribute without value"},
		{"no quotes", "<a b=1/>", "without quotes"},
		{"value cut", "<a b='1/>", "does not end"},
		{"lt in value", "<a b='<'/>", "< in an attribute"},
		{"twice", "<a b='1' b='2'/>", "attribute given twice"},
		{"twice by namespace", "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", "attribute given twice"},
		{"twice among many", "<a " + numbered(100, "a%d='1'") + " a7='2'/>", "attribute given twice"},
		{"prefix undeclared", "<p:a/>", "undeclared prefix p"},
		{"attribute prefix undeclared", "<a p:b='1'/>", "undeclared prefix p"},
		{"prefix out of scope", "<a><b xmlns:p='u'/><p:c/></a>", "undeclared prefix p"},
		{"prefix of element xmlns", "<xmlns:a/>", "undeclared prefix xmlns"},
		{"prefix declared twice", "<a xmlns:p='u' xmlns:p='v'/>", "declared twice"},
		{"default declared twice", "<a xmlns='u' xmlns='u'/>", "declared twice"},
		{"prefix without namespace", "<a xmlns:p=''/>", "declared without namespace"},
		{"xml elsewhere", "<a xmlns:xml='u'/>", "reserved"},
		{"xml namespace elsewhere", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "reserved"},
		{"xml namespace as default", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>", "reserved"},
		{"xmlns declared", "<a xmlns:xmlns='u'/>", "reserved"},
		{"xmlns namespace", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "reserved"},
		{"unknown entity", "<a>&nbsp;</a>", "unknown entity: line 1, column 4"},
		{"entity in value", "<a b='&x;'/>", "unknown entity: line 1, column 7"},
		{"reference without end", "<a>&amp</a>", "malformed reference"},
		{"reference far from end", "<a>&" + strings.Repeat("a", 100) + ";</a>", "malformed reference"},
		{"lone ampersand", "<a>& </a>", "malformed reference"},
		{"empty reference", "<a>&;</a>", "unknown entity"},
		{"empty number", "<a>&#;</a>", "unknown entity"},
		{"empty hex", "<a>&#x;</a>", "malformed reference"},
		{"capital X", "<a>&#X41;</a>", "malformed reference"},
		{"hex digit in decimal", "<a>&#6A;</a>", "malformed reference"},
		{"sign in number", "<a>&#+65;</a>", "malformed reference"},
		{"null", "<a>&#0;</a>", "illegal character"},
		{"surrogate", "<a>&#xD800;</a>", "illegal character"},
		{"beyond unicode", "<a>&#x110000;</a>", "illegal character"},
		{"number overflow", "<a>&#x100000041;</a>", "illegal character"},
		{"noncharacter reference", "<a>&#xFFFE;</a>", "illegal character"},
		{"cdata end in text", "<a>]]></a>", "]]> in text"},
		{"control character", "<a>\n\x0B</a>", "illegal control character: line 2, column 1 (byte 4)"},
		{"null byte", "<a>12345678\x00</a>", "illegal control"},
		{"control in comment", "<a><!-- \x01 --></a>", "illegal control"},
		{"invalid utf-8", "<a>é\xff</a>", "invalid UTF-8: line 1, column 5 (byte 5)"},
		{"encoded surrogate", "<a>\xED\xA0\x80</a>", "invalid UTF-8"},
		{"overlong", "<a>\xC0\xAF</a>", "invalid UTF-8"},
		{"noncharacter", "<a>\uFFFF</a>", "illegal character"},
		{"comment cut", "<a><!-- x", "comment does not end"},
		{"comment with dashes", "<a><!-- -- --></a>", "-- in a comment"},
		{"comment with three dashes", "<a><!-- ---></a>", "-- in a comment"},
		{"cdata cut", "<a><![CDATA[ ]]", "CDATA section does not end"},
		{"cdata small letters", "<a><![cdata[x]]></a>", "malformed markup"},
		{"pi cut", "<a><?x", "does not end"},
		{"pi without name", "<a><? x?></a>", "malformed processing"},
		{"pi with colon", "<a><?x:y z?></a>", "malformed processing"},
		{"declaration late", " <?xml version='1.0'?><a/>", "not at the start"},
		{"declaration twice", "<?xml version='1.0'?><?xml version='1.0'?><a/>", "not at the start"},
		{"declaration in capitals", "<?XML version='1.0'?><a/>", "not at the start"},
		{"declaration without version", "<?xml encoding='utf-8'?><a/>", "malformed XML declaration"},
		{"declaration in disorder", "<?xml version='1.0' standalone='yes' encoding='utf-8'?><a/>", "malformed XML declaration"},
		{"declaration without space", "<?xml version='1.0'encoding='utf-8'?><a/>", "malformed XML declaration"},
		{"version 1.1", "<?xml version='1.1'?><a/>", "version is not 1.0"},
		{"element declaration", "<a><!ELEMENT a ANY></a>", "malformed markup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := infoset(NewReader([]byte(tt.doc), Options{}))
			var se *SyntaxError
			if !errors.As(err, &se) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("infoset(%q): %v, want a SyntaxError with %q", tt.doc, err, tt.want)
			}
		})
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	utf16le := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r > 0xFFFF {
				r -= 0x10000
				hi, lo := 0xD800+r>>10, 0xDC00+r&0x3FF
				b.Write([]byte{byte(hi), byte(hi >> 8), byte(lo), byte(lo >> 8)})
				continue
			}
			b.Write([]byte{byte(r), byte(r >> 8)})
		}
		return b.String()
	}
	swap := func(s string) string {
		b := []byte(s)
		for i := 0; i+1 < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
		return string(b)
	}
	const decl16 = `<?xml version="1.0" encoding="utf-16"?>`
	tests := []struct{ name, doc, charset, want, err string }{
		{"utf-8 mark", "\xEF\xBB\xBF<a>é</a>", "", "é", ""},
		{"mark wins over charset", "\xEF\xBB\xBF<a>é</a>", "iso-8859-1", "é", ""},
		{"utf-16le mark", "\xFF\xFE" + utf16le(decl16+"<a>é😀</a>"), "", "é😀", ""},
		{"utf-16be mark", "\xFE\xFF" + swap(utf16le(decl16+"<a>é😀</a>")), "utf-16", "é😀", ""},
		{"utf-16le no mark", utf16le(decl16 + "<a>é</a>"), "", "é", ""},
		{"utf-16be no mark", swap(utf16le("<a>é</a>")), "utf-16be", "é", ""},
		{"utf-16 in name only", decl16 + "<a>é</a>", "", "é", ""},
		{"utf-16 charset in name only", decl16 + "<a>é</a>", "utf-16", "é", ""},
		{"latin-1 declared", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9\x80</a>", "", "é\u0080", ""},
		{"latin-1 by charset", "<a>\xE9</a>", `"ISO-8859-1"`, "é", ""},
		{"charset wins over declaration", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", "UTF-8", "é", ""},
		{"windows-1252", "<?xml version='1.0' encoding='windows-1252'?><a>\x80\x99\xE9</a>", "", "€™é", ""},
		{"windows-1252 unassigned", "<?xml version='1.0' encoding='windows-1252'?><a>\x81</a>", "", "", "does not assign"},
		{"ascii", "<?xml version='1.0' encoding='us-ascii'?><a>e</a>", "", "e", ""},
		{"not ascii", "<?xml version='1.0' encoding='us-ascii'?><a>\xE9</a>", "", "", "above 0x7F"},
		{"unknown", "<?xml version='1.0' encoding='ebcdic-cp-us'?><a/>", "", "", `unsupported encoding "ebcdic-cp-us"`},
		{"utf-16 odd", "\xFF\xFE<", "", "", "invalid UTF-16"},
		{"utf-16 lone surrogate", "\xFF\xFE" + utf16le("<a>") + "\x00\xD8" + utf16le("</a>"), "", "", "invalid UTF-16"},
		{"utf-16 cut surrogate", "\xFF\xFE" + utf16le("<a>") + "\x00\xD8", "", "", "invalid UTF-16"},
		{"latin-1 as utf-8", "<a>\xE9</a>", "", "", "invalid UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := NewReader([]byte(tt.doc), Options{Charset: tt.charset})
			r.Next()
			got := r.Text()
			if err := r.Err(); (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAttackLimits shows each limit: at it a message is read, beyond it the
// error names the limit and the place.
func TestAttackLimits(t *testing.T) {
	t.Parallel()
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	tests := []struct {
		limit    string
		lim      Limits
		ok, over string
	}{
		{"bytes", Limits{Bytes: 10}, "<a>123</a>", "<a>1234</a>"},
		{"depth", Limits{Depth: 5}, nest(5), nest(6)},
		{"elements", Limits{Elements: 3}, "<a><b/><b/></a>", "<a><b/><b/><b/></a>"},
		{"attributes", Limits{Attributes: 2}, "<a b='' c=''/>", "<a b='' c='' d=''/>"},
		{"attributes", Limits{Attributes: 2}, "<a b='' xmlns='u'/>", "<a b='' xmlns='u' d=''/>"},
		{"namespaces", Limits{Namespaces: 2}, "<a xmlns='u'><b xmlns:p='v'/><b xmlns:p='v'/></a>", "<a xmlns='u'><b xmlns:p='v'><c xmlns:q='w'/></b></a>"},
		{"name", Limits{Name: 3}, "<abc/>", "<abcd/>"},
		{"name", Limits{Name: 5}, "<abc defgh=''/>", "<abc defghi=''/>"},
		{"name", Limits{Name: 5}, "<abc xmlns='12345'/>", "<abc xmlns='123456'/>"},
	}
	for _, tt := range tests {
		t.Run(tt.limit, func(t *testing.T) {
			t.Parallel()
			if _, err := infoset(NewReader([]byte(tt.ok), Options{Limits: tt.lim})); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			_, err := infoset(NewReader([]byte(tt.over), Options{Limits: tt.lim}))
			var le *LimitError
			text := tt.limit + " limit"
			if tt.limit == "bytes" {
				text = "the message is larger than " // without a place in it
			}
			if !errors.As(err, &le) || le.Limit != tt.limit || !strings.Contains(err.Error(), text) {
				t.Errorf("beyond the limit: %v, want a LimitError for %s", err, tt.limit)
			}
		})
	}
}

// TestAttackEntities shows that nothing of a DTD is ever expanded or fetched.
func TestAttackEntities(t *testing.T) {
	t.Parallel()
	const laughs = `<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><a>&b;</a>`
	tests := []struct{ name, doc string }{
		{"external entity", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`},
		{"external subset", `<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd"><a/>`},
		{"billion laughs", `<?xml version="1.0"?>` + laughs},
		{"parameter entity", `<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><a/>`},
		{"bare", `<!DOCTYPE a><a/>`},
		{"after comment", `<!-- --><!DOCTYPE a><a/>`},
		{"inside", `<a><!DOCTYPE a></a>`},
		{"UTF-16", "\xFE\xFF" + wide(laughs)},
		{"UTF-16 little", "\xFF\xFE" + little(laughs)},
		{"UTF-16 without mark", wide(`<?xml version="1.0"?>` + laughs)},
		{"UTF-16 little without mark", little(`<?xml version="1.0"?>` + laughs)},
		{"UTF-16 declared as Latin-1", "\xFF\xFE" + little(`<?xml version="1.0" encoding="iso-8859-1"?>`+laughs)},
		{"UTF-8 declared as UTF-16", `<?xml version="1.0" encoding="utf-16"?>` + laughs},
		{"UTF-8 with mark", "\xEF\xBB\xBF" + laughs},
		{"Windows-1252", `<?xml version="1.0" encoding="windows-1252"?>` + laughs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := infoset(NewReader([]byte(tt.doc), Options{}))
			if err == nil || !strings.Contains(err.Error(), "document type declaration refused") {
				t.Errorf("%v, want a refusal of the document type declaration", err)
			}
		})
	}
	// Encodings that spell a declaration in other bytes, or that two readers
	// could take for different things, are not read at all.
	for _, name := range []string{"utf-7", "utf-32", "ucs-4", "cp037", "hz-gb-2312", "iso-2022-jp", "utf-8,utf-16"} {
		doc := `<?xml version="1.0" encoding="` + name + `"?><a/>`
		if _, err := infoset(NewReader([]byte(doc), Options{})); err == nil {
			t.Errorf("encoding %s accepted", name)
		}
		if _, err := infoset(NewReader([]byte("<a/>"), Options{Charset: name})); err == nil {
			t.Errorf("charset %s accepted", name)
		}
	}
	for _, doc := range []string{"\x00\x00\xFE\xFF\x00\x00\x00<", "\x00\x00\x00<\x00\x00\x00a", "+ADw-a/+AD4-", "\x4C\x6F\xA7\x94"} {
		if _, err := infoset(NewReader([]byte(doc), Options{})); err == nil {
			t.Errorf("%q accepted", doc)
		}
	}
}

func TestErrorsAreSticky(t *testing.T) {
	t.Parallel()
	r := NewReader([]byte("<a><b></c></a>"), Options{})
	r.Next()
	r.Next()
	if r.Next() != EOF || r.Err() == nil {
		t.Fatal("mismatched end tag accepted")
	}
	first := r.Err()
	r.Fail(errors.New("later"))
	r.Skip()
	if r.Child() || r.Text() != "" || !r.Raw().IsZero() || !r.Content().IsZero() || r.Err() != first {
		t.Errorf("Reader moved on after %v: %v", first, r.Err())
	}
	if n := Value(r, func(string) (int, error) { return 1, nil }); n != 0 {
		t.Errorf("Value = %d after an error", n)
	}
}
