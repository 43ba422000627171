package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/terminal"
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
	Reason string `json:"reason"` // for programs
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
type Style = terminal.Style

// Write prints the report for people.
func (r *Report) Write(w io.Writer, st Style) error {
	p := newPrinter(w, st)
	p.Line(p.Paint(terminal.Bold, "soapward demo") + ": two SOAP services and a client, on loopback")
	p.Fact(factIndent, "KDC", r.KDC+", realm "+r.Realm+" (for demonstration)")
	p.Fact(factIndent, "expenses", r.Expenses+", calls ledger as its caller")
	p.Fact(factIndent, "ledger", r.Ledger)
	p.Line("")
	p.table(r.Steps)
	for _, s := range r.Steps {
		if s.Log != nil {
			p.Line("")
			p.Line("The log under reference " + s.Log.Ref + ", for the operator:")
			p.Fact(factIndent, "reason", s.Log.Reason)
			p.Fact(factIndent, "cause", s.Log.Cause)
			p.Fact(factIndent, "remedy", s.Log.Remedy)
		}
	}
	p.Line("")
	p.Line(r.verdict(p))
	return p.Err
}

func (r *Report) verdict(p *printer) string {
	n := 0
	for _, s := range r.Steps {
		if s.OK {
			n++
		}
	}
	if n == len(r.Steps) {
		return p.Paint(terminal.Green, fmt.Sprintf("All %d steps did what they should", n)) + fmt.Sprintf(" (%.2f s).", r.Seconds)
	}
	return p.Paint(terminal.Red, fmt.Sprintf("%d of %d steps did not do what they should", len(r.Steps)-n, len(r.Steps))) +
		fmt.Sprintf(" (%.2f s).", r.Seconds)
}

// printer prints a report.
type printer struct{ terminal.Printer }

func newPrinter(w io.Writer, st Style) *printer {
	return &printer{terminal.Printer{Style: st, W: w}}
}

// factIndent is the column where the text of a fact begins.
const factIndent = 12

// table prints one row a step; cells that are too long are wrapped.
func (p *printer) table(steps []Step) {
	const mark, gap = 2, 2
	widths := [3]int{len("STEP"), len("EXPECTED"), len("WHAT HAPPENED")}
	for _, s := range steps {
		for i, c := range s.cells() {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	room := p.Columns() - mark - 2*gap
	if widths[0]+widths[1]+widths[2] > room {
		widths[0] = min(widths[0], room*29/100)
		widths[1] = min(widths[1], (room-widths[0])*48/100)
		widths[2] = room - widths[0] - widths[1]
	}
	row := func(sign string, cells [3]string) {
		var cols [3][]string
		height := 0
		for i, c := range cells {
			cols[i] = terminal.Wrap(c, widths[i])
			height = max(height, len(cols[i]))
		}
		for y := range height {
			l := sign
			for i, col := range cols {
				cell := ""
				if y < len(col) {
					cell = col[y]
				}
				space := terminal.Blanks(widths[i]+gap, cell)
				if i == 1 {
					cell = p.Paint(terminal.Dim, cell)
				}
				l += cell + space
			}
			p.Line(l)
			sign = strings.Repeat(" ", mark)
		}
	}
	row("  ", [3]string{"STEP", "EXPECTED", "WHAT HAPPENED"})
	for _, s := range steps {
		sign := p.Paint(terminal.Green, "✓") + " "
		if !s.OK {
			sign = p.Paint(terminal.Red, "✗") + " "
		}
		row(sign, s.cells())
	}
}

func (s *Step) cells() [3]string { return [3]string{s.Name, s.Expected, s.Happened} }
