package stdxml

import (
	"encoding/xml"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// order is a type such as gowsdl generates.
type order struct {
	XMLName xml.Name `xml:"urn:x order"`

	ID    string   `xml:"id,attr,omitempty"`
	Count int      `xml:"count"`
	Lines []string `xml:"line"`
}

func TestMessage(t *testing.T) {
	t.Parallel()
	in := &order{ID: `a"<`, Count: 2, Lines: []string{"x & y", ""}}
	b, err := wire.Marshal(&Message{in}, xml.Name{Space: "urn:x", Local: "order"})
	if err != nil {
		t.Fatal(err)
	}
	out := new(order)
	if err := wire.Unmarshal(b, &Message{out}, wire.Options{}); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	in.XMLName = xml.Name{Space: "urn:x", Local: "order"}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("sent %+v, got %+v by %s", in, out, b)
	}
	// The name of the operation's element wins.
	if b, err = wire.Marshal(&Message{in}, xml.Name{Space: "urn:y", Local: "other"}); err != nil || !strings.Contains(string(b), `:other xmlns`) || !strings.Contains(string(b), `"urn:y"`) {
		t.Errorf("%s, %v", b, err)
	}
}

// What encoding/xml makes of prefixes declared outside, what it cannot read, and
// what it must not see.
func TestMessageReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, doc, want, err string }{
		{"prefix from outside", `<a xmlns:p="urn:x"><p:order id="7"><p:count>1</p:count></p:order></a>`, "7", ""},
		{"not a number", `<a xmlns:p="urn:x"><p:order><p:count>secret</p:count></p:order></a>`, "", "not of the type it should be"},
		{"another element", `<a xmlns:p="urn:x"><p:other/></a>`, "", "not of the type it should be"},
		{"undeclared prefix", `<a><p:order/></a>`, "", "prefix"},
		{"dtd", `<!DOCTYPE a><a><order/></a>`, "", "document type"},
		{"deep", strings.Repeat("<a>", 300), "", "depth limit"},
	} {
		o := new(order)
		r := wire.NewReader([]byte(tt.doc), wire.Options{})
		r.Next()
		r.Child()
		err := r.Decode(&Message{o})
		if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret")) || o.ID != tt.want {
			t.Errorf("%s: got %+v, %v, want %q", tt.name, o, err, tt.err)
		}
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	f := soap.AsFault(&Detail{V: &order{ID: "7"}, Reason: "no such order"})
	if f.Internal() || f.Reason != "no such order" || !strings.Contains(f.Detail.String(), `id="7"`) || f.Detail.Name() != (xml.Name{Space: "urn:x", Local: "order"}) {
		t.Errorf("got %+v", f)
	}
	if f := soap.AsFault(&Detail{V: struct{ A string }{"secret"}}); !f.Internal() || strings.Contains(f.Reason, "secret") {
		t.Errorf("got %+v", f)
	}
}

// wired is a type such as soapward generates.
type wired struct {
	V    string
	None string // in no namespace
	Type xml.Name
}

func (x *wired) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.AttrQName(xml.Name{Space: wire.XSI, Local: "type"}, x.Type)
	w.Attr(xml.Name{Local: "n"}, "1")
	w.Element(xml.Name{Space: "urn:v", Local: "v"}, x.V)
	w.Element(xml.Name{Local: "none"}, x.None)
	w.End()
}

func (x *wired) UnmarshalWire(r *wire.Reader) {
	*x = wired{}
	x.Type, _ = r.Type()
	for r.Child() {
		switch {
		case r.Is("urn:v", "v"):
			x.V = r.Text()
		case r.Is("", "none"):
			x.None = r.Text()
		default:
			r.Unknown()
		}
	}
}

func TestElement(t *testing.T) {
	t.Parallel()
	type doc struct {
		XMLName xml.Name         `xml:"urn:doc doc"`
		Before  string           `xml:"before"`
		Part    Element[wired]   `xml:"urn:doc part"`
		More    []Element[wired] `xml:"more"`
	}
	in := doc{XMLName: xml.Name{Space: "urn:doc", Local: "doc"}, Before: "b", Part: Element[wired]{wired{"<1>", "2", xml.Name{Space: "urn:t", Local: "T"}}}}
	in.More = []Element[wired]{{wired{"3", "", xml.Name{Space: "urn:t", Local: "T"}}}, {wired{"", "4 ", xml.Name{Space: "urn:u", Local: "U"}}}}
	b, err := xml.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out doc
	if err := xml.Unmarshal(b, &out); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("sent %+v\ngot %+v\nby %s", in, out, b)
	}
	// As a document of its own.
	var buf strings.Builder
	if err := xml.NewEncoder(&buf).EncodeElement(in.Part, xml.StartElement{Name: xml.Name{Space: "urn:doc", Local: "part"}}); err != nil {
		t.Fatal(err)
	}
	var part Element[wired]
	if err := xml.Unmarshal([]byte(buf.String()), &part); err != nil || part != in.Part {
		t.Errorf("got %+v, %v by %s", part, err, buf.String())
	}
	if _, err := xml.Marshal(in.Part); err == nil || !strings.Contains(err.Error(), "EncodeElement") {
		t.Errorf("got %v", err)
	}
	if _, err := xml.Marshal(Element[int]{}); err == nil || !strings.Contains(err.Error(), "int is not a wire.Marshaler") {
		t.Errorf("got %v", err)
	}
	if err := xml.Unmarshal([]byte(strings.Repeat("<a>", 300)+strings.Repeat("</a>", 300)), &part); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("got %v", err)
	}
}
