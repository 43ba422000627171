package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/publish"
)

// checkReport is what soapward check tells: as text, or as JSON.
type checkReport struct {
	File   string       `json:"file"`
	Valid  bool         `json:"valid"`
	Errors []checkError `json:"errors,omitempty"`

	Listeners []checkListener `json:"listeners,omitempty"`
	Services  []checkService  `json:"services,omitempty"`
	Upstreams []checkUpstream `json:"upstreams,omitempty"`
	Warnings  []checkWarning  `json:"warnings,omitempty"`

	Explanation *authz.Explanation `json:"explanation,omitempty"`
	Checks      []checkDialled     `json:"checks,omitempty"`
}

// checkError is one thing that is wrong.
type checkError struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

type checkListener struct {
	Address string `json:"address"`
	For     string `json:"for"` // "services" or "administrators"
	TLS     string `json:"tls"` // certificate; empty: plain HTTP
}

type checkService struct {
	Name     string        `json:"name"`
	Host     string        `json:"host,omitempty"`
	Path     string        `json:"path,omitempty"`
	Server   string        `json:"server,omitempty"`
	Settings checkSettings `json:"settings"`
	Elements []checkPart   `json:"elements,omitempty"`

	Operations int    `json:"operations,omitempty"`
	Published  string `json:"published,omitempty"` // "login", "open" or "off"; empty: no WSDL

	// How the server learns who the caller is.
	NameHeader  string `json:"name_header,omitempty"`
	TokenHeader string `json:"token_header,omitempty"`
}

// checkSettings are the settings in force.
type checkSettings struct {
	Login        []string    `json:"login,omitempty"`
	Inherited    bool        `json:"login_inherited"`
	Binding      string      `json:"channel_binding,omitempty"`
	NotNegotiate []string    `json:"not_negotiate,omitempty"`
	Networks     []string    `json:"networks,omitempty"`
	Session      bool        `json:"session,omitempty"`
	Rules        []checkRule `json:"rules,omitempty"` // none: everybody who logged in
}

type checkRule struct {
	For     string   `json:"for"`
	Methods []string `json:"methods,omitempty"`
	Roles   []string `json:"roles"`
}

// checkPart is an operation or a path with settings of its own.
type checkPart struct {
	For      string        `json:"for"`
	Settings checkSettings `json:"settings"` // those that it has itself
}

type checkUpstream struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Server  string   `json:"server,omitempty"`
	ActAs   []string `json:"act_as"`
	Service string   `json:"service,omitempty"` // the accounts
	Fixed   string   `json:"fixed,omitempty"`
	Hop     string   `json:"on_double_hop"`
	Roles   []string `json:"allowed_roles,omitempty"`
}

type checkWarning struct {
	Key      string `json:"key"`
	Position string `json:"position,omitempty"` // file:line
	Text     string `json:"text"`
	Remedy   string `json:"remedy,omitempty"`
}

// checkDialled is how one look ended.
type checkDialled struct {
	Name         string `json:"name"`
	Kind         string `json:"kind"`
	Essential    bool   `json:"essential"`
	OK           bool   `json:"ok"`
	Milliseconds int64  `json:"milliseconds"`
	Error        string `json:"error,omitempty"`
	Remedy       string `json:"remedy,omitempty"`

	took time.Duration
}

// wrong takes down why the configuration cannot be used.
func (r *checkReport) wrong(err error) {
	var many *config.Errors
	if !errors.As(err, &many) {
		r.Errors = append(r.Errors, checkError{Text: withoutPackages(err.Error())})
		return
	}
	for _, e := range many.List {
		r.Errors = append(r.Errors, checkError{e.File, e.Line, e.Column, e.Text})
	}
	if many.More > 0 {
		r.Errors = append(r.Errors, checkError{Text: fmt.Sprintf("and %d more", many.More)})
	}
}

// fill takes down what a configuration means.
func (r *checkReport) fill(c *config.Config, publishers map[string]*publish.Publisher, parts *gatewayParts) {
	r.Valid = true
	for i := range c.Listen {
		r.Listeners = append(r.Listeners, listenerOf(c.Listen[i].Addr, c.Listen[i].TLS, "services"))
	}
	if c.Admin != nil {
		r.Listeners = append(r.Listeners, listenerOf(c.Admin.Addr, c.Admin.TLS, "administrators"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		r.Services = append(r.Services, serviceOf(c, name, publishers[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		r.Upstreams = append(r.Upstreams, upstreamOf(name, c.Upstreams[name]))
	}
	for _, w := range c.Warnings() {
		r.Warnings = append(r.Warnings, checkWarning{w.Key, w.Position, w.Text, w.Remedy})
	}
	r.Warnings = append(r.Warnings, parts.certificates...)
	for _, w := range parts.warnings {
		var remedies []string
		for _, m := range w.Remedies {
			remedies = append(remedies, m.String())
		}
		name := upstreamName(c, w.Upstream)
		text := strings.ReplaceAll(w.String(), "upstream "+w.Upstream, "upstream "+name)
		r.Warnings = append(r.Warnings, checkWarning{"upstreams." + name, c.Position(c.Upstreams[name]), text, strings.Join(remedies, "; or ")})
	}
}

// upstreamName returns the name of the upstream with a service name.
func upstreamName(c *config.Config, spn string) string {
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u := c.Upstreams[name]
		own := u.SPN
		if own == "" && u.URL.URL != nil {
			own = "HTTP/" + u.URL.Hostname()
		}
		if strings.EqualFold(own, spn) {
			return name
		}
	}
	return spn
}

func listenerOf(a config.Address, tls *config.TLS, purpose string) checkListener {
	l := checkListener{Address: string(a), For: purpose}
	if tls != nil {
		l.TLS = string(tls.Cert)
	}
	return l
}

func serviceOf(c *config.Config, name string, p *publish.Publisher) checkService {
	s := c.Services[name]
	out := checkService{Name: name, Host: s.Match.Host, Path: s.Match.Path}
	all := s.Settings
	inherit(&all, &c.Defaults)
	out.Settings = settingsOf(&all)
	out.Settings.Inherited = len(s.Login) == 0
	for i := range s.Elements {
		e := &s.Elements[i]
		out.Elements = append(out.Elements, checkPart{e.Operation + e.Path, settingsOf(&e.Settings)})
	}
	if u := s.Upstream; u != nil {
		out.Server = serversText(u)
		if id := u.Identity; id != nil {
			out.NameHeader = id.Header
			if id.JWT != nil {
				out.TokenHeader = id.JWT.Header
			}
		}
	}
	if s.WSDL != "" && p != nil {
		out.Operations, out.Published = len(p.Operations()), string(s.Publish)
	}
	return out
}

// inherit fills in what an element takes from the one above.
func inherit(s, from *config.Settings) {
	if len(s.Login) == 0 {
		s.Login = from.Login
	}
	if s.ChannelBinding == "" {
		s.ChannelBinding = from.ChannelBinding
	}
	if s.NotNegotiate == nil {
		s.NotNegotiate = from.NotNegotiate
	}
	if len(s.Allow) == 0 {
		s.Allow = from.Allow
	}
	if len(s.Networks) == 0 {
		s.Networks = from.Networks
	}
	if s.Session == nil {
		s.Session = from.Session
	}
}

func settingsOf(s *config.Settings) (out checkSettings) {
	for _, l := range s.Login {
		out.Login = append(out.Login, l.String())
	}
	out.Binding = string(s.ChannelBinding)
	out.Session = s.Session != nil && *s.Session
	if n := s.NotNegotiate; n != nil {
		for _, net := range n.Networks {
			out.NotNegotiate = append(out.NotNegotiate, net.String())
		}
		out.NotNegotiate = append(out.NotNegotiate, n.UserAgents...)
	}
	for _, n := range s.Networks {
		out.Networks = append(out.Networks, n.String())
	}
	for _, a := range s.Allow {
		out.Rules = append(out.Rules, checkRule{a.Operation + a.Path, a.Methods, a.Roles})
	}
	return out
}

// serversText lists the servers of a backend, none where another proxy passes
// requests on.
func serversText(b *config.Backend) string {
	if b == nil {
		return ""
	}
	var servers []string
	for _, server := range b.Servers() {
		servers = append(servers, server.String())
	}
	return strings.Join(servers, ", ")
}

// calledServer says which servers an upstream calls.
func calledServer(u *config.Upstream) string {
	if u.Mode != config.ModeForwardProxy {
		return u.URL.String()
	}
	var hosts []string
	for _, h := range u.Hosts {
		hosts = append(hosts, string(h))
	}
	return "forward proxy to " + strings.Join(hosts, ", ")
}

func upstreamOf(name string, u *config.Upstream) checkUpstream {
	out := checkUpstream{Name: name, Address: string(u.Listen), Server: calledServer(u), Hop: string(u.OnDoubleHop), Roles: u.AllowedRoles}
	for _, as := range u.ActAs {
		out.ActAs = append(out.ActAs, string(as))
	}
	for _, a := range []struct {
		account *config.Account
		name    *string
	}{{u.Service, &out.Service}, {u.Fixed, &out.Fixed}} {
		if a.account != nil {
			*a.name = a.account.Principal + a.account.User
		}
	}
	return out
}

// failure is the error of a run in which something was not there.
func (r *checkReport) failure() error {
	failed := 0
	for _, c := range r.Checks {
		if !c.OK {
			failed++
		}
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return errors.New("1 thing that the configuration names is not there")
	}
	return fmt.Errorf("%d things that the configuration names are not there", failed)
}

func (r *checkReport) print(cmd *cobra.Command) error {
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), r)
	}
	return printCheck(cmd.OutOrStdout(), styleOf(cmd.OutOrStdout()), r)
}
