package publish

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Rewrite returns a WSDL or a schema with other addresses: those of its services,
// and those of the documents that it imports, which may be relative. address maps
// them; nil leaves one as it is. The address of a service that is not a URL, such
// as a text to be replaced by hand, is the empty URL. What a service says of the account that it runs
// as (WS-Addressing Identity) is taken out where its address changes, since
// clients would ask for tickets to it. All else stays as it is, byte by byte, but
// that a document that is not in UTF-8 becomes so.
//
// A document of another kind is returned unchanged. What is not well-formed, has
// a document type declaration, or is larger than 64 MiB is an error.
func Rewrite(doc []byte, address func(old *url.URL) *url.URL) ([]byte, error) {
	r := wire.NewReader(doc, wire.Options{Limits: limits})
	name, places, err := find(r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("publish: rewrite a description: %w", err)
	case !name.isWSDL() && !name.isSchema():
		return doc, nil
	}
	e := editor{text: r.Document()}
	changed := false // the address before an identity
	for _, p := range places {
		if p.kind == kindIdentity {
			if changed {
				e.replace(p.from, p.to, "")
			}
			continue
		}
		old, err := url.Parse(p.old)
		switch {
		case err == nil:
		case p.kind == kindAddress:
			old = new(url.URL)
		default:
			continue
		}
		u := address(old)
		if p.kind == kindAddress {
			changed = u != nil
		}
		if u != nil {
			e.replace(p.from, p.to, escape(u.String()))
		}
	}
	return e.finish(), nil
}

// editor replaces parts of a text.
type editor struct {
	text string
	out  []byte
	done int // of text
}

func (e *editor) replace(from, to int, with string) {
	if e.out == nil {
		e.out = make([]byte, 0, len(e.text)+len(e.text)/16+256)
		e.declaration()
	}
	e.out = append(append(e.out, e.text[e.done:from]...), with...)
	e.done = to
}

// declaration begins the document anew if it says that it is in another encoding
// than the text is.
func (e *editor) declaration() {
	if !strings.HasPrefix(e.text, "<?xml") {
		return
	}
	end := strings.Index(e.text, "?>")
	lower := strings.ToLower(e.text[:max(end, 0)])
	if end < 0 || !strings.Contains(lower, "encoding") || strings.Contains(lower, `"utf-8"`) || strings.Contains(lower, `'utf-8'`) {
		return
	}
	e.out = append(e.out, usualDeclaration...)
	e.done = end + len("?>")
}

const usualDeclaration = `<?xml version="1.0" encoding="utf-8"?>`

func (e *editor) finish() []byte {
	if e.out == nil {
		e.declaration()
	}
	return append(e.out, e.text[e.done:]...)
}

// escape returns text for an element or an attribute, in either quotes.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
