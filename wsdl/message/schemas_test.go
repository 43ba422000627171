package message

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// writeSchemas writes the schemas of a description as files that refer to each
// other, and one that imports all of them, whose name it returns.
func writeSchemas(dir string, d *wsdl.Definitions) (string, error) {
	files := map[string][]string{} // namespace -> files
	byDoc := map[*wsdl.Document]string{}
	n := 0
	for _, doc := range d.Documents {
		if doc.Schema {
			byDoc[doc] = fmt.Sprintf("s%d.xsd", n)
			n++
		}
	}
	included := map[string]bool{}
	for _, doc := range d.Documents {
		for _, sc := range schemasIn(doc, byDoc) {
			name := byDoc[doc]
			if !doc.Schema {
				name = fmt.Sprintf("i%d.xsd", n)
				n++
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(sc.text), 0o600); err != nil {
				return "", err
			}
			for _, i := range sc.includes {
				included[i] = true
			}
			files[sc.target] = append(files[sc.target], name)
		}
	}
	builtin, err := filepath.Glob(filepath.Join("..", "builtin", "*.xsd"))
	if err != nil {
		return "", err
	}
	for _, file := range builtin { // imported without saying where from
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		doc := &wsdl.Document{Content: text}
		for _, sc := range schemasIn(doc, nil) {
			name := "b-" + filepath.Base(file)
			if len(files[sc.target]) > 0 {
				continue
			}
			files[sc.target] = []string{name}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(sc.text), 0o600); err != nil {
				return "", err
			}
		}
	}
	var spaces []string
	for s := range files {
		spaces = append(spaces, s)
	}
	slices.Sort(spaces)
	var driver strings.Builder
	driver.WriteString(`<xs:schema xmlns:xs="` + wire.XSD + `" targetNamespace="urn:driver">` + "\n")
	for i, s := range spaces {
		var parts []string
		for _, f := range files[s] {
			if !included[f] {
				parts = append(parts, f)
			}
		}
		if len(parts) == 0 {
			parts = files[s][:1]
		}
		file := parts[0]
		if len(parts) > 1 {
			file = fmt.Sprintf("n%d.xsd", i)
			var all strings.Builder
			fmt.Fprintf(&all, `<xs:schema xmlns:xs="%s"%s>`, wire.XSD, attrIf("targetNamespace", s))
			for _, p := range parts {
				fmt.Fprintf(&all, `<xs:include schemaLocation="%s"/>`, p)
			}
			all.WriteString("</xs:schema>")
			if err := os.WriteFile(filepath.Join(dir, file), []byte(all.String()), 0o600); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&driver, `<xs:import%s schemaLocation="%s"/>`+"\n", attrIf("namespace", s), file)
	}
	driver.WriteString("</xs:schema>")
	name := filepath.Join(dir, "driver.xsd")
	return name, os.WriteFile(name, []byte(driver.String()), 0o600)
}

func attrIf(name, v string) string {
	if v == "" {
		return ""
	}
	return fmt.Sprintf(` %s="%s"`, name, escapeText(v))
}

type schemaText struct {
	target, text string
	includes     []string
}

// schemasIn returns the schemas in a document. Imports lose their location: the
// driver says where all are. Includes refer to the files written.
func schemasIn(doc *wsdl.Document, byDoc map[*wsdl.Document]string) []schemaText {
	refs := map[string]string{}
	for _, r := range doc.Refs {
		refs[strings.TrimSpace(r.Location)] = byDoc[r.Document]
	}
	r := wire.NewReader(doc.Content, ample(len(doc.Content)))
	var all []schemaText
	for k := r.Next(); k != wire.EOF; k = r.Next() {
		if k != wire.Start || !r.Is(wire.XSD, "schema") {
			continue
		}
		target, _ := r.Attr("", "targetNamespace")
		s := schemaText{target: strings.Clone(target)}
		raw := r.Raw().String() // with the prefixes it needs from outside
		s.text = relocated(raw, refs, doc, &s)
		all = append(all, s)
	}
	return all
}

func relocated(raw string, refs map[string]string, doc *wsdl.Document, s *schemaText) string {
	r := wire.NewReader([]byte(raw), ample(len(raw)))
	var b strings.Builder
	done := 0
	for k := r.Next(); k != wire.EOF; k = r.Next() {
		if k != wire.Start || r.Space() != wire.XSD {
			continue
		}
		loc, ok := r.Attr("", "schemaLocation")
		from, to := r.Span()
		tag := raw[from:to]
		switch {
		case !ok:
			continue
		case r.Local() == "import":
			tag = cutAttr(raw[from:to])
		case r.Local() == "include" || r.Local() == "redefine":
			file := refs[strings.TrimSpace(loc)]
			s.includes = append(s.includes, file)
			tag = strings.Replace(cutAttr(tag), r.Local(), r.Local()+` schemaLocation="`+file+`"`, 1)
		default:
			continue
		}
		b.WriteString(raw[done:from] + tag)
		done = to
	}
	b.WriteString(raw[done:])
	return b.String()
}

// cutAttr takes schemaLocation out of a tag.
func cutAttr(tag string) string {
	i := strings.Index(tag, "schemaLocation")
	q := i + strings.IndexAny(tag[i:], `"'`)
	end := q + 1 + strings.IndexByte(tag[q+1:], tag[q])
	return tag[:i] + tag[end+1:]
}
