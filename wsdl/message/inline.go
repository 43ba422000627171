package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// inline puts what href refers to in the place of the reference, so that an
// encoded message reads like a literal one (SOAP 1.1 5.4.1), and leaves out the
// attributes of the encoding but for those of arrays. Elements that refer to
// themselves stay references; what it makes is bounded.
func inline(body wire.Raw) (wire.Raw, error) {
	all := body.Elements()
	if len(all) == 0 {
		return body, nil
	}
	x := &inliner{byID: map[string]wire.Raw{}, open: map[string]bool{}, w: wire.NewWriter(nil), left: maxInlinedBytes}
	for _, e := range all {
		r := e.Reader(wire.Options{})
		if r.Child() {
			if id, ok := r.Attr("", "id"); ok {
				x.byID[id] = e
			}
		}
	}
	r := all[0].Reader(wire.Options{})
	r.Child()
	x.w.Start(xml.Name{Local: "x"})
	x.copy(r, r.Name(), 0)
	x.w.End()
	doc, err := x.w.Bytes()
	if err != nil {
		return wire.Raw{}, fmt.Errorf("message: resolve references: %w", err)
	}
	out := wire.NewReader(doc, ample(len(doc)))
	out.Next()
	content := out.Content()
	return content, out.Err()
}

const maxInlinedBytes = 16 << 20

var errTooLarge = errors.New("the message would be larger than 16 MiB")

type inliner struct {
	byID map[string]wire.Raw
	open map[string]bool
	w    *wire.Writer
	left int
}

// copy writes the element r is at the start of under a name, and consumes it.
func (x *inliner) copy(r *wire.Reader, name xml.Name, depth int) {
	if x.left -= 32 + 2*len(name.Local); x.left < 0 || x.w.Err() != nil {
		x.w.Fail(errTooLarge)
		r.Skip()
		return
	}
	if href, ok := r.Attr("", "href"); ok && depth < maxJSONDepth {
		id := strings.TrimPrefix(href, "#")
		if target, ok := x.byID[id]; ok && !x.open[id] {
			id = strings.Clone(id)
			r.Skip()
			to := target.Reader(wire.Options{})
			to.Child()
			x.open[id] = true
			x.copy(to, name, depth+1)
			delete(x.open, id)
			return
		}
	}
	typ, hasType := r.Type()
	x.w.Start(name)
	if hasType {
		x.w.AttrQName(xml.Name{Space: wire.XSI, Local: "type"}, typ)
	}
	for _, a := range r.Attrs() {
		switch {
		case a.Name.Space == wire.XSI && a.Name.Local == "type", a.Name.Local == "id" && a.Name.Space == "":
		case a.Name.Space == soapEncoding11 && a.Name.Local == "arrayType":
			if typ, size, _ := strings.Cut(a.Value, "["); len(size) < 100 {
				if q, err := r.QName(typ); err == nil {
					x.w.BeginAttr(a.Name)
					x.w.QName(q)
					x.w.Text("[" + size)
					x.w.EndAttr()
				}
			}
		case a.Name.Space == soapEncoding11 && a.Name.Local != "offset" && a.Name.Local != "position", a.Name.Space == soapEnvelope11:
		default:
			x.w.Attr(a.Name, a.Value)
			x.left -= len(a.Value)
		}
	}
	for {
		switch r.Next() {
		case wire.Text:
			s := r.Chars()
			if x.left -= len(s); x.left >= 0 {
				x.w.Text(s)
			}
		case wire.Start:
			x.copy(r, r.Name(), depth+1)
		default:
			x.w.End()
			return
		}
	}
}
