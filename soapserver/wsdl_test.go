package soapserver_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/soapward/soapward/soapserver"
)

func TestPublishedDescription(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.WSDL = fstest.MapFS{
		"svc.wsdl": {Data: []byte("\xEF\xBB\xBF" + `<?xml version='1.0' encoding="UTF-8"?>
<!-- kept --><definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap='http://schemas.xmlsoap.org/wsdl/soap/' xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
 <import namespace="urn:b" location="parts/b.wsdl"/><import namespace="urn:c" location="http://elsewhere/c.wsdl"/>
 <types><xs:schema><xs:import namespace="urn:s" schemaLocation = 'parts/s.xsd'/><xs:include schemaLocation="missing.xsd"/><xs:include schemaLocation="../../etc/passwd"/></xs:schema></types>
 <service><port><soap:address x="location" location='http://old/'/></port><port><soap12:address location="http://old/12"></soap12:address></port></service>
</definitions>`)},
		"parts/b.wsdl": {Data: []byte(`<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"><w:import location="c.wsdl"/></w:definitions>`)},
		"parts/c.wsdl": {Data: []byte(`<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/"/>`)},
		"parts/s.xsd":  {Data: []byte("<?xml version='1.0' encoding='ISO-8859-1'?><xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' id='\xE9'/>")},
		"broken.xsd":   {Data: []byte("<a>")},
	}
	srv := httptest.NewServer(s)
	defer srv.Close()
	get := func(t *testing.T, query string) (int, string) {
		t.Helper()
		resp, err := http.Get(srv.URL + "/svc" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	at := srv.URL + "/svc"
	tests := []struct {
		query  string
		status int
		want   []string
		not    string
	}{
		{"?wsdl", 200, []string{
			`<?xml version="1.0" encoding="utf-8"?>` + "\n<!-- kept --><definitions ",
			`<soap:address x="location" location='` + at + `'/>`, `<soap12:address location="` + at + `">`,
			`location="` + at + `?doc=parts%2Fb.wsdl"`, `location="http://elsewhere/c.wsdl"`,
			`schemaLocation = '` + at + `?doc=parts%2Fs.xsd'`, `schemaLocation="missing.xsd"`, `schemaLocation="../../etc/passwd"`,
		}, "http://old"},
		{"?WSDL", 200, []string{at}, ""},
		{"?wsdl=", 200, []string{at}, ""},
		{"?singleWsdl", 200, []string{at}, ""},
		{"?doc=parts/b.wsdl", 200, []string{`location="` + at + `?doc=parts%2Fc.wsdl"`}, ""},
		{"?doc=parts/s.xsd", 200, []string{`<?xml version="1.0" encoding="utf-8"?><xs:schema`, "id='é'"}, "ISO"},
		{"?xsd=parts/s.xsd", 200, []string{`<xs:schema`}, ""},
		{"?WSDL=parts/b.wsdl", 200, []string{`<w:definitions`}, ""},
		{"?xsd=parts/s.xsd&xsd=x", 405, nil, ""},
		{"?doc=nothing.xsd", 404, nil, ""},
		{"?doc=../service.go", 404, nil, ""},
		{"?doc=/etc/passwd", 404, nil, ""},
		{"?doc=broken.xsd", 500, []string{"cannot be shown"}, "broken"},
		{"", 405, nil, ""},
		{"?other", 405, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			status, got := get(t, tt.query)
			if status != tt.status {
				t.Fatalf("%d %s", status, got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s\nis not in\n%s", want, got)
				}
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("%s is in %s", tt.not, got)
			}
			if status == 200 {
				if err := xml.Unmarshal([]byte(got), new(struct{})); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestAttackHostHeader shows that a Host header cannot get markup into the
// description.
func TestAttackHostHeader(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.WSDL = fstest.MapFS{"a.wsdl": {Data: []byte(`<d xmlns="http://schemas.xmlsoap.org/wsdl/soap/"><address location='x'/></d>`)}}
	r := httptest.NewRequest(http.MethodGet, "/?wsdl", nil)
	r.Host = `h'/><evil a="`
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 200 || strings.Contains(w.Body.String(), "<evil") || !strings.Contains(w.Body.String(), "<address location='http://h") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.URL = "https://public.example/svc"
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), "location='https://public.example/svc'") {
		t.Errorf("%s", w.Body)
	}
}

// Names of documents that mean something in URLs or XML.
func TestPublishedNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.xsd", "ä&ö.xsd", "50%25.xsd", "x+y#1.xsd", "o'neill.xsd", "dir with space/q?.xsd"} {
		s, _ := newService(t)
		location := strings.ReplaceAll((&url.URL{Path: name}).EscapedPath(), "&", "&amp;")
		s.WSDL = fstest.MapFS{
			"svc.wsdl": {Data: []byte(`<x:schema xmlns:x="http://www.w3.org/2001/XMLSchema"><x:include schemaLocation="` + location + `"/></x:schema>`)},
			name:       {Data: []byte(`<found/>`)},
		}
		srv := httptest.NewServer(s)
		defer srv.Close()
		doc := fetch(t, srv.URL+"/?wsdl", nil)
		var schema struct {
			Include struct {
				Location string `xml:"schemaLocation,attr"`
			} `xml:"include"`
		}
		if err := xml.Unmarshal([]byte(doc.body), &schema); err != nil {
			t.Fatalf("%s: %v: %d %s", name, err, doc.status, doc.body)
		}
		if got := fetch(t, schema.Include.Location, nil); got.status != 200 || !strings.HasSuffix(got.body, "<found/>") {
			t.Errorf("%s is at %s: %d %s", name, schema.Include.Location, got.status, got.body)
		}
	}
}

type fetched struct {
	status int
	body   string
	header http.Header
}

func fetch(t *testing.T, url string, header http.Header) fetched {
	t.Helper()
	return fetchBy(t, http.MethodGet, url, header)
}

func fetchBy(t *testing.T, method, url string, header http.Header) fetched {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{resp.StatusCode, string(b), resp.Header}
}

const smallWSDL = `<d xmlns="http://schemas.xmlsoap.org/wsdl/soap/"><address location="x"/></d>`

func TestDescriptionIsCached(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.WSDL = fstest.MapFS{"a.wsdl": {Data: []byte(smallWSDL)}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	got := fetch(t, srv.URL+"/?wsdl", nil)
	tag := got.header.Get("Etag")
	if tag == "" || got.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("header %v", got.header)
	}
	if again := fetch(t, srv.URL+"/?wsdl", http.Header{"If-None-Match": {tag}}); again.status != 304 || again.body != "" {
		t.Errorf("got %d %s", again.status, again.body)
	}
	if other := fetch(t, srv.URL+"/other?wsdl", http.Header{"If-None-Match": {tag}}); other.status != 200 {
		t.Errorf("another address: %d", other.status)
	}
	if head := fetchBy(t, http.MethodHead, srv.URL+"/?wsdl", nil); head.status != 200 || head.body != "" || head.header.Get("Etag") != tag || head.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

// TestAttackForwardedHost shows that what a client says of a proxy does not
// count unless the operator says that there is one.
func TestAttackForwardedHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		allow       bool
		host, proto string
		want        string
	}{
		{"not allowed", false, "evil.example", "https", "http://real.example/svc"},
		{"allowed", true, "public.example", "https", "https://public.example/svc"},
		{"no headers", true, "", "", "http://real.example/svc"},
		{"a list", true, "a.example, b.example", "https", "https://real.example/svc"},
		{"another scheme", true, "public.example", "javascript", "http://public.example/svc"},
		{"markup", true, `x"/><evil a="`, "", "http://x"},
	} {
		s, _ := newService(t)
		s.AllowForwarded = tt.allow
		s.WSDL = fstest.MapFS{"a.wsdl": {Data: []byte(smallWSDL)}}
		r := httptest.NewRequest(http.MethodGet, "/svc?wsdl", nil)
		r.Host = "real.example"
		r.Header.Set("X-Forwarded-Host", tt.host)
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `location="`+tt.want) || strings.Contains(w.Body.String(), "<evil") {
			t.Errorf("%s: %s", tt.name, w.Body)
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.WSDL = fstest.MapFS{"a.wsdl": {Data: []byte(smallWSDL)}}
	odd := operation(`<script>alert(1)</script>`)
	odd.Service = `{urn:<b>}Odd & more`
	soapserver.Handle(s, odd, func(context.Context, *text) (*text, error) { return &text{}, nil })
	srv := httptest.NewServer(s)
	defer srv.Close()
	browser := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
	got := fetch(t, srv.URL+"/svc", browser)
	for _, want := range []string{"<h1>Test</h1>", "<td>echo</td>", `<a href="?wsdl">`, srv.URL + "/svc</code>", "Odd &amp; more", "&lt;script&gt;", "<title>Odd &amp; more, Test</title>"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	if got.status != 200 || strings.Contains(got.body, "<script") || strings.Contains(got.body, "<b>") || got.header.Get("Content-Type") != "text/html; charset=utf-8" ||
		!strings.HasPrefix(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v\n%s", got.status, got.header, got.body)
	}
	if head := fetchBy(t, http.MethodHead, srv.URL+"/svc", browser); head.status != 200 || head.body != "" {
		t.Errorf("HEAD: %d", head.status)
	}
	if got := fetch(t, srv.URL+"/svc", nil); got.status != 405 {
		t.Errorf("without Accept: %d", got.status)
	}
	s.WSDL = nil
	if got := fetch(t, srv.URL+"/svc", browser); got.status != 405 || strings.Contains(got.body, "echo") {
		t.Errorf("nothing is published: %d %s", got.status, got.body)
	}
}
