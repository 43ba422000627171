package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// The two questions, behind the logins of Windows, by curl and zeep, with the
// groups of a real domain: roles by name, SID and distinguished name, nested
// ones, and rules that refuse.
func TestIntegratedSecurity(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "zeep", "requests_ntlm", "requests_kerberos")
	dc := adtest.Start(t)
	domain := ldap.NewDirectory(ldap.DirectoryConfig{
		URLs: []string{"ldaps://" + dc.IP}, Domain: "corp.test", Roots: dc.Roots(t),
		BindUser: "Administrator@corp.test", BindPassword: authn.NewSecret(adtest.AdminPassword),
	})
	t.Cleanup(func() { _ = domain.Close() })
	auditors, err := domain.Group(t.Context(), `CORP\`+adtest.Auditors)
	if err != nil {
		t.Fatal(err)
	}
	auditorsDN := auditors.DN
	roles, err := authz.NewRoles(authz.Config{
		Resolver: domain,
		Roles: map[string]authz.Role{
			"payroll":   {Groups: []string{`CORP\Payroll`}},
			"finance":   {Groups: []string{dc.SID(t, adtest.Finance)}},
			"auditors":  {Groups: []string{auditorsDN}},
			"reviewers": {Roles: []string{"auditors"}},
			"alice":     {Users: []string{`CORP\alice`}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := authz.NewPolicy(authz.PolicyConfig{Roles: roles, Root: &authz.Element{
		Name: "server",
		Elements: []*authz.Element{
			{Name: "reports", Match: authz.Match{Path: "/reports/"}, Allow: []authz.Rule{{Roles: []string{"reviewers"}}}},
			{Name: "inside", Match: authz.Match{Path: "/inside/"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	guard := &authz.Guard{Policy: policy}
	mux := http.NewServeMux()
	mux.Handle("/.soapward/", integrated.NewHandler(integrated.Options{}))
	mux.HandleFunc("/", serveWhoami)
	s := startServer(t, serverConfig{
		login:   &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)},
		handler: guard.Wrap(mux),
	})
	get := func(t *testing.T, user, path string) (body, status string) {
		t.Helper()
		if user == "" {
			return curl(t, nil, `CORP\alice:`+localPass, "--ntlm", s.URL+path)
		}
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, user))
		u := strings.TrimSuffix(s.At("web.corp.test", ""), "/") + path
		return curl(t, env, ":", "--negotiate", "--resolve", "web.corp.test:"+s.Port+":127.0.0.1", u)
	}
	details := func(t *testing.T, body, status string) (d integrated.Details) {
		t.Helper()
		if err := json.Unmarshal([]byte(body), &d); err != nil || status != "200" {
			t.Fatalf("%s %s: %v", status, body, err)
		}
		return d
	}

	t.Run("curl, who am I", func(t *testing.T) {
		t.Parallel()
		d := details(t, firstOf(get(t, adtest.Alice, integrated.WhoAmIPath)), "200")
		if d.Username != `CORP\alice` || !d.IsAuthenticated || d.IsAnonymous || d.IsGuest || d.Mechanism != authn.MechanismKerberos ||
			d.SID != authn.SID(dc.SID(t, adtest.Alice)) || d.UPN != "alice@corp.test" || d.DisplayName != "Alice Liddell" {
			t.Errorf("Kerberos: %+v", d)
		}
		if !slices.ContainsFunc(d.Groups, func(g integrated.Group) bool { return g.SID == authn.SID(dc.SID(t, adtest.Auditors)) }) {
			t.Errorf("Kerberos: groups %+v lack one that holds others", d.Groups)
		}
		d = details(t, firstOf(get(t, "", integrated.WhoAmIPath)), "200")
		if d.Username != `CORP\alice` || d.Mechanism != authn.MechanismNTLM || len(d.Groups) != 1 || d.Groups[0].Name != `CORP\Payroll` {
			t.Errorf("NTLM: %+v", d)
		}
	})

	for _, tt := range []struct{ user, has, lacks string }{
		{adtest.Alice, `payroll,finance,auditors,reviewers,alice,any,Everyone,CORP\Finance,` + auditorsDN, `anonymous,CORP\No such group,nothing,BUILTIN\Guests`},
		{adtest.Bob, `any,CORP\Staff`, `payroll,finance,auditors,reviewers,alice,CORP\Finance`},
		{"", `payroll,alice,CORP\Payroll`, `finance,reviewers,CORP\Finance`}, // NTLM, with one group
	} {
		t.Run("curl, roles of "+tt.user, func(t *testing.T) {
			t.Parallel()
			for want, list := range map[bool]string{true: tt.has, false: tt.lacks} {
				if want && strings.Contains(list, auditorsDN) {
					list = strings.TrimSuffix(list, ","+auditorsDN)
					body, status := get(t, tt.user, integrated.RolePath+"?name="+url.QueryEscape(auditorsDN))
					if status != "200" || !strings.Contains(body, `"belongs":true`) {
						t.Errorf("%s: %s %s", auditorsDN, status, body)
					}
				}
				for _, role := range strings.Split(list, ",") {
					body, status := get(t, tt.user, integrated.RolePath+"?name="+url.QueryEscape(role))
					if status != "200" || !strings.Contains(body, fmt.Sprintf(`"belongs":%v`, want)) {
						t.Errorf("%s: %s %s, want %v", role, status, body, want)
					}
				}
			}
		})
	}

	t.Run("curl, rules", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct{ user, path, want string }{
			{adtest.Alice, "/reports/1", "200"},
			{adtest.Bob, "/reports/1", "403"}, // and curl is not asked again
			{adtest.Bob, "/x", "200"},
			{adtest.Alice, "/inside/x", "403"},
		} {
			if body, status := get(t, tt.user, tt.path); status != tt.want {
				t.Errorf("%s at %s: %s %s, want %s", tt.user, tt.path, status, body, tt.want)
			}
		}
		// curl would resolve the dots and not send them.
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Bob))
		for path, want := range map[string]string{"/x/%2e%2e/reports/1": "403", "/x/..%2freports/1": "400", "/x/..;/reports/1": "400"} {
			u := strings.TrimSuffix(s.At("web.corp.test", ""), "/") + path
			if body, status := curl(t, env, ":", "--negotiate", "--path-as-is", "--resolve", "web.corp.test:"+s.Port+":127.0.0.1", u); status != want {
				t.Errorf("%s: %s %s, want %s", path, status, body, want)
			}
		}
	})

	env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice), "OPENSSL_CONF="+writeFile(t, "openssl.cnf", legacyOpenSSL))
	zeep := func(t *testing.T, config map[string]any, operation string, out any) {
		t.Helper()
		input, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		answer := testenv.Run(t, env, string(input), python, "testdata/zeep_call.py", s.At("web.corp.test", integrated.SecurityPath)+"?wsdl", operation)
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			t.Fatalf("zeep wrote %q: %v", answer, err)
		}
	}
	ntlm := map[string]any{"user": `CORP\alice`, "password": localPass}
	for mech, login := range map[string]map[string]any{authn.MechanismKerberos: {}, authn.MechanismNTLM: ntlm} {
		t.Run("zeep, "+mech, func(t *testing.T) {
			t.Parallel()
			with := func(arguments map[string]any) map[string]any {
				c := map[string]any{"arguments": arguments}
				for k, v := range login {
					c[k] = v
				}
				return c
			}
			var d struct {
				Username, Mechanism          string
				IsAuthenticated, IsAnonymous bool
				Group                        []struct{ Sid, Name string }
			}
			zeep(t, with(map[string]any{}), "GetDetails", &d)
			if d.Username != `CORP\alice` || d.Mechanism != mech || !d.IsAuthenticated || d.IsAnonymous || len(d.Group) == 0 {
				t.Errorf("%+v", d)
			}
			for role, want := range map[string]bool{"payroll": true, `CORP\Payroll`: true, "reviewers": mech == authn.MechanismKerberos, "nothing": false} {
				var belongs bool
				zeep(t, with(map[string]any{"Role": role}), "CheckRole", &belongs)
				if belongs != want {
					t.Errorf("%s: %v, want %v", role, belongs, want)
				}
			}
		})
	}

	// SOAP 1.2 by hand.
	t.Run("curl, SOAP 1.2", func(t *testing.T) {
		t.Parallel()
		body, status := curl(t, nil, `CORP\alice:`+localPass, "--ntlm", "-H", "Content-Type: application/soap+xml; charset=utf-8",
			"-d", `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><CheckRole xmlns="urn:soapward:integrated-security"><Role>payroll</Role></CheckRole></e:Body></e:Envelope>`,
			s.URL+integrated.SecurityPath)
		if status != "200" || !strings.Contains(body, "Belongs>true<") {
			t.Errorf("%s %s", status, body)
		}
	})
}

func firstOf(body, _ string) string { return body }
