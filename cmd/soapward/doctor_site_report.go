package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
	"github.com/soapward/soapward/internal/terminal"
)

// sections are the parts of a run, by how their findings' IDs begin.
var sections = []struct{ name, prefixes string }{
	{"Name and way", "url dns proxy tcp"}, {"TLS", "tls"}, {"HTTP", "http"}, {"Connections and NTLM", "ntlm conn clock"},
	{"Kerberos", "krb spn kdc ticket"}, {"Logins", "login binding"}, {"Passing the caller on", "hop"},
}

// sectionOf is the part of a run that a finding belongs to.
func sectionOf(id string) string {
	kind, _, _ := strings.Cut(id, ".")
	for _, s := range sections {
		for p := range strings.FieldsSeq(s.prefixes) {
			if p == kind {
				return s.name
			}
		}
	}
	return ""
}

// sitePrinter prints what soapward doctor found out of a URL, for people.
type sitePrinter struct {
	findingPrinter
	r *site.Report
}

func printSite(w io.Writer, st terminal.Style, r *site.Report) error {
	p := &sitePrinter{newFindingPrinter(w, st), r}
	p.Line(p.Paint(terminal.Bold, "Service") + " " + oneLine(r.URL))
	last, fine := "", true
	for i := range r.Findings {
		f := &r.Findings[i]
		if name := sectionOf(f.ID); name != last {
			last = name
			p.heading(name, "")
			fine = true
		}
		if f.Severity != doctor.Good {
			p.finding(f)
			fine = false
			continue
		}
		if !fine {
			p.Line("")
			fine = true
		}
		p.fine(f)
	}
	p.said()
	p.Line("")
	p.Line(p.verdict())
	return p.Err
}

// fine prints a finding that is none to act on.
func (p *sitePrinter) fine(f *doctor.Finding) {
	for i, l := range terminal.Wrap(f.What+": "+f.Why, p.Columns()-2) {
		if i == 0 {
			p.Line(p.sign(true) + l)
			continue
		}
		p.Line("  " + l)
	}
}

// said prints what the server said, where a login went wrong.
func (p *sitePrinter) said() {
	failed := false
	for _, l := range p.r.Logins {
		failed = failed || l.Binding == "right" && !l.OK
	}
	if !failed {
		return
	}
	for _, t := range p.r.Tokens {
		p.heading("The server's "+oneLine(t.Step), "")
		var b strings.Builder
		if err := t.Text.WriteText(&b); err != nil {
			continue
		}
		for l := range strings.Lines(b.String()) {
			p.Line("  " + oneLine(strings.TrimSuffix(l, "\n")))
		}
	}
}

func (p *sitePrinter) verdict() string {
	also := ""
	if risks := p.r.Count(doctor.Risk); risks > 0 {
		also = fmt.Sprintf(", %s", plural(risks, "warning"))
	}
	if n := p.r.Count(doctor.Broken); n > 0 {
		return p.Paint(terminal.Red, plural(n, "error")) + also + "."
	}
	tried := "; no login was tried"
	if len(p.r.Logins) > 0 {
		tried = ""
	}
	return p.Paint(terminal.Green, "Nothing was found that breaks logins") + also + tried + "."
}
