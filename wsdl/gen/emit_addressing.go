package gen

import (
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/wsdl"
)

// emitAddressing writes what a description says of WS-Addressing: whether it
// asks for it, and the actions that soap.Operation would not make up the same.
func (g *generator) emitAddressing(p *portT, op *operation) {
	policy := op.op.Policy
	if v := addressingConst(policy.Addressing); v != "" {
		g.p("\t\tAddressing: %s,", v)
		if policy.AddressingRequired {
			g.p("\t\tAddressingRequired: true,")
		}
	}
	made := soap.Operation{
		Service: "{" + p.pt.Name.Space + "}" + p.pt.Name.Local, Name: op.op.Name, Action: op.op.Action, OneWay: op.out == nil,
	}
	if a := op.op.In.Action; a != "" && a != made.WantAction() {
		g.p("\t\tInputAction: %q,", a)
	}
	if op.op.Out != nil && op.op.Out.Action != "" && op.op.Out.Action != made.ReplyAction() {
		g.p("\t\tOutputAction: %q,", op.op.Out.Action)
	}
	if policy.Addressing == wsdl.NoAddressing {
		return
	}
	if len(op.faults) == 0 {
		return
	}
	g.p("\t\tFaultActions: map[xml.Name]string{")
	for _, s := range op.faults {
		for _, f := range op.op.Faults {
			if len(f.Message.Parts) == 1 && f.Message.Parts[0].Element == s.fault {
				g.p("\t\t\t%s: %q,", g.name(s.fault.Name), f.Action)
				break
			}
		}
	}
	g.p("\t\t},")
}

func addressingConst(v wsdl.AddressingVersion) string {
	switch v {
	case wsdl.Addressing200508:
		return "soap.Addressing10"
	case wsdl.Addressing200408:
		return "soap.Addressing200408"
	}
	return ""
}
