package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/terminal"
)

// print writes the summary.
func (f *generateFlags) print(w io.Writer, results []generated) error {
	p := &terminal.Printer{Style: styleOf(w), W: w}
	for i := range results {
		if i > 0 {
			p.Line("")
		}
		f.printOne(p, &results[i])
	}
	if f.needsTool && !f.check {
		p.Line("")
		p.Line("to run it again with go generate: go get -tool " + commandPath)
	}
	if len(results) == 1 && results[0].fresh && results[0].Program != nil {
		results[0].Program.print(p)
	}
	return p.Err
}

func (f *generateFlags) printOne(p *terminal.Printer, r *generated) {
	state := fmt.Sprintf("%d files written", len(r.Changed))
	switch {
	case len(r.Changed) == 0:
		state = "up to date"
	case f.check:
		state = "not up to date: " + strings.Join(r.Changed, ", ")
	}
	p.Line(fmt.Sprintf("%s: package %s, %d types, %s", filepath.ToSlash(r.Dir), r.Package, r.Types, state))
	for _, s := range r.Services {
		p.Line("")
		head := fmt.Sprintf("%s (SOAP %s) %s", s.Name, s.SOAP, s.URL)
		for i, l := range terminal.Wrap(head, p.Columns()-2) {
			if i > 0 {
				l = "  " + l
			}
			p.Line(l)
		}
		printMethods(p, s.Operations)
	}
	if len(r.LeftOut)+len(r.Warnings) > 0 {
		p.Line("")
	}
	for _, s := range r.LeftOut {
		printProblem(p, "left out: ", s)
	}
	for _, s := range r.Warnings {
		printProblem(p, "warning: ", s)
	}
}

// printMethods prints the operations of a service.
func printMethods(p *terminal.Printer, ops []operation) {
	var rows []methodRow
	for _, op := range ops {
		out, faults := op.Out, "-"
		if out == "" {
			out = "(one-way)"
		}
		about := ""
		if len(op.Faults) > 0 {
			faults = strings.Join(op.Faults, ", ")
			about = "faults " + faults
		}
		rows = append(rows, methodRow{op.Name, op.In, out, faults, about})
	}
	printRows(p, "faults", rows)
}

// methodRow is an operation in a table: with last in a column of its own, or
// where there is no room with about behind the types.
type methodRow struct{ name, in, out, last, about string }

// printRows prints operations in as many columns as fit: four, or two with the
// types in one, or each operation in a paragraph of its own. Names are not
// broken, unless one is wider than the terminal.
func printRows(p *terminal.Printer, last string, rows []methodRow) {
	four := []terminal.Row{{Cells: []string{"operation", "in", "out", last}}}
	two := []terminal.Row{{Cells: []string{"operation", "in → out"}}}
	widths := [4]int{}
	word := 0
	least := 25 // a last column as narrow as that is still read
	for _, r := range rows {
		types := r.in + " → " + r.out
		if r.about != "" {
			types += "; " + r.about
		}
		four = append(four, terminal.Row{Cells: []string{r.name, r.in, r.out, r.last}})
		two = append(two, terminal.Row{Cells: []string{r.name, types}})
		for _, w := range strings.Fields(types) {
			word = max(word, utf8.RuneCountInString(w))
		}
		for _, w := range strings.Fields(r.last) {
			least = max(least, utf8.RuneCountInString(w))
		}
	}
	for _, r := range four {
		for i, c := range r.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	const gaps = 8
	switch room := p.Columns() - widths[0]; {
	case widths[1]+widths[2]+min(widths[3], least)+gaps <= room:
		p.NameTable(four[0].Cells, four[1:])
	case word+4 <= room:
		p.NameTable(two[0].Cells, two[1:])
	default:
		for _, r := range two[1:] {
			p.Line("  " + r.Cells[0])
			for _, l := range terminal.Wrap(r.Cells[1], p.Columns()-6) {
				p.Line("      " + l)
			}
		}
	}
}

// printProblem prints a problem with its position: on one line, for programs,
// unless it goes to a terminal.
func printProblem(p *terminal.Printer, name, text string) {
	if p.Width == 0 {
		p.Line(name + oneLine(text))
		return
	}
	for i, l := range terminal.Wrap(name+text, p.Columns()-2) {
		if i > 0 {
			l = "  " + l
		}
		p.Line(l)
	}
}
