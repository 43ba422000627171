package wsdl

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// files writes files, named by path, into a new directory and returns it.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, s := range content {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, []byte(s), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// service wraps types in a WSDL with one operation that takes element e:in.
func service(types string) string {
	return `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:e="urn:e" targetNamespace="urn:e">
<types>` + types + `</types>
<message name="in"><part name="p" element="e:in"/></message>
<portType name="P"><operation name="in"><input message="e:in"/></operation></portType>
<binding name="B" type="e:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="in"><soap:operation soapAction="a"/><input><soap:body use="literal"/></input></operation></binding>
<service name="S"><port name="p" binding="e:B"><soap:address location="http://127.0.0.1/"/></port></service>
</definitions>`
}

const inline = `<xs:schema targetNamespace="urn:e"><xs:element name="in" type="xs:string"/></xs:schema>`

func utf16Bytes(s string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xFEFF)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	doc := func(decl, name string) string {
		return decl + service(strings.ReplaceAll(inline, "in\"", "in\"/><xs:element name=\""+name+"\""))
	}
	for _, tt := range []struct{ name, content, want string }{
		{"UTF-8", doc("", "größe"), "größe"},
		{"byte order mark", "\xEF\xBB\xBF" + doc(`<?xml version="1.0"?>`, "größe"), "größe"},
		{"Latin-1", doc(`<?xml version="1.0" encoding="ISO-8859-1"?>`, "gr\xF6\xDFe"), "größe"},
		{"Latin-9", doc(`<?xml version="1.0" encoding="iso-8859-15"?>`, "\xBCuvre"), "Œuvre"},
		{"Windows-1252", doc(`<?xml version='1.0' encoding='windows-1252'?>`, "\x8Cuvre"), "Œuvre"},
		{"UTF-16 BE", utf16Bytes(doc(`<?xml version="1.0" encoding="UTF-16"?>`, "größe"), binary.BigEndian, true), "größe"},
		{"UTF-16 LE", utf16Bytes(doc(`<?xml version="1.0" encoding="UTF-16"?>`, "größe"), binary.LittleEndian, true), "größe"},
		{"UTF-16 LE without mark", utf16Bytes(doc(`<?xml version="1.0" encoding="UTF-16"?>`, "größe"), binary.LittleEndian, false), "größe"},
		{"transcoded, declaration not changed", doc(`<?xml version="1.0" encoding="UTF-16"?>`, "größe"), "größe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": tt.content}), "a.wsdl"))
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Elements[1].Name.Local; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestErrors lists broken descriptions with what must be said of them.
func TestErrors(t *testing.T) {
	t.Parallel()
	schema := func(s string) string {
		return service("\n<xs:schema targetNamespace=\"urn:e\"><xs:element name=\"in\"/>\n" + s + "</xs:schema>")
	}
	for _, tt := range []struct {
		name, content string
		want          []string // each in a line of its own
	}{
		{"empty", "", []string{"a.wsdl:1:1: the document is empty"}},
		{"not XML", "hello", []string{"text outside the document element"}},
		{"HTML", "<html><body>", []string{"a.wsdl:1:1: this is an HTML page, not a WSDL"}},
		{"login page", "<html/>", []string{"a.wsdl:1:1: this is an HTML page, not a WSDL"}},
		{"cut off", service(inline)[:300], []string{"a.wsdl:3:8: not well-formed XML: unexpected EOF"}},
		{"wrong end", "<a>\n <b></c></a>", []string{`a.wsdl:2:5: not well-formed XML: end tag "c" closes element "b" of line 2`}},
		{"two roots", "<a/><b/>", []string{"more than one document element"}},
		{"attribute twice", `<a x="1" x="2"/>`, []string{`attribute "x" appears twice`}},
		{"attribute twice by prefix", `<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>`, []string{`attribute "x" appears twice`}},
		{"undeclared prefix", `<p:a/>`, []string{`a.wsdl:1:1: prefix "p" is not declared`}},
		{"unknown encoding", `<?xml version="1.0" encoding="EBCDIC"?><a/>`, []string{`encoding "ebcdic" is not supported`}},
		{"bad UTF-8", "<a>\xFF</a>", []string{"not valid UTF-8"}},
		{"bad UTF-16", "\xFE\xFF\xD8\x00", []string{"lone surrogate"}},
		{"schema", `<schema xmlns="http://www.w3.org/2001/XMLSchema"/>`, []string{"this is an XML schema, not a WSDL"}},
		{"WSDL 2.0", `<description xmlns="http://www.w3.org/ns/wsdl"/>`, []string{"WSDL 2.0"}},
		{"own base", schema(`<xs:complexType name="t"><xs:complexContent><xs:extension base="e:t"/></xs:complexContent></xs:complexType>`),
			[]string{"type {urn:e}t is derived from itself"}},
		{"circular bases", schema(`<xs:simpleType name="s"><xs:restriction base="e:t"/></xs:simpleType><xs:simpleType name="t"><xs:restriction base="e:s"/></xs:simpleType>`),
			[]string{"is derived from itself"}},
		{"circular list", schema(`<xs:simpleType name="s"><xs:list itemType="e:s"/></xs:simpleType>`), []string{"is an item of itself"}},
		{"circular union", schema(`<xs:simpleType name="s"><xs:union memberTypes="e:s"/></xs:simpleType>`), []string{"is a member of itself"}},
		{"circular group", schema(`<xs:group name="g"><xs:sequence><xs:group ref="e:h"/></xs:sequence></xs:group><xs:group name="h"><xs:choice><xs:group ref="e:g"/></xs:choice></xs:group><xs:complexType name="t"><xs:group ref="e:g"/></xs:complexType>`),
			[]string{"group {urn:e}g contains itself"}},
		{"circular substitution", schema(`<xs:element name="a" substitutionGroup="e:b"/><xs:element name="b" substitutionGroup="e:a"/>`), []string{"{urn:e}a is in its own substitution group"}},
		{"several", schema(`<xs:complexType name="t"><xs:complexContent><xs:extension base="e:t"/></xs:complexContent></xs:complexType>` + "\n " + `<xs:simpleType name="s"><xs:list itemType="e:s"/></xs:simpleType>`),
			[]string{"a.wsdl:4:45: type {urn:e}t is derived from itself", "a.wsdl:5:26: list type {urn:e}s is an item of itself"}},
		{"missing import that is needed", service(`<xs:schema targetNamespace="urn:e" xmlns:x="urn:x"><xs:import namespace="urn:x" schemaLocation="gone.xsd"/><xs:element name="in" type="x:t"/></xs:schema>`),
			[]string{"a.wsdl:2:", "cannot read", "gone.xsd: no such file"}},
		{"nothing left", strings.Replace(service(inline), `message="e:in"`, `message="e:out"`, 1), []string{"a.wsdl:4:41: operation in: there is no message {urn:e}out"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": tt.content}), "a.wsdl"))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			text := err.Error()
			for _, w := range tt.want {
				i := strings.Index(text, w)
				if i < 0 {
					t.Errorf("got\n%s\nwant %q", err, w)
					continue
				}
				text = text[i:]
			}
			for _, p := range e.Problems {
				if p.Pos.Line == 0 {
					t.Errorf("no position: %v", p)
				}
			}
		})
	}
}

func TestOpenMissing(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no.wsdl")
	if _, err := (&Resolver{}).Open(t.Context(), missing); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("got %v, want fs.ErrNotExist and the path once", err)
	}
	if _, err := (&Resolver{}).Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
	if _, err := (&Resolver{}).Open(t.Context(), "ftp://127.0.0.1/a.wsdl"); err == nil || !strings.Contains(err.Error(), `scheme "ftp"`) {
		t.Errorf("got %v", err)
	}
}

// TestBrokenOperation has operations that refer to nothing, which were left out
// without a word once. The rest of the description is kept.
func TestBrokenOperation(t *testing.T) {
	t.Parallel()
	s := strings.Replace(service(inline), `</portType>`, `<operation name="bad"><input message="e:gone"/></operation>
<operation name="worse"><input message="e:odd"/></operation></portType>`, 1)
	s = strings.Replace(s, `</binding>`, `<operation name="bad"><input/></operation><operation name="worse"><input/></operation><operation name="no"/></binding>`, 1)
	s = strings.Replace(s, `<portType`, `<message name="odd"><part name="p" element="e:Serch"/><part name="q" element="q:in"/></message><message name="unused"><part name="p" element="e:gone"/></message><portType`, 1)
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(ps []Problem, want ...string) {
		t.Helper()
		if len(ps) != len(want) {
			t.Fatalf("got %v, want %q", ps, want)
		}
		for i, p := range ps {
			if p.Pos.Line == 0 || p.Text != want[i] {
				t.Errorf("got %v, want %q and its place", p, want[i])
			}
		}
	}
	ops := d.Bindings[0].Operations
	if len(ops) != 2 || ops[1].In.Body[0].Element.Name != (QName{"urn:e", "Serch"}) || ops[1].In.Body[0].Element.Type.Name.Local != "anyType" {
		t.Errorf("got %+v", ops)
	}
	check(d.Dropped, "operation bad: there is no message {urn:e}gone", "operation no: port type {urn:e}P has no such operation")
	check(d.Warnings, "operation worse: there is no element {urn:e}Serch; any XML is taken in its place",
		`operation worse: prefix "q" of "q:in" is not declared; {urn:e}in is taken`)
}

// TestMissingDocument is an error only if something of the document is needed,
// and then AllowBroken does without.
func TestMissingDocument(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, schema string
		needed       bool
	}{
		{"not needed", inline + `<xs:schema><xs:import namespace="urn:x" schemaLocation="gone.xsd"/></xs:schema>`, false},
		{"needed by an unused message only", inline + `<xs:schema><xs:include schemaLocation="gone.xsd"/></xs:schema></types><message name="unused"><part name="p" element="e:gone"/></message><types>`, false},
		{"no XML", inline + `<xs:schema><xs:import namespace="urn:x" schemaLocation="bad.xsd"/></xs:schema>`, false},
		{"no schema", inline + `<xs:schema><xs:include schemaLocation="page.xsd"/></xs:schema>`, false},
		{"needed", `<xs:schema targetNamespace="urn:e" xmlns:x="urn:x"><xs:import namespace="urn:x" schemaLocation="gone.xsd"/><xs:element name="in" type="x:t"/></xs:schema>`, true},
		{"included and needed", `<xs:schema targetNamespace="urn:e"><xs:include schemaLocation="bad.xsd"/></xs:schema>`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(files(t, map[string]string{"a.wsdl": service(tt.schema), "bad.xsd": "<xs", "page.xsd": "<html/>"}), "a.wsdl")
			d, err := (&Resolver{}).Open(t.Context(), file)
			var e *Error
			if tt.needed && (!errors.As(err, &e) || !e.Broken || len(e.Problems) != 1) {
				t.Fatalf("got %v, want an *Error that is Broken", err)
			} else if !tt.needed && (err != nil || len(d.Warnings) != 1) {
				t.Fatalf("got %v and %v", d, err)
			}
			if d, err := (&Resolver{AllowBroken: true}).Open(t.Context(), file); err != nil || len(d.Bindings[0].Operations) != 1 {
				t.Errorf("allowed: got %v", err)
			}
		})
	}
	// Nothing is left, or something else is wrong: there is no help.
	s := service(`<xs:schema targetNamespace="urn:e" xmlns:x="urn:x"><xs:import namespace="urn:x" schemaLocation="gone.xsd"/><xs:element name="in" type="x:t"/></xs:schema>`)
	for old, text := range map[string]string{`message="e:in"`: `message="e:gone"`, `<xs:element name="in"`: `<xs:simpleType name="l"><xs:list itemType="e:l"/></xs:simpleType><xs:element name="in"`} {
		file := filepath.Join(files(t, map[string]string{"a.wsdl": strings.Replace(s, old, text, 1)}), "a.wsdl")
		var e *Error
		if _, err := (&Resolver{}).Open(t.Context(), file); !errors.As(err, &e) || e.Broken || !strings.Contains(e.Problems[0].Text, "gone.xsd") {
			t.Errorf("%s: got %v, want an *Error that is not Broken and has the cause first", text, err)
		}
		if _, err := (&Resolver{AllowBroken: true}).Open(t.Context(), file); !errors.As(err, &e) || e.Broken {
			t.Errorf("%s: got %v, want an *Error that is not Broken", text, err)
		}
	}
}

// TestBrokenHeader keeps an operation whose header refers to nothing.
func TestBrokenHeader(t *testing.T) {
	t.Parallel()
	s := strings.Replace(service(inline), `<input><soap:body`, `<input><soap:header message="e:gone" part="p" use="literal"/><soap:header message="e:in" part="q" use="literal"/><soap:body`, 1)
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	if in := d.Bindings[0].Operations[0].In; len(in.Headers) != 0 || len(in.Body) != 1 {
		t.Errorf("got %+v", in)
	}
	if len(d.Warnings) != 2 || d.Warnings[0].Pos.Line != 6 || !strings.Contains(d.Warnings[1].Text, `no part "q"`) {
		t.Errorf("warnings: %v", d.Warnings)
	}
}

// TestBuiltin resolves namespaces that come without a location, or whose
// location is elsewhere on the network.
func TestBuiltin(t *testing.T) {
	t.Parallel()
	for space := range builtinSchemas {
		t.Run(space, func(t *testing.T) {
			t.Parallel()
			l := newLoader(&Resolver{})
			if !l.builtin(space) {
				t.Fatal("not there")
			}
			root := &loaded{doc: &Document{}, root: &node{}}
			d := l.define(root)
			if err := l.probs.err(); err != nil {
				t.Error(err)
			}
			if len(d.Types)+len(d.Elements) == 0 && space != nsXML {
				t.Error("empty")
			}
		})
	}
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": service(
		`<xs:schema targetNamespace="urn:e" xmlns:ser="` + nsMSSerial + `" xmlns:arr="` + nsMSArrays + `">
		<xs:import namespace="` + nsXML + `" schemaLocation="http://www.w3.org/2001/xml.xsd"/>
		<xs:import namespace="` + nsMSArrays + `"/><xs:import namespace="` + nsMSSerial + `"/>
		<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="arr:ArrayOfguid"/></xs:sequence>
		<xs:attribute ref="xml:lang"/><xs:attribute ref="ser:Id"/></xs:complexType></xs:element></xs:schema>`)}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Documents) != 1 {
		t.Errorf("got %d documents, want 1: nothing to fetch", len(d.Documents))
	}
}

func TestNotWSDL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"<html/>": true, "<!DOCTYPE html><p>": true, "hello": true,
		`<schema xmlns="` + nsXSD + `"/>`:                      false,
		strings.Replace(service(inline), "e:in", "e:gone", -1): false,
	} {
		_, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": text}), "a.wsdl"))
		var e *Error
		if !errors.As(err, &e) || e.NotWSDL != want {
			t.Errorf("%s: got %v, want NotWSDL %v", text, err, want)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.set("/a.wsdl", "401")
	_, err := (&Resolver{}).Open(t.Context(), s.URL+"/a.wsdl")
	var e *StatusError
	if !errors.As(err, &e) || e.Code != 401 || strings.Join(e.Challenges, " ") != "Negotiate NTLM" {
		t.Errorf("got %v", err)
	}
	if _, err := (&Resolver{}).Open(t.Context(), strings.Replace(s.URL, "//", "//user:hunter2@", 1)+"/gone"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newSite(t)
	s.set("/a.wsdl", service(inline))
	if _, err := (&Resolver{}).Open(ctx, s.URL+"/a.wsdl"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"a.wsdl": importing("http://elsewhere.invalid/x.xsd"), "local.xsd": included})
	r := &Resolver{Catalog: map[string]string{"http://elsewhere.invalid/x.xsd": filepath.Join(dir, "local.xsd")}}
	if _, err := r.Open(t.Context(), filepath.Join(dir, "a.wsdl")); err != nil {
		t.Error(err)
	}
	// By namespace, and for a document from the network as well: the operator
	// said so.
	home := newSite(t)
	home.set("/a.wsdl", service(`<xs:schema targetNamespace="urn:e" xmlns:x="urn:x"><xs:import namespace="urn:x" schemaLocation="gone.xsd"/><xs:element name="in" type="x:t"/></xs:schema>`))
	r = &Resolver{Catalog: map[string]string{"urn:x": filepath.Join(files(t, map[string]string{
		"x.xsd": `<schema xmlns="` + nsXSD + `" targetNamespace="urn:x"><simpleType name="t"><restriction base="string"/></simpleType></schema>`}), "x.xsd")}}
	d, err := r.Open(t.Context(), home.URL+"/a.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	if refs := d.Documents[0].Refs; len(refs) != 2 || refs[1].Location != "gone.xsd" {
		t.Errorf("references: %+v", refs)
	}
}

func TestIsPrivate(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "0.0.0.0": true,
		"100.64.0.1": true, "224.0.0.1": true, "255.255.255.255": true, "::1": true, "::": true, "fe80::1%eth0": true, "fd00::1": true,
		"::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "2002:a00:1::": true,
		"8.8.8.8": false, "172.32.0.1": false, "2001:4860:4860::8888": false,
	} {
		if got := isPrivate(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
}
