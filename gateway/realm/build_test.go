package realm

import (
	"reflect"
	"slices"
	"testing"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

func parse(t *testing.T, realm string) *config.Realm {
	t.Helper()
	c, err := config.Parse("/etc/soapward/gw.yaml", []byte("realms: {r: "+realm+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Realms["r"]
}

func TestControllers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, realm string
		want        []string
	}{
		{"of the directory", `{ad: {url: ["ldaps://dc1.corp.test:1636", "ldap://dc2.corp.test"], default_domain: CORP}, kerberos: {realm: CORP.TEST, keytab: x, kdc: [kdc.corp.test]}}`, []string{"dc1.corp.test", "dc2.corp.test"}},
		{"KDCs", `{kerberos: {realm: CORP.TEST, keytab: x, kdc: [dc1.corp.test, "tcp/dc2.corp.test", "dc3.corp.test:88"]}}`, []string{"dc1.corp.test", "dc2.corp.test", "dc3.corp.test"}},
		{"DNS", `{ad: {domain: corp.test, default_domain: CORP}}`, nil},
	} {
		if got := controllers(parse(t, tt.realm)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Without KDCs in the configuration, DNS is asked. It was an error.
func TestKDCs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, realm string
		lookup      bool
		want        []string
	}{
		{"listed", `{kerberos: {realm: CORP.TEST, keytab: x, kdc: [dc1.corp.test]}}`, false, []string{"dc1.corp.test"}},
		{"of DNS", `{kerberos: {realm: CORP.TEST, keytab: x}}`, true, nil},
	} {
		got := KDCs(parse(t, tt.realm).Kerberos)
		_, known := got.Realms["CORP.TEST"]
		if got.DefaultRealm != "CORP.TEST" || got.LookupKDC != tt.lookup || known == tt.lookup || !slices.Equal(got.Realms["CORP.TEST"].KDCs, tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		realm string
		want  []string
	}{
		{`{ad: {domain: corp.test, default_domain: CORP}, kerberos: {realm: CORP.TEST, keytab: x}}`, []string{"CORP", "corp.test"}},
		{`{kerberos: {realm: MIT.TEST, keytab: x}}`, []string{"MIT.TEST"}},
		{`{internal: {}}`, []string{"r"}},
		{`{ldap: {url: "ldaps://a/dc=x", default_domain: PEOPLE}, internal: {}}`, []string{"PEOPLE"}},
		{`{ntlm: {verifier: winbind, domain: CORP}}`, []string{"CORP"}},
	} {
		if got := Spellings("r", parse(t, tt.realm)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.realm, got, tt.want)
		}
	}
}

func TestLDAPConfig(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ ldap, filter, bind string }{
		{`{url: "ldaps://a/dc=x", filter: "(uid={user})"}`, "(uid={user})", ""},
		{`{url: "ldaps://a/dc=x", style: ad, default_domain: corp.test}`, "", "{user}@corp.test"},
		{`{url: "ldaps://a/dc=x", style: ad, bind_name: "{user}@other.test"}`, "", "{user}@other.test"},
		{`{url: "ldaps://a/dc=x"}`, "", ""},
	} {
		cfg, err := ldapConfig(parse(t, "{ldap: "+tt.ldap+"}").LDAP)
		if err != nil || cfg.Filter != tt.filter || cfg.BindName != tt.bind || !reflect.DeepEqual(cfg.URLs, []string{"ldaps://a"}) || cfg.BaseDN != "dc=x" {
			t.Errorf("%s: %v, filter %q, bind name %q, base %q; want %q and %q", tt.ldap, err, cfg.Filter, cfg.BindName, cfg.BaseDN, tt.filter, tt.bind)
		}
	}
}

func TestKeepsNTHash(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("gw.yaml", []byte("realms: {a: {internal: {ntlm: true}, aliases: [old]}, b: {internal: {}}}"))
	if err != nil {
		t.Fatal(err)
	}
	for realm, want := range map[string]bool{"a": true, "old": true, "": true, "b": false, "gone": false} {
		if got := KeepsNTHash(c, &directory.User{Realm: realm}); got != want {
			t.Errorf("realm %q: %v, want %v", realm, got, want)
		}
	}
}
