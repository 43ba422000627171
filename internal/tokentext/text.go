package tokentext

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// width is how long a line may get before it is broken, where there is a blank
// to break it at.
const width = 80

// WriteText writes the report for people. The same report gives the same text.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for i, t := range r.Tokens {
		if i > 0 {
			b.WriteByte('\n')
		}
		writeLine(&b, 0, t.title(), "")
		for _, n := range t.Parts {
			n.write(&b, 1)
		}
	}
	if r.Omitted > 0 {
		fmt.Fprintf(&b, "\n… and %d more tokens\n", r.Omitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// title says where the token stood.
func (t *Token) title() string {
	s := t.Scheme
	if s == "" {
		s = "Token"
	}
	if t.Header != "" {
		s = t.Header + ": " + s
	}
	if t.Line > 0 {
		s = fmt.Sprintf("line %d, %s", t.Line, s)
	}
	if t.Encoding == "" {
		return s
	}
	return fmt.Sprintf("%s, %s (%s)", s, byteCount(t.Bytes), t.Encoding)
}

func (n *Node) write(b *strings.Builder, depth int) {
	switch {
	case n.Problem != "":
		writeLine(b, depth, "!! "+n.Problem, "")
	case n.Name == "more":
		writeLine(b, depth, "… and "+n.Value+" more", "")
	case n.Value == "" && n.Note == "":
		writeLine(b, depth, n.Name, "")
	case n.Value == "":
		writeLine(b, depth, n.Name, "("+n.Note+")")
	case n.Note == "":
		writeLine(b, depth, n.Name+":", n.Value)
	default:
		writeLine(b, depth, n.Name+":", n.Value+" ("+n.Note+")")
	}
	for _, c := range n.Children {
		c.write(b, depth+1)
	}
}

// writeLine writes head and text, broken at blanks of either where the line
// gets too long.
func writeLine(b *strings.Builder, depth int, head, text string) {
	indent := strings.Repeat("  ", depth)
	b.WriteString(indent)
	if text != "" {
		head += " " + text
	}
	column := len(indent)
	for i, word := range strings.Split(head, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n" + indent + "    ")
			column = len(indent) + 4
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}
