package wire

import (
	"encoding/xml"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func start(t *testing.T, doc string, o Options) *Reader {
	t.Helper()
	r := NewReader([]byte(doc), o)
	if r.Next() != Start {
		t.Fatalf("no start: %v", r.Err())
	}
	return r
}

func TestChild(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, doc string
		strict    bool
		want      string // names of the children
		err       string
	}{
		{"none", "<a/>", true, "", ""},
		{"blank", "<a> \n </a>", true, "", ""},
		{"some", "<a> <b/><c>t<d/></c>\n<b/></a>", true, "b c b", ""},
		{"text, lenient", "<a>x<b/>y</a>", false, "b", ""},
		{"text, strict", "<a><b/>y</a>", true, "b", "text where only elements are allowed: line 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.doc, Options{Strict: tt.strict})
			var got []string
			for r.Child() {
				got = append(got, r.Local())
				r.Skip()
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("children %q, want %q", s, tt.want)
			}
			if err := r.Err(); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want, err string }{
		{"empty tag", "<a/>", "", ""},
		{"empty", "<a></a>", "", ""},
		{"plain", "<a> x </a>", " x ", ""},
		{"pieces", "<a>1<!-- -->2<![CDATA[3]]>&#52;<?p?>5</a>", "12345", ""},
		{"long", "<a>" + strings.Repeat("é&amp;", 5000) + "</a>", strings.Repeat("é&", 5000), ""},
		{"child", "<a>x<b/></a>", "", "element where only text is allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.doc, Options{})
			if got := r.Text(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if err := r.Err(); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestKeptStringsStay makes sure that strings cut from one block are not
// written over by later ones.
func TestKeptStringsStay(t *testing.T) {
	t.Parallel()
	var doc strings.Builder
	doc.WriteString("<a>")
	for i := range 3000 {
		doc.WriteString("<b>&lt;" + strconv.Itoa(i) + "</b>")
	}
	doc.WriteString("</a>")
	r := start(t, doc.String(), Options{})
	var got []string
	for r.Child() {
		got = append(got, r.Text())
	}
	if len(got) != 3000 || r.Err() != nil {
		t.Fatalf("%d strings, %v", len(got), r.Err())
	}
	for i, s := range got {
		if s != "<"+strconv.Itoa(i) {
			t.Fatalf("string %d is %q", i, s)
		}
	}
}

func TestValueErrorsTellPlaceAndName(t *testing.T) {
	t.Parallel()
	r := start(t, "<a xmlns='u'>\n  <b c='y'>x</b></a>", Options{})
	r.Child()
	a := r.Attrs()[0]
	if v := Value(r, strconv.Atoi); v != 0 {
		t.Errorf("got %d", v)
	}
	var ve *ValueError
	if !errors.As(r.Err(), &ve) || ve.Name != (xml.Name{Space: "u", Local: "b"}) || ve.Pos != (Pos{2, 3, 16}) || !errors.Is(ve, strconv.ErrSyntax) {
		t.Errorf("error %+v", r.Err())
	}
	r = start(t, "<b c='y'/>", Options{})
	AttrValue(r, a, strconv.Atoi)
	if !errors.As(r.Err(), &ve) || ve.Name.Local != "c" {
		t.Errorf("error %+v", r.Err())
	}
}

func TestQNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"prefixed", " p:x ", "{v}x"},
		{"default", "x", "{u}x"},
		{"xml", "xml:lang", "{" + XML + "}lang"},
		{"undeclared", "q:x", ""},
		{"two colons", "p:x:y", ""},
		{"empty local", "p:", ""},
		{"empty", "", ""},
		{"blank inside", "p: x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// The prefix is declared on the element that holds the name.
			doc := "<a xmlns='u'><b xmlns:p='v' t='" + tt.text + "'>" + tt.text + "</b></a>"
			r := start(t, doc, Options{})
			r.Child()
			q, err := r.QName(r.Attrs()[0].Value)
			got := r.QNameValue()
			if tt.want == "" {
				if err == nil || r.Err() == nil {
					t.Errorf("got %v and %v, want errors", q, got)
				}
				return
			}
			if err != nil || r.Err() != nil || clark(q) != tt.want || clark(got) != tt.want {
				t.Errorf("got %v and %v (%v, %v), want %s", q, got, err, r.Err(), tt.want)
			}
		})
	}
}

func TestTypeAndNil(t *testing.T) {
	t.Parallel()
	doc := `<a xmlns:i="` + XSI + `" xmlns:p="u"><b i:type="p:T"/><c i:nil=" 1 "/><d i:nil="false"/><e i:nil="true"/><f nil="true"/><g i:type="q:T"/></a>`
	r := start(t, doc, Options{})
	var nils []string
	for r.Child() {
		if r.Nil() {
			nils = append(nils, r.Local())
		}
		q, ok := r.Type()
		if ok != (r.Local() == "b") || ok && clark(q) != "{u}T" {
			t.Errorf("%s: type %v, %v", r.Local(), q, ok)
		}
		r.Skip()
	}
	if !slices.Equal(nils, []string{"c", "e"}) {
		t.Errorf("nil: %v", nils)
	}
	if r.Err() == nil {
		t.Error("undeclared prefix in xsi:type accepted")
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	const doc = `<p:a xmlns:p='u' xmlns:q='v'><p:own/><none/><q:other><q:child/><p:outer/></q:other></p:a>`
	for _, tt := range []struct {
		strict         bool
		inU, inV, none string
	}{
		{false, "a own none child outer ", "own none other child ", "own none child "},
		{true, "a own outer ", "other child ", "none "},
	} {
		var inU, inV, none string
		r := NewReader([]byte(doc), Options{Strict: tt.strict})
		for k := r.Next(); k != EOF; k = r.Next() {
			if k != Start {
				continue
			}
			if r.In("u") {
				inU += r.Local() + " "
			}
			if r.In("v") {
				inV += r.Local() + " "
			}
			if r.In("") {
				none += r.Local() + " "
			}
		}
		if inU != tt.inU || inV != tt.inV || none != tt.none || r.Lenient() == tt.strict {
			t.Errorf("strict %v: in u %s, in v %s, in none %s; want %s, %s, %s", tt.strict, inU, inV, none, tt.inU, tt.inV, tt.none)
		}
	}
}

func TestPeek(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want string }{
		{"child", "<a x='&lt;' xmlns='u' xmlns:p='v'>t<!-- --><p:b><c/></p:b><d/></a>", "{v}b"},
		{"no child", "<a x='&lt;'>t</a>", ""},
		{"empty tag", "<a x='&lt;'/>", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want, err := infoset(NewReader([]byte(tt.doc), Options{}))
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, tt.doc, Options{Limits: Limits{Elements: 4}})
			name, ok := r.Peek()
			if ok != (tt.want != "") || clark(name) != tt.want {
				t.Errorf("Peek = %v, %v, want %s", name, ok, tt.want)
			}
			// Then everything is still there.
			var d dump
			d.start(r.Name(), r.Attrs())
			rest, err := infoset(r)
			if got := d.out.String() + rest; got != want || err != nil {
				t.Errorf("after Peek %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

// TestPeekDoesNotHideElements: what was looked at is counted once, not less.
func TestPeekDoesNotHideElements(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"<a><b/><c/></a>", "<a>t<b><c/></b></a>"} {
		r := start(t, doc, Options{Limits: Limits{Elements: 2}})
		r.Peek()
		r.Skip()
		var le *LimitError
		if !errors.As(r.Err(), &le) {
			t.Errorf("%s: %v", doc, r.Err())
		}
	}
}

type stopsEarly struct{}

func (stopsEarly) UnmarshalWire(r *Reader) { r.Child() }

type runsOn struct{}

func (runsOn) UnmarshalWire(r *Reader) { r.Skip(); r.Next() }

func TestDecodeGuardsAgainstCodecs(t *testing.T) {
	t.Parallel()
	for _, v := range []Unmarshaler{stopsEarly{}, runsOn{}} {
		r := start(t, "<a><b><c/></b><d/></a>", Options{})
		r.Child()
		if err := r.Decode(v); !errors.Is(err, errLate) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func TestUnmarshalRefusesMore(t *testing.T) {
	t.Parallel()
	if err := Unmarshal([]byte("<a/> <!-- -->"), &Empty{}, Options{}); err != nil {
		t.Error(err)
	}
	for _, doc := range []string{"<a/><b/>", "<a/>x", "", "<a>"} {
		if err := Unmarshal([]byte(doc), &Empty{}, Options{}); err == nil {
			t.Errorf("%q accepted", doc)
		}
	}
}

func TestRawKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want string }{
		{"needs nothing", `<r xmlns:p="u"><a>t</a></r>`, `<a>t</a>`},
		{"default", `<r xmlns="u"><a><b/></a></r>`, `<a xmlns="u"><b/></a>`},
		{"default taken back", `<r xmlns="u"><s xmlns=""><a/></s></r>`, ``},
		{"own default", `<r xmlns="u"><a xmlns="v"/></r>`, `<a xmlns="v"/>`},
		{"prefix", `<r xmlns:p="u" xmlns:q="v"><p:a x="1"/></r>`, `<p:a xmlns:p="u" x="1"/>`},
		{"prefix in a value", `<r xmlns:p="u"><a t="p:x">p:y</a></r>`, `<a xmlns:p="u" t="p:x">p:y</a>`},
		{"prefix behind a reference", `<r xmlns:p="u"><a>&#112;:y</a></r>`, `<a xmlns:p="u">&#112;:y</a>`},
		{"innermost counts", `<r xmlns:p="u"><s xmlns:p="v"><p:a/></s></r>`, ``},
		{"namespace is escaped", `<r xmlns:p="u&quot;&amp;"><p:a/></r>`, `<p:a xmlns:p="u&quot;&amp;"/>`},
		{"end tag with space", `<r xmlns:p="u"><p:a
 ></p:a ></r>`, "<p:a xmlns:p=\"u\"\n ></p:a >"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.doc, Options{})
			r.Child()
			if r.Local() == "s" {
				inner, _ := r.Peek()
				raw := r.Content()
				if raw.Name() != inner {
					t.Errorf("%s is %v, want %v", raw, raw.Name(), inner)
				}
				return
			}
			name := r.Name()
			raw := r.Raw()
			if raw.String() != tt.want || raw.Name() != name || r.Child() || r.Err() != nil {
				t.Errorf("got %s (%v, %v), want %s", raw, raw.Name(), r.Err(), tt.want)
			}
		})
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	raw, err := ParseRaw(`x<a>1</a>y<b xmlns="u">2</b><![CDATA[<]]>`)
	if err != nil {
		t.Fatal(err)
	}
	if s := raw.Text(); s != "xy<" {
		t.Errorf("Text = %q", s)
	}
	els := raw.Elements()
	if len(els) != 2 || els[0].String() != "<a>1</a>" || els[1].Name() != (xml.Name{Space: "u", Local: "b"}) {
		t.Errorf("Elements = %v", els)
	}
	var any Any
	if err := els[1].Decode(&any); err != nil || any.Content.String() != "2" {
		t.Errorf("Decode: %+v, %v", any, err)
	}
	for _, bad := range []string{"<a>", "</a>", "</x><x>", "<p:a/>", "&x;", "a<b", "\x01", "<!DOCTYPE a>", "]]>"} {
		if raw, err := ParseRaw(bad); err == nil {
			t.Errorf("ParseRaw(%q) = %q", bad, raw)
		}
	}
}

func TestAnyRoundTrip(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, doc, want string }{
		{"typed value", `<r xmlns:x="` + XSD + `" xmlns:i="` + XSI + `"><v i:type="x:int">5</v></r>`,
			`<o xmlns:xsi="` + XSI + `" xmlns:xsd="` + XSD + `" xsi:type="xsd:int">5</o>`},
		{"nil", `<r xmlns:i="` + XSI + `"><v i:nil="true"/></r>`, `<o xmlns:xsi="` + XSI + `" xsi:nil="true"/>`},
		{"attributes and mixed", `<r xmlns="u" xmlns:p="w"><v p:a="&lt;1" b="2">t<c/>&amp;</v></r>`,
			`<o xmlns:n1="w" n1:a="&lt;1" b="2">t<c xmlns="u"/>&amp;</o>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.doc, Options{})
			r.Child()
			var v Any
			if err := r.Decode(&v); err != nil {
				t.Fatal(err)
			}
			b, err := Marshal(&v, xml.Name{Local: "o"})
			if err != nil || string(b) != tt.want {
				t.Errorf("got %s, %v\nwant %s", b, err, tt.want)
			}
		})
	}
}
