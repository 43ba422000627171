package wsdl

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzLoad loads documents of any content: no panic, nothing left half built,
// bounded time. Imports are refused.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{
		"gen/testdata/shapes/shapes.xsd", "gen/testdata/shapes/types/types.xsd", "gen/testdata/names/names.wsdl",
		"../examples/wsdl/ledger.wsdl", "builtin/soapenc11.xsd",
	} {
		b, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(service(inline))
	f.Fuzz(func(t *testing.T, doc string) {
		start := time.Now()
		l := newLoader(&Resolver{MaxDocuments: 1})
		root, pos, err := parseXML("fuzz", []byte(doc), func(Position, string) {})
		if err != nil {
			if pos.URI == "" {
				t.Error("error without position")
			}
			return
		}
		d := &loaded{root: root, doc: &Document{URI: "fuzz:x", Content: []byte(doc)}}
		l.docs[d.doc.URI] = d // which leaves no room for imports
		if root.name == (QName{nsXSD, "schema"}) {
			l.schema(t.Context(), d, root, root.get("targetNamespace"), 0)
		} else {
			l.wsdl(t.Context(), d, 0)
		}
		def := l.define(d)
		for _, x := range def.Types {
			if x.Base == nil || x.state != filled || !x.Complex && x.Simple == nil {
				t.Errorf("type %v is not complete: %+v", x.Name, x)
			}
		}
		for _, x := range def.Elements {
			if x.Type == nil {
				t.Errorf("element %v has no type", x.Name)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v for %d bytes", took, len(doc))
		}
	})
}
