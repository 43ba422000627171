package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/terminal"
	"github.com/soapward/soapward/wsdl"
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
		if n := len(results[0].leftOut) + len(results[0].warnings); n > 0 {
			p.Line("")
			p.Line(counted(n, "warning") + " above")
		}
	}
	return p.Err
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (f *generateFlags) printOne(p *terminal.Printer, r *generated) {
	state := counted(len(r.Changed), "file") + " written"
	switch {
	case len(r.Changed) == 0:
		state = "up to date"
	case f.check:
		state = "not up to date: " + strings.Join(r.Changed, ", ")
	}
	p.Line(fmt.Sprintf("%s: package %s, %s, %s", filepath.ToSlash(r.Dir), r.Package, counted(r.Types, "type"), state))
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
		printHeaders(p, s.Operations)
	}
	leftOut, warnings := wsdl.GroupProblems(r.leftOut, 20), wsdl.GroupProblems(r.warnings, 3)
	if len(leftOut)+len(warnings) > 0 {
		p.Line("")
	}
	for _, g := range leftOut {
		printProblem(p, "left out: ", describe(g))
	}
	for _, g := range warnings {
		printProblem(p, "warning: ", describe(g))
	}
	if len(leftOut)+len(warnings) < len(r.leftOut)+len(r.warnings) {
		p.Line("(--json lists each of them)")
	}
}

// describe returns a problem with its position, or what several have in common.
func describe(g wsdl.Group) string {
	at := g.First
	at.URI = near(at.URI)
	switch {
	case g.Count > 1:
		return fmt.Sprintf("%d times: %s (first at %s)", g.Count, g.Text, at)
	case at.URI == "":
		return g.Text
	}
	return at.String() + ": " + g.Text
}

// near returns the path of a file from here, if that is shorter. URLs stay as
// they are.
func near(file string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(file) {
		return file
	}
	rel, err := filepath.Rel(here, file)
	if err != nil || len(rel) >= len(file) {
		return file
	}
	return rel
}

// printHeaders prints the functions for header blocks.
func printHeaders(p *terminal.Printer, ops []operation) {
	var sent, received []string
	for _, op := range ops {
		sent = append(sent, op.Headers...)
		received = append(received, op.AnswerHeaders...)
	}
	line := func(name, function string, headers []string) {
		slices.Sort(headers)
		if headers = slices.Compact(headers); len(headers) == 0 {
			return
		}
		text := name + ": " + function + strings.Join(headers, ", "+function)
		for i, l := range terminal.Wrap(text, p.Columns()-4) {
			if i > 0 {
				l = "  " + l
			}
			p.Line("  " + l)
		}
	}
	line("headers of requests", "With", sent)
	line("headers of answers", "Find", received)
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
