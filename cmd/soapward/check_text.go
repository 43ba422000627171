package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/terminal"
)

// checkPrinter prints a checkReport for people.
type checkPrinter struct {
	terminal.Printer
	r *checkReport
}

// printCheck prints what was asked for: what the configuration means, or the
// explanation and what is there.
func printCheck(w io.Writer, st terminal.Style, r *checkReport) error {
	p := &checkPrinter{terminal.Printer{Style: st, W: w}, r}
	if r.Explanation == nil && r.Checks == nil {
		p.meaning()
		return p.Err
	}
	if r.Explanation != nil {
		for l := range strings.Lines(r.Explanation.String()) {
			p.Line(strings.TrimSuffix(l, "\n"))
		}
	}
	if r.Checks != nil {
		if r.Explanation != nil {
			p.Line("")
		}
		p.dialled()
	}
	return p.Err
}

const checkIndent = 14 // of facts

// heading begins a section.
func (p *checkPrinter) heading(what string) {
	p.Line("")
	for _, l := range terminal.Wrap(what, p.Columns()) {
		p.Line(p.Paint(terminal.Bold, l))
	}
}

// fact prints something that is there.
func (p *checkPrinter) fact(name string, text ...string) {
	if s := strings.Join(text, ", "); s != "" {
		p.Fact(checkIndent, name, s)
	}
}

func (p *checkPrinter) meaning() {
	r := p.r
	p.Line(fmt.Sprintf("%s is valid: %s, %s, %s", oneLine(r.File),
		number(len(r.Listeners), "listener"), number(len(r.Services), "service"), number(len(r.Upstreams), "upstream")))
	if len(r.Listeners) > 0 {
		p.heading("Listeners")
	}
	indent := checkIndent
	for _, l := range r.Listeners {
		indent = max(indent, len(l.Address)+4)
	}
	for _, l := range r.Listeners {
		what := "plain HTTP"
		if l.TLS != "" {
			what = "TLS, " + l.TLS
		}
		if l.For != "services" {
			what += ", for " + l.For
		}
		p.Fact(indent, l.Address, what)
	}
	for _, s := range r.Services {
		p.service(&s)
	}
	for _, u := range r.Upstreams {
		p.upstream(&u)
	}
	if len(r.Warnings) > 0 {
		p.heading("Warnings")
	}
	for _, g := range groupWarnings(r.Warnings) {
		for i, l := range terminal.Wrap(g.place()+": "+g.Text, p.Columns()-2) {
			sign := "  "
			if i == 0 {
				sign = p.Paint(terminal.Yellow, "!") + " "
			}
			p.Line(sign + l)
		}
		if g.Remedy != "" {
			p.Fact(7, "try:", g.Remedy)
		}
	}
}

// place is where a warning is about, with its line where there is one place.
func (w checkWarning) place() string {
	if w.Position == "" {
		return w.Key
	}
	return w.Position + ": " + w.Key
}

// groupWarnings puts together those that differ by their keys only.
func groupWarnings(list []checkWarning) (groups []checkWarning) {
	const most = 5 // keys that are named
	keys := make(map[checkWarning]int)
	for _, w := range list {
		same := checkWarning{Text: w.Text, Remedy: w.Remedy}
		keys[same]++
		i := slices.IndexFunc(groups, func(g checkWarning) bool { return g.Text == w.Text && g.Remedy == w.Remedy })
		switch n := keys[same]; {
		case i < 0:
			groups = append(groups, w)
		case n <= most:
			groups[i].Key += ", " + w.Key
			groups[i].Position = ""
		}
	}
	for i := range groups {
		if n := keys[checkWarning{Text: groups[i].Text, Remedy: groups[i].Remedy}]; n > most {
			groups[i].Key += fmt.Sprintf(" and %d more", n-most)
		}
	}
	return groups
}

func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (p *checkPrinter) service(s *checkService) {
	p.heading("Service " + s.Name)
	host := s.Host
	if host == "" {
		host = "any host, "
	}
	p.fact("requests", strings.TrimSuffix(host+s.Path, ", "))
	server := s.Server
	if server == "" {
		server = "none: another proxy asks, and passes requests on itself"
	}
	p.fact("server", server)
	p.settings(&s.Settings)
	if len(s.Settings.Rules) == 0 {
		who := "everybody who logged in"
		if len(s.Settings.Login) == 1 && s.Settings.Login[0] == "none" {
			who = "everybody"
		}
		p.fact("allowed", who)
	}
	for _, e := range s.Elements {
		p.fact("part", e.For+": "+strings.Join(partText(&e.Settings), "; "))
	}
	if s.Published != "" {
		p.fact("wsdl", number(s.Operations, "operation"), map[string]string{
			"login": "published to those who log in", "open": "published to everybody", "off": "not published",
		}[s.Published])
	}
	var tells []string
	if s.NameHeader != "" {
		tells = append(tells, "the caller's name in "+s.NameHeader)
	}
	if s.TokenHeader != "" {
		tells = append(tells, "a signed token in "+s.TokenHeader)
	}
	p.fact("server gets", tells...)
}

// partText is what a part of a service has of its own.
func partText(s *checkSettings) (text []string) {
	add := func(name string, of []string) {
		if len(of) > 0 {
			text = append(text, name+" "+strings.Join(of, ", "))
		}
	}
	add("login", s.Login)
	if s.Binding != "" {
		add("channel binding", []string{s.Binding})
	}
	if s.Session {
		text = append(text, "session")
	}
	add("Negotiate not for", s.NotNegotiate)
	add("networks", s.Networks)
	for _, rule := range s.Rules {
		add("allowed", []string{rule.text()})
	}
	return text
}

func (r checkRule) text() string {
	return strings.TrimSpace(strings.Join(r.Methods, " ")+" "+r.For) + ": " + strings.Join(r.Roles, ", ")
}

func (p *checkPrinter) settings(s *checkSettings) {
	login := strings.Join(s.Login, ", ")
	if s.Inherited {
		login += " (defaults)"
	}
	p.fact("login", login)
	if s.Binding != "" && s.Binding != "supported" {
		p.fact("binding", "channel binding "+s.Binding)
	}
	if s.Session {
		p.fact("session", "from the login on, by a cookie")
	}
	if len(s.NotNegotiate) > 0 {
		p.fact("negotiate", "not for "+strings.Join(s.NotNegotiate, ", "))
	}
	if len(s.Networks) > 0 {
		p.fact("networks", s.Networks...)
	}
	for i, rule := range s.Rules {
		name := "allowed"
		if i > 0 {
			name = ""
		}
		p.fact(name, rule.text())
	}
}

func (p *checkPrinter) upstream(u *checkUpstream) {
	p.heading("Upstream " + u.Name)
	p.fact("address", u.Address)
	p.fact("server", u.Server)
	var as []string
	for _, a := range u.ActAs {
		account := map[string]string{"service": u.Service, "fixed": u.Fixed}[a]
		as = append(as, strings.TrimSpace(a+" "+account))
	}
	p.fact("acts as", strings.Join(as, ", else "))
	if u.ActAs[0] == "caller" {
		p.fact("double hop", map[string]string{"fault": "refused", "next": "goes on as the next one, with a line in the log"}[u.Hop])
	}
	p.fact("for roles", u.Roles...)
}

func (p *checkPrinter) dialled() {
	if len(p.r.Checks) == 0 {
		p.Line("The configuration names nothing that could be looked for.")
		return
	}
	rows := make([]terminal.Row, 0, len(p.r.Checks))
	for _, c := range p.r.Checks {
		sign, state := p.Paint(terminal.Green, "✓")+" ", "ok"
		if !c.OK {
			sign, state = p.Paint(terminal.Red, "✗")+" ", "failed"
			if !c.Essential {
				state = "failed, not essential"
			}
		}
		rows = append(rows, terminal.Row{Sign: sign, Cells: []string{c.Name, short(c.took), state}})
	}
	p.NameTable([]string{"what", "time", "state"}, rows)
	for _, c := range p.r.Checks {
		if c.OK {
			continue
		}
		p.heading(c.Name)
		p.Fact(7, "", c.Error)
		if c.Remedy != "" {
			p.Fact(7, "try:", c.Remedy)
		}
	}
}

// short is a time as people read it.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "< 1ms"
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
