package kerberos

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

const testKrb5Conf = `# comment
[libdefaults]
    default_realm = CORP.TEST
    dns_lookup_kdc = true
    clockskew = 120
    ticket_lifetime = 8h
    udp_preference_limit = 1
    permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts arcfour-hmac-md5

[realms]
    CORP.TEST = {
        kdc = dc1.corp.test
        kdc = dc2.corp.test:1088
        kdc = tcp/dc3.corp.test
        admin_server = dc1.corp.test
    }
    B.TEST = {
        kdc = 127.0.0.2
    }

[domain_realm]
    .corp.test = CORP.TEST
    corp.test = CORP.TEST
    .lab.corp.test = B.TEST
    app.lab.corp.test = CORP.TEST
`

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(path, []byte(testKrb5Conf), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		DefaultRealm: "CORP.TEST", LookupKDC: true, ClockSkew: 2 * time.Minute, TicketLifetime: 8 * time.Hour, UDPLimit: -1,
		ETypes: []string{"aes256-cts-hmac-sha1-96", "aes128-cts"},
		Realms: map[string]Realm{
			"CORP.TEST": {KDCs: []string{"dc1.corp.test:88", "dc2.corp.test:1088", "tcp/dc3.corp.test:88"}},
			"B.TEST":    {KDCs: []string{"127.0.0.2:88"}},
		},
		DomainRealm: map[string]string{
			".corp.test": "CORP.TEST", "corp.test": "CORP.TEST", ".lab.corp.test": "B.TEST", "app.lab.corp.test": "CORP.TEST",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for host, realm := range map[string]string{
		"app.corp.test": "CORP.TEST", "corp.test": "CORP.TEST", "x.lab.corp.test": "B.TEST", "app.LAB.corp.test.": "CORP.TEST",
		"notcorp.test": "", "elsewhere.test": "",
	} {
		if got := got.realmOfHost(host); got != realm {
			t.Errorf("%s is in %q, want %q", host, got, realm)
		}
	}
	if _, err := LoadConfig(path + ".absent"); err == nil {
		t.Error("read a file that is not there")
	}
	if _, err := LoadConfig(t.TempDir()); err == nil {
		t.Error("read a directory")
	}
}

func TestParseConfigRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, says string }{
		"include":           {"includedir /etc/krb5.conf.d/\n[libdefaults]\n", "line 1: includedir is not supported"},
		"module":            {"[libdefaults]\nmodule x:y\n", "line 2: module is not supported"},
		"only weak types":   {"[libdefaults]\n permitted_enctypes = des3-cbc-sha1 rc4-hmac\n", "no AES"},
		"junk":              {"[libdefaults]\n default_realm\n", "krb5.conf line 2: want name = value"},
		"two words":         {"[libdefaults]\n default realm = X\n", "krb5.conf line 2: want name = value"},
		"junk first":        {"# c\n\nkdc = x\n[libdefaults]\n", "krb5.conf line 3: outside of a section"},
		"junk anywhere":     {"[logging]\n a = b\n <html>\n", "krb5.conf line 3: want name"},
		"open section":      {"[libdefaults\n default_realm = X\n", "krb5.conf line 1: want a section"},
		"text after":        {"[libdefaults] x\n", "krb5.conf line 1: want a section"},
		"no section name":   {"[]\n", "krb5.conf line 1: want a section"},
		"open brace":        {"[realms]\n A = {\n kdc = x\n", "the { of line 2 is not closed"},
		"section in braces": {"[realms]\n A = {\n[libdefaults]\n", "line 3: a section begins before the { of line 2"},
		"closed twice":      {"[realms]\n A = {\n kdc = x\n }\n }\n", "krb5.conf line 5: a } that"},
		"long line":         {"[realms]\n A = " + strings.Repeat("x", 70_000) + "\n", "krb5.conf line 2: longer than"},
		"capaths flat":      {"[capaths]\n A = B\n", `capaths: line "A = B"`},
		"capaths too deep":  {"[capaths]\n A = {\n B = {\n C = D\n }\n }\n", "capaths: line"},
		"capaths too long":  {"[capaths]\n A = {\n B = " + strings.Repeat("C ", maxHops) + "\n }\n", "more than 7 realms"},
		"braces on a line":  {"[realms]\n A = { kdc = x }\n", "krb5.conf line 2: want nothing else"},
	} {
		if _, err := ParseConfig(tc.text); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCAPaths(t *testing.T) {
	t.Parallel()
	c, err := ParseConfig(`[capaths]
 A.TEST = {
  B.TEST = .
  C.TEST = B.TEST # over B
  D.TEST = B.TEST
  D.TEST = C.TEST
 }
 B.TEST = {
  D.TEST = C.TEST X.TEST
 }
[domain_realm]
 .c.test = C.TEST
[capaths]
 A.TEST = {
  E.TEST = B.TEST
 }
`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string][]string{
		"A.TEST": {"C.TEST": {"B.TEST"}, "D.TEST": {"B.TEST", "C.TEST"}, "E.TEST": {"B.TEST"}},
		"B.TEST": {"D.TEST": {"C.TEST", "X.TEST"}},
	}
	if !reflect.DeepEqual(c.CAPaths, want) {
		t.Errorf("got %v, want %v", c.CAPaths, want)
	}
	if got := c.path("a.test", "d.test"); !reflect.DeepEqual(got, []string{"B.TEST", "C.TEST"}) {
		t.Errorf("path %v", got)
	}
	if got := c.path("C.TEST", "A.TEST"); got != nil {
		t.Errorf("path %v where none is configured", got)
	}
	if c.DomainRealm[".c.test"] != "C.TEST" {
		t.Errorf("the section after capaths is lost: %v", c.DomainRealm)
	}
}

// A stock file of Fedora or of sssd includes directories, on top of its own
// sections, which name the same things again.
func TestLoadConfigIncludes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := filepath.Join(dir, "krb5.conf.d")
	if err := os.Mkdir(d, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := write("one", "[domain_realm]\n.b.test = B.TEST\n")
	write("krb5.conf.d/crypto-policies", "[libdefaults]\npermitted_enctypes = aes128-cts\n")
	write("krb5.conf.d/site.conf", "include "+one+"\n[realms]\n CORP.TEST = {\n  kdc = dc0.corp.test\n }\n[plugins]\n localauth = {\n  module = sssd:/usr/lib/x.so\n }\n")
	write("krb5.conf.d/site.conf.rpmsave", "garbage")
	write("krb5.conf.d/.hidden.conf", "garbage")
	path := write("krb5.conf", "includedir "+d+"/\n"+testKrb5Conf)
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.ETypes, []string{"aes128-cts"}) || c.DefaultRealm != "CORP.TEST" || c.DomainRealm[".b.test"] != "B.TEST" ||
		c.DomainRealm[".corp.test"] != "CORP.TEST" || len(c.Realms) != 2 ||
		!reflect.DeepEqual(c.Realms["CORP.TEST"].KDCs, []string{"dc0.corp.test:88", "dc1.corp.test:88", "dc2.corp.test:1088", "tcp/dc3.corp.test:88"}) {
		t.Errorf("got %+v", c)
	}

	loop := filepath.Join(dir, "loop")
	write("loop", "include "+loop+"\n")
	many := strings.Repeat("include "+one+"\n", maxConfigFiles+1)
	big := write("big", "#"+strings.Repeat("x", maxConfigSize/2)+"\n")
	for name, tc := range map[string]struct{ text, says string }{
		"itself":      {"include " + loop, "more than 5 deep"},
		"many":        {many, "more than 100 files"},
		"large":       {strings.Repeat("include "+big+"\n", 3), "bytes"},
		"relative":    {"[libdefaults]\ninclude one", "line 2: include one: want an absolute path"},
		"absent":      {"include " + one + "x", "line 1: "},
		"absent dir":  {"includedir " + d + "x", "line 1: "},
		"not a file":  {"include " + d, "not a file"},
		"junk inside": {"\ninclude " + write("junk", "[libdefaults]\n?\n"), "/junk line 2: want name = value"},
	} {
		if _, err := LoadConfig(write("tried", tc.text)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}

func TestParseConfigDefaultsHaveNoRC4(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[libdefaults]\nallow_weak_crypto = true\n", "[libdefaults]\npermitted_enctypes = aes rc4\n"} {
		c, err := ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		etypes, err := c.etypes()
		if err != nil || len(etypes) != len(defaultETypes) {
			t.Errorf("%q: %v, %v", text, etypes, err)
		}
	}
}

func TestConfigETypes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  Config
		want []krb5.EType // nil: refused
	}{
		"zero":              {Config{}, defaultETypes},
		"listed":            {Config{ETypes: []string{"AES128-CTS", "aes128-sha1"}}, []krb5.EType{krb5.AES128SHA1}},
		"RC4 not allowed":   {Config{ETypes: []string{"aes256-cts", "rc4-hmac"}}, nil},
		"RC4 allowed":       {Config{ETypes: []string{"aes256-cts"}, AllowRC4: true}, []krb5.EType{krb5.AES256SHA1, krb5.RC4HMAC}},
		"DES":               {Config{ETypes: []string{"des-cbc-md5"}}, nil},
		"empty list":        {Config{ETypes: []string{}}, nil},
		"nothing but typos": {Config{ETypes: []string{"aes265-cts"}}, nil},
	} {
		got, err := tc.cfg.etypes()
		if !reflect.DeepEqual(got, tc.want) || (err == nil) != (tc.want != nil) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestParsePrincipal(t *testing.T) {
	t.Parallel()
	cfg := Config{DefaultRealm: "CORP.TEST", Realms: map[string]Realm{"CORP.TEST": {}, "B.TEST": {}}}
	for in, want := range map[string]string{
		"alice":                     "1 alice CORP.TEST",
		"alice@B.TEST":              "1 alice B.TEST",
		"alice@b.test":              "1 alice B.TEST",
		"alice@example.com":         "10 alice@example.com CORP.TEST",
		"alice@example.com@B.TEST":  "10 alice@example.com B.TEST",
		"HTTP/app.corp.test@B.TEST": "1 HTTP/app.corp.test B.TEST",
		"GW01$":                     "1 GW01$ CORP.TEST",
		`CORP\alice`:                "",
		"":                          "",
		"@B.TEST":                   "",
		"al\x00ice":                 "",
	} {
		name, realm, err := cfg.parsePrincipal(in)
		got := ""
		if err == nil {
			got = strings.Join([]string{map[krb5.NameType]string{1: "1", 10: "10"}[name.Type], name.String(), realm}, " ")
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	if _, _, err := (&Config{}).parsePrincipal("alice"); err == nil || !strings.Contains(err.Error(), "no realm") {
		t.Errorf("no default: %v", err)
	}
	if _, realm, err := (&Config{}).parsePrincipal("alice@corp.test"); err != nil || realm != "CORP.TEST" {
		t.Errorf("nothing configured: %q, %v", realm, err)
	}
}

func TestParseSPN(t *testing.T) {
	t.Parallel()
	cfg := Config{DomainRealm: map[string]string{".b.test": "B.TEST", "::1": "SIX.TEST"}}
	for in, want := range map[string]string{
		"HTTP/app.corp.test":       "HTTP/app.corp.test ",
		"HTTP/app.b.test":          "HTTP/app.b.test B.TEST",
		"HTTP/app.b.test:8080":     "HTTP/app.b.test:8080 B.TEST",
		"HTTP/app.b.test@OTHER":    "HTTP/app.b.test OTHER",
		"ldap/dc.b.test/corp.test": "ldap/dc.b.test/corp.test B.TEST",
		"HTTP/[::1]:80":            "HTTP/[::1]:80 SIX.TEST",
		"app.corp.test":            "",
		"HTTP/":                    "",
		"/host":                    "",
		"HTTP/host name":           "",
		"HTTP/host\x00.evil.test":  "",
		"HTTP/a@B@C":               "HTTP/a B@C",
	} {
		name, realm, err := cfg.parseSPN(in)
		got := ""
		if err == nil {
			got = name.String() + " " + realm
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(testKrb5Conf)
	f.Add("[realms]\nA={\nkdc=x*\n}\n[domain_realm]\n.a=b\n")
	f.Add("[libdefaults]\nticket_lifetime=1d2h\nclockskew=-1\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig(text)
		if (c == nil) == (err == nil) {
			t.Errorf("%v, %v", c, err)
		}
	})
}
