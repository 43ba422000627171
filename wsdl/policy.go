package wsdl

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Policy is what a service asks of those who call it, as its WS-Policy says
// (versions 1.2 and 1.5) and the WSDL extensions for WS-Addressing. The zero
// Policy asks for nothing.
type Policy struct {
	// TLS means that each alternative asks for HTTPS.
	TLS bool

	// Logins are the schemes of HTTP authentication that are asked for, the
	// strongest first: "Negotiate", "NTLM", "Digest" and "Basic".
	Logins []string

	// Addressing is the version of WS-Addressing the service speaks, and
	// AddressingRequired whether it insists.
	Addressing         AddressingVersion
	AddressingRequired bool

	// MTOM means that the service takes messages in the form of MTOM, and
	// MTOMRequired that it takes no others.
	MTOM         bool
	MTOMRequired bool

	// Unsupported lists what each alternative asks for and is not supported,
	// such as message security.
	Unsupported []Problem
}

// Namespaces of policies.
var policySpaces = map[string]bool{
	"http://schemas.xmlsoap.org/ws/2002/12/policy": true,
	"http://schemas.xmlsoap.org/ws/2004/09/policy": true, // 1.2
	"http://www.w3.org/2006/07/ws-policy":          true,
	"http://www.w3.org/ns/ws-policy":               true, // 1.5
}

const (
	nsWSU          = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsPolicyHTTP   = "http://schemas.microsoft.com/ws/06/2004/policy/http"
	nsPolicyMTOM   = "http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization"
	nsPolicyMTOM11 = "http://www.w3.org/2007/08/soap11-mtom-policy"
	nsPolicyMTOM12 = "http://www.w3.org/2007/08/soap12-mtom-policy"
	maxFacts       = 64 // in one policy, beside those it is about
)

// A fact is something a policy asks for.
type fact string

const (
	factTLS        fact = "TLS"
	factAddressing fact = "addressing" // with either of
	factWSA2004    fact = "addressing 2004/08"
	factWSA2005    fact = "addressing 2005/08"
	factMTOM       fact = "MTOM"
	factLogin           = "login "       // and the scheme
	factNot             = "unsupported " // and the text of the problem
)

var (
	factSecurity    fact = factNot + "the policy asks for message security (WS-Security), which is not supported"
	factCertificate fact = factNot + "the policy asks for a client certificate, which the TLS configuration of the HTTP client must present"
)

// loginSchemes are the schemes a policy can ask for, the strongest first.
var loginSchemes = []string{"Negotiate", "NTLM", "Digest", "Basic"}

var loginAssertions = map[string]string{
	"NegotiateAuthentication": "Negotiate", "NtlmAuthentication": "NTLM",
	"DigestAuthentication": "Digest", "BasicAuthentication": "Basic",
	"HttpDigestAuthentication": "Digest", "HttpBasicAuthentication": "Basic",
}

// foreignPolicies are namespaces whose assertions mean a protocol that is not
// supported.
var foreignPolicies = map[string]string{
	"http://schemas.xmlsoap.org/ws/2005/02/rm/policy":             "reliable messaging (WS-ReliableMessaging)",
	"http://docs.oasis-open.org/ws-rx/wsrmp/200702":               "reliable messaging (WS-ReliableMessaging)",
	"http://schemas.xmlsoap.org/ws/2004/10/wsat":                  "atomic transactions (WS-AtomicTransaction)",
	"http://docs.oasis-open.org/ws-tx/wsat/2006/06":               "atomic transactions (WS-AtomicTransaction)",
	"http://schemas.microsoft.com/ws/06/2004/mspolicy/netbinary1": "the binary encoding of WCF",
	"http://schemas.microsoft.com/ws/2006/05/framing/policy":      "the transports of WCF other than HTTP",
}

// demands are the facts of a policy: those of some alternative, and those of
// every alternative. Alternatives are never multiplied out, so that the work
// stays in proportion to the size of the document.
type demands struct {
	some, every map[fact]Position
}

// and adds what holds besides.
func (d *demands) and(o demands) {
	add := func(to *map[fact]Position, from map[fact]Position) {
		if *to == nil && len(from) > 0 {
			*to = map[fact]Position{}
		}
		for _, f := range slices.Sorted(maps.Keys(from)) {
			old, ok := (*to)[f]
			if !ok && len(*to) >= maxFacts && strings.HasPrefix(string(f), factNot) {
				continue // enough is said
			}
			if p := from[f]; !ok || comparePositions(p, old) < 0 {
				(*to)[f] = p
			}
		}
	}
	add(&d.some, o.some)
	add(&d.every, o.every)
}

// or adds an alternative to those that are in d.
func (d *demands) or(o demands) {
	every := map[fact]Position{}
	for f, p := range d.every {
		if _, ok := o.every[f]; ok {
			every[f] = p
		}
	}
	d.every = nil
	d.and(demands{some: o.some})
	d.every = every
}

func comparePositions(p, q Position) int {
	return cmp.Or(cmp.Compare(p.URI, q.URI), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// policies evaluates the policies of a description, each once.
type policies struct {
	indexed bool
	byID    map[string][]*node // "#id" or a name, in document order
	known   map[*node]demands
	busy    map[*node]bool
	depth   int
}

// attachPolicies tells ports, bindings and operations what is asked of them
// (WS-Policy Attachment 4).
func (l *loader) attachPolicies(d *Definitions) {
	ports := map[*Binding][]*Port{}
	for _, s := range d.Services {
		for _, p := range s.Ports {
			ports[p.Binding] = append(ports[p.Binding], p)
		}
	}
	for _, b := range d.Bindings {
		endpoint := l.demandsOf(b.node, b.PortType.node)
		for _, p := range ports[b] {
			own := l.demandsOf(p.node)
			own.and(endpoint)
			p.Policy = own.policy()
			if len(ports[b]) == 1 {
				endpoint = own
			}
		}
		b.Policy = endpoint.policy()
		if b.Version == NotSOAP {
			continue
		}
		for _, p := range b.Policy.Unsupported {
			l.warn.add(p.Pos, nil, "%s", p.Text)
		}
		for _, bo := range b.Operations {
			own := l.demandsOf(bo.operationSubjects()...)
			for _, p := range own.policy().Unsupported {
				l.warn.add(p.Pos, nil, "%s", p.Text)
			}
			own.and(endpoint)
			bo.Policy = own.policy()
		}
	}
}

// operationSubjects are the elements whose policies are those of an operation
// and its messages. Policies of faults ask nothing of a caller.
func (bo *BoundOperation) operationSubjects() []*node {
	subjects := []*node{bo.node, bo.bound}
	for _, m := range []*Message{bo.Input, bo.Output} {
		if m != nil {
			subjects = append(subjects, m.node, m.use)
		}
	}
	for _, k := range bo.bound.kids {
		if k.name.Space == nsWSDL && (k.name.Local == "input" || k.name.Local == "output") {
			subjects = append(subjects, k)
		}
	}
	return subjects
}

// demandsOf evaluates the policies attached to elements.
func (l *loader) demandsOf(subjects ...*node) demands {
	var d demands
	for _, n := range subjects {
		for _, a := range n.attrs {
			if a.name.Local != "PolicyURIs" || !policySpaces[a.name.Space] {
				continue
			}
			for _, uri := range strings.Fields(a.value) {
				d.and(l.referredPolicy(n, uri))
			}
		}
		for _, k := range n.kids {
			switch {
			case policySpaces[k.name.Space]:
				d.and(l.policyNode(k))
			case k.name.Local == "UsingAddressing": // a WSDL extension, not a policy
				for f, p := range assertion(k).some {
					d.and(demands{some: map[fact]Position{f: p}})
					if isTrue(k.getNS(nsWSDL, "required")) {
						d.and(demands{every: map[fact]Position{f: p}})
					}
				}
			}
		}
	}
	return d
}

// policyNode evaluates a policy operator or an assertion, once.
func (l *loader) policyNode(n *node) demands {
	p := &l.policy
	if d, ok := p.known[n]; ok {
		return d
	}
	if p.busy[n] {
		l.warn.add(n.pos, nil, "policy refers to itself")
		return demands{}
	}
	if p.depth++; p.depth > maxNesting {
		p.depth--
		l.warn.add(n.pos, ErrTooLarge, "policies are nested deeper than %d", maxNesting)
		return demands{}
	}
	if p.busy == nil {
		p.busy, p.known = map[*node]bool{}, map[*node]demands{}
	}
	p.busy[n] = true
	var d demands
	switch {
	case !policySpaces[n.name.Space]:
		d = assertion(n)
		// A nested policy says more about the assertion (WS-Policy 4.3.2).
		for _, k := range n.kids {
			if countsInside(n) && (policySpaces[k.name.Space] || securityPolicy(k.name.Space)) {
				d.and(l.policyNode(k))
			}
		}
		if optionalAssertion(n) {
			d.every = nil
		}
	case n.name.Local == "Policy" || n.name.Local == "All":
		for _, k := range n.kids {
			d.and(l.policyNode(k))
		}
	case n.name.Local == "ExactlyOne" || n.name.Local == "OneOrMore":
		for i, k := range n.kids {
			if alt := l.policyNode(k); i == 0 {
				d = demands{}
				d.and(alt)
			} else {
				d.or(alt)
			}
		}
	case n.name.Local == "PolicyReference":
		d = l.referredPolicy(n, n.get("URI"))
	}
	delete(p.busy, n)
	p.depth--
	p.known[n] = d
	return d
}

// countsInside reports whether the assertions inside an assertion count by
// themselves.
func countsInside(n *node) bool {
	switch n.name.Local {
	case "TransportBinding", "TransportToken", "HttpsToken":
		return securityPolicy(n.name.Space)
	}
	return false
}

func optionalAssertion(n *node) bool {
	for _, a := range n.attrs {
		if !policySpaces[a.name.Space] {
			continue
		}
		v := strings.TrimSpace(a.value)
		if (a.name.Local == "Optional" || a.name.Local == "Ignorable") && isTrue(v) ||
			a.name.Local == "Usage" && strings.HasSuffix(v, "Optional") {
			return true
		}
	}
	return false
}

// referredPolicy evaluates a policy named by URI. Only those of the documents
// that were read are found.
func (l *loader) referredPolicy(n *node, uri string) demands {
	l.indexPolicies()
	name, id, _ := strings.Cut(uri, "#")
	for _, p := range l.policy.byID[uri] {
		if name != "" || p.pos.URI == n.pos.URI {
			return l.policyNode(p)
		}
	}
	// The policy of another document, whatever the address it gives for it.
	if ps := l.policy.byID["#"+id]; id != "" && len(ps) > 0 {
		return l.policyNode(ps[0])
	}
	l.warn.add(n.pos, nil, "there is no policy %q among the documents; what it asks for is not known", clip(uri))
	return demands{}
}

func (l *loader) indexPolicies() {
	if l.policy.indexed {
		return
	}
	l.policy.indexed = true
	l.policy.byID = map[string][]*node{}
	add := func(id string, n *node) {
		if id != "" && id != "#" {
			l.policy.byID[id] = append(l.policy.byID[id], n)
		}
	}
	var walk func(n *node)
	walk = func(n *node) {
		for _, k := range n.kids {
			if k.name.Local == "Policy" && policySpaces[k.name.Space] {
				add("#"+k.getNS(nsWSU, "Id"), k)
				add("#"+k.getNS(nsXML, "id"), k)
				add("#"+k.get("Id"), k)
				add(k.get("Name"), k)
			}
			if k.name.Local != "types" || k.name.Space != nsWSDL {
				walk(k)
			}
		}
	}
	for _, doc := range l.order {
		if d := l.docs[doc.URI]; d != nil && d.root != nil && !doc.Schema {
			walk(d.root)
		}
	}
}

func securityPolicy(space string) bool {
	return strings.HasPrefix(space, "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/") ||
		space == "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy" ||
		space == "http://schemas.xmlsoap.org/ws/2002/12/secext"
}

// assertion tells what one assertion asks for, without what is inside.
func assertion(n *node) demands {
	var facts []fact
	say := func(fs ...fact) { facts = append(facts, fs...) }
	local := n.name.Local
	switch space := n.name.Space; {
	case space == nsPolicyHTTP || securityPolicy(space):
		if scheme := loginAssertions[local]; scheme != "" {
			say(fact(factLogin + scheme))
		}
		if !securityPolicy(space) {
			break
		}
		switch {
		case local == "TransportBinding":
		case local == "HttpsToken":
			say(factTLS)
			if isTrue(n.get("RequireClientCertificate")) {
				say(factCertificate)
			}
		case local == "RequireClientCertificate":
			say(factCertificate)
		case local == "IncludeTimestamp", strings.HasSuffix(local, "Binding"), strings.HasSuffix(local, "SupportingTokens"),
			strings.HasSuffix(local, "Parts"), strings.HasSuffix(local, "Elements"),
			strings.HasSuffix(space, "secext"):
			say(factSecurity)
		}
	case local == "UsingAddressing" && space == nsWSAP2004:
		say(factAddressing, factWSA2004)
	case local == "UsingAddressing" && (space == nsWSAW || space == nsWSAW2 || space == nsWSAW3),
		local == "Addressing" && (space == nsWSAM || space == nsWSAM2):
		say(factAddressing, factWSA2005)
	case local == "OptimizedMimeSerialization" && space == nsPolicyMTOM,
		local == "MTOM" && (space == nsPolicyMTOM11 || space == nsPolicyMTOM12):
		say(factMTOM)
	case space == nsWSAW || space == nsWSAM || space == nsPolicyMTOM: // details
	case foreignPolicies[space] != "":
		say(fact(factNot + "the policy asks for " + foreignPolicies[space] + ", which is not supported"))
	case space != nsWSDL && space != nsXSD:
		say(fact(factNot + "the policy has an assertion that is not known, " + clip(n.name.String())))
	}
	d := demands{some: map[fact]Position{}, every: map[fact]Position{}}
	for _, f := range facts {
		d.some[f], d.every[f] = n.pos, n.pos
	}
	return d
}

// policy puts the facts in the form callers use.
func (d demands) policy() *Policy {
	has := func(m map[fact]Position, f fact) bool {
		_, ok := m[f]
		return ok
	}
	p := &Policy{
		TLS: has(d.every, factTLS), AddressingRequired: has(d.every, factAddressing),
		MTOM: has(d.some, factMTOM), MTOMRequired: has(d.every, factMTOM),
	}
	for _, scheme := range loginSchemes {
		if has(d.some, fact(factLogin+scheme)) {
			p.Logins = append(p.Logins, scheme)
		}
	}
	switch {
	case has(d.some, factWSA2005):
		p.Addressing = Addressing200508
	case has(d.some, factWSA2004):
		p.Addressing = Addressing200408
	}
	for f, pos := range d.every {
		if text, ok := strings.CutPrefix(string(f), factNot); ok {
			p.Unsupported = append(p.Unsupported, Problem{Pos: pos, Text: text})
		}
	}
	slices.SortFunc(p.Unsupported, func(a, b Problem) int {
		return cmp.Or(comparePositions(a.Pos, b.Pos), strings.Compare(a.Text, b.Text))
	})
	return p
}
