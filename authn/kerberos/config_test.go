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
		"include":         {"includedir /etc/krb5.conf.d/\n[libdefaults]\n", "includedir is not supported"},
		"only weak types": {"[libdefaults]\n permitted_enctypes = des3-cbc-sha1 rc4-hmac\n", "no AES"},
		"junk":            {"[libdefaults]\n default_realm\n", "krb5.conf"},
		"open brace":      {"[realms]\n A = {\n kdc = x\n }\n }\n", "krb5.conf"},
	} {
		if _, err := ParseConfig(tc.text); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
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
