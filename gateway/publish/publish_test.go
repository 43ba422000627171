package publish

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/wsdl"
)

// service is the one of testdata/hr. change may be nil.
func service(t *testing.T, change func(*config.Service)) *Publisher {
	t.Helper()
	s := &config.Service{
		WSDL: "testdata/hr/hr.wsdl", Match: config.Match{Path: "/hr/"},
		Upstream: &config.Backend{URL: config.BackendURL{URL: parse(t, "http://10.0.0.7:8080")}},
	}
	if change != nil {
		change(s)
	}
	p, err := New("hr", s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ask returns the answer to a GET. The header may be nil.
func ask(h http.Handler, target string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Of each document only addresses change.
func TestOnlyAddressesChange(t *testing.T) {
	t.Parallel()
	const base = "https://gw.test:8443/hr/Service.asmx"
	p := service(t, nil)
	for _, tt := range []struct {
		file, query string
		changes     []string // old, new
	}{
		{"hr.wsdl", "wsdl", []string{
			`<?xml version='1.0' encoding='ISO-8859-1'?>`, usualDeclaration,
			`'parts/messages.wsdl'`, `'` + base + `?wsdl=wsdl0'`,
			`"parts\Types.xsd"`, `"` + base + `?xsd=xsd0"`,
			`"parts/more.xsd"`, `"` + base + `?xsd=xsd1"`,
			`"http://10.0.0.7:8080/hr/Service.asmx"`, `"` + base + `"`,
			`'http://10.0.0.7:8080/hr/Service.asmx?soap12&amp;x=1'`, `'` + base + `?soap12&amp;x=1'`,
			`> http://10.0.0.7:8080/hr/Service.asmx?soap12&amp;x=1 <`, `>` + base + `?soap12&amp;x=1<`,
			`<Identity xmlns="http://schemas.xmlsoap.org/ws/2006/02/addressingidentity"><Upn>svc-hr@corp.test</Upn></Identity>`, ``,
			`"http://intranet/elsewhere"`, `"` + base + `"`,
			`"http://HOST:PORT/hr"`, `"` + base + `"`,
		}},
		{"parts/messages.wsdl", "WSDL=WSDL0", []string{`"types.xsd"`, `"` + base + `?xsd=xsd0"`}},
		{"parts/types.xsd", "xsd=xsd0", nil},
		{"parts/more.xsd", "xsd=XSD1", nil}, // what all programs know is not ours
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join("testdata/hr", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			want := string(b)
			for i := 0; i < len(tt.changes); i += 2 {
				if !strings.Contains(want, tt.changes[i]) {
					t.Fatalf("%s is not in the file", tt.changes[i])
				}
			}
			want = strings.NewReplacer(tt.changes...).Replace(want)
			if !strings.HasPrefix(want, usualDeclaration) {
				want = usualDeclaration + "\n" + want
			}
			w := ask(p, base+"?"+tt.query, nil)
			if got := w.Body.String(); got != want {
				t.Errorf("status %d, got\n%s\nwant\n%s", w.Code, got, want)
			}
		})
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	want := []Operation{
		{Name: "{urn:hr}Pay", Action: "http://10.0.0.7/hr/Pay", Body: "{urn:hr}Pay", Doc: "Pays a salary."},
		{Name: "{urn:hr}Hire", Action: "urn:hire", Body: "{urn:rpc}Hire"},
	}
	if got := service(t, nil).Operations(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// In one document the description says what it says in four.
func TestSingle(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	ts := httptest.NewServer(p)
	t.Cleanup(ts.Close)
	whole, err := new(wsdl.Resolver).Open(t.Context(), ts.URL+"/hr/?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	one, err := new(wsdl.Resolver).Open(t.Context(), ts.URL+"/hr/?singleWSDL")
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Documents) != 4 || len(one.Documents) != 1 {
		t.Errorf("%d documents, and %d in one", len(whole.Documents), len(one.Documents))
	}
	same(t, whole, one, ts.URL+"/hr")
}

// Where that cannot be, the answer says why.
func TestNoSingle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, main, other, why string }{
		{
			"namespaces", `<import namespace="urn:b" location="other"/>`, `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:b"/>`,
			`it is written in several namespaces, "urn:a" and "urn:b"`,
		},
		{
			"redefine", `<types><schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:a"><redefine schemaLocation="other"/></schema></types>`,
			`<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:a"/>`, `a schema in it changes another one (xs:redefine)`,
		},
		{
			"chameleon", `<types><schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:a"><include schemaLocation="other"/></schema></types>`,
			`<schema xmlns="http://www.w3.org/2001/XMLSchema"/>`, `a schema in it includes one without a namespace`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "other"), tt.other)
			write(t, filepath.Join(dir, "a.wsdl"), small(tt.main))
			p, err := New("a", &config.Service{WSDL: config.Path(filepath.Join(dir, "a.wsdl"))})
			if err != nil {
				t.Fatal(err)
			}
			w := ask(p, "http://gw.test/a?singleWsdl", nil)
			if want := "This description cannot be put into one document: " + tt.why + ". Ask for ?wsdl.\n"; w.Code != http.StatusNotFound || w.Body.String() != want {
				t.Errorf("status %d, %q, want %q", w.Code, w.Body, want)
			}
			if w := ask(p, "http://gw.test/a?wsdl", nil); w.Code != http.StatusOK {
				t.Errorf("?wsdl: status %d", w.Code)
			}
		})
	}
}

// small is a WSDL with something in it.
func small(in string) string {
	return `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:a="urn:a" targetNamespace="urn:a">` +
		in + `<message name="M"/><portType name="P"><operation name="O"><input message="a:M"/></operation></portType>
		<binding name="B" type="a:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/><operation name="O"><soap:operation soapAction=""/><input><soap:body use="literal"/></input></operation></binding>
		<service name="S"><port name="P" binding="a:B"><soap:address location="http://old.test/s"/></port></service></definitions>`
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The address is the one that the client used, or the one of the configuration.
func TestAddress(t *testing.T) {
	t.Parallel()
	type change = func(*config.Service)
	public := func(s string) change {
		return func(c *config.Service) { c.PublicURL.URL = parse(t, s) }
	}
	forwarded := http.Header{"X-Forwarded-Host": {"hr.corp.test"}, "X-Forwarded-Proto": {"https"}}
	for _, tt := range []struct {
		name    string
		change  change
		trusted string
		url     string
		header  http.Header
		want    string // of the port; empty: 400
		ref     string // of the schema, without the query
	}{
		{"as asked", nil, "", "http://gw.test/hr/x?wsdl", nil, "http://gw.test/hr/Service.asmx", "http://gw.test/hr/x"},
		{"TLS and port", nil, "", "https://gw.test:8443/hr/?wsdl", nil, "https://gw.test:8443/hr/Service.asmx", "https://gw.test:8443/hr/"},
		{"IPv6", nil, "", "http://[::1]:80/hr/?wsdl", nil, "http://[::1]:80/hr/Service.asmx", "http://[::1]:80/hr/"},
		{"path needs escapes", nil, "", "http://gw.test/hr/a%20b%3F?wsdl", nil, "http://gw.test/hr/Service.asmx", "http://gw.test/hr/a%20b%3F"},
		{"server elsewhere", func(s *config.Service) { s.Match.Path = "/people/" }, "", "http://gw.test/people/x?wsdl", nil, "http://gw.test/people/x", "http://gw.test/people/x"},
		{
			"server below a path", func(s *config.Service) {
				s.Match.Path = "/Service.asmx"
				s.Upstream.URL.URL = parse(t, "http://10.0.0.7:8080/hr/")
			}, "",
			"http://gw.test/Service.asmx?wsdl", nil, "http://gw.test/Service.asmx", "http://gw.test/Service.asmx",
		},
		{
			"prefix taken off", func(s *config.Service) { s.Match.Path = "/people/"; s.Upstream.StripPrefix = "/people" }, "",
			"http://gw.test/people/x?wsdl", nil, "http://gw.test/people/hr/Service.asmx", "http://gw.test/people/x",
		},
		{
			"another in its place", func(s *config.Service) {
				s.Match.Path, s.Upstream.StripPrefix, s.Upstream.URL.URL = "/people/", "/people/", parse(t, "http://10.0.0.7:8080/hr")
			}, "",
			"http://gw.test/people/x?wsdl", nil, "http://gw.test/people/Service.asmx", "http://gw.test/people/x",
		},
		{"socket", func(s *config.Service) { s.Upstream.URL.URL = &url.URL{Scheme: "unix", Path: "/hr"} }, "", "http://gw.test/hr/?wsdl", nil, "http://gw.test/hr/Service.asmx", "http://gw.test/hr/"},
		{"host only", func(s *config.Service) { s.Match = config.Match{Host: "gw.test"} }, "", "http://gw.test/?wsdl", nil, "http://gw.test/hr/Service.asmx", "http://gw.test/"},
		{"pattern", func(s *config.Service) { s.Match.Path = "/h*/Service.asmx" }, "", "http://gw.test/hr/Service.asmx?wsdl", nil, "http://gw.test/hr/Service.asmx", "http://gw.test/hr/Service.asmx"},
		{"public URL", public("https://api.test/v1/people"), "", "http://gw.test/hr/x?wsdl", forwarded, "https://api.test/v1/people/Service.asmx", "https://api.test/v1/people/x"},
		{"public URL, path itself", public("https://api.test/v1/people"), "", "http://gw.test/hr?wsdl", nil, "https://api.test/v1/people/Service.asmx", "https://api.test/v1/people"},
		{"public host", public("https://api.test"), "", "http://gw.test/hr/x?wsdl", nil, "https://api.test/Service.asmx", "https://api.test/x"},
		{"proxy", nil, "192.0.2.0/24", "http://gw.test/hr/?wsdl", forwarded, "https://hr.corp.test/hr/Service.asmx", "https://hr.corp.test/hr/"},
		{
			"proxy with two words", nil, "192.0.2.0/24", "http://gw.test/hr/?wsdl",
			http.Header{"X-Forwarded-Host": {"evil.test, hr.corp.test"}, "X-Forwarded-Proto": {"https", "http"}},
			"http://gw.test/hr/Service.asmx", "http://gw.test/hr/",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := service(t, tt.change)
			if tt.trusted != "" {
				p.trusted = []config.Network{{Prefix: netip.MustParsePrefix(tt.trusted)}}
			}
			w := ask(p, tt.url, tt.header) // from 192.0.2.1
			for _, want := range []string{`name="HR" binding="hr:HR"><s:address location="` + tt.want + `"`, `schemaLocation="` + tt.ref + `?xsd=xsd0"`} {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("status %d, no %s in\n%s", w.Code, want, w.Body)
				}
			}
		})
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	for _, tt := range []struct {
		method, query string
		want          bool
	}{
		{"GET", "wsdl", true},
		{"HEAD", "WSDL", true},
		{"GET", "singleWsdl", true},
		{"GET", "wsdl=", true},
		{"GET", "xsd=xsd0", true},
		{"GET", "XSD=none", true},
		{"GET", "wsdl&x=1", true},
		{"POST", "wsdl", false},
		{"GET", "", false},
		{"GET", "xsd", false},
		{"GET", "x=1&wsdl", false},
		{"GET", "singleWsdl=x", false},
		{"GET", "wsdlx", false},
	} {
		r := httptest.NewRequest(tt.method, "/hr/?"+tt.query, nil)
		if got := p.Takes(r); got != tt.want {
			t.Errorf("%s ?%s: %v, want %v", tt.method, tt.query, got, tt.want)
		}
	}
	none, err := New("api", &config.Service{})
	if err != nil {
		t.Fatal(err)
	}
	if none.Takes(httptest.NewRequest("GET", "/?wsdl", nil)) {
		t.Error("a service without a description takes ?wsdl")
	}
}

func TestPublishing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		publish config.Publishing
		open    bool
		status  int
		caches  string
	}{
		{"", false, 200, "private, no-cache"},
		{config.PublishLogin, false, 200, "private, no-cache"},
		{config.PublishOpen, true, 200, "no-cache"},
		{config.PublishOff, false, 404, ""},
	} {
		p := service(t, func(s *config.Service) { s.Publish = tt.publish })
		w := ask(p, "http://gw.test/hr/?wsdl", nil)
		if p.Open() != tt.open || w.Code != tt.status || w.Header().Get("Cache-Control") != tt.caches {
			t.Errorf("%q: open %v, status %d, %q", tt.publish, p.Open(), w.Code, w.Header().Get("Cache-Control"))
		}
		if !p.Takes(httptest.NewRequest("GET", "/hr/?wsdl", nil)) {
			t.Errorf("%q: ?wsdl would go to the server, whose answer has its own address", tt.publish)
		}
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	const at = "http://gw.test/hr/?wsdl"
	first := ask(p, at, http.Header{"Accept-Encoding": {"gzip"}})
	etag := first.Header().Get("ETag")
	if first.Header().Get("Content-Type") != "text/xml; charset=utf-8" || etag == "" || first.Header().Get("Content-Encoding") != "" {
		t.Errorf("first answer: %v", first.Header())
	}
	if w := ask(p, at, http.Header{"If-None-Match": {etag}}); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("with its ETag: status %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := ask(p, "https://gw.test/hr/?wsdl", http.Header{"If-None-Match": {etag}}); w.Code != http.StatusOK {
		t.Errorf("with the ETag of another address: status %d", w.Code)
	}
	packed := ask(p, at, http.Header{"Accept-Encoding": {"br, GZIP;q=0.5"}})
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatalf("second answer is not gzip: %v, %v", err, packed.Header())
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != first.Body.String() {
		t.Errorf("gzip has another text: %v", err)
	}
	if packed.Header().Get("ETag") == etag || !slices.Contains(packed.Header().Values("Vary"), "Accept-Encoding") {
		t.Errorf("caches take one for the other: %v", packed.Header())
	}
	for _, none := range []string{"gzip;q=0", "gzip; q=0.0", "br", "x-gzip"} {
		if w := ask(p, at, http.Header{"Accept-Encoding": {none}}); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("gzip for %q", none)
		}
	}
	ts := httptest.NewServer(p)
	t.Cleanup(ts.Close)
	resp, err := http.Head(ts.URL + "/hr/?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) > 0 || resp.ContentLength < 1000 || resp.StatusCode != 200 {
		t.Errorf("HEAD: status %d, length %d, %d bytes, %v", resp.StatusCode, resp.ContentLength, len(b), err)
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	c := &config.Config{
		Defaults: config.Settings{Login: []config.Login{{Realm: "corp", Method: config.Negotiate}}},
		Services: map[string]*config.Service{"hr": {WSDL: "testdata/hr/hr.wsdl"}, "api": {}},
	}
	all, err := All(c)
	if err != nil || len(all) != 1 || all["hr"].logins[0].Realm != "corp" {
		t.Fatalf("got %v, %v", all, err)
	}
	c.Publish.Page = true
	if all, err = All(c); err != nil || len(all) != 2 {
		t.Fatalf("with a page: %v, %v", all, err)
	}
	c.Services["gone"] = &config.Service{WSDL: "testdata/none.wsdl"}
	c.Services["broken"] = &config.Service{WSDL: "testdata/hr/parts/types.xsd"}
	_, err = All(c)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"publish: service broken: ", "this is an XML schema, not a WSDL", "publish: service gone: ", "no such file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

// Many clients at once get each their own address.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			host := fmt.Sprintf("h%d.test", i%8)
			for _, query := range []string{"wsdl", "xsd=xsd1", "singleWsdl", "wsdl"} {
				w := ask(p, "https://"+host+"/hr/?"+query, http.Header{"Accept-Encoding": {[]string{"gzip", "br"}[i%2]}})
				body := io.Reader(w.Body)
				if w.Header().Get("Content-Encoding") == "gzip" {
					z, err := gzip.NewReader(body)
					if err != nil {
						t.Error(err)
						return
					}
					body = z
				}
				b, err := io.ReadAll(body)
				if err != nil || w.Code != http.StatusOK || query != "xsd=xsd1" && !strings.Contains(string(b), `"https://`+host+`/hr/Service.asmx"`) {
					t.Errorf("%s ?%s: status %d, %v", host, query, w.Code, err)
				}
			}
		})
	}
	wg.Wait()
}

// A description of 101 operations and 1,400 types, 980 KB, where there is one.
func BenchmarkServe(b *testing.B) {
	file := filepath.Join("..", "..", "..", "shared", "wsdl", "wsdl", "ews2010-wsdltophp", "services.wsdl")
	if _, err := os.Stat(file); err != nil {
		file = "testdata/hr/hr.wsdl"
	}
	p, err := New("x", &config.Service{WSDL: config.Path(file)})
	if err != nil {
		b.Fatal(err)
	}
	get := func(b *testing.B, host, query string) {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+"/x?"+query, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		p.ServeHTTP(discard{http.Header{}}, r)
	}
	b.Run("known host", func(b *testing.B) {
		for b.Loop() {
			get(b, "gw.test", "wsdl")
		}
	})
	b.Run("other host each time", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			get(b, fmt.Sprintf("h%d.test", i), "singlewsdl")
		}
	})
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// Names without a namespace are those that package inbound finds in messages.
func TestNamesWithoutNamespace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ space, local, want string }{{"", "Pay", "Pay"}, {"urn:hr", "Pay", "{urn:hr}Pay"}, {"a{b}c", "Pay", "{a{b}c}Pay"}} {
		op := Operation{Name: clark(tt.space, tt.local)}
		if space, local := op.Split(); op.Name != tt.want || space != tt.space || local != tt.local {
			t.Errorf("%q, split into %q and %q, want %q", op.Name, space, local, tt.want)
		}
	}
}
