package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Report is what became of a run.
type Report struct {
	OK       bool    `json:"ok"`
	Realm    string  `json:"realm"`
	KDC      string  `json:"kdc"`
	Expenses string  `json:"expenses"`
	Ledger   string  `json:"ledger"`
	Steps    []Step  `json:"steps"`
	Seconds  float64 `json:"seconds"`
}

// Step is what became of one step.
type Step struct {
	Name         string   `json:"name"`
	Expected     string   `json:"expected"`
	Happened     string   `json:"happened"`
	OK           bool     `json:"ok"`
	Milliseconds float64  `json:"milliseconds"`
	Log          *LogLine `json:"log,omitempty"` // what the operator reads
}

// LogLine is what the log of a service says under a reference that the caller
// was given.
type LogLine struct {
	Ref    string `json:"ref"`
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
}

// Err names the steps that did not do what they should, or is nil.
func (r *Report) Err() error {
	var failed []string
	for _, s := range r.Steps {
		if !s.OK {
			failed = append(failed, fmt.Sprintf("%q", s.Name))
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("demo: step %s did not do what it should", failed[0])
	}
	return fmt.Errorf("demo: %d of %d steps did not do what they should: %s",
		len(failed), len(r.Steps), strings.Join(failed, ", "))
}

// Style says how a report is printed.
type Style struct {
	Width int  // columns; zero means 120
	Color bool // with ANSI colours
}

// Bounds of the width of a report: narrower cannot be read, wider need not be.
const (
	defaultWidth = 120
	minWidth     = 60
	maxWidth     = 140
)

func (st Style) width() int {
	if st.Width == 0 {
		return defaultWidth
	}
	return min(max(st.Width, minWidth), maxWidth)
}

// ANSI codes (ECMA-48 8.3.117).
const (
	green = "32"
	red   = "31"
	dim   = "2"
	bold  = "1"
)

func (st Style) paint(code, s string) string {
	if !st.Color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer, st Style) error {
	p := &printer{w: w, Style: st}
	p.line(p.paint(bold, "soapward demo") + ": two SOAP services and a client, on loopback")
	p.fact("KDC", r.KDC+", realm "+r.Realm+" (for demonstration)")
	p.fact("expenses", r.Expenses+", calls ledger as its caller")
	p.fact("ledger", r.Ledger)
	p.line("")
	p.table(r.Steps)
	for _, s := range r.Steps {
		if s.Log != nil {
			p.line("")
			p.line("The log under reference " + s.Log.Ref + ", for the operator:")
			p.fact("cause", s.Log.Cause)
			p.fact("remedy", s.Log.Remedy)
		}
	}
	p.line("")
	p.line(r.verdict(p))
	return p.err
}

func (r *Report) verdict(p *printer) string {
	n := 0
	for _, s := range r.Steps {
		if s.OK {
			n++
		}
	}
	if n == len(r.Steps) {
		return p.paint(green, fmt.Sprintf("All %d steps did what they should", n)) + fmt.Sprintf(" (%.2f s).", r.Seconds)
	}
	return p.paint(red, fmt.Sprintf("%d of %d steps did not do what they should", len(r.Steps)-n, len(r.Steps))) +
		fmt.Sprintf(" (%.2f s).", r.Seconds)
}

// printer writes lines and keeps the first error.
type printer struct {
	Style
	w   io.Writer
	err error
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, strings.TrimRight(s, " ")+"\n")
	}
}

// fact prints a name and a text that is wrapped beside it.
func (p *printer) fact(name, text string) {
	const indent = 12
	for i, l := range wrap(text, p.width()-indent) {
		if i > 0 {
			name = ""
		}
		p.line("  " + p.paint(dim, name) + blanks(indent-2, name) + l)
	}
}

// table prints one row a step; cells that are too long are wrapped.
func (p *printer) table(steps []Step) {
	const mark, gap = 2, 2
	widths := [3]int{len("STEP"), len("EXPECTED"), len("WHAT HAPPENED")}
	for _, s := range steps {
		for i, c := range s.cells() {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	room := p.width() - mark - 2*gap
	if widths[0]+widths[1]+widths[2] > room {
		widths[0] = min(widths[0], room*29/100)
		widths[1] = min(widths[1], (room-widths[0])*48/100)
		widths[2] = room - widths[0] - widths[1]
	}
	row := func(sign string, cells [3]string) {
		var cols [3][]string
		height := 0
		for i, c := range cells {
			cols[i] = wrap(c, widths[i])
			height = max(height, len(cols[i]))
		}
		for y := range height {
			l := sign
			for i, col := range cols {
				cell := ""
				if y < len(col) {
					cell = col[y]
				}
				space := blanks(widths[i]+gap, cell)
				if i == 1 {
					cell = p.paint(dim, cell)
				}
				l += cell + space
			}
			p.line(l)
			sign = strings.Repeat(" ", mark)
		}
	}
	row("  ", [3]string{"STEP", "EXPECTED", "WHAT HAPPENED"})
	for _, s := range steps {
		sign := p.paint(green, "✓") + " "
		if !s.OK {
			sign = p.paint(red, "✗") + " "
		}
		row(sign, s.cells())
	}
}

func (s *Step) cells() [3]string { return [3]string{s.Name, s.Expected, s.Happened} }

// blanks returns the spaces that fill s up to n columns.
func blanks(n int, s string) string {
	return strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// wrap breaks s into lines of at most n columns, at spaces where that is
// possible. Control characters, which an error text may bring from outside, do
// not reach the terminal.
func wrap(s string, n int) []string {
	var lines []string
	cur, width := "", 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }) {
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
