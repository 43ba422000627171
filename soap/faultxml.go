package soap

import (
	"encoding/xml"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// notUnderstood is the header block that names one which was not understood.
// SOAP 1.2 Part 1 5.4.8.
type notUnderstood xml.Name

// MarshalWire implements wire.Marshaler.
func (x notUnderstood) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.AttrQName(xml.Name{Local: "qname"}, xml.Name(x))
	w.End()
}

// write writes the fault element.
func (f *Fault) write(w *wire.Writer, v Version) {
	env := v.Namespace()
	code := xml.Name{Space: env, Local: f.Code.name(v)}
	if v != V12 {
		f.write11(w, env, code)
		return
	}
	// SOAP 1.2 Part 1 5.4.
	el := func(local string) xml.Name { return xml.Name{Space: env, Local: local} }
	w.Start(el("Fault"))
	w.Start(el("Code"))
	w.QNameElement(el("Value"), code)
	for _, q := range f.Subcodes {
		w.Start(el("Subcode"))
		w.QNameElement(el("Value"), q)
	}
	for range f.Subcodes {
		w.End()
	}
	w.End()
	w.Start(el("Reason"))
	w.Start(el("Text"))
	w.Attr(xml.Name{Space: wire.XML, Local: "lang"}, f.lang())
	w.Text(f.Reason)
	w.End()
	w.End()
	if f.Node != "" {
		w.Element(el("Node"), f.Node)
	}
	if f.Role != "" {
		w.Element(el("Role"), f.Role)
	}
	if !f.Detail.IsZero() {
		w.Start(el("Detail"))
		w.Raw(f.Detail)
		w.End()
	}
	w.End()
}

// write11 writes a SOAP 1.1 fault, whose children have no namespace. SOAP 1.1
// 4.4.
func (f *Fault) write11(w *wire.Writer, env string, code xml.Name) {
	if n := len(f.Subcodes); n > 0 {
		code = f.Subcodes[n-1]
	}
	w.Start(xml.Name{Space: env, Local: "Fault"})
	w.QNameElement(xml.Name{Local: "faultcode"}, code)
	w.Start(xml.Name{Local: "faultstring"})
	w.Attr(xml.Name{Space: wire.XML, Local: "lang"}, f.lang())
	w.Text(f.Reason)
	w.End()
	if f.Role != "" {
		w.Element(xml.Name{Local: "faultactor"}, f.Role)
	}
	if !f.Detail.IsZero() {
		w.Start(xml.Name{Local: "detail"})
		w.Raw(f.Detail)
		w.End()
	}
	w.End()
}

func (f *Fault) lang() string {
	if f.Lang == "" {
		return "en"
	}
	return f.Lang
}

// faultXML reads a Fault. Names are looked at without their namespace: servers
// put the children of a SOAP 1.1 fault into the envelope's namespace, and send
// 1.1 faults in 1.2 envelopes.
type faultXML Fault

// UnmarshalWire implements wire.Unmarshaler.
func (f *faultXML) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Nil() { // some say so of an actor they do not have
			r.Skip()
			continue
		}
		switch r.Local() {
		case "faultcode":
			f.code(lenientQName(r))
		case "faultstring":
			s, _ := r.Attr(wire.XML, "lang")
			f.Lang = r.Keep(s)
			f.Reason = r.Text()
		case "faultactor", "Role":
			f.Role = strings.TrimSpace(r.Text())
		case "Node":
			f.Node = strings.TrimSpace(r.Text())
		case "detail", "Detail":
			f.Detail = r.Content()
		case "Code":
			f.readCode(r, true)
		case "Reason":
			f.readReason(r)
		default:
			r.Skip()
		}
	}
}

// readCode reads a Code or Subcode, and those inside it.
func (f *faultXML) readCode(r *wire.Reader, outer bool) {
	for r.Child() {
		switch r.Local() {
		case "Value":
			q := lenientQName(r)
			if outer {
				f.code(q)
			} else {
				f.Subcodes = append(f.Subcodes, q)
			}
		case "Subcode":
			f.readCode(r, false)
		default:
			r.Skip()
		}
	}
}

// readReason keeps the English text, or else the first.
func (f *faultXML) readReason(r *wire.Reader) {
	for first := true; r.Child(); {
		if r.Local() != "Text" {
			r.Skip()
			continue
		}
		s, _ := r.Attr(wire.XML, "lang")
		lang := r.Keep(s)
		text := r.Text()
		english := lang == "en" || strings.HasPrefix(lang, "en-")
		if had := f.Lang == "en" || strings.HasPrefix(f.Lang, "en-"); first || english && !had {
			f.Lang, f.Reason = lang, text
		}
		first = false
	}
}

// code enters a fault code. SOAP 1.1 4.4.1 allows others than its own, and its
// own refined behind a dot.
func (f *faultXML) code(q xml.Name) {
	base, _, dotted := strings.Cut(q.Local, ".")
	ours := q.Space == space11 || q.Space == space12 || q.Space == ""
	for c := range codeNames {
		if ours && (base == codeNames[c][0] || base == codeNames[c][1]) && base != "" {
			f.Code = Code(c)
			if dotted {
				f.Subcodes = append(f.Subcodes, q)
			}
			return
		}
	}
	f.Subcodes = append(f.Subcodes, q)
}

// lenientQName reads a qualified name, or whatever a peer wrote in its place.
func lenientQName(r *wire.Reader) xml.Name {
	scope := r.Scope()
	s := strings.TrimSpace(r.Text())
	q, err := scope.QName(s)
	if err != nil {
		// Some servers send a number, a sentence, or a prefix that they never
		// declared.
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			return xml.Name{Local: s[i+1:]}
		}
		return xml.Name{Local: s}
	}
	return q
}

// typedDetail returns the first declared detail in raw, or nil.
func typedDetail(op *Operation, raw wire.Raw) error {
	if raw.IsZero() || len(op.Faults) == 0 {
		return nil
	}
	for r := raw.Reader(wire.Options{}); r.Child(); r.Skip() {
		for _, empty := range op.Faults {
			d := empty()
			// An encoded detail has a type; stacks differ in its namespace.
			if n := d.DetailName(); n == r.Name() || op.Encoded && n.Local == r.Local() {
				if err := r.Decode(d); err != nil {
					return err
				}
				return d
			}
		}
	}
	return nil
}
