package gen

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// schemaDir is where the package keeps the description.
const schemaDir = "schema"

// documents returns copies of the description's documents, in UTF-8, side by
// side and with their references changed to that. main is the name of the
// first.
func (g *generator) documents() (files []File, main string, err error) {
	names := map[*wsdl.Document]string{}
	taken := map[string]bool{}
	for _, d := range g.d.Documents {
		names[d] = fileName(d, taken)
	}
	for i, d := range g.d.Documents {
		data, err := relocate(d, names)
		if err != nil {
			return nil, "", fmt.Errorf("gen: copy %s: %w", names[d], err)
		}
		if i == 0 {
			main = names[d]
		}
		files = append(files, File{schemaDir + "/" + names[d], data})
	}
	return files, main, nil
}

// fileName makes the name of a document's copy of the last part of its path.
func fileName(d *wsdl.Document, taken map[string]bool) string {
	ext := ".wsdl"
	if d.Schema {
		ext = ".xsd"
	}
	base := "document"
	if u, err := url.Parse(d.URI); err == nil {
		p := path.Base(strings.TrimRight(u.Path, "/"))
		if u.RawQuery != "" && !strings.EqualFold(u.RawQuery, "wsdl") { // Service.svc?xsd=xsd0
			p = strings.TrimSuffix(p, path.Ext(p)) + "-" + u.RawQuery
		}
		base = p
	}
	for strings.EqualFold(path.Ext(base), ".xml") || strings.EqualFold(path.Ext(base), ext) {
		base = strings.TrimSuffix(base, path.Ext(base))
	}
	base = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, base), "-.")
	if base == "" {
		base = "document"
	}
	if len(base) > 80 {
		base = base[:80]
	}
	name := base + ext
	// Two names that differ in case only are one file elsewhere.
	for i := 2; taken[strings.ToLower(name)]; i++ {
		name = base + strconv.Itoa(i) + ext
	}
	taken[strings.ToLower(name)] = true
	return name
}

// relocate returns a document in UTF-8 with its references to other documents
// replaced by their names. The rest stays as it is.
func relocate(d *wsdl.Document, names map[*wsdl.Document]string) ([]byte, error) {
	refs := map[string]string{}
	for _, r := range d.Refs {
		refs[r.Location] = names[r.Document]
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	limit := wire.Limits{Bytes: int64(len(text)) + 1, Elements: len(text) + 1, Depth: 1000, Attributes: 1000, Namespaces: 10000, Name: 1 << 20}
	r := wire.NewReader([]byte(text), wire.Options{Limits: limit})
	done := 0
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	for {
		switch r.Next() {
		case wire.EOF:
			b.WriteString(text[done:])
			if s := b.String(); !strings.HasSuffix(s, "\n") {
				b.WriteByte('\n')
			}
			return []byte(b.String()), r.Err()
		case wire.Start:
		default:
			continue
		}
		attr := ""
		switch {
		case r.Is("http://schemas.xmlsoap.org/wsdl/", "import"):
			attr = "location"
		case r.Space() == xsdSpace && (r.Local() == "import" || r.Local() == "include" || r.Local() == "redefine"):
			attr = "schemaLocation"
		default:
			continue
		}
		loc, _ := r.Attr("", attr)
		to, ok := refs[strings.TrimSpace(loc)]
		if !ok {
			if to, ok = refs[loc]; !ok {
				continue
			}
		}
		start, end := r.Span()
		from, until, ok := attrValue(text[start:end], attr)
		if !ok {
			continue
		}
		b.WriteString(text[done : start+from])
		_ = xml.EscapeText(&b, []byte(to)) // a Builder never fails
		done = start + until
	}
}

// attrValue finds the value of an attribute without prefix in a well-formed
// start tag.
func attrValue(tag, attr string) (from, to int, ok bool) {
	for i := 0; i < len(tag); {
		q := strings.IndexAny(tag[i:], `"'`)
		if q < 0 {
			return 0, 0, false
		}
		q += i
		n := strings.IndexByte(tag[q+1:], tag[q])
		if n < 0 {
			return 0, 0, false
		}
		end := q + 1 + n
		name := strings.TrimRight(tag[i:q], " \t\r\n=")
		if name[strings.LastIndexAny(name, " \t\r\n")+1:] == attr {
			return q + 1, end, true
		}
		i = end + 1
	}
	return 0, 0, false
}
