package wsdl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
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
		{"HTML", "<html><body>", []string{"a.wsdl:1:13: not well-formed XML: element \"body\" of line 1 is not closed"}},
		{"login page", "<html/>", []string{"a.wsdl:1:1: this is not a WSDL: the document element is html"}},
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
		{"draft schema", service(inline + `<s:schema xmlns:s="http://www.w3.org/1999/XMLSchema"/>`), []string{"a.wsdl:2:", "draft"}},
		{"several", schema("<xs:element name=\"a\" type=\"e:no\"/>\n <xs:element ref=\"e:nope\" name=\"b\" type=\"xs:nothing\"/>\n<xs:element name=\"c\"><xs:complexType><xs:group ref=\"e:g\"/></xs:complexType></xs:element>"),
			[]string{"a.wsdl:4:1: there is no type {urn:e}no", "a.wsdl:5:2: XML Schema has no type nothing", "a.wsdl:6:38: there is no group {urn:e}g"}},
		{"own base", schema(`<xs:complexType name="t"><xs:complexContent><xs:extension base="e:t"/></xs:complexContent></xs:complexType>`),
			[]string{"type {urn:e}t is derived from itself"}},
		{"circular bases", schema(`<xs:simpleType name="s"><xs:restriction base="e:t"/></xs:simpleType><xs:simpleType name="t"><xs:restriction base="e:s"/></xs:simpleType>`),
			[]string{"is derived from itself"}},
		{"circular list", schema(`<xs:simpleType name="s"><xs:list itemType="e:s"/></xs:simpleType>`), []string{"is an item of itself"}},
		{"circular union", schema(`<xs:simpleType name="s"><xs:union memberTypes="e:s"/></xs:simpleType>`), []string{"is a member of itself"}},
		{"circular group", schema(`<xs:group name="g"><xs:sequence><xs:group ref="e:h"/></xs:sequence></xs:group><xs:group name="h"><xs:choice><xs:group ref="e:g"/></xs:choice></xs:group><xs:complexType name="t"><xs:group ref="e:g"/></xs:complexType>`),
			[]string{"group {urn:e}g contains itself"}},
		{"occurs", schema(`<xs:complexType name="t"><xs:sequence minOccurs="x"><xs:element name="a" minOccurs="3" maxOccurs="2"/></xs:sequence></xs:complexType>`),
			[]string{`minOccurs="x" is not a number`, "minOccurs=3 is larger than maxOccurs=2"}},
		{"complex attribute", schema(`<xs:complexType name="t"><xs:attribute name="a" type="e:t"/></xs:complexType>`), []string{"which is not a simple type"}},
		{"name with markup", schema(`<xs:complexType name="a&gt;b"/>`), []string{`"a>b" is not a name`}},
		{"missing import", service(inline + `<xs:schema><xs:import namespace="urn:x" schemaLocation="gone.xsd"/></xs:schema>`),
			[]string{"a.wsdl:2:", "cannot read", "gone.xsd: no such file"}},
		{"nothing left", strings.Replace(service(inline), `element="e:in"`, `element="e:out"`, 1), []string{"a.wsdl:3:20: there is no element {urn:e}out"}},
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
	if _, err := (&Resolver{}).Open(t.Context(), filepath.Join(t.TempDir(), "no.wsdl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if _, err := (&Resolver{}).Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
	if _, err := (&Resolver{}).Open(t.Context(), "ftp://127.0.0.1/a.wsdl"); err == nil || !strings.Contains(err.Error(), `scheme "ftp"`) {
		t.Errorf("got %v", err)
	}
}

// TestBrokenOperation keeps the rest of a description whose one operation
// refers to nothing.
func TestBrokenOperation(t *testing.T) {
	t.Parallel()
	s := strings.Replace(service(inline), `</portType>`, `<operation name="bad"><input message="e:gone"/></operation></portType>`, 1)
	s = strings.Replace(s, `</binding>`, `<operation name="bad"><input/></operation></binding>`, 1)
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Bindings[0].Operations); n != 1 {
		t.Errorf("got %d operations, want 1", n)
	}
	if len(d.Dropped) != 1 || d.Dropped[0].Pos.Line != 4 || !strings.Contains(d.Dropped[0].Text, "no message {urn:e}gone") {
		t.Errorf("dropped: %v", d.Dropped)
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

// site serves documents and remembers who asked for them.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	docs map[string]string
	auth map[string]string // Authorization by path
}

func newSite(t *testing.T) *site {
	s := &site{docs: map[string]string{}, auth: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.auth[r.URL.Path] = r.Header.Get("Authorization")
		body, ok := s.docs[r.URL.Path]
		switch to, redirect := strings.CutPrefix(body, "redirect:"); {
		case redirect:
			http.Redirect(w, r, to, http.StatusFound)
		case !ok:
			http.NotFound(w, r)
		case body == "401":
			w.Header().Add("WWW-Authenticate", "Negotiate")
			w.Header().Add("WWW-Authenticate", "NTLM")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) set(path, doc string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[path] = doc
}

func (s *site) seen(path string) (auth string, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	auth, asked = s.auth[path]
	return auth, asked
}

// loginClient logs in to whatever it talks to.
func loginClient() *http.Client { return &http.Client{Transport: loginTransport{}} }

type loginTransport struct{}

func (loginTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "secret")
	return http.DefaultTransport.RoundTrip(r)
}

func importing(location string) string {
	return service(`<xs:schema targetNamespace="urn:e"><xs:include schemaLocation="` + location + `"/></xs:schema>`)
}

const included = `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="in" type="xs:string"/></xs:schema>`

// TestAttackWSDLCredentials: credentials go to the origin of the first
// document only, over imports and redirects.
func TestAttackWSDLCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setup func(home, away *site)
	}{
		{"import", func(home, away *site) {
			home.set("/a.wsdl", importing(away.URL+"/away.xsd"))
		}},
		{"redirect of an import", func(home, away *site) {
			home.set("/a.wsdl", importing("here.xsd"))
			home.set("/here.xsd", "redirect:"+away.URL+"/away.xsd")
		}},
		{"import after a redirect back", func(home, away *site) {
			home.set("/a.wsdl", importing(away.URL+"/away.xsd?x"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home, away := newSite(t), newSite(t)
			away.set("/away.xsd", included)
			tt.setup(home, away)
			r := &Resolver{HTTP: loginClient()}
			if _, err := r.Open(t.Context(), home.URL+"/a.wsdl"); err != nil {
				t.Fatal(err)
			}
			if auth, _ := home.seen("/a.wsdl"); auth != "secret" {
				t.Errorf("the first document was asked for with %q", auth)
			}
			if auth, asked := away.seen("/away.xsd"); !asked || auth != "" {
				t.Errorf("the other origin saw %q, asked %v", auth, asked)
			}
		})
	}

	t.Run("redirect of the first document", func(t *testing.T) {
		t.Parallel()
		home, away := newSite(t), newSite(t)
		home.set("/a.wsdl", "redirect:"+away.URL+"/b.wsdl")
		away.set("/b.wsdl", service(inline))
		if _, err := (&Resolver{HTTP: loginClient()}).Open(t.Context(), home.URL+"/a.wsdl"); err != nil {
			t.Fatal(err)
		}
		if auth, asked := away.seen("/b.wsdl"); !asked || auth != "" {
			t.Errorf("the other origin saw %q, asked %v", auth, asked)
		}
	})

	t.Run("file that imports", func(t *testing.T) {
		t.Parallel()
		away := newSite(t)
		away.set("/away.xsd", included)
		dir := files(t, map[string]string{"a.wsdl": importing(away.URL + "/away.xsd")})
		if _, err := (&Resolver{HTTP: loginClient()}).Open(t.Context(), filepath.Join(dir, "a.wsdl")); err != nil {
			t.Fatal(err)
		}
		if auth, asked := away.seen("/away.xsd"); !asked || auth != "" {
			t.Errorf("the other origin saw %q, asked %v", auth, asked)
		}
	})
}

// TestAttackWSDLFile: a document from the network cannot reach files.
func TestAttackWSDLFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(files(t, map[string]string{"secret.xsd": included}), "secret.xsd")
	target := (&url.URL{Scheme: "file", Path: filepath.ToSlash(secret)}).String()
	for _, location := range []string{target, "FILE://" + filepath.ToSlash(secret), strings.Replace(target, "file://", "file:", 1)} {
		home := newSite(t)
		home.set("/a.wsdl", importing(location))
		if _, err := (&Resolver{}).Open(t.Context(), home.URL+"/a.wsdl"); !errors.Is(err, ErrOrigin) {
			t.Errorf("%s: got %v, want ErrOrigin", location, err)
		}
		home.set("/a.wsdl", importing("b.xsd"))
		home.set("/b.xsd", "redirect:"+location)
		if _, err := (&Resolver{}).Open(t.Context(), home.URL+"/a.wsdl"); err == nil {
			t.Errorf("redirect to %s: followed", location)
		}
		// Nor can one that a file imports.
		home.set("/c.xsd", `<xs:schema xmlns:xs="`+nsXSD+`"><xs:include schemaLocation="`+location+`"/></xs:schema>`)
		local := filepath.Join(files(t, map[string]string{"a.wsdl": importing(home.URL + "/c.xsd")}), "a.wsdl")
		if _, err := (&Resolver{}).Open(t.Context(), local); !errors.Is(err, ErrOrigin) {
			t.Errorf("%s from an imported document: got %v, want ErrOrigin", location, err)
		}
	}
}

// TestAttackWSDLPrivate: a document from a public address cannot make us ask
// private ones.
func TestAttackWSDLPrivate(t *testing.T) {
	t.Parallel()
	inside := newSite(t)
	inside.set("/inside.xsd", included)
	// The first document's host does not resolve, so it is not known to be
	// private; its own client answers for it.
	public := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		_, _ = rec.WriteString(importing(inside.URL + "/inside.xsd"))
		return rec.Result(), nil
	})}
	const uri = "http://public.invalid/a.wsdl"
	if _, err := (&Resolver{HTTP: public}).Open(t.Context(), uri); !errors.Is(err, ErrOrigin) {
		t.Errorf("got %v, want ErrOrigin", err)
	}
	if _, asked := inside.seen("/inside.xsd"); asked {
		t.Error("the private address was asked")
	}
	if _, err := (&Resolver{HTTP: public, AllowPrivate: true}).Open(t.Context(), uri); err != nil {
		t.Errorf("allowed: got %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAttackWSDLLimits: nothing makes the loader read or build without end.
func TestAttackWSDLLimits(t *testing.T) {
	t.Parallel()
	chain := newSite(t)
	chain.set("/a.wsdl", importing("0.xsd"))
	for i := range 200 {
		chain.set(fmt.Sprintf("/%d.xsd", i), fmt.Sprintf(`<xs:schema xmlns:xs="%s"><xs:include schemaLocation="%d.xsd"/></xs:schema>`, nsXSD, i+1))
	}
	loop := newSite(t)
	loop.set("/a.wsdl", "redirect:/b.wsdl")
	loop.set("/b.wsdl", "redirect:/a.wsdl")
	nest := strings.Repeat("<a>", 100_000)
	wide := `<a ` + strings.Repeat(`x `, 10)
	for i := range 1000 {
		wide += fmt.Sprintf(`a%d="" `, i)
	}
	double := `<xs:group name="g0"><xs:sequence><xs:element name="in0"/></xs:sequence></xs:group>`
	for i := range 60 {
		double += fmt.Sprintf(`<xs:group name="g%d"><xs:sequence><xs:group ref="e:g%d"/><xs:group ref="e:g%d"/></xs:sequence></xs:group><xs:attributeGroup name="h%d"><xs:attributeGroup ref="e:h%d"/><xs:attributeGroup ref="e:h%d"/></xs:attributeGroup>`, i+1, i, i, i+1, i, i)
	}
	double = service(`<xs:schema targetNamespace="urn:e">` + double + `<xs:attributeGroup name="h0"/><xs:element name="in"><xs:complexType><xs:group ref="e:g60"/><xs:attributeGroup ref="e:h60"/></xs:complexType></xs:element></xs:schema>`)
	// The last is declared first, so that nothing is there when it is needed.
	chainOf := func(first, each string) string {
		var b strings.Builder
		for i := 5000; i > 0; i-- {
			fmt.Fprintf(&b, each, i, i-1)
		}
		return b.String() + first
	}
	bases := chainOf(`<xs:complexType name="t0"/>`, `<xs:complexType name="t%d"><xs:complexContent><xs:extension base="e:t%d"/></xs:complexContent></xs:complexType>`)
	heads := chainOf(`<xs:element name="h0"/>`, `<xs:element name="h%d" substitutionGroup="e:h%d"/>`)
	in := func(s string) string {
		return service(`<xs:schema targetNamespace="urn:e"><xs:element name="in"/>` + s + `</xs:schema>`)
	}
	file := func(s string) string {
		return filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl")
	}
	for _, tt := range []struct {
		name string
		r    Resolver
		uri  string
		want string
	}{
		{"depth of imports", Resolver{}, chain.URL + "/a.wsdl", "nested deeper than 50"},
		{"count of documents", Resolver{MaxDocuments: 10}, chain.URL + "/a.wsdl", "more than 10 documents"},
		{"bytes", Resolver{MaxBytes: 100}, file(service(inline)), ErrTooLarge.Error()},
		{"bytes over HTTP", Resolver{MaxBytes: 100}, chain.URL + "/a.wsdl", ErrTooLarge.Error()},
		{"redirects", Resolver{}, loop.URL + "/a.wsdl", "more than 10 redirects"},
		{"DTD", Resolver{}, file(`<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>`), "document type declarations are refused"},
		{"DTD lower case is not XML", Resolver{}, file(`<x>&a;</x>`), "invalid character entity"},
		{"nesting", Resolver{}, file(nest), "nested deeper than 200"},
		{"attributes", Resolver{}, file(strings.Replace(wide, strings.Repeat(`x `, 10), "", 1) + "/>"), "more than 256 attributes"},
		{"bases", Resolver{}, file(in(bases)), "derived from each other more than"},
		{"substitution", Resolver{}, file(in(heads)), "nested too deep"},
		{"doubling groups", Resolver{}, file(double), ""},
		{"device", Resolver{}, "file:///dev/zero", "not a regular file"},
		{"other host's file", Resolver{}, "file://elsewhere/a.wsdl", "files of other hosts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := tt.r.Open(t.Context(), tt.uri)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
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
