package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/internal/terminal"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/wsdl/message"
)

// listedOperation is a row of the list of operations.
type listedOperation struct {
	Service string `json:"service,omitempty"`
	Port    string `json:"port"`
	SOAP    string `json:"soap"`
	URL     string `json:"url,omitempty"`
	Name    string `json:"name"`
	Label   string `json:"label,omitempty"`
	In      string `json:"in,omitempty"`
	Out     string `json:"out,omitempty"`
	OneWay  bool   `json:"one_way,omitempty"`
	Doc     string `json:"doc,omitempty"`
}

// listOperations prints what a description offers, each port with a table.
func listOperations(cmd *cobra.Command, port string, c *message.Catalog) error {
	times := map[string]int{} // of a name in a port
	var all []listedOperation
	for _, o := range c.Operations {
		if port != "" && o.Port != port && o.Service != port {
			continue
		}
		l := listedOperation{
			Service: o.Service, Port: o.Port, SOAP: o.Version.String(), URL: o.URL, Name: o.Name, Label: o.Label,
			In: o.Input.Name().Local, OneWay: o.Output == nil, Doc: o.Doc,
		}
		if o.Output != nil {
			l.Out = o.Output.Name().Local
		}
		times[o.Service+"/"+o.Port+"/"+o.Name]++
		all = append(all, l)
	}
	if len(all) == 0 {
		_, err := c.Find(message.Query{Port: port}) // which says why
		return err
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), all)
	}
	p := &terminal.Printer{Style: styleOf(cmd.OutOrStdout()), W: cmd.OutOrStdout()}
	for i := 0; i < len(all); {
		first := all[i]
		var rows []methodRow
		for ; i < len(all) && all[i].Service == first.Service && all[i].Port == first.Port; i++ {
			o := all[i]
			name := o.Name
			if times[o.Service+"/"+o.Port+"/"+o.Name] > 1 {
				name += ":" + o.Label
			}
			rows = append(rows, methodRow{name, orText(o.In, "(several)"), outText(o), o.Doc, o.Doc})
		}
		if i > len(rows) {
			p.Line("")
		}
		portHead(p, first)
		printRows(p, "about", rows)
	}
	return p.Err
}

// portHead prints which port the operations below belong to.
func portHead(p *terminal.Printer, o listedOperation) {
	name := o.Port
	if o.Service != "" {
		name = o.Service + ", port " + o.Port
	}
	for i, l := range terminal.Wrap(strings.TrimSpace(fmt.Sprintf("%s (SOAP %s) %s", name, o.SOAP, o.URL)), p.Columns()-2) {
		if i > 0 {
			l = "  " + l
		}
		p.Line(p.Paint(terminal.Bold, l))
	}
}

func outText(o listedOperation) string {
	if o.OneWay {
		return "(one-way)"
	}
	return orText(o.Out, "(several)")
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// faultError is the fault that a service answered with.
type faultError struct {
	*soap.Fault
	op *message.Operation
}

// Error is the line that says what went wrong; details has the rest.
func (e *faultError) Error() string { return "the service answered with a fault" }

func (e *faultError) Unwrap() error { return e.Fault }

// details returns what the fault says, for people and for programs.
func (e *faultError) details() (string, any) {
	code := e.Code.String()
	var sub []string
	for _, q := range e.Subcodes {
		name := q.Local
		if q.Space != "" {
			name = "{" + q.Space + "}" + q.Local
		}
		sub = append(sub, name)
	}
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", name+":", oneLine(text))
		}
	}
	line("code", strings.Join(append([]string{code}, sub...), " / "))
	line("reason", e.Reason)
	line("role", e.Role)
	line("node", e.Node)
	if detail, err := message.Indent(e.Detail); err == nil && strings.TrimSpace(detail) != "" {
		b.WriteString("  detail:\n")
		for l := range strings.Lines(detail) {
			b.WriteString("    " + l)
		}
	}
	var detail json.RawMessage
	if !e.Detail.IsZero() {
		if j, err := e.op.Detail(e.Detail.String()); err == nil {
			detail = j
		}
	}
	return b.String(), struct {
		Code     string          `json:"code"`
		Subcodes []string        `json:"subcodes,omitempty"`
		Reason   string          `json:"reason"`
		Role     string          `json:"role,omitempty"`
		Node     string          `json:"node,omitempty"`
		Detail   json.RawMessage `json:"detail,omitempty"`
	}{code, sub, e.Reason, e.Role, e.Node, detail}
}
