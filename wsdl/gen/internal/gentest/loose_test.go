package gentest

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/facets"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/ports"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/shapes"
)

// TestWrongNamespace reads messages of peers that put children into no
// namespace, or into that of their parent. A strict Reader refuses them.
func TestWrongNamespace(t *testing.T) {
	t.Parallel()
	var (
		broken shapes.Broken
		drawn  shapes.Drawn
		tree   shapes.Tree
		count  ports.CountResponse
	)
	for _, tt := range []struct {
		name, doc, want string
		v               wire.Unmarshaler
		got             func() string
		err             string
	}{
		{"none instead of the schema's", `<b xmlns="urn:test:shapes"><Error xmlns="">e</Error></b>`, "e",
			&broken, func() string { return broken.Error }, ""},
		{"that of the parent", `<b xmlns="urn:other"><Error>e</Error></b>`, "e",
			&broken, func() string { return broken.Error }, ""},
		{"another one", `<b xmlns="urn:test:shapes"><o:Error xmlns:o="urn:other">e</o:Error></b>`, "",
			&broken, nil, "element Error is missing"},
		{"both", `<b xmlns="urn:test:shapes"><Error>e</Error><Error xmlns="">f</Error></b>`, "",
			&broken, nil, "element is there twice"},
		{"alternatives", `<b xmlns="urn:test:shapes"><round xmlns=""><radius>2</radius></round><angular><side xmlns="">1</side></angular></b>`, "round angular",
			&drawn, func() string {
				if len(drawn.Choices) != 2 || drawn.Choices[0].Round == nil || drawn.Choices[1].Angular == nil {
					return ""
				}
				return "round angular"
			}, ""},
		{"repeated", `<b xmlns="urn:test:shapes"><label>l</label><branch xmlns=""><label>1</label></branch><branch><label>2</label></branch></b>`, "1 2",
			&tree, func() string {
				if len(tree.Branch) != 2 {
					return ""
				}
				return tree.Branch[0].Label + " " + tree.Branch[1].Label
			}, ""},
		{"part of an rpc message", `<c:R xmlns:c="urn:test:ports"><c:n>7</c:n></c:R>`, "7",
			&count, func() string { return strings.Repeat("7", int(count.N/7)) }, ""},
		{"part in any namespace", `<c:R xmlns:c="urn:test:ports"><n xmlns="urn:other">7</n></c:R>`, "7",
			&count, func() string { return strings.Repeat("7", int(count.N/7)) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch err := wire.Unmarshal([]byte(tt.doc), tt.v, wire.Options{}); {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
			case err != nil || tt.got() != tt.want:
				t.Errorf("got %+v, %v, want %s", tt.v, err, tt.want)
			}
			if err := wire.Unmarshal([]byte(tt.doc), tt.v, wire.Options{Strict: true}); err == nil {
				t.Error("a strict Reader takes it")
			}
		})
	}
}

// TestNilWhereNotAllowed: peers say xsi:nil of what the schema only lets them
// leave out. A number could not be read then, and text was not what was sent.
func TestNilWhereNotAllowed(t *testing.T) {
	t.Parallel()
	const nilled = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="1"/>`
	for _, tt := range []struct{ name, doc, strict string }{
		{"optional", `<b xmlns="urn:test:shapes"><Error>e</Error><message` + nilled + `</b>`, "message: element not allowed here, or not with xsi:nil"},
		{"required", `<b xmlns="urn:test:shapes"><Error` + nilled + `</b>`, "Error: xsi:nil where a value is needed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var v shapes.Broken
			if err := wire.Unmarshal([]byte(tt.doc), &v, wire.Options{}); err != nil {
				t.Fatal(err)
			}
			if v.Message != nil {
				t.Errorf("message is %q", *v.Message)
			}
			if err := wire.Unmarshal([]byte(tt.doc), &v, wire.Options{Strict: true}); err == nil || !strings.Contains(err.Error(), tt.strict) {
				t.Errorf("strictly: %v, want %s", err, tt.strict)
			}
		})
	}
}

// TestEmptyEnumeration: what a strict Reader takes can be written again. A
// lenient one takes what a peer forgot, and only writing refuses it.
func TestEmptyEnumeration(t *testing.T) {
	t.Parallel()
	const doc = `<p colour="" xmlns="urn:test:facets"><sku>A</sku><count>1</count><price>1</price></p>`
	var v facets.Line
	err := wire.Unmarshal([]byte(doc), &v, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = wire.Marshal(&v, xml.Name{Local: "p"}); err == nil || !strings.Contains(err.Error(), "Colour is not set") {
		t.Errorf("written: %v", err)
	}
	if err = wire.Unmarshal([]byte(doc), &v, wire.Options{Strict: true}); err == nil || !strings.Contains(err.Error(), "colour is empty") {
		t.Errorf("strictly: %v", err)
	}
}
