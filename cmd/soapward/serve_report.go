package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/terminal"
)

// printServe says what a gateway does: where it listens, for which services and
// upstreams, and what is not as it should be.
func printServe(w io.Writer, st terminal.Style, file string, g *gateway.Gateway) error {
	p := &terminal.Printer{Style: st, W: w}
	c := g.Config()
	p.Line(p.Paint(terminal.Bold, "soapward") + " serves " + oneLine(file))
	p.Line("")
	const indent = 13
	for _, l := range g.Listening() {
		if l.Direction == trail.Outbound {
			continue // with its upstream
		}
		name := "listens at"
		if l.Direction == "" {
			name = "admin"
		}
		p.Fact(indent, name, listeningText(l))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		p.Fact(indent, "service", serviceText(c, name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u := c.Upstreams[name]
		as := make([]string, len(u.ActAs))
		for i := range as {
			as[i] = string(u.ActAs[i])
		}
		p.Fact(indent, "upstream", fmt.Sprintf("%s: %s -> %s as %s", name, u.Listen, calledServer(u), strings.Join(as, ", else ")))
	}
	for _, warning := range g.Warnings() {
		p.Fact(indent, "warning", warning)
	}
	p.Line("")
	return p.Err
}

func listeningText(l gateway.Listening) string {
	text := string(l.Addr)
	if network, _ := l.Addr.Split(); network == "systemd" {
		text += " (" + l.Local.String() + ")"
	}
	if !l.TLS {
		return text + ", plain HTTP"
	}
	var names []string
	for _, cert := range l.Certificates {
		names = append(names, cert.Names...)
	}
	return text + ", TLS for " + strings.Join(names, ", ")
}

// serviceText is a service with its place, its logins and its backend.
func serviceText(c *config.Config, name string) string {
	s := c.Services[name]
	logins := c.LoginsOf(s)
	words := make([]string, len(logins))
	for i := range words {
		words[i] = logins[i].String()
	}
	to := ""
	if servers := serversText(s.Upstream); servers != "" {
		to = " -> " + servers
	}
	return fmt.Sprintf("%s: %s%s, login %s%s", name, s.Match.Host, s.Match.Path, strings.Join(words, ", "), to)
}
