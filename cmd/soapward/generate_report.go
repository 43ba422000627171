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

// printMethods prints the operations of a service: in columns where they fit,
// else with their types in one column that is wrapped.
func printMethods(p *terminal.Printer, ops []operation) {
	head := []string{"operation", "in", "out", "faults"}
	var rows, narrow []terminal.Row
	widths := make([]int, len(head))
	for _, op := range ops {
		out, faults := op.Out, "-"
		if out == "" {
			out = "(one-way)"
		}
		about := op.In + " → " + out
		if len(op.Faults) > 0 {
			faults = strings.Join(op.Faults, ", ")
			about += "; faults " + faults
		}
		rows = append(rows, terminal.Row{Cells: []string{op.Name, op.In, out, faults}})
		narrow = append(narrow, terminal.Row{Cells: []string{op.Name, about}})
	}
	for _, r := range append([]terminal.Row{{Cells: head}}, rows...) {
		for i, c := range r.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	// The last column is wrapped, but not to less than its widest word is likely
	// to need.
	if widths[0]+widths[1]+widths[2]+min(widths[3], 20)+8 <= p.Columns() {
		p.Table(head, rows)
		return
	}
	p.Table([]string{"operation", "in → out"}, narrow)
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
