package main

import (
	"fmt"
	"strings"
)

// configPage makes the manual page of the configuration out of its reference,
// which is Markdown as this repository writes it: headings, paragraphs, lists,
// tables and blocks of code.
func configPage(md, date string) string {
	p := &page{}
	p.line(`.TH SOAPWARD.YAML 5 %s "soapward" "File Formats"`, date)
	p.line(".SH NAME\nsoapward.yaml \\- configuration of the gateway soapward\n.SH DESCRIPTION")
	p.fresh = true
	code := false
	for l := range strings.SplitSeq(md, "\n") {
		switch {
		case strings.HasPrefix(l, "```"):
			code = !code
			p.line("%s", map[bool]string{true: ".PP\n.nf", false: ".fi"}[code])
			p.gap = false
		case code:
			p.line("%s", roffText(l))
		default:
			p.text(l)
		}
	}
	p.line(".SH FILES\n.TP\n.I /etc/soapward/soapward.yaml\nthe configuration of the service\n.SH SEE ALSO\n.BR soapward (1)")
	return p.b.String()
}

// page is a manual page that is being written.
type page struct {
	b     strings.Builder
	gap   bool // a paragraph is to begin
	fresh bool // nothing stands under the heading yet
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// text writes one line that is no code.
func (p *page) text(l string) {
	defer func() { p.fresh = p.fresh && (l == "" || strings.HasPrefix(l, "#")) }()
	switch {
	case strings.HasPrefix(l, "# "):
	case strings.HasPrefix(l, "#"):
		macro := ".SS"
		if strings.HasPrefix(l, "## ") {
			macro = ".SH"
		}
		p.line("%s %s", macro, strings.ToUpper(roffText(strings.TrimLeft(l, "# "))))
		p.gap, p.fresh = false, true
	case l == "":
		p.gap = !p.fresh // no paragraph begins right after a heading
	case strings.HasPrefix(l, "|"):
		p.row(cells(l))
	case strings.HasPrefix(l, "- "):
		p.line(".IP \\(bu 2\n%s", inline(l[2:]))
		p.gap = true
	default:
		if p.gap {
			p.line(".PP")
		}
		p.gap = false
		p.line("%s", inline(l))
	}
}

// row writes a row of a table: the first cell by itself, the others below it.
func (p *page) row(c []string) {
	p.gap = true
	switch {
	case strings.Trim(strings.Join(c, ""), "-: ") == "": // the line under the head
	case len(c) > 1 && (c[0] == "key" || c[len(c)-1] == "meaning"): // the head
	case len(c) == 4:
		p.line(".TP\n%s\n%s; default: %s.\n%s", bold(c[0]), inline(c[1]), inline(c[2]), inline(c[3]))
	case len(c) > 1:
		p.line(".TP\n%s\n%s", bold(c[0]), inline(strings.Join(c[1:], "; ")))
	}
}

// cells splits a row at the bars that are not escaped.
func cells(l string) []string {
	const bar = "\x00"
	l = strings.ReplaceAll(strings.Trim(strings.TrimSpace(l), "|"), `\|`, bar)
	out := strings.Split(l, "|")
	for i := range out {
		out[i] = strings.TrimSpace(strings.ReplaceAll(out[i], bar, "|"))
	}
	return out
}

func bold(s string) string { return ".B " + roffText(strings.ReplaceAll(s, "`", "")) }

// inline writes text with code and links in it.
func inline(s string) string {
	for {
		i := strings.Index(s, "](")
		if i < 0 {
			break
		}
		j, k := strings.LastIndexByte(s[:i], '['), strings.IndexByte(s[i:], ')')
		if j < 0 || k < 0 {
			break
		}
		s = s[:j] + s[j+1:i] + s[i+k+1:]
	}
	parts := strings.Split(s, "`")
	var b strings.Builder
	for i, t := range parts {
		if i%2 == 1 {
			b.WriteString(`\fB` + roffText(t) + `\fR`)
			continue
		}
		b.WriteString(roffText(strings.ReplaceAll(t, "*", "")))
	}
	out := b.String()
	if strings.HasPrefix(out, ".") || strings.HasPrefix(out, "'") {
		out = `\&` + out
	}
	return out
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`)

func roffText(s string) string {
	s = roffEscapes.Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
