package soap

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

func decodeOrder(doc string, encoded bool) (order, error) {
	var x order
	m, err := read(doc)
	if err != nil {
		return x, err
	}
	m.Encoded = encoded
	return x, m.Decode(orderName, &x)
}

func TestIndependentElements(t *testing.T) {
	t.Parallel()
	const call = `<n:order xmlns:n="urn:x"><n:id href="#1"/></n:order>`
	tests := []struct {
		name, doc string
		encoded   bool
		want, err string
	}{
		{"behind the first", open11 + `<s:Body>` + call + `<multiRef id="1">7</multiRef><multiRef id="2"><x/></multiRef></s:Body>` + closed, true, "7", ""},
		{"SOAP 1.2", open12 + `<s:Body xmlns:e="http://www.w3.org/2003/05/soap-encoding"><n:order xmlns:n="urn:x"><n:id e:ref="1"/></n:order><x e:id="1">7</x></s:Body>` + closed, true, "7", ""},
		{"without id", open11 + `<s:Body>` + call + `<multiRef id="1">7</multiRef><evil/></s:Body>` + closed, true, "", "more than one element in the body"},
		{"of a literal message", open11 + body[:len(body)-9] + `<multiRef id="1">7</multiRef></s:Body>` + closed, false, "", "more than one element in the body"},
		{"reference in a literal message", open11 + `<s:Body>` + call + `</s:Body>` + closed, false, "", ""},
		{"target in the header", open11 + `<s:Header><h id="1">7</h></s:Header><s:Body>` + call + `</s:Body>` + closed, true, "", "reference to an id that no element of the body has"},
		{"in front of the first", open11 + `<s:Body><multiRef id="1">7</multiRef>` + call + `</s:Body>` + closed, true, "", "body holds multiRef instead of {urn:x}order"},
		{"after the body", open11 + `<s:Body>` + call + `</s:Body><multiRef id="1">7</multiRef>` + closed, true, "", "element after the body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x, err := decodeOrder(tt.doc, tt.encoded)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || x.ID != tt.want {
				t.Errorf("got %q, %v, want %q", x.ID, err, tt.want)
			}
		})
	}
}

// typedFault is a detail in SOAP encoding.
type typedFault struct{ text string }

func (*typedFault) DetailName() xml.Name { return xml.Name{Space: "urn:x", Local: "failed"} }
func (x *typedFault) Error() string      { return x.text }
func (*typedFault) EncodedDetail()       {}

func (x *typedFault) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Typed(xml.Name{Space: "urn:x", Local: "Failed"})
	w.Element(name, x.text)
}

func (x *typedFault) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		x.text += r.Text()
	}
}

var _ EncodedDetail = (*typedFault)(nil)

// TestEncodedFault reads a detail that is a reference, under the names that
// stacks give it.
func TestEncodedFault(t *testing.T) {
	t.Parallel()
	op := &Operation{Name: "o", Encoded: true, Faults: []func() Detail{func() Detail { return new(typedFault) }}}
	for _, detail := range []string{`<n:failed xmlns:n="urn:x" href="#1"/>`, `<failed href="#1"/>`, `<failed xmlns="urn:other" href="#1"/>`} {
		m, err := read(open11 + `<s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring><detail>` + detail +
			`</detail></s:Fault><multiRef id="1"><a href="#2"/><b>!</b></multiRef><multiRef id="2">oh</multiRef></s:Body>` + closed)
		if err != nil {
			t.Fatal(err)
		}
		f, err := m.Fault(op)
		var got *typedFault
		if err != nil || !errors.As(f, &got) || got.text != "oh!" {
			t.Errorf("%s: got %+v, %v", detail, f, err)
		}
	}
	f := AsFault(&typedFault{"sorry"})
	if s := f.Detail.String(); !strings.Contains(s, `xsi:type="`) || !strings.Contains(s, ">sorry<") {
		t.Errorf("written as %s", s)
	}
}

// encodedInt says its type where it is asked to.
type encodedInt string

func (x encodedInt) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Typed(xml.Name{Space: wire.XSD, Local: "int"})
	w.Element(name, string(x))
}

func TestWriteEncoded(t *testing.T) {
	t.Parallel()
	name := xml.Name{Local: "n"}
	for _, tt := range []struct {
		name    string
		v       Version
		op      *Operation
		encoded bool
		want    string
	}{
		{"body", V11, &Operation{Encoded: true}, false,
			`<s:Header><n>1</n></s:Header><s:Body><n s:encodingStyle="` + wire.SOAPEnc11 + `" xsi:type="xsd:int">2</n></s:Body>`},
		{"SOAP 1.2", V12, &Operation{Encoded: true}, false,
			`<s:Header><n>1</n></s:Header><s:Body><n s:encodingStyle="` + wire.SOAPEnc12 + `" xsi:type="xsd:int">2</n></s:Body>`},
		{"header", V11, &Operation{}, true,
			`<s:Header><n s:encodingStyle="` + wire.SOAPEnc11 + `" xsi:type="xsd:int">1</n></s:Header><s:Body><n>2</n></s:Body>`},
		{"literal", V11, &Operation{}, false, `<s:Header><n>1</n></s:Header><s:Body><n>2</n></s:Body>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := wire.NewWriter(nil)
			Write(w, tt.v, tt.op, []Header{{Name: name, Value: encodedInt("1"), Encoded: tt.encoded}}, name, encodedInt("2"))
			b, err := w.Bytes()
			if err != nil || !strings.Contains(string(b), tt.want) {
				t.Errorf("got %s, %v\nwant %s", b, err, tt.want)
			}
		})
	}
}
