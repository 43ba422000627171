package soap

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

// order is a wire type such as the generator makes.
type order struct{ ID string }

func (x *order) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: "urn:x", Local: "id"}, x.ID)
	w.End()
}

func (x *order) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is("urn:x", "id") {
			x.ID = r.Text()
		} else {
			r.Unknown()
		}
	}
}

var orderName = xml.Name{Space: "urn:x", Local: "order"}

const (
	open11 = `<s:Envelope xmlns:s="` + space11 + `">`
	open12 = `<s:Envelope xmlns:s="` + space12 + `">`
	body   = `<s:Body><order xmlns="urn:x"><id>7</id></order></s:Body>`
	closed = `</s:Envelope>`
)

func read(doc string) (*Message, error) {
	return Read(wire.NewReader([]byte(doc), wire.Options{}))
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, doc string
		version   Version
	}{
		{"1.1", open11 + body + closed, V11},
		{"1.2", open12 + body + closed, V12},
		{"space and comments", "<?xml version='1.0'?>\n<!-- x -->" + open11 + "\n<!-- --> <s:Header/>\n" + body + "\n<!-- -->" + closed + "\n", V11},
		{"space in body", open11 + "<s:Body> <!-- --> <order xmlns='urn:x'><id>7</id></order> </s:Body>" + closed, V11},
		{"attributes", `<Envelope xmlns="` + space11 + `" encodingStyle=""><Body a="b"><o:order xmlns:o="urn:x"><o:id>7</o:id></o:order></Body></Envelope>`, V11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := read(tt.doc)
			if err != nil {
				t.Fatal(err)
			}
			if m.Version != tt.version || m.Body != orderName || m.IsFault() {
				t.Errorf("version %s, body %v", m.Version, m.Body)
			}
			var v order
			if err := m.Decode(orderName, &v); err != nil || v.ID != "7" {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
}

// TestAttackEnvelope shows envelopes that try to carry more than the one
// message that a policy was decided by.
func TestAttackEnvelope(t *testing.T) {
	t.Parallel()
	el := `<order xmlns="urn:x"><id>7</id></order>`
	tests := []struct{ name, doc, want string }{
		{"two bodies", open11 + body + body + closed, "element after the body"},
		{"header after body", open11 + body + "<s:Header/>" + closed, "element after the body"},
		{"two headers", open11 + "<s:Header/><s:Header/>" + body + closed, "header not in front"},
		{"body not first", open11 + "<x/>" + body + closed, "header not in front"},
		{"element between", open11 + "<s:Header/><x/>" + body + closed, "header not in front"},
		{"element after", open11 + body + "<x/>" + closed, "element after the body"},
		{"no body", open11 + closed, "envelope without body"},
		{"header alone", open11 + "<s:Header/>" + closed, "envelope without body"},
		{"body of the other version", open11 + `<s:Body xmlns:s="` + space12 + `">` + el + "</s:Body>" + closed, "header not in front"},
		{"body in no namespace", open11 + "<Body>" + el + "</Body>" + closed, "header not in front"},
		{"second element in body", open11 + "<s:Body>" + el + "<evil/></s:Body>" + closed, "more than one element"},
		{"same element twice", open11 + "<s:Body>" + el + el + "</s:Body>" + closed, "more than one element"},
		{"empty body", open11 + "<s:Body/>" + closed, "no element in the body"},
		{"another element", open11 + "<s:Body><other/></s:Body>" + closed, "body holds other instead of {urn:x}order"},
		{"document after", open11 + body + closed + open11 + body + closed, "second root element"},
		{"text after", open11 + body + closed + "x", "text outside"},
		{"cut in body", open11 + "<s:Body>" + el, "message ends inside"},
		{"cut after body", open11 + body, "message ends inside"},
		{"entities", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + open11 + body + closed, "document type declaration refused"},
		{"not an envelope", "<x/>", "not a SOAP 1.1 or 1.2 envelope"},
		{"unknown version", `<Envelope xmlns="http://www.w3.org/2001/12/soap-envelope"/>`, "not a SOAP 1.1 or 1.2 envelope"},
		{"nothing", "", "no root element"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := read(tt.doc)
			if err == nil {
				err = m.Decode(orderName, &order{})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// bodyType reads and writes the body itself: two parts.
type bodyType struct{ A, B order }

func (x *bodyType) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	x.A.MarshalWire(w, xml.Name{Local: "a"})
	x.B.MarshalWire(w, xml.Name{Local: "b"})
	w.End()
}

func (x *bodyType) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		switch r.Local() {
		case "a":
			x.A.UnmarshalWire(r)
		case "b":
			x.B.UnmarshalWire(r)
		default:
			r.Unknown()
		}
	}
}

func TestWriteAndReadBack(t *testing.T) {
	t.Parallel()
	session := xml.Name{Space: "urn:h", Local: "session"}
	for _, v := range []Version{V11, V12} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			w := wire.NewWriter(nil)
			hs := []Header{
				{Name: session, MustUnderstand: true, Role: "urn:role", Value: &order{"s"}},
				{Name: orderName, Relay: true, Value: &order{"o"}},
			}
			Write(w, v, &Operation{Namespaces: []string{"urn:x"}}, hs, orderName, &order{"<7>"})
			b, err := w.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(b), `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="`+v.Namespace()+`"`) {
				t.Errorf("begins %.90s", b)
			}
			m, err := read(string(b))
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Headers) != 2 {
				t.Fatalf("%d headers in %s", len(m.Headers), b)
			}
			h, ok := m.Header(session)
			var ho order
			if !ok || !h.MustUnderstand || h.Role != "urn:role" || h.ForUs() || h.Decode(&ho) != nil || ho.ID != "s" {
				t.Errorf("header %+v, %+v", h, ho)
			}
			if h, _ := m.Header(orderName); h.MustUnderstand || h.Relay != (v == V12) || !h.ForUs() {
				t.Errorf("header %+v", h)
			}
			var got order
			if err := m.Decode(orderName, &got); err != nil || got.ID != "<7>" {
				t.Errorf("got %+v, %v", got, err)
			}

			// A received block is written again as it was.
			w = wire.NewWriter(nil)
			Write(w, v, nil, m.Headers, orderName, &order{"8"})
			if b, err = w.Bytes(); err != nil {
				t.Fatal(err)
			}
			if m, err = read(string(b)); err != nil || !m.Headers[0].MustUnderstand || m.Headers[0].Role != "urn:role" {
				t.Errorf("forwarded headers %+v, %v", m, err)
			}
		})
	}
}

func TestBodyWithoutElementOfItsOwn(t *testing.T) {
	t.Parallel()
	w := wire.NewWriter(nil)
	Write(w, V11, nil, nil, xml.Name{}, &bodyType{order{"1"}, order{"2"}})
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(string(b))
	if err != nil || m.Body.Local != "a" {
		t.Fatalf("%v, %v", m, err)
	}
	var v bodyType
	if err := m.Decode(xml.Name{}, &v); err != nil || v.A.ID != "1" || v.B.ID != "2" {
		t.Errorf("got %+v, %v", v, err)
	}
	w.Reset()
	Write(w, V12, nil, nil, xml.Name{}, &wire.Empty{})
	if b, err = w.Bytes(); err != nil || !strings.Contains(string(b), "<s:Body/>") {
		t.Errorf("empty body: %s, %v", b, err)
	}
	for _, doc := range []string{open11 + body + body + closed, open11 + body + "<x/>" + closed} {
		m, err := read(doc)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Decode(xml.Name{}, &v); !errors.Is(err, errAfterBody) {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestMustUnderstandSpellings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		attr string
		want bool
	}{
		{`s:mustUnderstand="1"`, true}, {`s:mustUnderstand="true"`, true}, {`s:mustUnderstand=" 1"`, true},
		{`s:mustUnderstand="TRUE"`, true}, {`s:mustUnderstand="0"`, false}, {`s:mustUnderstand="false"`, false},
		{`mustUnderstand="1"`, false}, {``, false},
	}
	for _, tt := range tests {
		m, err := read(open11 + `<s:Header><h ` + tt.attr + `/></s:Header>` + body + closed)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Headers[0].MustUnderstand; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.attr, got, tt.want)
		}
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	tests := []struct {
		v            Version
		action, want string
	}{
		{V11, "urn:a", "text/xml; charset=utf-8"},
		{V12, "urn:a", `application/soap+xml; charset=utf-8; action="urn:a"`},
		{V12, "", "application/soap+xml; charset=utf-8"},
		{V12, "a\"b\\c\r\nX: y", `application/soap+xml; charset=utf-8; action="a\"b\\cX: y"`},
	}
	for _, tt := range tests {
		if got := tt.v.ContentType(tt.action); got != tt.want {
			t.Errorf("%v %q: %s, want %s", tt.v, tt.action, got, tt.want)
		}
	}
}

// FuzzEnvelope: no input makes reading an envelope panic; an accepted one has
// exactly one body, with one element in it.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(open11 + body + closed))
	f.Add([]byte(open12 + `<s:Header><h s:mustUnderstand="1" s:role="r"/></s:Header>` + body + closed))
	f.Add([]byte(open11 + body + body + closed))
	f.Add([]byte(open11 + `<s:Body><s:Fault><faultcode>s:Client.x</faultcode><faultstring>r</faultstring><detail><d/></detail></s:Fault></s:Body>` + closed))
	f.Add([]byte(open12 + `<s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>q</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">r</s:Text></s:Reason></s:Fault></s:Body>` + closed))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := Read(wire.NewReader(doc, wire.Options{}))
		if err != nil {
			return
		}
		if m.IsFault() {
			flt, err := m.Fault(&Operation{Faults: []func() Detail{func() Detail { return new(notFound) }}})
			if err != nil {
				return
			}
			_ = flt.Error()
			w := wire.NewWriter(nil)
			WriteFault(w, m.Version, nil, &Fault{Code: flt.Code, Reason: flt.Reason, Detail: flt.Detail})
			b, err := w.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read(wire.NewReader(b, wire.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			back, err := again.Fault(nil)
			if err != nil || back.Code != flt.Code || back.Reason != flt.Reason || back.Detail != flt.Detail {
				t.Fatalf("%+v became %+v, %v", flt, back, err)
			}
			return
		}
		var x wire.Any
		if err := m.Decode(m.Body, &x); err != nil {
			return
		}
		r := wire.NewReader(doc, wire.Options{})
		r.Next()
		bodies := 0
		for r.Child() {
			if r.Is(m.Version.Namespace(), "Body") {
				bodies++
				n := 0
				for r.Child() {
					n++
					r.Skip()
				}
				if n > 1 || m.Body.Local != "" && n != 1 {
					t.Fatalf("%d elements in the body of %q", n, doc)
				}
				continue
			}
			r.Skip()
		}
		if bodies != 1 {
			t.Fatalf("%d bodies in %q", bodies, doc)
		}
	})
}
