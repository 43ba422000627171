// Package wire reads and writes the XML of SOAP messages. Generated codecs
// call it; most programs use the generated types and never meet it.
//
//   - Reader is a pull reader over one bounded message. It resolves
//     namespaces, refuses document type declarations, and stops at Limits.
//   - Writer appends a message to a buffer. Every namespace it meets is
//     declared once, on the root element.
//   - Marshaler and Unmarshaler are what a type must do to travel in a message.
//   - Raw is a piece of XML that keeps its meaning wherever it is written.
//   - Binary is content that need not fit into memory.
//
// Reader and Writer keep the first error. After it their methods do nothing
// and return zero values, so that codecs read straight down and whoever
// started them looks at Err once:
//
//	func (x *Item) UnmarshalWire(r *wire.Reader) {
//		for r.Child() {
//			switch r.Local() {
//			case "Id":
//				x.ID = wire.Value(r, xsd.ParseInt32)
//			case "Name":
//				x.Name = r.Text()
//			default:
//				r.Unknown()
//			}
//		}
//	}
//
//	func (x *Item) MarshalWire(w *wire.Writer, name xml.Name) {
//		w.Start(name)
//		wire.Put(w, idName, xsd.AppendInt32, x.ID)
//		w.Element(nameName, x.Name)
//		w.End()
//	}
//
// Nothing here uses reflection; of encoding/xml only the types Name and Attr
// are used.
//
// Compatibility: exported names keep their meaning within a major version.
// Limits and Options may gain fields whose zero value is the safe default.
package wire

import "encoding/xml"

// Namespaces that codecs need.
const (
	// XSI is the namespace of xsi:type and xsi:nil.
	XSI = "http://www.w3.org/2001/XMLSchema-instance"
	// XSD is the namespace of the built-in schema types.
	XSD = "http://www.w3.org/2001/XMLSchema"
	// XML is the namespace of xml:lang, bound to the prefix xml everywhere.
	XML = "http://www.w3.org/XML/1998/namespace"

	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

var (
	xsiType = xml.Name{Space: XSI, Local: "type"}
	xsiNil  = xml.Name{Space: XSI, Local: "nil"}
)

// A Marshaler writes itself as one element. Generated types implement it.
type Marshaler interface {
	// MarshalWire writes the receiver as an element called name, from
	// w.Start(name) to w.End(). Trouble is reported with w.Fail.
	MarshalWire(w *Writer, name xml.Name)
}

// An Unmarshaler reads itself from one element. Generated types implement it.
type Unmarshaler interface {
	// UnmarshalWire is called with r at the start of an element and consumes it
	// to its end. Trouble is reported with r.Fail.
	UnmarshalWire(r *Reader)
}

// Empty is a message without content. It ignores what it reads.
type Empty struct{}

// MarshalWire implements Marshaler.
func (*Empty) MarshalWire(w *Writer, name xml.Name) { w.Start(name); w.End() }

// UnmarshalWire implements Unmarshaler.
func (*Empty) UnmarshalWire(r *Reader) { r.Skip() }

var (
	_ Marshaler   = (*Empty)(nil)
	_ Unmarshaler = (*Empty)(nil)
)
