// Package stdxml lets types with encoding/xml tags travel in messages, and
// generated types travel with encoding/xml. It is for code that exists already:
// stubs that other generators made, documents that a program writes with
// encoding/xml. New code uses the generated types alone, which are faster and
// lose nothing.
//
//   - Message is a value of encoding/xml as a message. soapserver.HandleXML,
//     soapserver.RegisterXML and soapclient.CallXML use it.
//   - Detail is one as the detail of a fault.
//   - Element is a generated type as a field or document of encoding/xml. The
//     generated types do not have the methods themselves: twice as much code in
//     each package would serve few.
//
// What is read has passed wire.Reader before encoding/xml sees it: it is bounded,
// well-formed, without document type declaration, and its prefixes are declared.
//
// Compatibility: exported names keep their meaning within a major version.
package stdxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Message is a value that encoding/xml reads and writes, as a message.
type Message struct {
	V any // pointer to the value
}

// UnmarshalWire implements wire.Unmarshaler.
func (m *Message) UnmarshalWire(r *wire.Reader) {
	raw := r.Raw()
	if r.Err() != nil {
		return
	}
	if err := xml.Unmarshal([]byte(raw.String()), m.V); err != nil {
		r.Fail(readError(err))
	}
}

// readError keeps of an error of encoding/xml what may be said to a peer: it
// can hold the value that could not be read, and names of Go types.
func readError(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return errors.New("not understood: " + syntax.Msg)
	}
	return errors.New("a value in it is not of the type it should be")
}

// MarshalWire implements wire.Marshaler. name wins over the name that the type
// gives itself.
func (m *Message) MarshalWire(w *wire.Writer, name xml.Name) { write(w, name, m.V) }

// write writes v as an element.
func write(w *wire.Writer, name xml.Name, v any) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	err := e.EncodeElement(v, xml.StartElement{Name: name})
	if err == nil {
		err = e.Close()
	}
	var raw wire.Raw
	if err == nil {
		raw, err = wire.ParseRaw(b.String())
	}
	var element wire.Any
	if err == nil {
		err = raw.Decode(&element)
	}
	if err != nil {
		w.Fail(err)
		return
	}
	element.MarshalWire(w, name)
}

// Validate calls the Validate method of the value, if it has one.
func (m *Message) Validate() error {
	if v, ok := m.V.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Detail is a value of encoding/xml as the detail of a fault: an error that a
// handler returns. It implements soap.Detail. The type must have an XMLName
// whose tag names the element.
type Detail struct {
	V      any    // the value, or a pointer to it
	Reason string // for people
}

func (d *Detail) Error() string {
	if d.Reason == "" {
		return d.DetailName().Local
	}
	return d.Reason
}

// DetailName implements soap.Detail.
func (d *Detail) DetailName() xml.Name {
	n, _ := NameOf(reflect.TypeOf(d.V)) // without one, MarshalWire fails
	return n
}

// MarshalWire implements wire.Marshaler.
func (d *Detail) MarshalWire(w *wire.Writer, name xml.Name) {
	if name.Local == "" {
		w.Fail(fmt.Errorf("stdxml: %T has no XMLName", d.V))
		return
	}
	write(w, name, d.V)
}

// UnmarshalWire implements wire.Unmarshaler. A Detail is only sent.
func (d *Detail) UnmarshalWire(r *wire.Reader) { r.Skip() }

// NameOf returns the name that a type, or what it points to, gives its element
// in the tag of a field XMLName.
func NameOf(t reflect.Type) (xml.Name, bool) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return xml.Name{}, false
	}
	f, ok := t.FieldByName("XMLName")
	if !ok || f.Type != reflect.TypeFor[xml.Name]() {
		return xml.Name{}, false
	}
	tag, _, _ := strings.Cut(f.Tag.Get("xml"), ",")
	space, local, spaced := strings.Cut(tag, " ")
	if !spaced {
		space, local = "", tag
	}
	return xml.Name{Space: space, Local: local}, local != ""
}
