package authz

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

var update = flag.Bool("update", false, "write the golden files again")

// company is the policy of a gateway with a SOAP service and an API.
func company(t testing.TB, dir Resolver) *Policy {
	t.Helper()
	rs, err := NewRoles(Config{Roles: map[string]Role{
		"payroll": {Groups: []string{`CORP\Payroll`}, Source: "gw.yaml:3"},
		"editors": {Groups: []string{"S-1-5-21-1-2-3-7"}, Source: "gw.yaml:4"},
	}, Resolver: dir})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(PolicyConfig{Roles: rs, Root: &Element{
		Name: "gateway", Source: "gw.yaml:6",
		Settings: map[string]Setting{
			"login":           {Value: []string{"corp/negotiate", "corp/ntlm"}, Source: "gw.yaml:6"},
			"channel_binding": {Value: "supported", Source: "gw.yaml:6"},
		},
		Elements: []*Element{
			{
				Name: "service hr", Source: "gw.yaml:8", Match: Match{Host: "hr.corp.test", Path: "/hr/"},
				Settings: map[string]Setting{"login": {Value: []string{"corp/negotiate"}, Source: "gw.yaml:9"}},
				Allow: []Rule{
					{Match: Match{Operation: "{urn:hr}Pay*"}, Roles: []string{"payroll"}, Source: "gw.yaml:11"},
					{Match: Match{Operation: "*"}, Roles: []string{Any}, Source: "gw.yaml:12"},
				}, AllowSource: "gw.yaml:10",
				Elements: []*Element{{
					Name: "operation Purge", Source: "gw.yaml:14", Match: Match{Operation: "Purge"},
					Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, NetworksSource: "gw.yaml:15",
				}},
			},
			{
				Name: "api", Source: "gw.yaml:20", Match: Match{Path: "/api/"},
				Allow: []Rule{
					{Match: Match{Path: "/api/public/", Method: "GET"}, Roles: []string{Anonymous}, Source: "gw.yaml:22"},
					{Match: Match{Path: "/api/users/*/pay"}, Roles: []string{"payroll", `CORP\Staff`}, Source: "gw.yaml:23"},
					{Match: Match{Path: "/api/notes/"}, Roles: []string{Any}, Source: "gw.yaml:24"},
				}, AllowSource: "gw.yaml:21",
			},
			{Name: "closed", Source: "gw.yaml:30", Match: Match{Path: "/closed/"}, Allow: []Rule{}, AllowSource: "gw.yaml:31"},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	dir := &book{sids: map[string]authn.SID{`CORP\Payroll`: payrollSID, `CORP\Staff`: staffSID}}
	p := company(t, dir)
	t.Cleanup(func() {
		if dir.asked() == 0 {
			t.Error("nobody asked the directory")
		}
	})
	bob := &authn.Identity{Account: "bob", Domain: "CORP", SID: "S-1-5-21-1-2-3-1105", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513"}}}
	in, out := netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("192.0.2.1")
	hr := func(op string, client netip.Addr) Request {
		return Request{Host: "HR.corp.test:443", Method: "POST", Path: "/hr/", Operation: op, Client: client}
	}
	api := func(method, path string) Request { return Request{Host: "x", Method: method, Path: path, Client: out} }
	tests := []struct {
		name                string
		req                 Request
		alice, bob, nobody  bool
		login, element, why string // of a refusal of somebody
	}{
		{"pay", hr("{urn:hr}PayOut", out), true, false, false, "corp/negotiate", "service hr", "role payroll"},
		{"pay of another namespace", hr("{urn:x}PayOut", out), true, true, false, "corp/negotiate", "service hr", "role any"},
		{"any operation", hr("{urn:hr}Get", out), true, true, false, "corp/negotiate", "service hr", "role any"},
		{"no operation", hr("", out), false, false, false, "corp/negotiate", "service hr", "no rule matches"},
		{"purge inside", hr("{urn:hr}Purge", in), true, true, false, "corp/negotiate", "operation Purge", "role any"},
		{"purge outside", hr("{urn:hr}Purge", out), false, false, false, "corp/negotiate", "operation Purge", "not in 10.0.0.0/8, fd00::/8"},
		{"purge from nowhere", hr("{urn:hr}Purge", netip.Addr{}), false, false, false, "corp/negotiate", "operation Purge", "unknown address"},
		{"other host", Request{Host: "x", Path: "/hr/", Operation: "{urn:hr}PayOut"}, true, true, false, "corp/negotiate corp/ntlm", "gateway", "no rule is set"},
		{"public", api("GET", "/api/public/a"), true, true, true, "corp/negotiate corp/ntlm", "api", ""},
		{"public, head", api("HEAD", "/api/public/a"), true, true, true, "corp/negotiate corp/ntlm", "api", ""},
		{"public, itself", api("GET", "/api/public"), true, true, true, "corp/negotiate corp/ntlm", "api", ""},
		{"public, post", api("POST", "/api/public/a"), false, false, false, "corp/negotiate corp/ntlm", "api", "no rule matches"},
		{"public, in small letters", api("get", "/api/public/a"), false, false, false, "corp/negotiate corp/ntlm", "api", "no rule matches"},
		{"star", api("PUT", "/api/users/7/pay"), true, false, false, "corp/negotiate corp/ntlm", "api", "one of the roles payroll, CORP\\Staff"},
		{"star is within a segment", api("PUT", "/api/users/7/8/pay"), false, false, false, "corp/negotiate corp/ntlm", "api", "no rule matches"},
		{"closed", api("GET", "/closed/x"), false, false, false, "corp/negotiate corp/ntlm", "closed", "no rule matches"},
		{"nothing set", api("GET", "/other"), true, true, false, "corp/negotiate corp/ntlm", "gateway", "no rule is set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				id   *authn.Identity
				want bool
			}{{kerberosAlice(), tt.alice}, {ntlmAlice(), tt.alice}, {bob, tt.bob}, {nil, tt.nobody}} {
				r := tt.req
				r.Identity = c.id
				err := p.Decide(t.Context(), &r)
				x := p.Explain(t.Context(), &r, false)
				var denied *DeniedError
				switch {
				case (err == nil) != c.want:
					t.Errorf("%s: %v, want allowed %v", c.id, err, c.want)
				case (x.Result == Allowed) != c.want || !c.want && x.Result != Denied:
					t.Errorf("%s: explained as %s: %s", c.id, x.Result, x.Why)
				case !c.want && (!errors.As(err, &denied) || !strings.Contains(denied.Rule, tt.why) || denied.Element != tt.element ||
					denied.Rule != x.Why || denied.Source != x.Source || StatusOf(err) != 403):
					t.Errorf("%s: %v (element %s)\nexplained: %s (%s), want %q", c.id, err, denied.Element, x.Why, x.Source, tt.why)
				}
			}
			if got, _ := p.Setting(&tt.req, "login").([]string); strings.Join(got, " ") != tt.login {
				t.Errorf("login = %q, want %s", got, tt.login)
			}
		})
	}
}

func TestExplainGolden(t *testing.T) {
	t.Parallel()
	dir := &book{sids: map[string]authn.SID{`CORP\Payroll`: payrollSID}}
	p := company(t, dir)
	down := company(t, &book{err: authn.ErrUnavailable})
	outside := netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		file   string
		policy *Policy
		req    Request
		any    bool
	}{
		{"allowed", p, Request{Identity: kerberosAlice(), Client: outside, Host: "hr.corp.test", Method: "POST", Path: "/hr/", Operation: "{urn:hr}PayOut"}, false},
		{"denied", p, Request{Identity: kerberosAlice(), Client: outside, Host: "gw", Method: "PUT", Path: "/api/\x1b[2Jx"}, false},
		{"network", p, Request{Identity: ntlmAlice(), Client: outside, Host: "hr.corp.test", Method: "POST", Path: "/hr/", Operation: "{urn:hr}Purge"}, false},
		{"any", p, Request{Host: "hr.corp.test", Method: "POST", Path: "/hr/", Operation: "{urn:hr}Purge"}, true},
		{"unknown", down, Request{Identity: kerberosAlice(), Client: outside, Host: "gw", Method: "GET", Path: "/api/users/1/pay"}, false},
		{"anonymous", p, Request{Host: "gw", Method: "GET", Path: "/api/public/x"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			x := tt.policy.Explain(t.Context(), &tt.req, tt.any)
			j, err := json.MarshalIndent(x, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := x.String() + "\n" + string(j) + "\n"
			file := filepath.Join("testdata", "explain", tt.file+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	x := ExplainPath(&Request{Path: "/a;b"}, &PathError{"why"})
	if s := x.String(); x.Result != Denied || !strings.Contains(s, "refused with 400: why") {
		t.Errorf("%s", s)
	}
}

func TestNewPolicyErrors(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{"payroll": {}}, nil)
	rule := func(m Match, roles ...string) *Element {
		return &Element{Allow: []Rule{{Match: m, Roles: roles, Source: "gw.yaml:7"}}}
	}
	child := func(m Match) *Element { return &Element{Elements: []*Element{{Match: m, Source: "gw.yaml:7"}}} }
	tests := []struct {
		name string
		root *Element
		want string
	}{
		{"none", nil, "needs an element"},
		{"unknown role", rule(Match{}, "payrol"), `gw.yaml:7: there is no role "payrol" (did you mean "payroll"?)`},
		{"no role", rule(Match{Path: "/x"}), `gw.yaml:7: a rule for path /x names no role`},
		{"relative path", rule(Match{Path: "x"}, Any), "begins with a slash"},
		{"path that is never asked for", rule(Match{Path: "/a//b"}, Any), "shortest form"},
		{"path that is refused", child(Match{Path: `/a\b`}), "gw.yaml:7: path \"/a\\\\b\": no request has it: it has a backslash"},
		{"host", child(Match{Host: "*corp.test"}), "a star stands in front of a dot"},
		{"operation", rule(Match{Operation: "{urn:x"}, Any), "Clark notation"},
		{"network", &Element{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8")}, NetworksSource: "gw.yaml:7"}, "gw.yaml:7: 10.1.2.3/8 is not a network"},
	}
	for _, tt := range tests {
		_, err := NewPolicy(PolicyConfig{Root: tt.root, Roles: rs})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// Nobody who is not sure of being let in is let in.
func TestAttackPolicyUnavailable(t *testing.T) {
	t.Parallel()
	p := company(t, &book{err: authn.ErrUnavailable})
	r := &Request{Identity: kerberosAlice(), Method: "GET", Path: "/api/users/1/pay"}
	if err := p.Decide(t.Context(), r); !errors.Is(err, authn.ErrUnavailable) || StatusOf(err) != 503 {
		t.Errorf("%v, status %d; want 503", err, StatusOf(err))
	}
}

// IIS does not care for the case of a path, so the policy in front of it must
// not either.
func TestAttackPathInCapitals(t *testing.T) {
	t.Parallel()
	root := &Element{Elements: []*Element{{Name: "admin", Match: Match{Path: "/Admin/"}, Allow: []Rule{}}}}
	for _, foldPaths := range []bool{false, true} {
		p, err := NewPolicy(PolicyConfig{Root: root, FoldPaths: foldPaths})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Decide(t.Context(), &Request{Identity: ntlmAlice(), Path: "/aDMIN/x"})
		if (err != nil) != foldPaths {
			t.Errorf("FoldPaths %v: %v", foldPaths, err)
		}
	}
}

// What we decide on and what is forwarded is one path, which nobody behind can
// take for another (see CleanPath).
func TestAttackPath(t *testing.T) {
	t.Parallel()
	tests := []struct{ raw, want string }{ // an empty want: refused
		{"/a/b", "/a/b"}, {"/", "/"}, {"", "/"}, {"/a/", "/a/"},
		{"/a//b", "/a/b"}, {"//a", "/a"}, {"/a/./b", "/a/b"}, {"/a/x/../b", "/a/b"}, {"/a/b/..", "/a/"}, {"/a/.", "/a/"}, {"/a/..", "/"},
		{"/%61dmin/x", "/admin/x"}, {"/x/%2e%2e/admin", "/admin"}, {"/x/%2E./admin", "/admin"}, {"/x/.%2e/%2e/admin", "/admin"},
		{"/a%20b", "/a b"}, {"/a%23b", "/a#b"}, {"/a%3fb", "/a?b"}, {"/ä", "/ä"}, {"/%c3%a4", "/ä"}, {"/100%25", "/100%"}, {"/a.b/.well-known", "/a.b/.well-known"},
		{"/..", ""}, {"/../admin", ""}, {"/a/../../admin", ""}, {"/%2e%2e/admin", ""},
		{"/a%2fb", ""}, {"/a%2Fb", ""}, {"/x/..%2fadmin", ""}, {"/a%5cb", ""}, {"/a%5C..%5Cadmin", ""},
		{"/admin;x/y", ""}, {"/admin%3bx/y", ""}, {"/a%00", ""}, {"/a%0d%0ab", ""}, {"/a%7f", ""},
		{"/%252e%252e/admin", ""}, {"/a%252fb", ""}, {"/%25%32%65", ""},
		{"/%c0%ae%c0%ae/admin", ""}, {"/%ff", ""},
		{"/admin./x", ""}, {"/admin%20", ""}, {"/admin%20/x", ""}, {"/admin...", ""},
		{"/admin::$INDEX_ALLOCATION/x", ""}, {"/admin:$i30:$INDEX_ALLOCATION/x", ""}, {"/a.asp::%24DATA", ""}, {"/a.asp%3a%3A$data", ""},
		{"/v1/urn:a:b:run", "/v1/urn:a:b:run"}, {"/a$b:c", "/a$b:c"},
		{"/(S(x))/admin", ""}, {"/ad/(S(x))min/x", ""}, {"/(a(b)f(c))/x", ""}, {"/%28S%28x%29%29/admin", ""}, {"/./(F(x))/y", ""},
		{"/Products(1)/(x)", "/Products(1)/(x)"}, {"/(1(2))", "/(1(2))"}, {"/f(g(x))", "/f(g(x))"},
		{"/PAYROL~1/x", ""}, {"/x/payrol~12", ""}, {"/web~1.con", ""}, {"/PAYROL%7e1", ""},
		{"/~alice/x", "/~alice/x"}, {"/~1st", "/~1st"}, {"/a~b", "/a~b"}, {"/a~", "/a~"},
		{"*", ""}, {"a/b", ""},
	}
	for _, tt := range tests {
		u := &url.URL{Path: tt.raw}
		if strings.HasPrefix(tt.raw, "/") {
			var err error
			if u, err = url.ParseRequestURI("http://x" + tt.raw); err != nil {
				t.Fatalf("%s: %v", tt.raw, err)
			}
		}
		got, err := CleanPath(u)
		var refused *PathError
		switch {
		case tt.want == "" && (!errors.As(err, &refused) || got != "" || StatusOf(err) != 400):
			t.Errorf("%s: %q, %v; want it refused with 400", tt.raw, got, err)
		case tt.want != "" && (err != nil || got != tt.want):
			t.Errorf("%s: %q, %v; want %q", tt.raw, got, err, tt.want)
		}
	}
	if got, err := CleanPath(&url.URL{Path: `/a\b`}); err == nil {
		t.Errorf("a backslash: %q", got)
	}
}

// Whatever is not refused is forwarded as a path that is clean, and stays so.
func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2e/x", "//", "/a%2fb", "/a;b", "/%c0%ae", "/a%25b", "/ä/.", "/. /"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return
		}
		p, err := CleanPath(u)
		if err != nil {
			return
		}
		out := &url.URL{Path: p}
		again, err := url.ParseRequestURI(out.EscapedPath())
		if err != nil {
			t.Fatalf("%q became %q, which is no path: %v", raw, out.EscapedPath(), err)
		}
		p2, err := CleanPath(again)
		if err != nil || p2 != p {
			t.Errorf("%q became %q, and then %q, %v", raw, p, p2, err)
		}
		if !strings.HasPrefix(p, "/") || needsCleaning(p) || strings.ContainsAny(p, "\\;\x00") {
			t.Errorf("%q became %q", raw, p)
		}
	})
}

func TestGlob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"Pay*", "PayOut", true}, {"Pay*", "Pay", true}, {"Pay*", "pay", false}, {"*", "", true}, {"", "", true}, {"", "x", false},
		{"*a*b", "xaxxb", true}, {"*a*b", "xaxxbx", false}, {"a*a", "a", false}, {"**", "x", true},
		{"/*/b", "/a/b", true}, {"/*/b", "/a/c/b", false}, {"/a*b*c", "/aXbYc", true}, {"/a*c", "/a/c", false}, {"/*", "/", true},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.text, '/'); got != tt.want {
			t.Errorf("%q %q: %v", tt.pattern, tt.text, got)
		}
	}
	if !glob("a*c", "a/c", 0) {
		t.Error("without a separator a star is anything")
	}
	m, err := Match{Path: "/u/*/f/"}.compile(false)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/u/1/f/": true, "/u/1/f": true, "/u/1/f/a/b": true, "/u/1/g/": false, "/u/1/2/f/": false, "/u/1": false} {
		if got := m.matchPath(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// What is listed of an element is what is in force there.
func TestElements(t *testing.T) {
	t.Parallel()
	net := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	p, err := NewPolicy(PolicyConfig{Root: &Element{
		Name: "gateway", Settings: map[string]Setting{"login": {Value: "basic", Source: "1"}}, Networks: net,
		Elements: []*Element{{
			Name: "service", Match: Match{Path: "/a/"}, Allow: []Rule{{Roles: []string{Any}, Source: "2"}},
			Elements: []*Element{{Name: "part", Match: Match{Path: "/a/b"}, Settings: map[string]Setting{"login": {Value: "none"}}, Source: "3"}},
		}, {Name: "other", Match: Match{Path: "/b/"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Elements() {
		text := e.Name + " " + e.Match
		for _, s := range e.Settings {
			text += fmt.Sprintf(" %s=%v inherited=%v from %s", s.Name, s.Value, s.Inherited, s.Source)
		}
		got = append(got, fmt.Sprintf("%s rules=%d", text, len(e.Rules)))
	}
	want := []string{
		"gateway every request login=basic inherited=false from 1 networks=[10.0.0.0/8] inherited=false from  rules=0",
		"service path /a/ login=basic inherited=true from 1 networks=[10.0.0.0/8] inherited=true from  rules=1",
		"part path /a/b login=none inherited=false from 3 networks=[10.0.0.0/8] inherited=true from  rules=1",
		"other path /b/ login=basic inherited=true from 1 networks=[10.0.0.0/8] inherited=true from  rules=0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
