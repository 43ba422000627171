package inbound

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/trail"
)

// 4g. A Host that we and a server behind read as two different names: nginx takes
// what is in front of the first colon.
func TestAttackHost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
roles: {admins: {users: ['CORP\root']}}
services:
  admin: {match: {host: admin.corp.test, path: /}, login: [corp/ntlm], allow: [{path: /, roles: [admins]}], upstream: {url: "http://127.0.0.1:1"}}
  open:  {match: {path: /}, login: [corp/ntlm], upstream: {url: "http://127.0.0.1:1"}}
forward_auth: {proxies: [192.0.2.0/24]}
`)
	for _, host := range []string{
		"admin.corp.test:80:80", "admin.corp.test:80:", "admin.corp.test::80", "admin.corp.test..", "admin.corp.test..:80", "admin.corp.test:80]", "[admin.corp.test]",
		"admin.corp.test:x", "admin.corp.test:+80", "admin.corp.test:80.", "admin.corp.test,other", "a@admin.corp.test", "admin.corp.test%00", "[::1]x", "[::1", "::1", "[::1]:80:80", "a..b",
		".admin.corp.test", "admin.corp.test:123456",
	} {
		r := request("GET", "/", "bob", "")
		r.Host = host
		if w := f.do(r); w.Code != http.StatusBadRequest {
			t.Errorf("host %q: %d, want 400", host, w.Code)
		}
	}
	for host, want := range map[string]int{
		"admin.corp.test": 403, "ADMIN.corp.test:443": 403, "admin.corp.test.": 403, "admin.corp.test.:8443": 403, "admin.corp.test:": 403,
		"[::1]": 200, "[::1]:80": 200, "other": 200, "other_2.corp.test:8080": 200, "": 200, "192.0.2.7:80": 200, "xn--jrgen-kva.test": 200,
	} {
		r := request("GET", "/", "bob", "")
		r.Host = host
		if w := f.do(r); w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// 4h. Headers that have a server take a POST for something else, where rules name
// methods.
func TestAttackMethodOverride(t *testing.T) {
	t.Parallel()
	const rules = `
services:
  hr: {match: {path: /}, login: [corp/ntlm], allow: [{path: /, methods: [GET, POST], roles: [any]}], upstream: {url: "http://127.0.0.1:1"}}
`
	f, other := newFixture(t, rules), newFixture(t, strings.Replace(rules, "methods: [GET, POST], ", "", 1))
	for _, name := range []string{"X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override", "X_HTTP_Method_Override", "x.http-method"} {
		for _, method := range []string{"POST", "GET"} {
			r := request(method, "/", "bob", "")
			r.Header[http.CanonicalHeaderKey(name)] = []string{"DELETE"}
			check(t, f.do(r), 400)
			check(t, other.do(r.Clone(t.Context())), 200)
		}
	}
	if f.trail.Refusal != badMethod {
		t.Errorf("refusal %q", f.trail.Refusal)
	}
}

// 31e. An XML declaration with another encoding than that of the Content-Type, by
// which we read: libxml2 goes by the declaration, and reads UTF-7.
func TestAttackTwoEncodings(t *testing.T) {
	t.Parallel()
	f := newFixture(t, payroll+"    soap: {allow_any_action: true}\n")
	hidden := envelope("+ADw-h:Pay/+AD4-" + getOK)
	latin := func(s string) string { // as one byte for each character
		var b []byte
		for _, r := range s {
			b = append(b, byte(r))
		}
		return string(b)
	}
	for _, tt := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"UTF-7", xmlType, `<?xml version="1.0" encoding="UTF-7"?>` + hidden, 400},
		{"UTF-7 behind a mark", xmlType, "\xef\xbb\xbf" + `<?xml version="1.0" encoding='UTF-7'?>` + hidden, 400},
		{"UTF-7 in Latin 1", "text/xml; charset=iso-8859-1", `<?xml version="1.0" encoding="UTF-7"?>` + hidden, 400},
		{"UTF-7, no charset", "text/xml", `<?xml version="1.0" encoding="UTF-7"?>` + hidden, 400},
		{"ISO-2022-JP", xmlType, `<?xml version="1.0" encoding="ISO-2022-JP"?>` + envelope(getOK), 400},
		{"EBCDIC by name", xmlType, `<?xml version="1.0" encoding="cp037"?>` + envelope(getOK), 400},
		{"UTF-32 by name", xmlType, `<?xml version="1.0" encoding="UCS-4"?>` + envelope(getOK), 400},
		{"letters of Latin 1", xmlType, latin(`<?xml version="1.0" encoding="iso-8859-1"?>`) + envelope("<h:Gehälter/>"), 400},
		{"letters of UTF-8", "text/xml; charset=iso-8859-1", envelope("<h:Gehälter/>"), 400},
		{"agreed", xmlType, `<?xml version="1.0" encoding="utf-8"?>` + envelope("<h:Gehälter/>"), 200},
		{"agreed, Latin 1", "text/xml; charset=iso-8859-1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + latin(envelope("<h:Gehälter/>")), 200},
		{"only a label, as of .NET", xmlType, `<?xml version="1.0" encoding="utf-16"?>` + envelope(getOK), 200},
		{"ASCII anyway", xmlType, `<?xml version="1.0" encoding="windows-1252"?>` + envelope(getOK), 200},
	} {
		if w := f.do(request("POST", "/hr/", "bob", tt.body, "Content-Type", tt.contentType)); w.Code != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.want, w.Body)
		}
	}
}

// 31e. More actions than are looked at, and those of drafts of WS-Addressing.
func TestAttackManyActions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, payroll)
	const good, evil = "urn:hr/Get", "urn:hr/Pay"
	action := func(space, action string) string {
		return `<a:Action xmlns:a="` + space + `">` + action + `</a:Action>`
	}
	message := func(headers string) string {
		return strings.Replace(envelope(getOK), "<s:Body>", "<s:Header>"+headers+"</s:Header><s:Body>", 1)
	}
	for name, headers := range map[string]string{
		"the ninth":  strings.Repeat(action(wsa10, good), 8) + action(wsa10, evil),
		"of 2004/03": action("http://schemas.xmlsoap.org/ws/2004/03/addressing", evil),
		"of 2003/03": action("http://schemas.xmlsoap.org/ws/2003/03/addressing", evil),
		"of 2004/12": action("http://www.w3.org/2004/12/addressing", evil),
	} {
		if w := f.do(request("POST", "/hr/", "bob", message(headers), "Content-Type", xmlType)); w.Code != 400 {
			t.Errorf("%s: %d, want 400", name, w.Code)
		}
	}
	w := f.do(request("POST", "/hr/", "bob", message(action(wsa10, good)+action(wsa04, good)), "Content-Type", xmlType))
	check(t, w, 200)
}

// 31e. Characters in front of the envelope that gSOAP skips, in a message that is
// none by its type.
func TestAttackInFrontOfEnvelope(t *testing.T) {
	t.Parallel()
	f := newFixture(t, payroll)
	for c := range 0x21 {
		for _, front := range []string{string(rune(c)), "\xef\xbb\xbf" + string(rune(c)), strings.Repeat(string(rune(c)), 3000)} {
			w := f.do(request("POST", "/hr/", "bob", front+envelope("<h:Pay/>"), "Content-Type", "application/octet-stream"))
			if w.Code == 200 {
				t.Errorf("behind %.20q: %d", front, w.Code)
			}
		}
	}
}

// 4c. A fragment, which the policy would not see and the proxy passes on.
func TestAttackForwardFragment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
services:
  hr: {match: {path: /}, login: [corp/negotiate], forward_auth: true, allow: [{path: /open, roles: [any]}]}
forward_auth: {proxies: [192.0.2.0/24]}
`)
	for _, header := range [][]string{
		{"X-Original-Url", "http://h/open#/../admin", "X-Original-Method", "GET"},
		{"X-Original-Uri", "/open#/../admin", "X-Original-Method", "GET", "X-Forwarded-Host", "h"},
		{"X-Forwarded-Uri", "/open#x", "X-Forwarded-Method", "GET", "X-Forwarded-Host", "h"},
		{"X-Original-Url", "http://h:1:1/open", "X-Original-Method", "GET"},
		{"X-Original-Uri", "/open", "X-Original-Method", "GET", "X-Forwarded-Host", "h:1:1"},
	} {
		if w := f.do(request("GET", "/.soapward/auth", "bob", "", header...)); w.Code == 200 {
			t.Errorf("%q: %d", header, w.Code)
		}
	}
}

// 6b. A client that stops within the start of its message, also before it has
// logged in, or within a call of our own services.
func TestAttackSlowMessage(t *testing.T) {
	t.Parallel()
	early := strings.Replace(payroll, "    upstream:", "    elements: [{operation: '{urn:hr}Pay', login: [corp/basic]}]\n    upstream:", 1)
	for name, text := range map[string]string{
		"before the login": "POST /hr/ HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<s:",
		"in chunks":        "POST /hr/ HTTP/1.1\r\nHost: h\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n<\r\n",
		"our own":          "POST /hr/.soapward/security HTTP/1.1\r\nHost: h\r\nAuthorization: Test bob\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<s:",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, early)
			f.testOnlyBodyTimeout = 50 * time.Millisecond
			ended := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				f.ServeHTTP(w, r.WithContext(trail.With(r.Context(), new(trail.Trail))))
			}))
			defer s.Close()
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the request is still waited for")
			}
		})
	}
}
