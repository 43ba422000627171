package inbound

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
)

// payroll is a service where bob may Get and not Pay, and whose paths are open to
// him beside: what escapes being a message is let in.
const payroll = `
roles: {payroll: {groups: ['CORP\Payroll']}}
services:
  hr:
    match: {path: /hr/}
    login: [corp/ntlm]
    allow:
      - {operation: "{urn:hr}Pay", roles: [payroll]}
      - {operation: "*", roles: [any]}
      - {path: /hr/, roles: [any]}
    upstream: {url: "http://127.0.0.1:1"}
`

const (
	xmlType  = "text/xml; charset=utf-8"
	getOK    = "<h:Get><a>1</a></h:Get>"
	boundary = "MIMEboundary"
)

// utf16Bytes is a text in UTF-16.
func utf16Bytes(s string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// related makes a multipart message; each part is its header, an empty line and
// its content.
func multipart(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

const rootHeader = "Content-Type: application/xop+xml; charset=utf-8; type=\"text/xml\"\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <root>\r\n\r\n"

const relatedType = `multipart/related; boundary="` + boundary + `"; type="application/xop+xml"; start="<root>"; start-info="text/xml"`

// A message that a server behind takes for another operation than the one that
// was decided about is refused, and so is one that is not what it should be. Each
// is sent by bob, who may do everything but Pay, whole and in pieces; "far" is
// behind more than the head that is kept.
func TestAttackOperation(t *testing.T) {
	t.Parallel()
	pay, get := envelope("<h:Pay/>"), envelope(getOK)
	far := envelope("<h:Get>" + strings.Repeat("<a>0123456789</a>", 10_000) + "</h:Get>@")
	at := func(s string) string { return strings.Replace(far, "@", s, 1) }
	open := `<s:Envelope xmlns:s="` + env11 + `" xmlns:h="urn:hr">`
	addressed := func(action string) string {
		return open + `<s:Header><w:Action xmlns:w="http://www.w3.org/2005/08/addressing">` + action + `</w:Action></s:Header><s:Body><h:Get/></s:Body></s:Envelope>`
	}
	tests := []struct {
		name, typ, action, body string
		status                  int
		want                    string // in the answer
	}{
		{"get", xmlType, "", get, 200, ""},
		{"pay", xmlType, "", pay, 403, "access denied"},

		// SOAPAction and its relatives.
		{"action of the operation", xmlType, `"urn:hr/Get"`, get, 200, ""},
		{"action without quotes", xmlType, `urn:hr#Get`, get, 200, ""},
		{"empty action", xmlType, `""`, get, 200, ""},
		{"action is the namespace", xmlType, `"urn:hr"`, get, 200, ""},
		{"action of another", xmlType, `"urn:hr/Pay"`, get, 400, "action"},
		{"action of another without quotes", xmlType, `urn:hr/Pay`, get, 400, "action"},
		{"one quote", xmlType, `"urn:hr/Pay`, get, 400, "action"},
		{"single quotes", xmlType, `'urn:hr/Pay'`, get, 400, "action"},
		{"space in quotes", xmlType, `" urn:hr/Pay "`, get, 400, "action"},
		{"escaped", xmlType, `"urn:hr\/Pay"`, get, 400, "action"},
		{"two in a list", xmlType, `"urn:hr/Get", "urn:hr/Pay"`, get, 400, "action"},
		{"path that ends alike", xmlType, `"urn:hr/PayGet"`, get, 400, "action"},
		{"parameter of SOAP 1.2", `application/soap+xml; action="urn:hr/Pay"`, "", strings.ReplaceAll(get, env11, env12), 400, "action"},
		{"parameter without quotes", `application/soap+xml; action=urn:hr/Pay`, "", strings.ReplaceAll(get, env11, env12), 400, "action"},
		{"parameter in SOAP 1.1", `text/xml; action="urn:hr/Pay"`, "", get, 400, "action"},
		{"parameter and header", `application/soap+xml; action="urn:hr/Get"`, `"urn:hr/Pay"`, strings.ReplaceAll(get, env11, env12), 400, "action"},
		{"WS-Addressing", xmlType, "", addressed("urn:hr/Pay"), 400, "action"},
		{"WS-Addressing and header", xmlType, `"urn:hr/Get"`, addressed("urn:hr/Pay"), 400, "action"},
		{"WS-Addressing in pieces", xmlType, "", addressed("urn:hr/<!-- -->P<![CDATA[ay]]>"), 400, "action"},
		{"WS-Addressing that agrees", xmlType, "", addressed("urn:hr/GetRequest"), 200, ""},

		// What stands in front of the body.
		{"comment", xmlType, "", "<!-- <h:Get/> -->" + strings.Replace(pay, "<s:Body>", "<!-- <s:Body><h:Get/></s:Body> --><s:Body><!-- <h:Get/> -->", 1), 403, "denied"},
		{"instruction", xmlType, "", strings.Replace(pay, "<s:Body>", "<?x <s:Body><h:Get/></s:Body>?><s:Body><?x <h:Get/>?>", 1), 403, "denied"},
		{"white space", xmlType, "", "\r\n\t " + strings.Replace(pay, "<h:Pay", "\n\n <h:Pay", 1), 403, "denied"},
		{"CDATA", xmlType, "", strings.Replace(pay, "<h:Pay", "<![CDATA[<h:Get/>]]><h:Pay", 1), 403, "denied"},
		{"text", xmlType, "", strings.Replace(pay, "<h:Pay", "&lt;h:Get/&gt;<h:Pay", 1), 403, "denied"},
		{"attribute", xmlType, "", strings.Replace(pay, "<s:Body>", `<s:Body x='<h:Get/>'>`, 1), 400, "reference"},
		{"attribute with an end", xmlType, "", strings.Replace(pay, "<s:Body>", `<s:Body x='> '>`, 1), 403, "denied"},
		{"body of another namespace", xmlType, "", strings.Replace(pay, "<s:Body>", `<h:Body><h:Get/></h:Body><s:Body>`, 1), 400, "header not in front"},
		{"header twice", xmlType, "", strings.Replace(pay, "<s:Body>", `<s:Header/><s:Header/><s:Body>`, 1), 400, "header not in front"},
		{"body in the header", xmlType, "", strings.Replace(pay, "<s:Body>", `<s:Header><s:Body><h:Get/></s:Body></s:Header><s:Body>`, 1), 403, "denied"},
		{"prefix means something else", xmlType, "", strings.Replace(get, "<h:Get>", `<h:Get xmlns:h="urn:other">`, 1), 200, ""},
		{"default namespace", xmlType, "", envelope(`<Pay xmlns="urn:hr"/>`), 403, "denied"},
		{"entity in the namespace", xmlType, "", envelope(`<Pay xmlns="urn:&#x68;r"/>`), 403, "denied"},

		// More than one body, near and far.
		{"second element", xmlType, "", envelope(getOK + "<h:Pay/>"), 400, "more than one element"},
		{"second element far away", xmlType, "", at("<h:Pay/>"), 0, ""},
		{"second body", xmlType, "", strings.Replace(get, "</s:Body>", "</s:Body><s:Body><h:Pay/></s:Body>", 1), 400, "after the body"},
		{"second body far away", xmlType, "", at("</s:Body><s:Body><h:Pay/>"), 0, ""},
		{"header after the body", xmlType, "", strings.Replace(get, "</s:Body>", "</s:Body><s:Header><h:Pay/></s:Header>", 1), 400, "after the body"},
		{"header after the body far away", xmlType, "", at("</s:Body><s:Header/><s:Body>"), 0, ""},
		{"element with an id", xmlType, "", envelope(getOK + `<h:Pay id="1"/>`), 400, "more than one element"},
		{"second envelope", xmlType, "", get + pay, 400, "follows the envelope"},
		{"second envelope far away", xmlType, "", at("") + pay, 0, ""},
		{"text behind", xmlType, "", get + "x", 400, "follows the envelope"},
		{"end tag of another element", xmlType, "", envelope("<h:Get></h:Pay><h:Pay></h:Get>"), 400, "end tag"},
		{"no element", xmlType, "", envelope(""), 400, "empty"},
		{"empty body, element behind", xmlType, "", envelope("") + "<h:Pay/>", 400, "reference"},
		{"no message, other type", "application/json", `"urn:hr/Pay"`, "{}", 400, "without a message"},
		{"no message", xmlType, `"urn:hr/Pay"`, "", 400, "without a message"},
		{"not an envelope", xmlType, "", "<h:Pay xmlns:h='urn:hr'/>", 400, "envelope"},
		{"not XML", xmlType, "", "hello", 400, "reference"},

		// Encodings.
		{"UTF-16LE with mark", "text/xml", "", utf16Bytes(pay, binary.LittleEndian, true), 403, "denied"},
		{"UTF-16BE with mark", "text/xml; charset=utf-8", "", utf16Bytes(pay, binary.BigEndian, true), 403, "denied"},
		{"UTF-16LE by label", "text/xml; charset=utf-16", "", utf16Bytes(pay, binary.LittleEndian, false), 403, "denied"},
		{"UTF-16, second element", "text/xml", "", utf16Bytes(envelope(getOK+"<h:Pay/>"), binary.LittleEndian, true), 400, "more than one element"},
		{"UTF-16, second element far away", "text/xml", "", utf16Bytes(at("<h:Pay/>"), binary.BigEndian, true), 0, ""},
		{"UTF-16, markup in a character", "text/xml", "", utf16Bytes(envelope("<h:Get>\u3c00\u003e\u3e3c\U0001f43c</h:Get>"), binary.LittleEndian, true), 200, ""},
		{"UTF-8 mark", "text/xml", "", "\ufeff" + pay, 403, "denied"},
		{"latin-1", "text/xml; charset=iso-8859-1", "", strings.Replace(pay, "<h:Pay/>", "<!-- \xe9 --><h:Pay/>", 1), 403, "denied"},
		{"unknown charset", "text/xml; charset=utf-7", "", pay, 400, "unsupported encoding"},
		{"EBCDIC", "text/plain", "", "\x4c\x6f\xa7\x94", 400, "EBCDIC"},
		{"EBCDIC as XML", "text/xml", "", "\x4c\x6f\xa7\x94", 400, "EBCDIC"},
		{"UTF-32", "text/plain", "", "\x00\x00\x00<", 400, "reference"},

		// A server may not look at the type.
		{"text/plain", "text/plain", "", pay, 403, "denied"},
		{"text/plain with white space", "text/plain", "", strings.Repeat(" ", 10_000) + pay, 403, "denied"},
		{"white space without end", "text/plain", "", strings.Repeat(" ", 70_000) + pay, 400, "not found at the start"},
		{"form", "application/x-www-form-urlencoded", "", pay, 403, "denied"},
		{"no type", "", "", pay, 403, "denied"},
		{"JSON", "application/json", "", `{"a":1}`, 200, ""},
		{"other XML", "application/xml", "", `<report/>`, 200, ""},
		{"DIME", "application/dime", "", "\x0c\x20\x00\x00" + pay, 415, "written as XML"},
		{"Fast Infoset", "application/fastinfoset", "", "\xe0\x00\x00\x01", 415, "written as XML"},
		{"WCF's binary", "application/soap+msbin1", "", "\x56\x02", 415, "written as XML"},
		{"EXI", "application/exi", "", "$EXI", 415, "written as XML"},
		{"envelope of a draft", "application/xml", "", strings.ReplaceAll(pay, env11, "http://www.w3.org/2001/12/soap-envelope"), 400, "not of SOAP"},
		{"envelope of nobody", "text/plain", "", strings.ReplaceAll(pay, env11, "urn:x"), 400, "not of SOAP"},
		{"without an envelope", "application/xml", "", "<h:Pay xmlns:h='urn:hr'/>", 403, "denied"},
		{"without an envelope, as text", "text/plain", "", "<h:Pay xmlns:h='urn:hr'/>", 403, "denied"},
		{"envelope behind the head", xmlType, "", "<!--" + strings.Repeat("x", 70_000) + "-->" + get, 400, "not found at the start"},

		// Parts.
		{"MTOM", relatedType, "", multipart(rootHeader+get, "Content-ID: <a>\r\n\r\n\x00<h:Pay/>"), 200, ""},
		{"MTOM pay", relatedType, "", multipart(rootHeader + pay), 403, "denied"},
		{"MTOM, action", relatedType, `"urn:hr/Pay"`, multipart(rootHeader + get), 400, "action"},
		{"MTOM, action of the part", relatedType, "", multipart(strings.Replace(rootHeader, `type="text/xml"`, `type="application/soap+xml"; action="urn:hr/Pay"`, 1) + get), 400, "action"},
		{"MTOM, action in start-info", strings.Replace(relatedType, `start-info="text/xml"`, `start-info="application/soap+xml; action=\"urn:hr/Pay\""`, 1), "", multipart(rootHeader + get), 400, "action"},
		{"MTOM, second element", relatedType, "", multipart(rootHeader + envelope(getOK+"<h:Pay/>")), 400, "more than one element"},
		{"MTOM, second element far away", relatedType, "", multipart(rootHeader + at("<h:Pay/>")), 0, ""},
		{"MTOM, second element, no end", relatedType, "", "--" + boundary + "\r\n" + rootHeader + at("<h:Pay/>"), 0, ""},
		{"MTOM, another part is the root", strings.Replace(relatedType, "<root>", "<a>", 1), "", multipart(rootHeader+get, "Content-ID: <a>\r\nContent-Type: text/xml\r\n\r\n"+pay), 400, "not the first part"},
		{"MTOM, two roots", relatedType, "", multipart(rootHeader+get, rootHeader+pay), 400, "Content-ID"},
		{"MTOM, two roots far away", relatedType, "", multipart(rootHeader+at(""), "Content-Id:\r\n <root> \r\n\r\n"+pay), 0, ""},
		{"MTOM, preamble", relatedType, "", "--other\r\n" + rootHeader + pay + "\r\n" + multipart(rootHeader+get), 400, "in front of the first part"},
		{"MTOM, base64", relatedType, "", multipart(strings.Replace(rootHeader, "binary", "base64", 1) + get), 400, "type and encoding"},
		{"MTOM, no XML", relatedType, "", multipart(strings.Replace(rootHeader, "application/xop+xml", "text/html", 1) + get), 400, "type and encoding"},
		{"MTOM, header twice", relatedType, "", multipart("Content-Type: text/html\r\n" + rootHeader + get), 400, "malformed multipart"},
		{"MTOM, two boundaries", relatedType + `; boundary="other"`, "", multipart(rootHeader + get), 400, "Content-Type"},
		{"form-data", `multipart/form-data; boundary=` + boundary, "", multipart("Content-Disposition: form-data; name=a\r\n\r\n" + pay), 403, "denied"},
		{"form-data, a file", `multipart/form-data; boundary=` + boundary, "", multipart("Content-Disposition: form-data; name=a\r\n\r\nhello", "X: y\r\n\r\n"+pay), 200, ""},
		{"form-data, no end", `multipart/form-data; boundary=` + boundary, "", "--" + boundary + "\r\nX: y", 400, "malformed multipart"},
		{"type that nobody can read", `multipart/related; boundary="` + boundary, "", multipart(rootHeader + pay), 400, "malformed multipart"},
		{"MTOM, envelope ends with the part", relatedType, "", multipart(rootHeader+"<!--", "\r\n-->"+get), 400, "reference"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sizes := []int{0, 1, 13, 4096}
			if len(tt.body) > 20_000 {
				sizes = []int{0, 5, 4096}
			}
			for _, chunk := range sizes {
				f := newFixture(t, payroll)
				r := request("POST", "http://gw/hr/x", "bob", tt.body)
				if tt.typ != "" {
					r.Header.Set("Content-Type", tt.typ)
				}
				if tt.action != "" {
					r.Header.Set("SOAPAction", tt.action)
				}
				if chunk > 0 && tt.body != "" {
					r = unknownLength(r, chunk)
				}
				w := f.do(r)
				if tt.status == 0 { // the server behind got a part
					g := f.backend.last(t)
					var bad *messageError
					if !errors.As(g.err, &bad) || strings.Contains(string(g.body), "Pay") || strings.Contains(string(g.body), "<\x00h\x00:\x00P") {
						t.Errorf("pieces of %d: the backend got %d bytes with %q at the end, and %v", chunk, len(g.body), tail(g.body), g.err)
					}
					if !strings.Contains(f.log.String(), "message cut off") || f.trail.Refusal != badMessage {
						t.Errorf("refusal %q, log: %s", f.trail.Refusal, f.log)
					}
					continue
				}
				if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
					t.Errorf("pieces of %d: got %d %s, want %d %s", chunk, w.Code, w.Body, tt.status, tt.want)
				}
				if tt.status != 200 {
					if n := f.backend.count(); n > 0 {
						t.Errorf("the backend got %d requests", n)
					}
				} else if g := f.backend.last(t); string(g.body) != tt.body || g.err != nil {
					t.Errorf("pieces of %d: the backend got %q, %v, want %q", chunk, g.body, g.err, tt.body)
				}
			}
		})
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-60):] }

// Two headers that disagree, and a message that cannot be looked at.
func TestAttackOperationHidden(t *testing.T) {
	t.Parallel()
	f := newFixture(t, payroll)
	get := envelope(getOK)
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"two actions", []string{"Content-Type", xmlType, "SOAPAction", `"urn:hr/Get"`, "SOAPAction", `"urn:hr/Pay"`}, 400},
		{"two types", []string{"Content-Type", "text/plain", "Content-Type", xmlType}, 400},
		{"gzip", []string{"Content-Type", xmlType, "Content-Encoding", "gzip"}, 415},
		{"gzip of anything", []string{"Content-Type", "application/json", "Content-Encoding", "x-gzip"}, 415},
		{"identity", []string{"Content-Type", xmlType, "Content-Encoding", "identity"}, 200},
	} {
		if w := f.do(request("POST", "http://gw/hr/x", "bob", get, tt.header...)); w.Code != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
	}
	// GET may have a body as well.
	check(t, f.do(request("GET", "http://gw/hr/x", "bob", envelope("<h:Pay/>"), "Content-Type", xmlType)), 403)
}

// With a WSDL, what belongs together is known.
func TestAttackDescribedOperation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, strings.Replace(payroll, "    login:", "    wsdl: hr.wsdl\n    login:", 1))
	for _, tt := range []struct {
		name, user, action, body string
		status                   int
		op                       string
	}{
		{"by body", "bob", "", "<h:GetRequest/>", 200, "{urn:hr}Get"},
		{"made up action", "bob", "urn:x/Get", "<h:GetRequest/>", 200, "{urn:hr}Get"},
		{"action of another", "bob", "urn:hr/Pay", "<h:GetRequest/>", 400, ""},
		{"action of nobody", "bob", "urn:hr/Foo", "<h:GetRequest/>", 400, ""},
		{"pay", "bob", "urn:hr/Pay", "<h:Pay/>", 403, "{urn:hr}Pay"},
		{"pay", "alice", "urn:hr/Pay", "<h:Pay/>", 200, "{urn:hr}Pay"},
		{"pay with the action of get", "alice", "urn:hr/List", "<h:Pay/>", 400, ""},
		{"two with one body", "bob", "urn:hr/List", "<h:Query/>", 200, "{urn:hr}List"},
		{"the other", "bob", "urn:hr/Find", "<h:Query/>", 200, "{urn:hr}Find"},
		{"which", "bob", "", "<h:Query/>", 400, ""},
		{"unknown body", "bob", "", "<h:Else/>", 200, "{urn:hr}Else"},
		{"unknown body, known action", "bob", "urn:hr/Pay", "<x:Pay xmlns:x='urn:x'/>", 400, ""},
		{"empty body", "bob", "urn:hr/Ping", "", 200, "{urn:hr}Ping"},
		{"empty body without action", "bob", "", "", 400, ""},
		{"empty body, action of another", "bob", "urn:hr/Pay", "", 400, ""},
	} {
		r := request("POST", "http://gw/hr/x", tt.user, envelope(tt.body), "Content-Type", xmlType)
		if tt.action != "" {
			r.Header.Set("SOAPAction", `"`+tt.action+`"`)
		}
		if w := f.do(r); w.Code != tt.status || f.trail.Operation != tt.op {
			t.Errorf("%s: got %d, operation %q, want %d, %q", tt.name, w.Code, f.trail.Operation, tt.status, tt.op)
		}
	}
}

// A path in another spelling does not escape its rule, and the server behind gets
// the path that was decided on.
func TestAttackForwardedPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
services:
  web:
    match: {path: /web/}
    login: [none]
    elements: [{path: /web/secret/, login: [corp/ntlm]}]
    upstream: {url: "http://127.0.0.1:1"}
  iis:
    match: {path: /iis/}
    login: [none]
    case_insensitive_paths: true
    elements: [{path: /iis/secret/, login: [corp/ntlm]}]
    upstream: {url: "http://127.0.0.1:1"}
`)
	for _, tt := range []struct {
		uri    string
		status int
		path   string // as the backend gets it
	}{
		{"/web/a", 200, "/web/a"},
		{"/web/secret/x", 401, ""},
		{"/web/a/../secret/x", 401, ""},
		{"/web/a/%2e%2e/secret/x", 401, ""},
		{"/web//secret/x", 401, ""},
		{"//web/secret/x", 401, ""},
		{"/web/%73ecret/x", 401, ""},
		{"/web/secret%2fx", 400, ""},
		{"/web/secret;x/y", 400, ""},
		{"/web/a%5c..%5csecret/x", 400, ""},
		{"/web/%252e%252e/secret/x", 400, ""},
		{"/web/../../x", 400, ""},
		{"/web/a/../b?q=/../secret", 200, "/web/b?q=/../secret"},
		{"/web/./a//b", 200, "/web/a/b"},
		{"/web/%61%20b", 200, "/web/a%20b"},
		{"/WEB/SECRET/x", 404, ""},
		{"/iis/SECRET/x", 401, ""},
		{"/IIS/secret/x", 401, ""},
		{"/IIS/a", 200, "/IIS/a"},
		{"/iis/.SOAPWARD/whoami", 200, ""}, // the gateway's, not the backend's
	} {
		r := request("GET", "http://gw/", "", "")
		u, err := url.ParseRequestURI(tt.uri)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.RequestURI = u, tt.uri
		before := f.backend.count()
		if w := f.do(r); w.Code != tt.status {
			t.Errorf("%s: got %d, want %d", tt.uri, w.Code, tt.status)
		}
		switch after := f.backend.count(); {
		case tt.path == "" && after > before:
			t.Errorf("%s: the backend got %q", tt.uri, f.backend.last(t).uri)
		case tt.path != "" && (after == before || f.backend.last(t).uri != tt.path):
			t.Errorf("%s: the backend got %+v, want %s", tt.uri, f.backend.got, tt.path)
		}
	}
}

// Who has not logged in is answered without his body being read; where the
// operation decides on the login, no more than the head is.
func TestAttackUploadInFrontOfLogin(t *testing.T) {
	t.Parallel()
	early := strings.Replace(payroll, "    upstream:", "    elements: [{operation: '{urn:hr}Pay', login: [corp/basic]}]\n    upstream:", 1)
	for _, tt := range []struct {
		name, text, start string
		most              int
		status            int
		challenge         string
	}{
		{"operation is not asked", payroll, "", 0, 401, "Test corp/ntlm"},
		{"operation decides", early, envelope("<h:Pay>"), 8 << 10, 401, "Test corp/basic"},
		{"another operation", early, envelope("<h:Get>"), 8 << 10, 401, "Test corp/ntlm"},
		{"no operation", early, "<!--", 64 << 10, 400, ""},
		{"leg of a handshake", early, "-", 0, 401, "Test corp/ntlm"},
	} {
		f := newFixture(t, tt.text)
		start, _, _ := strings.Cut(tt.start, "</s:Body>")
		body := &counter{r: io.MultiReader(strings.NewReader(start), &repeat{piece: "x", left: 100 << 20})}
		r := httptest.NewRequest("POST", "http://gw/hr/x", body)
		if tt.start == "-" {
			r.Body, r.ContentLength = http.NoBody, 0
		}
		r.Header.Set("Content-Type", xmlType)
		w := f.do(r)
		if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
			t.Errorf("%s: got %d, %q, want %d, %q", tt.name, w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
		}
		if body.n > tt.most {
			t.Errorf("%s: %d bytes were read, want at most %d", tt.name, body.n, tt.most)
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
