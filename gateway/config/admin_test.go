package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const adminRealms = `
realms:
  it: {oidc: {issuer: "https://id.example", client_id: gw}}
  staff: {internal: {}}
  local: {internal: {}}
roles: {payroll: {groups: ["S-1-5-21-1-2-3-513"]}, all: {groups: [Everyone]}}
store: {driver: sqlite, dsn: s.db}
`

func TestAdminErrors(t *testing.T) {
	t.Parallel()
	const url = `url: "https://gw.test", `
	for _, tt := range []struct {
		name, admin, want string // want empty: it is valid
	}{
		{"all well", url + `login: [it], roles: {viewer: [any], operator: ['CORP\Helpdesk', "S-1-5-32-544"], administrator: [payroll, "CN=Admins,DC=x"]}`, ""},
		{"on this machine", `url: "http://localhost:9180/", login: [it]`, ""},
		{"unknown realm", url + `login: [ti]`, `c.yaml:8:65: admin.login[0]: there is no realm "ti": did you mean "it"?`},
		{"as login of a service", url + `login: [it/oidc]`, `admin.login[0]: want the realm alone, it`},
		{"realm without provider", url + `login: [staff]`, `admin.login[0]: administrators sign in at providers: want oidc in realms.staff`},
		{"twice", url + `login: [it, it]`, `admin.login[1]: it is there twice`},
		{"name of a page", url + `login: [local]`, `admin.login[0]: the page of local administrators is there`},
		{"no url", `login: [it]`, `admin.login wants admin.url`},
		{"plain", `url: "http://gw.test"`, `c.yaml:8:38: admin.url: want https`},
		{"a path", `url: "https://gw.test/console/"`, `admin.url: want scheme and host alone`},
		{"a query", `url: "https://gw.test?x"`, `admin.url: want scheme and host alone`},
		{"unknown role", url + `login: [it], roles: {operator: [payrol]}`, `admin.roles.operator[0]: there is no role "payrol": did you mean "payroll"?`},
		{"everybody on the network", url + `login: [it], roles: {viewer: [anonymous]}`, `admin.roles.viewer[0]: there is no role "anonymous"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("c.yaml", []byte(adminRealms+`admin: {addr: "127.0.0.1:9180", `+tt.admin+"}\n"))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	_, err := Parse("c.yaml", []byte(strings.Replace(adminRealms, "store:", "#", 1)+`admin: {addr: ":1", url: "https://x.test", login: [it]}`))
	if err == nil || !strings.Contains(err.Error(), "admin.login wants a store") {
		t.Errorf("without a store: %v", err)
	}
}

// 29x. Where several providers know administrators, a claim is of one of them: the
// other one could make administrators of its own users.
func TestAttackAdminClaimsUnbound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, roles, login, want string }{
		{"one provider", `chiefs: {claims: [{name: groups, value: gw}]}`, "[it]", ""},
		{"bound", `chiefs: {claims: [{name: groups, value: gw, realm: it}]}`, "[it, partners]", ""},
		{"of others", "chiefs: {users: ['it\\bob']}\n  staff: {claims: [{name: groups, value: gw}]}", "[it, partners]", ""},
		{"either provider", `chiefs: {claims: [{name: groups, value: gw}]}`, "[it, partners]", `roles.chiefs.claims[0]: the role is one of administrators, and each of the providers it, partners could say`},
		{"in a role of it", "chiefs: {roles: [inner]}\n  inner: {roles: [chiefs], claims: [{name: a, value: b, realm: it}, {name: groups, value: gw}]}", "[it, partners]", `roles.inner.claims[1]: the role is one`},
		{"unknown realm", `chiefs: {claims: [{name: groups, value: gw, realm: ti}]}`, "[it]", `roles.chiefs.claims[0].realm: there is no realm "ti": did you mean "it"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("c.yaml", []byte(`
realms:
  it: {oidc: {issuer: "https://id.example", client_id: gw}}
  partners: {oidc: {issuer: "https://partners.example", client_id: gw}}
store: {driver: sqlite, dsn: s.db}
roles:
  `+tt.roles+`
admin: {addr: "127.0.0.1:9180", url: "https://gw.test", login: `+tt.login+`, roles: {administrator: [chiefs]}}
`))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAdminWarnings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, admin string
		want        []string // how they begin
	}{
		{"all well", `url: "https://gw.test", login: [it], roles: {administrator: [payroll]}`, nil},
		{"nobody is administrator", `url: "https://gw.test", login: [it], roles: {viewer: [any]}`, []string{"admin.roles: nobody whom a provider knows is administrator"}},
		{"everybody is", `url: "https://gw.test", login: [it], roles: {administrator: [any]}`, []string{"admin.roles.administrator: everybody whom a provider knows"}},
		{"everybody is, by Windows", `url: "https://gw.test", login: [it], roles: {operator: ['NT AUTHORITY\Authenticated Users'], administrator: [all]}`, []string{"admin.roles.operator: everybody whom a provider knows", "admin.roles.administrator: everybody whom a provider knows"}},
		{"provider alone", `url: "https://gw.test", login: [it], roles: {administrator: [payroll]}, local: {disabled: true}`, []string{"admin.local.disabled: while the provider does not work"}},
		{"neither", `local: {disabled: true}`, []string{"admin.local.disabled: there is no provider either", "realms.it.oidc: nobody signs in there"}},
		{"roles for nobody", `roles: {viewer: [payroll]}`, []string{"admin.roles.viewer: local administrators have all roles", "realms.it.oidc: nobody signs in there"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("c.yaml", []byte(adminRealms+`admin: {addr: "127.0.0.1:9180", `+tt.admin+"}\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range c.Warnings() {
				if w.Remedy == "" || !strings.HasPrefix(w.Position, "c.yaml:") {
					t.Errorf("%s: position %q, remedy %q", w.Key, w.Position, w.Remedy)
				}
				got = append(got, w.Key+": "+w.Text)
			}
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What is not in place yet means the same as when it is.
func TestParseFiles(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"gw.yaml":         "include: [services/*.yaml, more.yaml]\nlisten: [{addr: \":80\"}]\n" + service("own"),
		"services/a.yaml": service("a"),
		"services/b.yaml": service("b"),
		"more.yaml":       "realms: {staff: {internal: {}}}\nstore: {driver: sqlite, dsn: a.db}\n",
	}
	dir := writeFiles(t, files)
	text := make(map[string][]byte)
	for name, s := range files {
		text[filepath.Join(dir, name)] = []byte(s)
	}
	main := filepath.Join(dir, "gw.yaml")
	want, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing of what is in place may count.
	if err := errors.Join(os.Remove(filepath.Join(dir, "more.yaml")), os.WriteFile(filepath.Join(dir, "services/c.yaml"), []byte("nonsense"), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, err := ParseFiles(main, text)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Files, want.Files) || len(got.Services) != 3 || got.Position(got.Services["b"]) != want.Position(want.Services["b"]) {
		t.Errorf("files %v, services %d", got.Files, len(got.Services))
	}
	got.marks, want.marks = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Error("Load and ParseFiles differ")
	}

	delete(text, filepath.Join(dir, "more.yaml"))
	var many *Errors
	if _, err := ParseFiles(main, text); !errors.As(err, &many) || many.List[0].Line != 1 || !strings.Contains(err.Error(), "more.yaml") {
		t.Errorf("a file that is not given: %v", err)
	}
	if _, err := ParseFiles("other.yaml", text); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no main file: %v", err)
	}
	text[main] = []byte("store: {driver: postgres, dsn: \"host=x\", password: {file: none}}")
	if _, err := ParseFiles(main, text); err == nil || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("a secret that is not there: %v", err)
	}
}
