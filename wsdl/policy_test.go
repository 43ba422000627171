package wsdl

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	nsWSP12 = "http://schemas.xmlsoap.org/ws/2004/09/policy"
	nsWSP15 = "http://www.w3.org/ns/ws-policy"
	nsSP12  = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
)

const policyPrefixes = `xmlns:wsp="` + nsWSP12 + `" xmlns:p15="` + nsWSP15 + `" xmlns:http="` + nsPolicyHTTP + `" xmlns:sp="` + nsSP12 +
	`" xmlns:sp11="http://schemas.xmlsoap.org/ws/2005/07/securitypolicy" xmlns:wsaw="` + nsWSAW + `" xmlns:wsam="` + nsWSAM +
	`" xmlns:wsap="` + nsWSAP2004 + `" xmlns:wsoma="` + nsPolicyMTOM + `" xmlns:mtom="` + nsPolicyMTOM12 + `" xmlns:wsu="` + nsWSU +
	`" xmlns:rm="http://docs.oasis-open.org/ws-rx/wsrmp/200702" xmlns:wsa="` + nsWSA2004 + `" xmlns:w="` + nsWSDL + `"`

// openPolicy reads a description with text put after some of its tags.
func openPolicy(t *testing.T, edits ...string) *Definitions {
	t.Helper()
	s := strings.Replace(service(inline), "<definitions ", "<definitions "+policyPrefixes+" ", 1)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(s, edits[i]) {
			t.Fatalf("there is no %s", edits[i])
		}
		s = strings.Replace(s, edits[i], edits[i]+edits[i+1], 1)
	}
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said writes a policy on one line.
func said(p *Policy) string {
	var s []string
	add := func(ok bool, text string) {
		if ok {
			s = append(s, text)
		}
	}
	add(p.TLS, "TLS")
	s = append(s, p.Logins...)
	add(p.Addressing != NoAddressing, p.Addressing.String())
	add(p.AddressingRequired, "required")
	add(p.MTOM, "MTOM")
	add(p.MTOMRequired, "only")
	for _, u := range p.Unsupported {
		_, text, _ := strings.Cut(u.Text, "the policy ")
		s = append(s, "!"+text)
	}
	return strings.Join(s, " ")
}

const transport = `<sp:TransportBinding><wsp:Policy><sp:TransportToken><wsp:Policy><sp:HttpsToken>%s</sp:HttpsToken></wsp:Policy></sp:TransportToken>` +
	`<sp:AlgorithmSuite><wsp:Policy><sp:Basic256/></wsp:Policy></sp:AlgorithmSuite><sp:Layout><wsp:Policy><sp:Strict/></wsp:Policy></sp:Layout></wsp:Policy></sp:TransportBinding>`

func TestPolicy(t *testing.T) {
	t.Parallel()
	inBinding := func(s string) []string { return []string{`type="e:P">`, s} }
	all := func(s string) []string {
		return inBinding(`<wsp:Policy><wsp:ExactlyOne><wsp:All>` + s + `</wsp:All></wsp:ExactlyOne></wsp:Policy>`)
	}
	for _, tt := range []struct {
		name  string
		edits []string
		want  string
	}{
		{"none", nil, ""},
		{"empty", inBinding(`<wsp:Policy/>`), ""},
		{"TLS", all(fmt.Sprintf(transport, "")), "TLS"},
		{"logins, strongest first", all(`<http:BasicAuthentication/><http:NegotiateAuthentication/>`), "Negotiate Basic"},
		{"every login", inBinding(`<wsp:Policy><http:NtlmAuthentication/><http:DigestAuthentication/></wsp:Policy>`), "NTLM Digest"},
		{"login inside the token", all(fmt.Sprintf(transport, `<wsp:Policy><sp:HttpBasicAuthentication/></wsp:Policy>`)), "TLS Basic"},
		{"client certificate", all(fmt.Sprintf(transport, `<wsp:Policy><sp:RequireClientCertificate/></wsp:Policy>`)),
			"TLS !asks for a client certificate, which the TLS configuration of the HTTP client must present"},
		{"client certificate of 1.1", all(`<sp11:HttpsToken RequireClientCertificate="true"/>`),
			"TLS !asks for a client certificate, which the TLS configuration of the HTTP client must present"},
		{"no client certificate", all(`<sp11:HttpsToken RequireClientCertificate="false"/>`), "TLS"},
		{"addressing", all(`<wsam:Addressing><wsp:Policy><wsam:AnonymousResponses/></wsp:Policy></wsam:Addressing>`), "2005/08 required"},
		{"addressing optional", all(`<wsam:Addressing wsp:Optional="true"/>`), "2005/08"},
		{"addressing, policy of 1.5", inBinding(`<p15:Policy><wsam:Addressing p15:Optional="1"/></p15:Policy>`), "2005/08"},
		{"addressing of the draft", all(`<wsaw:UsingAddressing/>`), "2005/08 required"},
		{"addressing of 2004", all(`<wsap:UsingAddressing/>`), "2004/08 required"},
		{"addressing of either version", inBinding(`<wsp:Policy><wsp:ExactlyOne><wsap:UsingAddressing/><wsam:Addressing/></wsp:ExactlyOne></wsp:Policy>`), "2005/08 required"},
		{"addressing extension", inBinding(`<wsaw:UsingAddressing/>`), "2005/08"},
		{"addressing extension required", inBinding(`<wsaw:UsingAddressing w:required="true"/>`), "2005/08 required"},
		{"addressing extension of the port", []string{`binding="e:B">`, `<wsaw:UsingAddressing w:required="1"/>`}, "2005/08 required"},
		{"MTOM", all(`<wsoma:OptimizedMimeSerialization/>`), "MTOM only"},
		{"MTOM optional", all(`<mtom:MTOM wsp:Optional="true"/>`), "MTOM"},
		{"alternatives", inBinding(`<wsp:Policy><wsp:ExactlyOne><wsp:All>` + fmt.Sprintf(transport, "") + `<wsoma:OptimizedMimeSerialization/></wsp:All><wsp:All/></wsp:ExactlyOne></wsp:Policy>`), "MTOM"},
		{"message security", all(`<sp:SymmetricBinding/><sp:SignedParts><sp:Body/></sp:SignedParts>`), "!asks for message security (WS-Security), which is not supported"},
		{"message security in one alternative", inBinding(`<wsp:Policy><wsp:ExactlyOne><sp:AsymmetricBinding/><http:NtlmAuthentication/></wsp:ExactlyOne></wsp:Policy>`), "NTLM"},
		{"user name token", all(fmt.Sprintf(transport, "") + `<sp:SignedSupportingTokens/>`), "TLS !asks for message security (WS-Security), which is not supported"},
		{"time stamp", all(`<sp:TransportBinding><wsp:Policy><sp:IncludeTimestamp/></wsp:Policy></sp:TransportBinding><sp:Wss11/><sp:Trust13/>`), "!asks for message security (WS-Security), which is not supported"},
		{"reliable messaging", all(`<rm:RMAssertion/>`), "!asks for reliable messaging (WS-ReliableMessaging), which is not supported"},
		{"unknown", all(`<x:Y xmlns:x="urn:x"/>`), "!has an assertion that is not known, {urn:x}Y"},
		{"unknown but optional", all(`<x:Y xmlns:x="urn:x" wsp:Optional="true"/><x:Z xmlns:x="urn:x" p15:Ignorable="true"/>`), ""},
		{"reference", []string{"urn:e\">", `<wsp:Policy wsu:Id="p1"><http:NtlmAuthentication/></wsp:Policy>`, `type="e:P">`, `<wsp:PolicyReference URI="#p1"/>`}, "NTLM"},
		{"reference by name", []string{"urn:e\">", `<wsp:UsingPolicy w:required="true"/><wsp:Policy Name="urn:my:policy"><http:NtlmAuthentication/></wsp:Policy>`, `type="e:P">`, `<wsp:PolicyReference URI="urn:my:policy"/>`}, "NTLM"},
		{"reference inside", []string{"urn:e\">", `<wsp:Policy wsu:Id="p1"><wsp:PolicyReference URI="#p2"/></wsp:Policy><wsp:Policy xml:id="p2"><wsam:Addressing/></wsp:Policy>`, `type="e:P">`, `<wsp:PolicyReference URI="#p1"/>`}, "2005/08 required"},
		{"reference by attribute", []string{"urn:e\">", `<wsp:Policy wsu:Id="p1"><http:NtlmAuthentication/></wsp:Policy><wsp:Policy wsu:Id="p2"><wsap:UsingAddressing/></wsp:Policy>`, `name="B"`, ` wsp:PolicyURIs="#p1 #p2"`}, "NTLM 2004/08 required"},
		{"port", []string{`binding="e:B">`, `<wsp:Policy><http:NtlmAuthentication/></wsp:Policy>`}, "NTLM"},
		{"port type", []string{`<portType name="P"`, ` wsp:PolicyURIs="#p1"`, "urn:e\">", `<wsp:Policy wsu:Id="p1"><http:NtlmAuthentication/></wsp:Policy>`}, "NTLM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := openPolicy(t, tt.edits...)
			b := d.Bindings[0]
			for what, p := range map[string]*Policy{"binding": b.Policy, "operation": b.Operations[0].Policy, "port": d.Services[0].Ports[0].Policy} {
				if got := said(p); got != tt.want {
					t.Errorf("%s: got %q, want %q", what, got, tt.want)
				}
			}
			for _, u := range b.Policy.Unsupported {
				if u.Pos.Line == 0 {
					t.Errorf("%s: no position", u.Text)
				}
			}
			if len(d.Warnings) != len(b.Policy.Unsupported) {
				t.Errorf("warnings: %v", d.Warnings)
			}
		})
	}
}

// TestPolicySubjects keeps apart what operations, messages and ports ask for.
func TestPolicySubjects(t *testing.T) {
	t.Parallel()
	const mtom, login = `<wsp:Policy><mtom:MTOM/></wsp:Policy>`, `<wsp:Policy><http:BasicAuthentication/></wsp:Policy>`
	for _, at := range []string{`<operation name="in">`, `<input>`, `<message name="in">`, `soapAction="a"/>`} {
		b := openPolicy(t, at, mtom, `type="e:P">`, login).Bindings[0]
		if got, op := said(b.Policy), said(b.Operations[0].Policy); got != "Basic" || op != "Basic MTOM only" {
			t.Errorf("at %s: binding %q, operation %q", at, got, op)
		}
	}
	d := openPolicy(t, `<service name="S">`, `<port name="o" binding="e:B">`+mtom+`</port>`, `type="e:P">`, login)
	b, ports := d.Bindings[0], d.Services[0].Ports
	if got := []string{said(b.Policy), said(ports[0].Policy), said(ports[1].Policy)}; strings.Join(got, ",") != "Basic,Basic MTOM only,Basic" {
		t.Errorf("got %q", got)
	}
}

func TestPolicyMissing(t *testing.T) {
	t.Parallel()
	d := openPolicy(t, `type="e:P">`, `<wsp:PolicyReference URI="#gone"/><wsp:PolicyReference URI="http://127.0.0.1:1/policy.xml"/>`)
	if len(d.Warnings) != 2 || d.Warnings[0].Pos.Line == 0 || !strings.Contains(d.Warnings[0].Text, `"#gone"`) {
		t.Errorf("warnings: %v", d.Warnings)
	}
}

// TestAttackWSDLPolicy has policies that refer to each other without end, or that
// stand for a huge number of alternatives.
func TestAttackWSDLPolicy(t *testing.T) {
	t.Parallel()
	const n = 3000
	named := func(f func(i int) string) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, `<wsp:Policy wsu:Id="p%d">%s</wsp:Policy>`, i, f(i))
		}
		return s.String()
	}
	ref := func(i int) string { return fmt.Sprintf(`<wsp:PolicyReference URI="#p%d"/>`, i%n) }
	for _, tt := range []struct{ name, policies, warning string }{
		{"cycle of one", `<wsp:Policy wsu:Id="p0"><wsp:PolicyReference URI="#p0"/></wsp:Policy>`, "refers to itself"},
		{"cycle", named(func(i int) string { return ref(i + 1) }), "nested deeper"},
		{"doubling", named(func(i int) string {
			return `<wsp:ExactlyOne><wsp:All>` + ref(i+1) + ref(i+1) + `</wsp:All>` + ref(i+1) + `</wsp:ExactlyOne>`
		}), "nested deeper"},
		{"alternatives", `<wsp:Policy wsu:Id="p0">` + strings.Repeat(`<wsp:ExactlyOne><http:NtlmAuthentication/><http:BasicAuthentication/></wsp:ExactlyOne>`, n) + `</wsp:Policy>`, ""},
		{"unknown assertions", `<wsp:Policy wsu:Id="p0">` + named(func(i int) string { return fmt.Sprintf(`<x%d xmlns="urn:x"/>`, i) }) + `</wsp:Policy>`, "is not known"},
		{"references to many", `<wsp:Policy wsu:Id="q">` + strings.Repeat(ref(0), n) + `</wsp:Policy>` + named(func(int) string { return `<wsp:All/>` }), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			d := openPolicy(t, "urn:e\">", tt.policies, `type="e:P">`, `<wsp:PolicyReference URI="#p0"/>`)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			found := tt.warning == ""
			for _, w := range d.Warnings {
				found = found || strings.Contains(w.Text, tt.warning)
			}
			if !found || len(d.Bindings[0].Policy.Unsupported) > maxFacts {
				t.Errorf("warnings %v, want %q", d.Warnings, tt.warning)
			}
		})
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	const wsamAction, wsawAction, wsaAction = ` wsam:Action="urn:m" `, ` wsaw:Action="urn:w" `, ` wsa:Action="urn:a" `
	fault := []string{`<message name="in">`, ``, `<portType name="P"><operation name="in"><input message="e:in"/>`, `<output message="e:in"/><fault name="F" message="e:in"/>`,
		`soapAction="a"/><input><soap:body use="literal"/></input>`, `<output><soap:body use="literal"/></output><fault name="F"><soap:fault name="F" use="literal"/></fault>`}
	for _, tt := range []struct{ name, old, new, tns, want string }{
		{"default", "", "", "", "a urn:e:P:inResponse urn:e:P:in:Fault:F"},
		{"without SOAPAction", ` soapAction="a"`, "", "", "urn:e:P:inRequest urn:e:P:inResponse urn:e:P:in:Fault:F"},
		{"empty SOAPAction", ` soapAction="a"`, ` soapAction=""`, "", "urn:e:P:inRequest urn:e:P:inResponse urn:e:P:in:Fault:F"},
		{"http", ` soapAction="a"`, "", "http://e.invalid/x", "http://e.invalid/x/P/inRequest http://e.invalid/x/P/inResponse http://e.invalid/x/P/in/Fault/F"},
		{"http with slash", ` soapAction="a"`, "", "http://e.invalid/x/", "http://e.invalid/x/P/inRequest http://e.invalid/x/P/inResponse http://e.invalid/x/P/in/Fault/F"},
		{"written", `<input message`, `<input` + wsamAction + `message`, "", "urn:m urn:e:P:inResponse urn:e:P:in:Fault:F"},
		{"written with another SOAPAction", `<input message`, `<input` + wsawAction + wsamAction + `message`, "", "urn:m urn:e:P:inResponse urn:e:P:in:Fault:F"},
		{"output", `<output message`, `<output` + wsawAction + `message`, "", "a urn:w urn:e:P:in:Fault:F"},
		{"fault", `<fault name="F" message`, `<fault name="F" ` + wsaAction + `message`, "", "a urn:e:P:inResponse urn:a"},
		{"labels", `<input message="e:in"/><output`, `<input name="Ask" message="e:in"/><output name="Tell"`, "", "a urn:e:P:Tell urn:e:P:in:Fault:F"},
		{"one-way", `<output message="e:in"/>`, ``, "", "a - urn:e:P:in:Fault:F"},
		{"one-way without SOAPAction", `<output message="e:in"/>|soapAction="a"`, ``, "", "urn:e:P:in - urn:e:P:in:Fault:F"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := strings.Replace(service(inline), "<definitions ", "<definitions "+policyPrefixes+" ", 1)
			for i := 0; i < len(fault); i += 2 {
				if !strings.Contains(s, fault[i]) {
					t.Fatalf("there is no %s in\n%s", fault[i], s)
				}
				s = strings.Replace(s, fault[i], fault[i]+fault[i+1], 1)
			}
			for old := range strings.SplitSeq(tt.old, "|") {
				if !strings.Contains(s, old) {
					t.Fatalf("there is no %s", old)
				}
				s = strings.Replace(s, old, tt.new, 1)
			}
			if tt.tns != "" {
				s = strings.ReplaceAll(s, `"urn:e"`, `"`+tt.tns+`"`)
			}
			d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
			if err != nil {
				t.Fatal(err)
			}
			op := d.Bindings[0].Operations[0]
			got := []string{op.In.Action, "-", op.Faults[0].Action}
			if op.Out != nil {
				got[1] = op.Out.Action
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	d := load(t, `<xs:schema targetNamespace="urn:e" xmlns:m="`+nsXMIME+`" xmlns:o="`+nsXMIME2004+`"><xs:element name="in" type="xs:string"/>
<xs:element name="a" type="xs:base64Binary" m:expectedContentTypes="image/png, image/*;q=0.5"/>
<xs:element name="b"><xs:complexType o:expectedContentTypes="text/xml"><xs:simpleContent><xs:extension base="xs:base64Binary"/></xs:simpleContent></xs:complexType></xs:element>
<xs:element name="c"><xs:complexType><xs:sequence><xs:element name="d" type="e:pic"/></xs:sequence></xs:complexType></xs:element>
<xs:simpleType name="pic" m:expectedContentTypes="image/gif"><xs:restriction base="xs:base64Binary"/></xs:simpleType>
</xs:schema>`, nil)
	got := map[string]string{}
	for _, e := range d.Elements {
		if e.ContentTypes != "" {
			got[e.Name.Local] = e.ContentTypes
		}
		if e.Name.Local == "c" {
			got["d"] = e.Type.Content.Children[0].Element.ContentTypes
		}
	}
	if s := fmt.Sprint(got); s != "map[a:image/png, image/*;q=0.5 b:text/xml d:image/gif]" {
		t.Errorf("got %s", s)
	}
}
