package wsdl

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

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
	unions := `<xs:simpleType name="u0"><xs:restriction base="xs:int"/></xs:simpleType>`
	lists := unions
	for i := range 40 {
		unions += fmt.Sprintf(`<xs:simpleType name="u%d"><xs:union memberTypes="e:u%d e:u%d"/></xs:simpleType>`, i+1, i, i)
		lists += fmt.Sprintf(`<xs:simpleType name="u%d"><xs:union memberTypes="e:l%d e:l%d"/></xs:simpleType><xs:simpleType name="l%d"><xs:list itemType="e:u%d"/></xs:simpleType>`, i+1, i, i, i, i)
	}
	numbered := func(n int, each string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(each, "@", strconv.Itoa(i)))
		}
		return b.String()
	}
	attributes := numbered(3000, `<xs:attribute name="a@"/>`)
	redefined := numbered(20_000, `<xs:simpleType name="s@"><xs:restriction base="e:s@"/></xs:simpleType>`)
	included := numbered(50_000, `<xs:include schemaLocation="e.xsd#@"/>`)
	chameleon := numbered(200, `<xs:schema targetNamespace="urn:e@"><xs:include schemaLocation="c.xsd"/></xs:schema>`)
	schema := func(s string) string {
		return `<xs:schema xmlns:xs="` + nsXSD + `" xmlns:e="urn:e">` + s + `</xs:schema>`
	}
	deep := strings.Repeat("<xs:annotation"+numbered(200, ` xmlns:p@="u"`)+">", 100) + strings.Repeat("<xs:a/>", 50_000) + strings.Repeat("</xs:annotation>", 100)
	two := func(main, other, more string) string {
		dir := files(t, map[string]string{"a.wsdl": main, "e.xsd": other, "c.xsd": more})
		return filepath.Join(dir, "a.wsdl")
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
		{"DTD of a schema", Resolver{}, filepath.Join(files(t, map[string]string{"a.wsdl": importing("e.xsd"),
			"e.xsd": `<!DOCTYPE schema SYSTEM "http://127.0.0.1:1/x.dtd" [<!ENTITY e "in">]><schema xmlns="` + nsXSD + `"><element name="&e;"/></schema>`}), "a.wsdl"), "invalid character entity &e;"},
		{"DTD lower case is not XML", Resolver{}, file(`<x>&a;</x>`), "invalid character entity"},
		{"nesting", Resolver{}, file(nest), "nested deeper than 200"},
		{"attributes", Resolver{}, file(strings.Replace(wide, strings.Repeat(`x `, 10), "", 1) + "/>"), "more than 256 attributes"},
		{"bases", Resolver{}, file(in(bases)), "derived from each other more than"},
		{"substitution", Resolver{}, file(in(heads)), "nested too deep"},
		{"doubling groups", Resolver{}, file(double), ""},
		{"doubling unions", Resolver{}, file(in(unions)), "union type has more than 1000 members"},
		{"doubling lists of unions", Resolver{}, file(in(lists)), "union type has more than 1000 members"},
		{"attributes of a type", Resolver{}, file(in(`<xs:complexType name="t">` + attributes + `</xs:complexType>`)), "more than 2000 attributes"},
		{"text in pieces", Resolver{}, file(in(`<xs:element name="t">` + strings.Repeat("x<xs:annotation/>", 200_000) + `</xs:element>`)), ""},
		{"declarations in scope", Resolver{}, file(in(deep)), "more than 1000 namespace declarations"},
		{"redefinitions", Resolver{}, two(service(`<xs:schema targetNamespace="urn:e"><xs:element name="in"/><xs:redefine schemaLocation="e.xsd">`+redefined+`</xs:redefine></xs:schema>`),
			schema(strings.ReplaceAll(redefined, "e:s", "xs:int")), ""), ""},
		{"one document by many names", Resolver{}, two(service(`<xs:schema targetNamespace="urn:e"><xs:element name="in"/>`+included+`</xs:schema>`), schema(""), ""), ""},
		{"one schema in many namespaces", Resolver{}, two(service(chameleon), "", schema(redefined)), "more than 200000 components"},
		{"references of one schema in many namespaces", Resolver{}, two(service(chameleon), schema(""), schema(included)), "more than 200000 components"},
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
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
