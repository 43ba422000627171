package authz_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// A role is whoever one of its lines names.
func ExampleRoles() {
	roles, err := authz.NewRoles(authz.Config{Roles: map[string]authz.Role{
		"payroll": {Groups: []string{`CORP\Payroll`, "S-1-5-21-1-2-3-2000"}},
		"auditor": {Users: []string{`CORP\alice`}, Claims: map[string][]string{"department": {"audit"}}},
		"finance": {Roles: []string{"payroll", "auditor"}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	alice := &authn.Identity{Account: "alice", Domain: "CORP"} // usually authn.FromContext
	for _, name := range []string{"payroll", "auditor", "finance", authz.Any, `CORP\Payroll`} {
		ok, err := roles.Has(context.Background(), alice, name)
		fmt.Println(name, ok, err)
	}
	// Output:
	// payroll false <nil>
	// auditor true <nil>
	// finance true <nil>
	// any true <nil>
	// CORP\Payroll false <nil>
}

// The policy of an API: reading is for everybody who logs in, writing for
// editors, and what is below /admin/ for the company's network only.
func examplePolicy() *authz.Policy {
	roles, err := authz.NewRoles(authz.Config{Roles: map[string]authz.Role{
		"editors": {Groups: []string{`CORP\Editors`}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := authz.NewPolicy(authz.PolicyConfig{Roles: roles, Root: &authz.Element{
		Name: "api", Source: "api.yaml:1",
		Allow: []authz.Rule{
			{Match: authz.Match{Method: "GET"}, Roles: []string{authz.Any}, Source: "api.yaml:3"},
			{Match: authz.Match{Path: "/articles/"}, Roles: []string{"editors"}, Source: "api.yaml:4"},
		},
		Elements: []*authz.Element{{
			Name: "admin", Source: "api.yaml:6", Match: authz.Match{Path: "/admin/"},
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, NetworksSource: "api.yaml:7",
		}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	return policy
}

func ExamplePolicy_Explain() {
	policy := examplePolicy()
	alice := &authn.Identity{Account: "alice", Domain: "CORP"}
	r := &authz.Request{
		Identity: alice, Client: netip.MustParseAddr("10.1.2.3"), Method: "POST", Path: "/articles/7",
	}
	fmt.Print(policy.Explain(context.Background(), r, false))
	// Output:
	// request  POST /articles/7
	// caller   CORP\alice from 10.1.2.3
	// element  api: every request                                           api.yaml:1
	// rule 1   GET: any                                                     api.yaml:3 not this method
	// rule 2   path /articles/: editors                                     api.yaml:4 decides
	// result   denied: the rule for path /articles/ needs the role editors  api.yaml:4
}

// A Guard stands on both sides of the login: foreign networks are refused before
// anybody is asked for a password, and rules need to know who calls.
func ExampleGuard() {
	guard := &authz.Guard{Policy: examplePolicy(), Logger: slog.New(slog.DiscardHandler)}
	service := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		editor, err := authz.IsInRole(r.Context(), "editors")
		fmt.Fprintf(w, "editor: %v, %v", editor, err)
	})
	login := &authn.Middleware{Authenticators: []authn.Authenticator{nameLogin{}}} // usually iwa.Authenticator
	h := guard.Admit(login.Wrap(guard.Wrap(service)))

	for _, path := range []string{"/articles/7", "/admin/users"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Test-User", "alice")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
	}
	// Output:
	// /articles/7 200
	// /admin/users 403
}
