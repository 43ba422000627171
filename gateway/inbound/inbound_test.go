package inbound

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
)

// services is a configuration with some of everything.
const services = `
roles: {payroll: {groups: ['CORP\Payroll']}}
defaults: {login: [corp/ntlm]}
services:
  hr:
    match: {host: hr.corp.test, path: /hr/}
    allow:
      - {operation: "{urn:hr}Pay*", roles: [payroll]}
      - {operation: "*", roles: [any]}
      - {path: /hr/docs/, methods: [GET], roles: [any]}
    elements:
      - {path: /hr/in/, networks: [10.0.0.0/8]}
    upstream: {url: "http://127.0.0.1:1"}
  api:
    match: {path: /api/}
    elements:
      - {path: /api/open/, login: [none]}
      - {path: /api/open/closed/, login: [corp/ntlm]}
      - {path: /api/basic/, login: [corp/basic]}
      - {path: /api/basic/more/, channel_binding: required}
      - {path: /api/same/, networks: [192.0.2.0/24]}
    upstream: {url: "http://127.0.0.1:1"}
  wild:
    match: {host: "*.corp.test"}
    login: [none]
    upstream: {url: "http://127.0.0.1:1"}
`

func TestPaths(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	tests := []struct {
		name, method, target, user string
		status                     int
		service                    string
		refusal                    string
	}{
		{"host and path", "GET", "http://hr.corp.test/hr/docs/a", "bob", 200, "hr", ""},
		{"with a port", "GET", "http://HR.corp.test:8443/hr/docs/a", "bob", 200, "hr", ""},
		{"the directory itself", "GET", "http://hr.corp.test/hr", "bob", 403, "hr", denied},
		{"not a segment", "GET", "http://hr.corp.test/hrx", "", 200, "wild", ""},
		{"another host", "GET", "http://x.corp.test/hr/docs/a", "", 200, "wild", ""},
		{"any host", "GET", "http://other/api/x", "bob", 200, "api", ""},
		{"any host beside a named one", "GET", "http://other/hr/", "bob", 404, "", noService},
		{"host before path", "GET", "http://hr.corp.test/api/x", "", 200, "wild", ""},
		{"no credentials", "GET", "http://other/api/x", "", 401, "api", ""},
		{"wrong credentials", "GET", "http://other/api/x", "mallory", 401, "api", ""},
		{"network", "GET", "http://hr.corp.test/hr/in/x", "alice", 403, "hr", noNetwork},
		{"another method", "PUT", "http://hr.corp.test/hr/docs/a", "bob", 403, "hr", denied},
		{"open path", "GET", "http://other/api/open/x", "", 200, "api", ""},
		{"closed in open", "GET", "http://other/api/open/closed/x", "", 200, "api", ""}, // the first element that matches
		{"small letters", "get", "http://other/api/x", "bob", 400, "", badMethod},
		{"nothing", "GET", "http://other/", "bob", 404, "", noService},
	}
	for _, tt := range tests {
		w := f.do(request(tt.method, tt.target, tt.user, ""))
		if w.Code != tt.status || f.trail.Service != tt.service || f.trail.Refusal != tt.refusal {
			t.Errorf("%s: got %d, service %q, refusal %q, want %d, %q, %q", tt.name, w.Code, f.trail.Service, f.trail.Refusal, tt.status, tt.service, tt.refusal)
		}
		if w.Code >= 400 && !strings.Contains(w.Body.String(), "ref-1") {
			t.Errorf("%s: no reference in %q", tt.name, w.Body)
		}
	}
	if len(f.denied) == 0 {
		t.Error("nobody was told of refusals")
	}
}

// Elements without logins of their own share those of their service.
func TestChains(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	count := map[string]int{}
	for _, s := range f.logins.specs {
		count[s.Logins[0].String()+" "+string(s.Binding)]++
	}
	// hr, api (and closed, which sets the same), the gateway's own
	if count["corp/ntlm "] != 3 || count["corp/basic "] != 1 || count["corp/ntlm required"] != 1 || len(count) != 3 {
		t.Errorf("got %v", count)
	}
	for _, tt := range []struct{ path, want string }{{"/api/x", "corp/ntlm"}, {"/api/basic/x", "corp/basic"}} {
		if got := f.do(request("GET", "http://other"+tt.path, "", "")).Header().Get("WWW-Authenticate"); got != "Test "+tt.want {
			t.Errorf("%s: got challenge %q, want %s", tt.path, got, tt.want)
		}
	}
}

// What a client sees is in its language.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	pay := envelope("<h:Pay/>")
	const hr = "http://hr.corp.test/hr/x"
	tests := []struct {
		name   string
		r      *http.Request
		status int
		typ    string
		want   string
	}{
		{"soap", request("POST", hr, "bob", pay, "Content-Type", "text/xml"), 403, "text/xml; charset=utf-8", ">access denied (reference ref-1)</faultstring>"},
		{"soap 1.2", request("POST", hr, "bob", strings.ReplaceAll(pay, env11, env12), "Content-Type", "application/soap+xml"), 403, "application/soap+xml", "access denied (reference ref-1)"},
		{"soap without login", request("POST", hr, "", pay, "Content-Type", "text/xml"), 401, "text/xml", "authentication required"},
		{"json", request("GET", "http://other/api/x", "", "", "Accept", "application/json"), 401, "application/problem+json", `"detail":"authentication required"`},
		{"html", request("GET", "http://hr.corp.test/hr/", "bob", "", "Accept", "text/html,*/*"), 403, "text/html", "<h1>403: access denied</h1>"},
		{"text", request("GET", "http://hr.corp.test/hr/", "bob", ""), 403, "text/plain", "access denied (reference ref-1)\n"},
		{"not found", request("GET", "http://other/", "", ""), 404, "text/plain", "not found (reference ref-1)\n"},
	}
	for _, tt := range tests {
		w := f.do(tt.r)
		if w.Code != tt.status || !strings.HasPrefix(w.Header().Get("Content-Type"), tt.typ) || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d, %s, %s; want %d, %s, %s", tt.name, w.Code, w.Header().Get("Content-Type"), w.Body, tt.status, tt.typ, tt.want)
		}
		if w.Code == 403 && w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: a known caller is asked again", tt.name)
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	const hr = "http://hr.corp.test/hr/x"
	for _, tt := range []struct {
		name, user, body, op string
		status               int
	}{
		{"allowed", "alice", envelope("<h:Pay><x/></h:Pay>"), "{urn:hr}Pay", 200},
		{"refused", "bob", envelope("<h:Payment/>"), "{urn:hr}Payment", 403},
		{"other", "bob", envelope("<h:Get/>"), "{urn:hr}Get", 200},
		{"no namespace", "bob", envelope("<Pay/>"), "Pay", 200},
	} {
		for _, chunk := range []int{0, 1, 7} {
			r := request("POST", hr, tt.user, tt.body, "Content-Type", "text/xml")
			if chunk > 0 {
				r = unknownLength(r, chunk)
			}
			w := f.do(r)
			if w.Code != tt.status || f.trail.Operation != tt.op {
				t.Errorf("%s: got %d %s, operation %q, want %d, %q", tt.name, w.Code, w.Body, f.trail.Operation, tt.status, tt.op)
			}
			if tt.status == 200 {
				if g := f.backend.last(t); string(g.body) != tt.body || g.err != nil {
					t.Errorf("%s: backend got %q, %v", tt.name, g.body, g.err)
				}
			}
		}
	}
}

func TestSOAPKeys(t *testing.T) {
	t.Parallel()
	with := func(keys string) *fixture {
		return newFixture(t, strings.Replace(payroll, "    login:", "    soap: {"+keys+"}\n    login:", 1))
	}
	long := "<!--" + strings.Repeat("x", 3000) + "-->"
	far := strings.Repeat("<a>0123456789</a>", 10_000)
	for _, tt := range []struct {
		name, keys, action, body string
		status                   int
	}{
		{"head", "max_head: 1", "", long + envelope(getOK), 400},
		{"larger head", "max_head: 4", "", long + envelope(getOK), 200},
		{"any action", "allow_any_action: true", "urn:x", envelope(getOK), 200},
		{"any action, still by body", "allow_any_action: true", "urn:hr/Get", envelope("<h:Pay/>"), 403},
		{"multiref", "allow_multiref: true", "", envelope(getOK + "<m id='1'/><m b='2' id = \"2\"><n/></m>"), 200},
		{"multiref of SOAP 1.2", "allow_multiref: true", "", envelope(getOK + "<m xmlns:e='urn:e' e:id='1'/>"), 200},
		{"multiref without an id", "allow_multiref: true", "", envelope(getOK + "<m id='1'/><m ids='2'/>"), 400},
		{"multiref, namespace called id", "allow_multiref: true", "", envelope(getOK + "<m xmlns:id='urn:x'/>"), 400},
		{"multiref, id in a value", "allow_multiref: true", "", envelope(getOK + "<m a=' id='/>"), 400},
		{"multiref, second body", "allow_multiref: true", "", strings.Replace(envelope(getOK), "</s:Body>", "</s:Body><s:Body id='1'/>", 1), 400},
		{"multiref far away", "allow_multiref: true", "", envelope(getOK + "<m id='1'>" + far + "</m>"), 200},
	} {
		f := with(tt.keys)
		r := request("POST", "http://gw/hr/x", "bob", tt.body, "Content-Type", xmlType)
		if tt.action != "" {
			r.Header.Set("SOAPAction", tt.action)
		}
		if w := f.do(r); w.Code != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		} else if w.Code == 200 && f.backend.last(t).err != nil {
			t.Errorf("%s: %v", tt.name, f.backend.last(t).err)
		}
	}
}

// Each setting of a login is inherited by itself.
func TestInheritedLogins(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
defaults: {login: [corp/ntlm], session: true, channel_binding: required, allow_forwarded: true}
services:
  api:
    match: {path: /api/}
    not_negotiate: {user_agents: ["*Trident*"]}
    elements: [{path: /api/x/, session: false, channel_binding: "off"}]
    upstream: {url: "http://127.0.0.1:1"}
`)
	if n := len(f.logins.specs); n != 3 { // with the gateway's own
		t.Fatalf("got %d specs", n)
	}
	s, e := f.logins.specs[0], f.logins.specs[1]
	if !s.Session || s.Binding != "required" || !s.AllowForwarded || s.NotNegotiate == nil || s.Logins[0].String() != "corp/ntlm" {
		t.Errorf("the service has %+v", s)
	}
	if e.Session || e.Binding != "off" || !e.AllowForwarded || e.NotNegotiate == nil || e.Logins[0].String() != "corp/ntlm" {
		t.Errorf("the element has %+v", e)
	}
}

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	question := envelope(`<c:CheckRole xmlns:c="urn:soapward:integrated-security"><c:Role>payroll</c:Role></c:CheckRole>`)
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"whoami of a service", request("GET", "http://hr.corp.test/hr/.soapward/whoami", "alice", ""), 200, `"username":"CORP\\alice"`},
		{"without login", request("GET", "http://hr.corp.test/hr/.soapward/whoami", "", ""), 401, ""},
		{"of the gateway", request("GET", "http://other/.soapward/whoami", "bob", ""), 200, `"username":"CORP\\bob"`},
		{"of a service without login", request("GET", "http://x.corp.test/.soapward/whoami", "", ""), 200, `"is_anonymous":true`},
		{"role", request("GET", "http://hr.corp.test/hr/.soapward/role?name=payroll", "alice", ""), 200, `"belongs":true`},
		{"no role", request("GET", "http://hr.corp.test/hr/.soapward/role?name=payroll", "bob", ""), 200, `"belongs":false`},
		{"wsdl", request("GET", "http://hr.corp.test/hr/.soapward/IntegratedSecurity?wsdl", "bob", ""), 200, "hr.corp.test/hr/.soapward/IntegratedSecurity"},
		{"soap", request("POST", "http://hr.corp.test/hr/.soapward/IntegratedSecurity", "alice", question, "Content-Type", "text/xml"), 200, "CheckRoleResponse"},
		{"unknown", request("GET", "http://hr.corp.test/hr/.soapward/other", "alice", ""), 404, "not found"},
		{"login pages", request("GET", "http://hr.corp.test/.soapward/login/corp", "", ""), 200, "pages /.soapward/login/corp"},
		{"keys", request("GET", "http://x.corp.test/.soapward/jwks.json", "", ""), 200, "keys"},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, f.do(tt.r), tt.status, tt.want) })
	}
	if f.backend.count() > 0 {
		t.Errorf("the backend got %+v", f.backend.got)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
publish: {page: true}
defaults: {login: [corp/ntlm]}
services:
  hr: {match: {path: /hr/}, wsdl: hr.wsdl, upstream: {url: "http://127.0.0.1:1"}}
  open: {match: {path: /open/}, wsdl: hr.wsdl, publish: open, upstream: {url: "http://127.0.0.1:1"}}
  root: {match: {host: root}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
  off: {match: {path: /off/}, wsdl: hr.wsdl, publish: "off", upstream: {url: "http://127.0.0.1:1"}}
  far: {match: {path: /far/}, wsdl: hr.wsdl, networks: [10.0.0.0/8], publish: open, upstream: {url: "http://127.0.0.1:1"}}
`)
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"without login", request("GET", "http://gw/hr/?wsdl", "", ""), 401, ""},
		{"with login", request("GET", "http://gw/hr/?wsdl", "bob", ""), 200, "the wsdl"},
		{"not asked for", request("GET", "http://gw/hr/", "bob", ""), 200, "from the backend"},
		{"a message", request("POST", "http://gw/hr/?wsdl", "bob", envelope("<h:Pay/>"), "Content-Type", "text/xml"), 200, "from the backend"},
		{"open", request("GET", "http://gw/open/?wsdl", "", ""), 200, "the wsdl"},
		{"open, another network", request("GET", "http://gw/far/?wsdl", "", ""), 403, ""},
		{"off", request("GET", "http://gw/off/?wsdl", "bob", ""), 200, "the wsdl"}, // which says there that it is none
		{"page without login", request("GET", "http://gw/.soapward/", "", ""), 401, ""},
		{"page where a service has the root", request("GET", "http://root/.soapward/", "bob", ""), 200, "hr\nopen\n"},
		{"its own whoami", request("GET", "http://root/.soapward/whoami", "", ""), 200, "anonymous"},
		{"page", request("GET", "http://gw/.soapward/", "bob", ""), 200, "hr\nopen\n"},
	} {
		w := f.do(tt.r)
		check(t, w, tt.status, tt.want)
		if strings.Contains(w.Body.String(), "off\n") || strings.Contains(w.Body.String(), "far\n") {
			t.Errorf("%s: got %q", tt.name, w.Body)
		}
	}
	none := newFixture(t, "services: {hr: {match: {path: /hr/}, login: [none], upstream: {url: 'http://127.0.0.1:1'}}}")
	check(t, none.do(request("GET", "http://gw/.soapward/", "", "")), 404)
	check(t, none.do(request("GET", "http://gw/.soapward/whoami", "", "")), 404)
}

func TestSameMatch(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("gw.yaml", []byte(`
listen: [{addr: ':8080'}]
services:
  a: {match: {host: A.corp.test, path: /x}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
  b: {match: {host: a.corp.test, path: /x/}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newHandler(c, parts{logins: &fakeLogins{}}); err == nil || !strings.Contains(err.Error(), "services a and b match the same requests") {
		t.Errorf("got %v", err)
	}
}

func TestPublishing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
services:
  open: {match: {path: /open/}, login: [corp/ntlm], wsdl: hr.wsdl, publish: open, networks: [127.0.0.0/8, 192.0.2.0/24], upstream: {url: "http://127.0.0.1:1"}}
  far: {match: {path: /far/}, login: [corp/ntlm], wsdl: hr.wsdl, publish: open, networks: [10.0.0.0/8], upstream: {url: "http://127.0.0.1:1"}}
  off: {match: {path: /off/}, login: [corp/ntlm], wsdl: hr.wsdl, publish: off, upstream: {url: "http://127.0.0.1:1"}}
  rest: {match: {path: /rest/}, login: [corp/ntlm], upstream: {url: "http://127.0.0.1:1"}}
`)
	check(t, f.do(request("GET", "http://gw/open/?wsdl", "", "")), 200, "the wsdl")
	check(t, f.do(request("GET", "http://gw/open/", "", "")), 401)
	check(t, f.do(request("GET", "http://gw/far/?wsdl", "bob", "")), 403) // open is not for other networks
	check(t, f.do(request("GET", "http://gw/off/?wsdl", "", "")), 401)
	check(t, f.do(request("GET", "http://gw/off/?wsdl", "bob", "")), 200, "the wsdl") // which says there that it is none
	check(t, f.do(request("GET", "http://gw/rest/?wsdl", "bob", "")), 200, "from the backend")
}

// The page shows a caller the services where a rule lets him do something.
func TestPageShows(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
publish: {page: true}
roles: {payroll: {users: ['CORP\alice']}}
defaults: {login: [corp/ntlm]}
services:
  all: {match: {path: /all/}, upstream: {url: "http://127.0.0.1:1"}}
  any: {match: {path: /any/}, allow: [{path: /any/, roles: [any]}], upstream: {url: "http://127.0.0.1:1"}}
  far: {match: {path: /far/}, networks: [10.0.0.0/8], upstream: {url: "http://127.0.0.1:1"}}
  none: {match: {path: /none/}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
  off: {match: {path: /off/}, wsdl: hr.wsdl, publish: off, upstream: {url: "http://127.0.0.1:1"}}
  part: {match: {path: /part/}, allow: [{path: /part/, roles: [payroll]}], elements: [{path: /part/x/, allow: [{path: /part/x/, roles: [any]}]}], upstream: {url: "http://127.0.0.1:1"}}
  pay: {match: {path: /pay/}, allow: [{path: /pay/, roles: [payroll]}], upstream: {url: "http://127.0.0.1:1"}}
`)
	check(t, f.do(request("GET", "http://gw/.soapward/", "", "")), 401)
	for user, want := range map[string]string{"bob": "all any none part", "alice": "all any none part pay"} {
		w := f.do(request("GET", "http://gw/.soapward/", user, ""))
		if got := strings.Join(strings.Fields(w.Body.String()), " "); w.Code != 200 || got != want {
			t.Errorf("%s: status %d, %q, want %q", user, w.Code, got, want)
		}
	}
}

// Where callers need no login, by whichever line, they see what they may do.
func TestPageShowsOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, `
publish: {page: true}
roles: {payroll: {users: ['CORP\alice']}}
defaults: {login: [none]}
services:
  inherits: {match: {path: /a/}, upstream: {url: "http://127.0.0.1:1"}}
  login: {match: {path: /b/}, login: [corp/ntlm], upstream: {url: "http://127.0.0.1:1"}}
  part: {match: {path: /c/}, login: [corp/ntlm], allow: [{path: /c/, roles: [payroll]}], elements: [{path: /c/open/, login: [none]}], upstream: {url: "http://127.0.0.1:1"}}
`)
	if got := f.do(request("GET", "http://gw/.soapward/", "", "")).Body.String(); got != "inherits\npart\n" {
		t.Errorf("got %q", got)
	}
	f = newFixture(t, `
publish: {page: true}
roles: {payroll: {users: ['CORP\alice']}}
defaults: {login: [corp/ntlm], allow: [{path: /, roles: [payroll]}]}
services:
  open: {match: {path: /a/}, login: [none], upstream: {url: "http://127.0.0.1:1"}}
  pay: {match: {path: /b/}, upstream: {url: "http://127.0.0.1:1"}}
`)
	if got := f.do(request("GET", "http://gw/.soapward/", "bob", "")).Body.String(); got != "open\n" {
		t.Errorf("got %q", got)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, services)
	explain := func(target, op string, id *authn.Identity, anybody bool) *authz.Explanation {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		return f.Explain(t.Context(), "", u, op, id, anybody)
	}
	e := explain("http://hr.corp.test/hr/x", "{urn:hr}Payment", nil, true)
	if e.Result != authz.Depends || e.Source != "gw.yaml:10" || e.Method != "POST" {
		t.Errorf("got %+v", e)
	}
	if got := e.Elements[1]; got.Name != "service hr" || got.Match != "host hr.corp.test, path /hr/" {
		t.Errorf("the service is %+v", got)
	}
	if got := f.Policies()["hr"][1]; got.Match != "host hr.corp.test, path /hr/" {
		t.Errorf("the policy of the service is %+v", got)
	}
	if s := e.String(); !strings.Contains(s, "login") || !strings.Contains(s, "corp/ntlm") || !strings.Contains(s, "inherited from gateway") || strings.Contains(s, "chain") {
		t.Errorf("got\n%s", s)
	}
	if e := explain("http://none/", "", nil, true); e.Result != authz.Denied || !strings.Contains(e.Why, "404") {
		t.Errorf("got %+v", e)
	}
	if e := explain("http://hr.corp.test/hr/%2fx", "", nil, true); e.Result != authz.Denied || !strings.Contains(e.Why, "encoded slash") {
		t.Errorf("got %+v", e)
	}
}
