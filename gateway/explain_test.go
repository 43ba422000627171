package gateway

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// What is explained is what happens: to many requests, in all their parts.
func TestExplainIsWhatHappens(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	g := govern(t)
	text := fmt.Sprintf(`
listen: [{addr: %q}]
admin: {addr: %q, local: {allow_without_second_factor: true}}
store: {driver: sqlite, dsn: s.db}
sessions: {allow_insecure_http: true}
passwords: {memory_kib: 8192, passes: 1}
realms: {staff: {internal: {}}}
roles: {payroll: {users: [alice]}, auditors: {roles: [payroll]}, chiefs: {}}
defaults: {login: [staff/basic]}
services:
  hr:
    match: {host: 127.0.0.1, path: /hr/}
    allow: [{path: /hr/audit, methods: [GET], roles: [auditors]}, {operation: "{urn:hr}Get*", roles: [any]}, {operation: "{urn:hr}Pay", roles: [payroll]}, {path: /hr/open, roles: [anonymous]}, {path: /hr/chief, roles: [chiefs]}]
    elements:
      - {path: /hr/lan, networks: [10.0.0.0/8]}
      - {path: /hr/free, login: [none]}
      - {path: /hr/lost, login: [none], allow: [{path: /hr/lost, roles: [payroll]}]} # which nobody has there
    upstream: {url: %q}
  files:
    match: {path: /files/}
    case_insensitive_paths: true
    elements: [{path: /files/secret/, allow: [{path: /files/secret/, roles: [payroll]}]}, {path: /files/shut, networks: [192.0.2.1]}]
    upstream: {url: %q}
`, g.addr, g.admin, backend.URL, backend.URL)
	g.write(g.file, text)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	ctx := g.as(admin.Administrator)
	for _, u := range []admin.NewUser{{Name: "bob", Realm: "staff"}, {Name: "carol", Realm: "staff", Roles: []string{"chiefs"}}} {
		u.Password = authn.NewSecret(rootPassword)
		if _, err := g.service.AddUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(3, 5))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	seen := map[authz.Result]int{}
	for range 600 {
		path := pick("/hr/", "/hr/audit", "/hr/audit/", "/hr/AUDIT", "/hr/open", "/hr/open/x", "/hr/chief", "/hr/lan", "/hr/free", "/hr/free/x", "/hr/lost", "/hr", "/hr/x/../open", "/hr/%6fpen",
			"/hr/%2e%2e/x", "/hr//open", "/files/", "/files/a", "/FILES/Secret/a", "/files/secret", "/files/shut", "/none", "/")
		method, operation, body := pick("GET", "POST", "DELETE"), "", ""
		if strings.HasPrefix(path, "/hr") && method == "POST" && r.IntN(3) > 0 {
			name := pick("GetOne", "Pay", "Fire")
			operation = "{urn:hr}" + name
			body = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><` + name + ` xmlns="urn:hr"/></e:Body></e:Envelope>`
		}
		user := pick("", "alice", "bob", "carol")
		e, err := g.service.Explain(ctx, admin.ExplainQuery{
			Method: method, URL: "http://" + g.addr + path, Operation: operation, Client: "127.0.0.1", User: user, Anonymous: user == "",
		})
		if err != nil {
			t.Fatal(err)
		}
		var header []string
		if user != "" {
			header = append(header, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+rootPassword)))
		}
		if body != "" {
			header = append(header, "Content-Type", "text/xml")
		}
		status, _, _ := g.do(method, "http://"+g.addr+path, body, header...)
		if status == 200 != (e.Result == authz.Allowed) {
			t.Errorf("%s %s %s as %q: %d, and explained as %s: %s", method, path, operation, user, status, e.Result, e.Why)
		}
		seen[e.Result]++
	}
	if seen[authz.Allowed] < 100 || seen[authz.Denied] < 100 {
		t.Errorf("not much was tried: %v", seen)
	}
	anybody, err := g.service.Explain(ctx, admin.ExplainQuery{URL: "/files/secret/a"})
	if err != nil || anybody.Result != authz.Depends || anybody.Client != "" {
		t.Errorf("anybody: %+v, %v", anybody, err)
	}
	services, err := g.service.Services(ctx)
	if err != nil || len(services.Services) != 2 {
		t.Fatalf("%+v, %v", services, err)
	}
	hr := services.Services[1]
	if len(hr.Elements) != 4 || hr.Elements[0].Name != "service hr" || len(hr.Elements[0].Rules) != 5 || hr.Elements[1].Settings[0].Name != "login" || !hr.Elements[1].Settings[0].Inherited {
		t.Errorf("%+v", hr)
	}
	for _, q := range []admin.ExplainQuery{{URL: "hr"}, {URL: "ftp://x/"}, {URL: "http://u@x/"}, {URL: "/hr/", Client: "x"}, {URL: "/hr/", Method: "G T"}, {URL: "/", User: "alice", Anonymous: true}, {}} {
		_, err := g.service.Explain(ctx, q)
		wantKind(t, fmt.Sprintf("%+v", q), err, admin.Invalid, "")
	}
	_, err = g.service.Explain(ctx, admin.ExplainQuery{URL: "/hr/", User: "nobody"})
	wantKind(t, "no such user", err, admin.NotFound, "nobody")
}
