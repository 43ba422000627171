package gentest

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
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
