package publish

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/gateway/config"
)

// Nothing is served but the documents of the description, whatever it is asked
// for by, and however they are referred to.
func TestAttackFileInPlaceOfSchema(t *testing.T) {
	t.Parallel()
	const secret = "do-not-publish"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret.xml"), "<config>"+secret+"</config>")
	write(t, filepath.Join(dir, "secret.xsd"), `<schema xmlns="http://www.w3.org/2001/XMLSchema"><!--`+secret+`--></schema>`)
	write(t, filepath.Join(dir, "a.wsdl"), small(`<types><x:schema xmlns:x="http://www.w3.org/2001/XMLSchema"><x:import namespace="urn:s" schemaLocation="secret.xml"/></x:schema></types>`))
	p, err := New("a", &config.Service{WSDL: config.Path(filepath.Join(dir, "a.wsdl"))})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(query string) {
		r := httptest.NewRequest("GET", "http://gw.test/a", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), secret) || w.Code == http.StatusOK && query != "wsdl" && query != "singlewsdl" {
			t.Errorf("?%s: status %d, %s", query, w.Code, w.Body)
		}
	}
	for query := range p.docs {
		ask(query)
	}
	for _, name := range []string{
		"secret.xml", "secret.xsd", "xsd0", "xsd1", "wsdl0", "a.wsdl", "/etc/passwd", "../../../../../../etc/passwd", "..%2f..%2fetc%2fpasswd",
		"%2e%2e/secret.xsd", `..\secret.xsd`, "file:///etc/passwd", "file://" + filepath.Join(dir, "secret.xsd"), "http://127.0.0.1/x.xsd", "%00", "%", "xsd0%00", "-1", "",
	} {
		ask("xsd=" + name)
		ask("wsdl=" + name + "x")
	}
	if _, err := os.Stat(filepath.Join(dir, "secret.xsd")); err != nil {
		t.Fatal(err)
	}
}

// A description from files leads to no other machine.
func TestAttackImportOverNetwork(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		_, _ = fmt.Fprint(w, `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:s"><element name="E"/></schema>`)
	}))
	t.Cleanup(ts.Close)
	dir := t.TempDir()
	text := small(`<types><x:schema xmlns:x="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:a"><x:import namespace="urn:s" schemaLocation="` + ts.URL + `/x"/></x:schema></types>`)
	write(t, filepath.Join(dir, "a.wsdl"), strings.Replace(text, `<message name="M"/>`, `<message name="M"><part name="p" element="s:E" xmlns:s="urn:s"/></message>`, 1))
	_, err := New("a", &config.Service{WSDL: config.Path(filepath.Join(dir, "a.wsdl"))})
	if err == nil || !strings.Contains(err.Error(), "save it beside the others") {
		t.Errorf("got %v, want an error with a remedy", err)
	}
	if len(asked) > 0 {
		t.Errorf("%s was fetched", <-asked)
	}
}

// What a client says of itself does not become an address for others, and never
// markup.
func TestAttackHostInDescription(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	for _, host := range []string{`evil"><x`, `a' b='`, "a b", "a/b", "user@evil.test", "a:b", "[::1", "", "a\r\nb", strings.Repeat("a", 300)} {
		r := httptest.NewRequest("GET", "http://gw.test/hr/?wsdl", nil)
		r.Host = host
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || len(host) > 4 && strings.Contains(w.Body.String(), host) {
			t.Errorf("Host %q: status %d, %s", host, w.Code, w.Body)
		}
	}
	w := ask(p, "http://gw.test/hr/?wsdl", http.Header{"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"host=evil.test"}})
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "evil.test") || strings.Contains(w.Body.String(), "https://gw.test") {
		t.Errorf("status %d: a header of the client decided on the address", w.Code)
	}
	w = ask(p, "http://gw.test/hr/%22%3E%3Cx%3E'?wsdl", nil)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"><x>`) || strings.Contains(w.Body.String(), "<x>") {
		t.Errorf("status %d: markup in the path came back as markup", w.Code)
	}
}

// Answers for hosts that clients make up fill no memory, and are not compressed.
func TestAttackManyHosts(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	for i := range 10 * cacheAnswers {
		w := ask(p, fmt.Sprintf("http://h%d.test/hr/?wsdl", i), http.Header{"Accept-Encoding": {"gzip"}})
		if w.Header().Get("Content-Encoding") != "" {
			t.Fatal("an answer is compressed that nobody asked for before")
		}
	}
	p.ready.mu.Lock()
	defer p.ready.mu.Unlock()
	size := 0
	for e := p.ready.order.Front(); e != nil; e = e.Next() {
		size += len(e.Value.(cached).body)
	}
	if n := p.ready.order.Len(); n != cacheAnswers || len(p.ready.by) != n || size != p.ready.size {
		t.Errorf("%d answers, %d keys, %d bytes, counted %d", n, len(p.ready.by), size, p.ready.size)
	}
	p.ready.size = cacheBytes // as if they were large
	p.ready.mu.Unlock()
	ask(p, "http://one-more.test/hr/?wsdl", nil)
	p.ready.mu.Lock()
	if p.ready.size > cacheBytes {
		t.Errorf("%d bytes, want at most %d", p.ready.size, cacheBytes)
	}
}

// Descriptions that a server sends are as hostile as it is.
func TestAttackHostileDescription(t *testing.T) {
	t.Parallel()
	schema := func(in string) string {
		return `<schema xmlns="http://www.w3.org/2001/XMLSchema">` + in + `</schema>`
	}
	for _, tt := range []struct{ name, doc, want string }{
		{"entities", `<!DOCTYPE schema [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + schema("&b;"), "document type declaration refused"},
		{"external entity", `<!DOCTYPE schema [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + schema("&a;"), "document type declaration refused"},
		{"unknown entity", schema("&a;"), "a"},
		{"depth", schema(strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)), "depth"},
		{"prefixes", schema(strings.Repeat("<a"+prefixes(200)+">", 9) + strings.Repeat("</a>", 9)), "namespaces"},
		{"attributes", schema("<a" + attributes(1000) + "/>"), "attributes"},
		{"cut off", schema("")[:30], "end"},
		{"two", schema("") + schema(""), "second root"},
		{"nothing", "", "no root"},
		{"binary", "\x00\x01\x02", ""},
		{"large", schema(strings.Repeat(" ", 65<<20)), "bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Rewrite([]byte(tt.doc), nowhere)
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("got %d bytes, %v, want an error with %q", len(got), err, tt.want)
			}
		})
	}
	// An address that a function makes of one cannot break out.
	got, err := Rewrite([]byte(schema(`<include schemaLocation='x'/>`)), func(*url.URL) *url.URL { return &url.URL{Opaque: `'/><evil a="`} })
	if err != nil || bytes.Contains(got, []byte("<evil")) {
		t.Errorf("got %s, %v", got, err)
	}
}

func prefixes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:p%d="urn:%d"`, i, i)
	}
	return b.String()
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}
