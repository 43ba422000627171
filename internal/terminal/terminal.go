// Package terminal lays out what commands print for people: wrapped to the
// width of the terminal, coloured where it has colours. A Style says both, a
// Printer writes lines, facts and tables.
//
// Texts may have words of a peer in them: nothing that steers a terminal gets
// through Wrap, which facts and tables use. The package stays as it is needed by
// the commands; it is internal.
package terminal

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style says how something is printed. The zero value is for files and pipes.
type Style struct {
	Width int  // columns; zero means 120
	Color bool // with ANSI colours
}

// Bounds of the width: narrower cannot be read, wider need not be.
const (
	defaultWidth = 120
	minWidth     = 60
	maxWidth     = 140
)

// Columns returns the number of columns to use.
func (st Style) Columns() int {
	if st.Width == 0 {
		return defaultWidth
	}
	return min(max(st.Width, minWidth), maxWidth)
}

// ANSI codes (ECMA-48 8.3.117).
const (
	Green  = "32"
	Red    = "31"
	Yellow = "33"
	Dim    = "2"
	Bold   = "1"
)

// Paint returns s in a colour, if there are colours and code is one.
func (st Style) Paint(code, s string) string {
	if !st.Color || s == "" || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// A Printer writes lines and keeps the first error. One goroutine at a time may
// use it.
type Printer struct {
	Style
	W   io.Writer
	Err error
}

// Line writes one line, which may have colours in it.
func (p *Printer) Line(s string) {
	if p.Err == nil {
		_, p.Err = io.WriteString(p.W, strings.TrimRight(s, " ")+"\n")
	}
}

// Fact writes a name and a text that is wrapped beside it, at column indent.
func (p *Printer) Fact(indent int, name, text string) {
	for i, l := range Wrap(text, p.Columns()-indent) {
		if i > 0 {
			name = ""
		}
		p.Line("  " + p.Paint(Dim, name) + Blanks(indent-2, name) + l)
	}
}

// A Row is one of a table.
type Row struct {
	Sign  string // of two columns, may be coloured
	Cells []string
}

// gap is the space between the columns of a table.
const gap = 2

// Table writes rows under a head. What is too long is wrapped: in the last
// column, unless the others leave less than a third for it.
func (p *Printer) Table(head []string, rows []Row) { p.table(head, rows, false) }

// NameTable is Table for rows that begin with a name: that is not wrapped as
// long as the last column keeps a word of eight letters, however narrow it is.
func (p *Printer) NameTable(head []string, rows []Row) { p.table(head, rows, true) }

// Records is Table where the columns have room. On a narrow terminal the first
// lead cells of a row are on a line, and under it each of the others that is not
// empty, with its head.
func (p *Printer) Records(lead int, head []string, rows []Row) {
	last := len(head) - 1
	need, indent := 2, 0
	for i, h := range head {
		width := utf8.RuneCountInString(h)
		for _, r := range rows {
			width = max(width, utf8.RuneCountInString(r.Cells[i]))
		}
		switch {
		case i == last:
			need += min(width, 24)
		default:
			need += width + gap
		}
		if i >= lead {
			indent = max(indent, utf8.RuneCountInString(h)+4+gap)
		}
	}
	if need <= p.Columns() {
		p.table(head, rows, false)
		return
	}
	for _, r := range rows {
		for i, l := range Wrap(strings.Join(r.Cells[:lead], "  "), p.Columns()-2) {
			if i > 0 {
				l = "  " + l
			}
			p.Line("  " + l)
		}
		for i := lead; i < len(head); i++ {
			if r.Cells[i] != "" {
				p.Fact(indent, "  "+head[i], r.Cells[i])
			}
		}
	}
}

func (p *Printer) table(head []string, rows []Row, names bool) {
	widths := make([]int, len(head))
	for _, r := range append([]Row{{Cells: head}}, rows...) {
		for i, c := range r.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	last := len(head) - 1
	room := p.Columns() - 2
	for _, w := range widths[:last] {
		room -= w + gap
	}
	least := min(widths[last], p.Columns()/3)
	if names {
		least = min(least, 8)
	}
	if room < least {
		widths[0] = max(widths[0]-(least-room), 8)
		room = least
	}
	widths[last] = min(widths[last], room)
	p.row("  ", head, widths, Dim)
	for _, r := range rows {
		p.row(r.Sign, r.Cells, widths, "")
	}
}

func (p *Printer) row(sign string, cells []string, widths []int, color string) {
	if sign == "" {
		sign = "  "
	}
	cols, height := make([][]string, len(cells)), 0
	for i, c := range cells {
		cols[i] = Wrap(c, widths[i])
		height = max(height, len(cols[i]))
	}
	for y := range height {
		l := sign
		for i, col := range cols {
			cell := ""
			if y < len(col) {
				cell = col[y]
			}
			l += p.Paint(color, cell)
			if i < len(cols)-1 {
				l += Blanks(widths[i]+gap, cell)
			}
		}
		p.Line(l)
		sign = "  "
	}
}

// Blanks returns the spaces that fill s up to n columns.
func Blanks(n int, s string) string {
	return strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// Wrap breaks s into lines of at most n columns, at spaces where that is
// possible. Control characters, which a text may bring from outside, do not
// reach the terminal.
func Wrap(s string, n int) []string {
	var lines []string
	cur, width := "", 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		for rs := []rune(word); len(rs) > 0; {
			k := len(rs)
			switch {
			case width > 0 && width+1+k <= n:
				cur, width = cur+" "+string(rs), width+1+k
				rs = nil
				continue
			case width > 0:
				lines = append(lines, cur)
			}
			k = min(k, n)
			cur, width, rs = string(rs[:k]), k, rs[k:]
		}
	}
	return append(lines, cur)
}
