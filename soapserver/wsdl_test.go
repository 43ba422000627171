package soapserver_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
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
