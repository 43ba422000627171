package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/terminal"
)

// doctorPrinter prints what soapward doctor found, for people.
type doctorPrinter struct {
	findingPrinter
	r *doctor.Report
}

// findingPrinter prints findings.
type findingPrinter struct {
	terminal.Printer
	told map[string]bool // lists of commands that were printed
}

func printDoctor(w io.Writer, st terminal.Style, r *doctor.Report) error {
	p := &doctorPrinter{newFindingPrinter(w, st), r}
	p.file()
	p.kdcs()
	p.accounts()
	p.services()
	for _, f := range r.Findings {
		p.finding(&f)
	}
	p.Line("")
	p.Line(p.verdict())
	return p.Err
}

func newFindingPrinter(w io.Writer, st terminal.Style) findingPrinter {
	return findingPrinter{terminal.Printer{Style: st, W: w}, map[string]bool{}}
}

func (p *findingPrinter) sign(good bool) string {
	if good {
		return p.Paint(terminal.Green, "✓") + " "
	}
	return p.Paint(terminal.Red, "✗") + " "
}

// heading begins a section.
func (p *findingPrinter) heading(name, text string) {
	p.Line("")
	for i, l := range terminal.Wrap(name+" "+text, p.Columns()) {
		if i == 0 {
			l = p.Paint(terminal.Bold, name) + strings.TrimPrefix(l, name)
		}
		p.Line(l)
	}
}

func (p *doctorPrinter) file() {
	k := &p.r.Keytab
	text := k.File
	if k.Mode != "" {
		text += ", mode " + k.Mode
	}
	if k.Owner != "" {
		text += ", owner " + k.Owner
	}
	for i, l := range terminal.Wrap("Keytab "+text, p.Columns()) {
		if i == 0 {
			l = p.Paint(terminal.Bold, "Keytab") + strings.TrimPrefix(l, "Keytab")
		}
		p.Line(l)
	}
	var rows []terminal.Row
	for i, key := range k.Keys {
		if i == 200 {
			rows = append(rows, terminal.Row{Cells: []string{fmt.Sprintf("(%d more)", len(k.Keys)-i), "", "", ""}})
			break
		}
		written := ""
		if key.Written != nil {
			written = key.Written.Format(time.DateOnly)
		}
		rows = append(rows, terminal.Row{Cells: []string{key.Principal, fmt.Sprint(key.KVNO), written, shortTypes(key.ETypes)}})
	}
	if len(rows) > 0 {
		p.Table([]string{"PRINCIPAL", "KVNO", "WRITTEN", "TYPES"}, rows)
	}
}

// shortTypes names encryption types as people do.
func shortTypes(types []string) string {
	out := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "aes256-cts-hmac-sha1-96":
			t = "aes256"
		case "aes128-cts-hmac-sha1-96":
			t = "aes128"
		case "aes256-cts-hmac-sha384-192":
			t = "aes256-sha2"
		case "aes128-cts-hmac-sha256-128":
			t = "aes128-sha2"
		case "rc4-hmac":
			t = "rc4"
		}
		out[i] = t
	}
	return strings.Join(out, " ")
}

func (p *doctorPrinter) kdcs() {
	if len(p.r.KDCs) == 0 {
		return
	}
	p.heading("KDC", "of "+p.r.Realm)
	var rows []terminal.Row
	for _, k := range p.r.KDCs {
		answer := k.Error
		if k.ClockOffset != nil {
			answer = fmt.Sprintf("its clock is %+.0f s from ours", *k.ClockOffset)
		} else if k.Error == "" {
			answer = "answers"
		}
		rows = append(rows, terminal.Row{Sign: p.sign(k.Error == ""), Cells: []string{k.Addr, k.Network, fmt.Sprintf("%.1f ms", k.Milliseconds), answer}})
	}
	p.Table([]string{"ADDRESS", "OVER", "TIME", "ANSWER"}, rows)
}

func (p *doctorPrinter) accounts() {
	if len(p.r.Accounts) == 0 {
		return
	}
	p.heading("Account", "and its login with the file")
	var rows []terminal.Row
	for _, a := range p.r.Accounts {
		login := a.Error
		if a.LoggedIn {
			login = "logged in"
		}
		rows = append(rows, terminal.Row{Sign: p.sign(a.LoggedIn), Cells: []string{a.Principal, shortTypes(a.ETypes), login}})
	}
	p.Table([]string{"ACCOUNT", "KEYS AT THE KDC", "LOGIN"}, rows)
}

func (p *doctorPrinter) services() {
	asked := slices.ContainsFunc(p.r.Services, func(s doctor.Service) bool { return s.Ticket != nil || s.Error != "" })
	if !asked {
		return
	}
	p.heading("Tickets", "as "+p.r.AskedAs+" gets them")
	var rows []terminal.Row
	for _, s := range p.r.Services {
		if s.Ticket == nil && s.Error == "" {
			continue
		}
		kvno, types, text := "", "", s.Error
		good := false
		if t := s.Ticket; t != nil {
			kvno, types = fmt.Sprint(t.KVNO), shortTypes([]string{t.EType})
			if t.SessionEType != t.EType {
				types += ", session " + shortTypes([]string{t.SessionEType})
			}
			good = t.Opens
			switch {
			case len(s.Versions) == 0:
				text, good = "not in the file", false
			case good && t.OpenedBy != t.KVNO && t.KVNO != 0:
				text = fmt.Sprintf("opened by version %d", t.OpenedBy)
			case good:
				text = "opened"
			default:
				text = "no key opens it"
			}
		}
		rows = append(rows, terminal.Row{Sign: p.sign(good), Cells: []string{s.Name, kvno, types, text}})
	}
	p.Table([]string{"SERVICE", "KVNO", "SEALED WITH", "WITH THE FILE"}, rows)
}

// finding prints one finding. Its commands are not wrapped, for they are to be
// pasted.
func (p *findingPrinter) finding(f *doctor.Finding) {
	mark, color := "✗", terminal.Red
	switch f.Severity {
	case doctor.Risk:
		mark, color = "!", terminal.Yellow
	case doctor.Note:
		mark, color = "-", terminal.Dim
	}
	p.Line("")
	const indent = 2
	text := f.What
	if len(f.Subjects) > 0 {
		subjects := strings.Join(f.Subjects, ", ")
		if f.More > 0 {
			subjects += fmt.Sprintf(" and %d more", f.More)
		}
		text = subjects + ": " + text
	}
	for i, l := range terminal.Wrap(text, p.Columns()-indent) {
		if i == 0 {
			p.Line(p.Paint(color, mark) + " " + l)
			continue
		}
		p.Line("  " + l)
	}
	p.Fact(11, "id", f.ID)
	p.Fact(11, "why", f.Why)
	p.Fact(11, "remedy", f.Remedy)
	p.commands("Windows", f.Windows)
	p.commands("Samba", f.Samba)
}

// commands prints a list once: several findings may have the same remedy.
func (p *findingPrinter) commands(name string, list []string) {
	if all := strings.Join(list, "\n"); len(list) > 1 && p.told[all] {
		list = []string{"(as above)"}
	} else {
		p.told[all] = true
	}
	for i, c := range list {
		if i > 0 {
			name = ""
		}
		p.Line("  " + p.Paint(terminal.Dim, name) + terminal.Blanks(9, name) + oneLine(c))
	}
}

func (p *doctorPrinter) verdict() string {
	broken, risks := p.r.Count(doctor.Broken), p.r.Count(doctor.Risk)
	also := ""
	if risks > 0 {
		also = fmt.Sprintf(", %s", plural(risks, "warning"))
	}
	switch {
	case broken > 0:
		return p.Paint(terminal.Red, plural(broken, "error")) + also + "."
	case p.r.Offline:
		return p.Paint(terminal.Green, "The file has nothing in it that breaks logins") + also + "; nobody was asked (--offline)."
	}
	if slices.ContainsFunc(p.r.Findings, func(f doctor.Finding) bool { return f.ID == "services.not-checked" }) {
		also += "; no tickets were asked for"
	}
	return p.Paint(terminal.Green, "Nothing was found that breaks logins") + also + "."
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
