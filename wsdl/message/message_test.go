package message

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

func shop(t *testing.T) *Catalog {
	t.Helper()
	d, err := (&wsdl.Resolver{}).Open(t.Context(), "testdata/shop.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	return New(d)
}

func find(t *testing.T, name, port string) *Operation {
	t.Helper()
	o, err := shop(t).Find(Query{Name: name, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFind(t *testing.T) {
	t.Parallel()
	c := shop(t)
	for _, tt := range []struct {
		name      string
		q         Query
		port, err string
	}{
		{"1.1 before 1.2", Query{Name: "Order"}, "Shop11", ""},
		{"1.2 if asked for", Query{Name: "Order", Version: soap.V12}, "Shop12", ""},
		{"by port", Query{Name: "Order", Port: "Shop12"}, "Shop12", ""},
		{"by service", Query{Name: "Order", Port: "ShopService"}, "Shop11", ""},
		{"misspelt", Query{Name: "Ordr"}, "", `there is no operation "Ordr"; did you mean "Order"?`},
		{"unlike any", Query{Name: "Zzzzzzzzzz"}, "", "there is Order, Endless, Same, Add"},
		{"misspelt port", Query{Name: "Order", Port: "Shop1"}, "", `there is no port "Shop1"; did you mean "Shop12"?`},
		{"no such version", Query{Name: "Add", Port: "Calc", Version: soap.V12}, "", "no port speaks SOAP 1.2; there is SOAP 1.1"},
		{"overloaded", Query{Name: "Same"}, "", "there are 2 operations named Same: choose one of Same:one, Same:two"},
		{"overloaded, chosen", Query{Name: "Same:two"}, "Shop11", ""},
		{"overloaded, misspelt", Query{Name: "Same:tow"}, "", `did you mean "Same:two"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := c.Find(tt.q)
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case o.Port != tt.port:
				t.Errorf("got port %s, want %s", o.Port, tt.port)
			}
		})
	}
}

const wholeOrder = `{
	"note": null,
	"pickup": "2026-01-31",
	"line": [
		{"count": 12345678901234567890123, "sku": "AB-001", "@type": "a"},
		{"sku": "AB-002", "count": 1, "price": {"@currency": "EUR", "#text": 1.50}}
	],
	"@id": "7",
	"customer": {"@type": "Company", "vat": "DE1", "name": "A & B"}
}`

func TestFromJSON(t *testing.T) {
	t.Parallel()
	const line = `"line": [{"sku": "AB-001", "count": 1}]`
	const person = `"customer": {"@type": "Person", "name": "x"}`
	for _, tt := range []struct{ name, json, want, err string }{
		{"in the order of the schema", wholeOrder, `<n1:Order xmlns:n1="urn:shop" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="7">` +
			`<n1:customer xsi:type="n1:Company"><n1:name>A &amp; B</n1:name><n1:vat>DE1</n1:vat></n1:customer>` +
			`<n1:line type="a"><n1:sku>AB-001</n1:sku><n1:count>12345678901234567890123</n1:count></n1:line>` +
			`<n1:line><n1:sku>AB-002</n1:sku><n1:count>1</n1:count><n1:price currency="EUR">1.50</n1:price></n1:line>` +
			`<n1:pickup>2026-01-31</n1:pickup><n1:note xsi:nil="true"/></n1:Order>`, ""},
		{"with the element itself", `{"Order": ` + wholeOrder + `}`, `<n1:Order`, ""},
		{"xs:any", `{"@id": "1", ` + person + `, ` + line + `, "pickup": "2026-01-31", "#any": ["<a xmlns='urn:a'/>"]}`, "</n1:pickup><a xmlns='urn:a'/></n1:Order>", ""},
		{"unknown", `{"@id": "1", "custmer": {}}`, "", `message: custmer: there is no such element; did you mean "customer"?`},
		{"unknown, deeper", `{"@id": "1", ` + person + `, "line": [{"sku": "AB-001", "count": 1}, {"sqk": 1}]}`, "", `message: line[1].sqk: there is no such element; did you mean "sku"?`},
		{"unknown attribute", `{"@ident": "1"}`, "", "message: @ident: there is no such attribute; there is @id"},
		{"misspelt attribute", `{"@it": "1"}`, "", `message: @it: there is no such attribute; did you mean "@id"?`},
		{"missing", `{"@id": "1"}`, "", `message: the message: "customer" is missing`},
		{"missing attribute", `{` + person + `}`, "", `the attribute "@id" is missing`},
		{"missing choice", `{"@id": "1", ` + person + `, ` + line + `}`, "", "one of ship, pickup is missing"},
		{"two of a choice", `{"@id": "1", ` + person + `, ` + line + `, "pickup": "2026-01-31", "ship": {"@type": "Person", "name": "x"}}`, "", "ship: does not fit: it is one too many, or excludes another element (a choice)"},
		{"not repeated", `{"@id": "1", "customer": [{"@type": "Person", "name": "x"}, {"@type": "Person", "name": "y"}]` + `, ` + line + `, "pickup": "2026-01-31"}`, "", "customer[1]: is one too many: customer is not repeated"},
		{"abstract", `{"@id": "1", "customer": {"name": "x"}}`, "", `message: customer: needs "@type", because the type Party is abstract: one of Person, Company`},
		{"no such type", `{"@id": "1", "customer": {"@type": "Persn"}}`, "", `customer.@type: there is no such type here: "Persn"; did you mean "Person"?`},
		{"type of something else", `{"@id": "1", "customer": {"@type": "Pair"}}`, "", `no such type here: "Pair"`},
		{"built-in type for an element with content", `{"@id": "1", "customer": {"@type": "xs:string", "#text": "x"}}`, "", `no such type here: "xs:string"`},
		{"byte order mark", "\ufeff" + wholeOrder, "<n1:Order", ""},
		{"no number", `{"@id": "1", ` + person + `, "line": {"sku": "AB-001", "count": "many"}}`, "", `line.count: "many" is no xs:positiveInteger, such as 1`},
		{"fraction of an integer", `{"@id": "1", ` + person + `, "line": {"sku": "AB-001", "count": 1.5}}`, "", `line.count: "1.5" is no xs:positiveInteger`},
		{"enumeration", `{"@id": "1", ` + person + `, "line": {"sku": "AB-001", "count": 1, "price": {"@currency": "EURO", "#text": 1}}}`, "", `@currency: "EURO" is not one of the values allowed; did you mean "EUR"?`},
		{"null", `{"@id": null}`, "", "message: @id: is null, but an attribute is text"},
		{"null that may not be", `{"@id": "1", "customer": null}`, "", "message: customer: cannot be null"},
		{"twice", `{"@id": "1", "@id": "2"}`, "", `message: JSON, line 1: "@id" is there twice`},
		{"no JSON", "{\n\"a\" 1}", "", "message: JSON, line 2: "},
		{"two values", `{} {}`, "", "more follows the value"},
		{"incomplete", `{"a": [`, "", "unexpected E"},
		{"text for elements", `"x"`, "", "message: the message: holds elements, but text is given, such as customer, line, pickup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := find(t, "Order", "").Input.FromJSON([]byte(tt.json))
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got  %v\nwant %s", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case !strings.Contains(req.Body.String(), tt.want):
				t.Errorf("got  %s\nwant %s", req.Body, tt.want)
			}
		})
	}
}

func TestFromArgs(t *testing.T) {
	t.Parallel()
	read := func(name string) ([]byte, error) {
		if name == "scan.pdf" {
			return []byte("\x00\xff%PDF"), nil
		}
		return nil, fs.ErrNotExist
	}
	base := []string{"@id=1", "customer.@type=Person", "customer.name=x", "line[0].sku=AB-001", "line[0].count=2", "pickup=2026-01-31"}
	for _, tt := range []struct {
		name      string
		args      []string
		want, err string
	}{
		{"nested and repeated", append(base, "line[1].sku=AB-002", "line[1].count=1"), `"count": 1`, ""},
		{"file", append(base, "scan=@scan.pdf"), `"scan": "AP8lUERG"`, ""},
		{"@ itself", append(base, "note=@@home = a.b"), `"note": "@home = a.b"`, ""},
		{"text and attribute", append(base, "line[0].price=1.50", "line[0].price.@currency=EUR"), "\"@currency\": \"EUR\",\n        \"#text\": 1.50", ""},
		{"attribute and text", append(base, "line[0].price.@currency=EUR", "line[0].price=1.50"), "\"@currency\": \"EUR\",\n        \"#text\": 1.50", ""},
		{"JSON", append(base, "note:=null"), `"note": null`, ""},
		{"twice is repeated", append(base[:3:3], `line:={"sku":"AB-001","count":1}`, `line:={"sku":"AB-002","count":2}`, "pickup=2026-01-31"), `"sku": "AB-002"`, ""},
		{"namespace", append(base, "{urn:shop}note=x.y"), `"note": "x.y"`, ""},
		{"attribute without a dot", append(base, "line[0].price=1", "line[0].price@currency=EUR"), "", "line[0].price@currency: there is no such element; an attribute is written price.@currency"},
		{"no file", append(base, "scan=@gone"), "", `argument "scan=@gone": file does not exist`},
		{"no value", []string{"customer"}, "", `argument "customer": want name=value`},
		{"no name", []string{"=x"}, "", "a name is missing"},
		{"gap", []string{"line[1].sku=x"}, "", "line[1] is given before line[0]"},
		{"bad index", []string{"line[-1]=x"}, "", "[-1] is no index"},
		{"huge index", []string{"line[9999999]=x"}, "", "[9999999] is no index"},
		{"open index", []string{"line[0=x"}, "", "[ without ]"},
		{"value with children", []string{"note=x", "note.a=y"}, "", "has a value already"},
		{"mixed", []string{"note=x", "note[0]=y"}, "", "note is given with and without index"},
		{"unknown", []string{"custommer.name=x"}, "", `did you mean "customer"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := find(t, "Order", "").Input
			req, err := b.FromArgs(tt.args, read)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			j, err := b.JSON(req.Body)
			if err != nil || !strings.Contains(string(j), tt.want) {
				t.Errorf("got %s, %v, want %s", j, err, tt.want)
			}
		})
	}
	if _, err := find(t, "Order", "").Input.FromArgs([]string{"scan=@gone"}, read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestRPC(t *testing.T) {
	t.Parallel()
	args := []string{"pair.a=1", "pair.b=2", "times=3"}
	literal := find(t, "Add", "Calc")
	req, err := literal.Input.FromArgs(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := canonical(t, req.Body.String()); got != canonical(t, `<c:Add xmlns:c="urn:calc"><pair><a xmlns="urn:shop">1</a><b xmlns="urn:shop">2</b></pair><times>3</times></c:Add>`) {
		t.Errorf("literal: %s", got)
	}
	encoded := find(t, "Add", "CalcEncoded")
	if req, err = encoded.Input.FromArgs(args, nil); err != nil {
		t.Fatal(err)
	}
	if got := canonical(t, req.Body.String()); got != canonical(t, `<c:Add xmlns:c="urn:calc" xmlns:s="urn:shop" xmlns:xs="http://www.w3.org/2001/XMLSchema"
		xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" e:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
		<pair xsi:type="s:Pair"><s:a xsi:type="xs:int">1</s:a><s:b xsi:type="xs:int">2</s:b></pair><times xsi:type="xs:int">3</times></c:Add>`) {
		t.Errorf("encoded: %s", got)
	}
	// The name of an answer means nothing, and references are followed.
	for _, tt := range []struct {
		o          *Operation
		body, want string
	}{
		{literal, `<x xmlns="urn:other"><return xmlns="">7</return></x>`, "{\n  \"return\": 7\n}"},
		{literal, `<c:AddResponse xmlns:c="urn:calc"><c:return>7</c:return></c:AddResponse>`, "{\n  \"return\": 7\n}"}, // node-soap 1.6
		{encoded, `<c:AddResponse xmlns:c="urn:calc"><return href="#a"/></c:AddResponse><m id="a" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:long">8</m>`,
			"{\n  \"return\": 8\n}"},
	} {
		raw, err := wire.ParseRaw(tt.body)
		if err != nil {
			t.Fatal(err)
		}
		if j, err := tt.o.Output.JSON(raw); err != nil || string(j) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.o.Port, j, err, tt.want)
		}
	}
}

func TestFromXML(t *testing.T) {
	t.Parallel()
	b := find(t, "Order", "").Input
	env := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header><h xmlns="urn:h"/></s:Header><s:Body><x/></s:Body></s:Envelope>`
	for _, tt := range []struct{ name, xml, want, err string }{
		{"element", "<?xml version='1.0' encoding='ISO-8859-1'?><Order xmlns='urn:shop'>\xe9</Order>", "<Order xmlns='urn:shop'>é</Order>", ""},
		{"envelope", env, "<x/>", ""},
		{"another element", "<Ordre xmlns='urn:shop'/>", "", "the element in the body must be {urn:shop}Order, not {urn:shop}Ordre"},
		{"two", "<Order xmlns='urn:shop'/><a/>", "", "line 1, column 26"},
		{"no XML", "{}", "", "message: wire: "},
		{"document type", "<!DOCTYPE a><Order xmlns='urn:shop'/>", "", "document type declaration refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := b.FromXML([]byte(tt.xml))
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
			case err != nil || req.Body.String() != tt.want:
				t.Errorf("got %v, %v, want %s", req, err, tt.want)
			case strings.Contains(tt.xml, "Envelope") && (len(req.Headers) != 1 || req.Version != soap.V12):
				t.Errorf("got %+v", req)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	got := find(t, "Order", "").Input.Template()
	want := `<n1:Order xmlns:n1="urn:shop" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="text">
  <n1:customer xsi:type="n1:Person"> <!-- xsi:type may be Company -->
    <n1:name>text</n1:name>
    <!-- optional, not shown because it would contain itself: friend -->
  </n1:customer>
  <n1:line type="text"> <!-- may be repeated, at least 1; @type: optional -->
    <n1:sku>AA-111</n1:sku> <!-- pattern [A-Z]{2}-\d{3} -->
    <n1:count>1</n1:count> <!-- xs:positiveInteger -->
    <n1:price currency="EUR">1.5</n1:price> <!-- optional; xs:decimal; @currency: one of EUR, USD -->
  </n1:line>
  <n1:pickup>2026-01-31</n1:pickup> <!-- choice: this or ship; xs:date -->
  <n1:note>text</n1:note> <!-- optional; may be xsi:nil="true" -->
  <n1:scan>eHh4eA==</n1:scan> <!-- optional; xs:base64Binary -->
  <!-- optional; any element of another namespace goes here -->
</n1:Order>
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := find(t, "Endless", "").Input.Template(); !strings.Contains(got, "this is not complete") || len(got) > 1000 {
		t.Errorf("got %s", got)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, xml string
		want      int
		err       string
	}{
		{"one", `<a xmlns="urn:a"/>`, 1, ""},
		{"document", "\ufeff<?xml version='1.0'?>\n<a xmlns='urn:a'/>\n", 1, ""},
		{"two", `<a xmlns="urn:a"/> <b xmlns="urn:b">x</b>`, 2, ""},
		{"none", "text", 0, "no element"},
		{"ends the wrapper", "<a/></x><b/><x>", 0, "more"},
		{"open", "<a>", 0, "header blocks: wire: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Headers([]byte(tt.xml))
			if len(got) != tt.want || (err == nil) != (tt.err == "") {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestIndent(t *testing.T) {
	t.Parallel()
	raw, err := wire.ParseRaw("<a x='1'><b/>\n<c>t\r&lt;</c><d>mixed <e/> text</d><f>\u009b\u202e</f></a>")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Indent(raw)
	want := "<a x='1'>\n  <b/>\n  <c>t\n&lt;</c>\n  <d>mixed <e/> text</d>\n  <f>&#x9B;&#x202E;</f>\n</a>\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
