package integrated_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/authz/integrated/security"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapclient"
)

type down struct{}

func (down) ResolveSID(context.Context, string) (authn.SID, error) { return "", authn.ErrUnavailable }

var alice = &authn.Identity{
	Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Liddell", SID: "S-1-5-21-1-2-3-1104",
	Groups:    []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}, {SID: "S-1-5-21-1-2-3-7"}},
	Mechanism: authn.MechanismKerberos, AuthTime: time.Date(2026, 11, 26, 7, 0, 0, 5e8, time.FixedZone("", 3600)),
	Claims: authn.Claims{"secret": {"claim"}},
}

// serve returns a server that takes everybody for id, and its log.
func serve(t *testing.T, id *authn.Identity) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	rs, err := authz.NewRoles(authz.Config{
		Roles:    map[string]authz.Role{"payroll": {Groups: []string{"S-1-5-21-1-2-3-2000"}}, "far": {Groups: []string{`CORP\Far`}}},
		Resolver: down{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	h := integrated.NewHandler(integrated.Options{Roles: rs, Logger: slog.New(slog.NewTextHandler(log, nil))})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), id)))
	}))
	t.Cleanup(s.Close)
	return s, log
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, strings.TrimSpace(string(body))
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	const nobody = `{"username":"","is_authenticated":false,"is_anonymous":true,"is_guest":false,"is_system":false,"groups":[]}`
	tests := []struct {
		name string
		id   *authn.Identity
		want string
	}{
		{"alice", alice, `{"username":"CORP\\alice","is_authenticated":true,"is_anonymous":false,"is_guest":false,"is_system":false,` +
			`"sid":"S-1-5-21-1-2-3-1104","upn":"alice@corp.test","display_name":"Alice Liddell",` +
			`"groups":[{"sid":"S-1-5-21-1-2-3-2000","name":"CORP\\Payroll"},{"sid":"S-1-5-21-1-2-3-7"}],"mechanism":"Kerberos","time":"2026-11-26T06:00:00Z"}`},
		{"anonymous", nil, nobody},
		{"Windows' anonymous", &authn.Identity{Account: "ANONYMOUS LOGON", Domain: "NT AUTHORITY", SID: "S-1-5-7"}, nobody},
		{"internal user", &authn.Identity{Account: "bob", Mechanism: "Basic"}, `{"username":"bob","is_authenticated":true,"is_anonymous":false,"is_guest":false,"is_system":false,"groups":[],"mechanism":"Basic"}`},
		{"guest", &authn.Identity{Account: "Guest", SID: "S-1-5-21-1-2-3-501"}, `{"username":"Guest","is_authenticated":true,"is_anonymous":false,"is_guest":true,"is_system":false,"sid":"S-1-5-21-1-2-3-501","groups":[]}`},
		{"system", &authn.Identity{Account: "SYSTEM", Domain: "NT AUTHORITY", SID: "S-1-5-18"}, `{"username":"NT AUTHORITY\\SYSTEM","is_authenticated":true,"is_anonymous":false,"is_guest":false,"is_system":true,"sid":"S-1-5-18","groups":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, tt.id)
			res, body := get(t, s.URL+integrated.WhoAmIPath)
			if res.StatusCode != 200 || body != tt.want || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %s\nwant %s", res.StatusCode, body, tt.want)
			}
			checkPrivate(t, res)

			// The SOAP service tells the same.
			for _, v := range []soap.Version{soap.V11, soap.V12} {
				c := security.NewIntegratedSecurityClient(&soapclient.Client{URL: s.URL + integrated.SecurityPath, Version: v})
				got, err := c.GetDetails(t.Context(), &security.GetDetails{})
				if err != nil {
					t.Fatalf("%s: %v", v, err)
				}
				if text := asJSON(t, got.Details); text != tt.want {
					t.Errorf("%s: %s\nwant %s", v, text, tt.want)
				}
			}
		})
	}
}

// asJSON writes what SOAP told as whoami does.
func asJSON(t *testing.T, d security.Details) string {
	t.Helper()
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	out := integrated.Details{
		Username: d.Username, IsAuthenticated: d.IsAuthenticated, IsAnonymous: d.IsAnonymous, IsGuest: d.IsGuest, IsSystem: d.IsSystem,
		SID: authn.SID(text(d.SID)), UPN: text(d.UPN), DisplayName: text(d.DisplayName), Mechanism: text(d.Mechanism), Groups: []integrated.Group{},
	}
	if d.Time != nil {
		at, err := time.Parse(time.RFC3339, d.Time.String())
		if err != nil {
			t.Fatal(err)
		}
		out.Time = &at
	}
	for _, g := range d.Group {
		out.Groups = append(out.Groups, integrated.Group{SID: authn.SID(text(g.SID)), Name: text(g.Name)})
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkPrivate looks for the headers that keep an answer from others.
func checkPrivate(t *testing.T, res *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestRole(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query string
		id          *authn.Identity
		status      int
		want        string // part of it
		soap        string // role to ask for by SOAP; empty: do not
	}{
		{"belongs", "?name=payroll", alice, 200, `{"role":"payroll","belongs":true}`, "payroll"},
		{"group by name", `?name=corp%5Cpayroll`, alice, 200, `{"role":"corp\\payroll","belongs":true}`, `corp\payroll`},
		{"group by SID", `?name=S-1-5-21-1-2-3-7`, alice, 200, `"belongs":true`, "S-1-5-21-1-2-3-7"},
		{"unknown", "?name=nothing", alice, 200, `{"role":"nothing","belongs":false}`, "nothing"},
		{"anonymous", "?name=payroll", nil, 200, `"belongs":false`, "payroll"},
		{"any", "?name=any", alice, 200, `"belongs":true`, "any"},
		{"nobody can say", "?name=far", alice, 503, `"status":503`, "far"},
		{"no name", "", alice, 400, `"status":400`, ""},
		{"empty name", "?name=", alice, 400, `"status":400`, ""},
		{"two names", "?name=payroll&name=x", alice, 400, `"status":400`, ""},
		{"long", "?name=" + strings.Repeat("x", 2000), alice, 400, `"status":400`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, log := serve(t, tt.id)
			res, body := get(t, s.URL+integrated.RolePath+tt.query)
			kind := "application/json"
			if tt.status != 200 {
				kind = "application/problem+json"
			}
			if res.StatusCode != tt.status || !strings.Contains(body, tt.want) || res.Header.Get("Content-Type") != kind {
				t.Errorf("%d %s %s, want %d %s", res.StatusCode, res.Header.Get("Content-Type"), body, tt.status, tt.want)
			}
			checkPrivate(t, res)
			if (tt.status == 503) != strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log %s", log)
			}
			if tt.soap == "" {
				return
			}
			c := security.NewIntegratedSecurityClient(&soapclient.Client{URL: s.URL + integrated.SecurityPath})
			got, err := c.CheckRole(t.Context(), &security.CheckRole{Role: tt.soap})
			var f *soap.Fault
			switch {
			case tt.status == 503:
				if !errors.As(err, &f) || f.Code != soap.CodeServer || strings.Contains(f.Reason, "S-1") || !strings.Contains(f.Reason, "does not answer") {
					t.Errorf("SOAP: %+v, %v; want a fault", got, err)
				}
			case err != nil || got.Belongs != strings.Contains(tt.want, "true"):
				t.Errorf("SOAP: %+v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, alice)
	for path, want := range map[string]int{"/.soapward/x": 404, "/": 404, "/.soapward/whoami/": 404} {
		if res, _ := get(t, s.URL+path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	res, err := http.Post(s.URL+integrated.WhoAmIPath, "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 405 {
		t.Errorf("POST: %d, want 405", res.StatusCode)
	}
	res, body := get(t, s.URL+integrated.SecurityPath+"?wsdl")
	if res.StatusCode != 200 || !strings.Contains(body, `location="`+s.URL+integrated.SecurityPath+`"`) {
		t.Errorf("?wsdl: %d %s", res.StatusCode, body)
	}
	// A role that the schema does not allow.
	c := security.NewIntegratedSecurityClient(&soapclient.Client{URL: s.URL + integrated.SecurityPath})
	var f *soap.Fault
	if _, err := c.CheckRole(t.Context(), &security.CheckRole{}); !errors.As(err, &f) || f.Code != soap.CodeClient {
		t.Errorf("an empty role: %v", err)
	}
}

// Behind a Guard the roles are those of its policy.
func TestRolesOfContext(t *testing.T) {
	t.Parallel()
	h := integrated.NewHandler(integrated.Options{Logger: slog.New(slog.DiscardHandler)})
	rs, err := authz.NewRoles(authz.Config{Roles: map[string]authz.Role{"payroll": {Groups: []string{`CORP\Payroll`}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		h      http.Handler
		status int
	}{{rs.Wrap(h), 200}, {h, 503}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", integrated.RolePath+"?name=payroll", nil)
		tt.h.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), alice)))
		if w.Code != tt.status {
			t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
		}
	}
}

// Nothing that lets somebody act for the caller is told.
func TestAttackDetailsTellSecrets(t *testing.T) {
	t.Parallel()
	id := *alice
	id.Evidence = evidence("marked-evidence")
	id.Claims = authn.Claims{"marked-claim": {"marked-value"}}
	s, _ := serve(t, &id)
	_, body := get(t, s.URL+integrated.WhoAmIPath)
	c := security.NewIntegratedSecurityClient(&soapclient.Client{URL: s.URL + integrated.SecurityPath})
	got, err := c.GetDetails(t.Context(), &security.GetDetails{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{body, asJSON(t, got.Details), fmt.Sprintf("%+v", integrated.DetailsOf(&id))} {
		if strings.Contains(text, "marked") {
			t.Errorf("told: %s", text)
		}
	}
	if want := reflect.TypeFor[integrated.Details]().NumField(); want != 11 {
		t.Errorf("Details has %d fields: is what is new fit to be told to each application?", want)
	}
}

type evidence string

func (evidence) EvidenceKind() string { return "test" }
