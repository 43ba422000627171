package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/soapward/soapward/soap/wire"
)

// printer writes a template.
type printer struct {
	b      strings.Builder
	plain  bool // no comments
	bare   bool // the root has no namespace of its own
	spaces []string
	prefix map[string]string
}

func (p *printer) document(n *node) string {
	p.prefix = map[string]string{wire.XML: "xml"}
	p.collect(n)
	var decl strings.Builder
	for _, s := range p.spaces {
		fmt.Fprintf(&decl, ` xmlns:%s="%s"`, p.prefix[s], escapeAttr(s))
	}
	p.element(n, "", decl.String())
	return p.b.String()
}

// collect gives each namespace a prefix.
func (p *printer) collect(n *node) {
	add := func(space string) {
		if _, ok := p.prefix[space]; ok || space == "" {
			return
		}
		name := "xsi"
		switch space {
		case wire.XSI:
		case wire.XSD:
			name = "xs"
		case soapEncoding11:
			name = "enc"
		default:
			k := 1
			for _, s := range p.spaces {
				if s != wire.XSI && s != wire.XSD && s != soapEncoding11 {
					k++
				}
			}
			name = fmt.Sprintf("n%d", k)
		}
		p.prefix[space] = name
		p.spaces = append(p.spaces, space)
	}
	add(n.name.Space)
	for _, a := range n.attrs {
		add(a.name.Space)
		if a.qname {
			add(parseClark(a.value).Space)
		}
	}
	if n.qname {
		add(parseClark(n.text).Space)
	}
	for _, k := range n.kids {
		p.collect(k)
	}
}

func (p *printer) name(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return p.prefix[n.Space] + ":" + n.Local
}

func (p *printer) element(n *node, indent, decl string) {
	p.b.WriteString(indent + "<" + p.name(n.name) + decl)
	for _, a := range n.attrs {
		v := a.value
		if a.qname {
			v = p.name(parseClark(v)) + a.suffix
		}
		p.b.WriteString(" " + p.name(a.name) + `="` + escapeAttr(v) + `"`)
	}
	text := n.text
	if n.qname {
		text = p.name(parseClark(text))
	}
	note := ""
	if n.notes != "" && !p.plain {
		note = " <!-- " + comment(n.notes) + " -->"
	}
	if len(n.kids) == 0 && (len(n.after) == 0 || p.plain) {
		if text == "" {
			p.b.WriteString("/>" + note + "\n")
			return
		}
		p.b.WriteString(">" + escapeText(text) + "</" + p.name(n.name) + ">" + note + "\n")
		return
	}
	p.b.WriteString(">" + note + "\n")
	for _, k := range n.kids {
		p.element(k, indent+"  ", "")
	}
	if !p.plain {
		for _, a := range n.after {
			p.b.WriteString(indent + "  <!-- " + comment(a) + " -->\n")
		}
	}
	p.b.WriteString(indent + "</" + p.name(n.name) + ">\n")
}

// comment makes s fit for a comment (XML 1.0 2.5) and a terminal.
func comment(s string) string {
	s = printable(s)
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "- -")
	}
	return strings.TrimSuffix(s, "-")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// escapeAttr escapes a value of an attribute.
func escapeAttr(s string) string { return visible(escapeText(s)) }

// visible writes characters that a terminal does not show, or obeys, as
// references.
func visible(s string) string {
	plain := true
	for _, r := range s {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#x%X;", r)
		}
	}
	return b.String()
}

// Indent returns XML with one element a line, for people to read. Text that is
// not white space alone keeps its lines; comments are dropped. Characters that
// would steer a terminal are written as references.
func Indent(content wire.Raw) (string, error) {
	root, err := parseTree(content)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, k := range root.kids {
		k.print(&b, "")
	}
	return b.String(), nil
}

// tree is XML as it is printed: name and attributes as they were written.
type tree struct {
	start string // <a b="c"
	name  string
	text  string
	kids  []*tree
	mixed bool
}

func parseTree(content wire.Raw) (*tree, error) {
	r := content.Reader(wire.Options{})
	root := &tree{}
	stack := []*tree{root}
	for {
		top := stack[len(stack)-1]
		switch r.Next() {
		case wire.Start:
			from, to := r.Span()
			s := strings.TrimSuffix(strings.TrimSuffix(r.Document()[from:to], ">"), "/")
			k := &tree{start: strings.TrimRight(s, " \t\r\n")}
			k.name = strings.TrimPrefix(k.start, "<")
			if i := strings.IndexAny(k.name, " \t\r\n"); i >= 0 {
				k.name = k.name[:i]
			}
			k.start = visible(strings.Join(strings.FieldsFunc(k.start, func(r rune) bool { return r == '\n' || r == '\r' }), " "))
			top.kids = append(top.kids, k)
			stack = append(stack, k)
		case wire.Text:
			s := r.Chars()
			last := len(top.kids) - 1
			if last >= 0 && top.kids[last].name == "" {
				top.kids[last].text += s
			} else {
				top.kids = append(top.kids, &tree{text: s})
			}
			top.mixed = top.mixed || strings.TrimSpace(s) != ""
		case wire.End:
			if len(stack) == 1 {
				return root, r.Err()
			}
			stack = stack[:len(stack)-1]
		default:
			if err := r.Err(); err != nil {
				return nil, err
			}
			return nil, errors.New("message: incomplete XML")
		}
	}
}

func (t *tree) print(b *strings.Builder, indent string) {
	if t.name == "" {
		if s := strings.TrimSpace(t.text); s != "" {
			b.WriteString(indent + visible(escapeChars(s)) + "\n")
		}
		return
	}
	switch {
	case t.mixed || len(t.kids) == 1 && t.kids[0].name == "":
		b.WriteString(indent)
		t.inline(b)
		b.WriteByte('\n')
	case len(t.kids) == 0:
		b.WriteString(indent + t.start + "/>\n")
	default:
		b.WriteString(indent + t.start + ">\n")
		for _, k := range t.kids {
			k.print(b, indent+"  ")
		}
		b.WriteString(indent + "</" + t.name + ">\n")
	}
}

// inline prints an element as it is.
func (t *tree) inline(b *strings.Builder) {
	if t.name == "" {
		b.WriteString(visible(escapeChars(t.text)))
		return
	}
	if len(t.kids) == 0 {
		b.WriteString(t.start + "/>")
		return
	}
	b.WriteString(t.start + ">")
	for _, k := range t.kids {
		k.inline(b)
	}
	b.WriteString("</" + t.name + ">")
}

var charEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")

func escapeChars(s string) string { return charEscapes.Replace(s) }
