package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// contract is the configuration that the design promises.
const contract = `
listen:
  - {addr: ":443", tls: {cert: gw.pem, key: gw.key}}
admin: {addr: "127.0.0.1:9180"}
store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: [dc1.corp.test], keytab: app.keytab}
    ntlm: {verifier: netlogon, computer: GW01$, secret: {file: gw01.secret}}
    ad: {url: "ldaps://dc1.corp.test", default_domain: CORP, sync: {at: "04:15"}}
  staff: {internal: {ntlm: true}, create_users: false}
  partners: {oidc: {issuer: "https://id.example", client_id: gw, client_secret: {env: OIDC_SECRET}}}
  old: {ldap: {url: ["ldaps://a.example/dc=example,dc=com", "ldap://b.example:1389/dc=example,dc=com"], filter: "(uid={user})"}}
roles:
  payroll: {groups: ['CORP\Payroll', "S-1-5-21-1-2-3-513"]}
defaults: {login: [corp/negotiate, corp/ntlm], channel_binding: supported}
services:
  hr:
    match: {host: hr.corp.test, path: /hr/}
    login: [corp/negotiate, corp/ntlm, staff/basic]
    not_negotiate: {networks: [10.9.0.0/16], user_agents: ["*Trident*"]}
    wsdl: hr.wsdl
    allow: [{operation: "{urn:hr}Pay*", roles: [payroll]}, {operation: "*", roles: [any]}]
    upstream: {url: "http://127.0.0.1:8080", identity: {header: X-Remote-User, jwt: {header: X-Identity, key: {file: id.key}}}}
  api: {match: {path: /api/}, login: [custom], custom: {call: "http://127.0.0.1:7000/auth", timeout: 2s}, upstream: {url: "http://127.0.0.1:8081"}}
upstreams:
  sharepoint: {listen: "127.0.0.1:9300", url: "https://sharepoint.corp.test", act_as: [caller, service], on_double_hop: fault,
               service: {principal: svc-gw@CORP.TEST, keytab: svc.keytab}}
sessions: {idle: 1h30m}
throttle: {user: [{failures: 5, block: 1d}]}
`

func TestContract(t *testing.T) {
	t.Parallel()
	c, err := Parse("/etc/soapward/soapward.yaml", []byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	corp, hr := c.Realms["corp"], c.Services["hr"]
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"certificate", c.Listen[0].TLS.Cert, Path("/etc/soapward/gw.pem")},
		{"store", c.Store.DSN, "/var/lib/soapward/soapward.db"},
		{"keep logins", c.Store.KeepLogins.Std(), 90 * 24 * time.Hour},
		{"kdc", corp.Kerberos.KDC, []string{"dc1.corp.test"}},
		{"secret", corp.NTLM.Secret, Secret{File: "/etc/soapward/gw01.secret"}},
		{"controller", corp.AD.URL[0].Server(), "ldaps://dc1.corp.test"},
		{"groups", corp.AD.Groups, GroupsAuto},
		{"sync", corp.AD.Sync.At, TimeOfDay{4, 15}},
		{"create", corp.CreateUsers, true},
		{"create not", c.Realms["staff"].CreateUsers, false},
		{"claim", c.Realms["partners"].OIDC.UsernameClaim, "email"},
		{"ldap base", c.Realms["old"].LDAP.Base, "dc=example,dc=com"},
		{"ldap server", c.Realms["old"].LDAP.URL[1].Server(), "ldap://b.example:1389"},
		{"style", c.Realms["old"].LDAP.Style, StyleStandard},
		{"roles", c.Roles["payroll"].Groups, []string{`CORP\Payroll`, "S-1-5-21-1-2-3-513"}},
		{"login", fmt.Sprint(hr.Login), "[corp/negotiate corp/ntlm staff/basic]"},
		{"inherited", c.Services["api"].ChannelBinding, Binding("")},
		{"custom", c.Services["api"].Login[0], Login{Method: Custom}},
		{"network", hr.NotNegotiate.Networks[0].String(), "10.9.0.0/16"},
		{"rule", hr.Allow[0].Operation, "{urn:hr}Pay*"},
		{"key", hr.Upstream.Identity.JWT.Key.File, Path("/etc/soapward/id.key")},
		{"act as", c.Upstreams["sharepoint"].ActAs, []ActAs{AsCaller, AsService}},
		{"idle", c.Sessions.Idle.Std(), 90 * time.Minute},
		{"absolute", c.Sessions.Absolute.Std(), 12 * time.Hour},
		{"remember", c.Sessions.Remember.Std(), 10 * 24 * time.Hour},
		{"throttle", c.Throttle.User, []ThrottleRule{{5, Duration(24 * time.Hour)}}},
		{"throttle address", c.Throttle.Address[1], ThrottleRule{50, Duration(time.Hour)}},
		{"passwords", c.Passwords, Passwords{12, 19 << 10, 2}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	const listen = "listen: [{addr: \":80\"}]\n"
	const staff = "realms: {staff: {internal: {}}}\n"
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "lstien: []\nstore: {}", `c.yaml:1:1: unknown key "lstien": did you mean "listen"?`},
		{"unknown key below", "listen:\n  - adr: \":80\"\n", `c.yaml:2:5: unknown key "adr" in listen[0]: did you mean "addr"?`},
		{"unknown key, like none", "listen: [{colour: red}]", `c.yaml:1:11: unknown key "colour" in listen[0]: want one of addr, proxy_protocol, tls`},
		{"in a table", "realms: {corp: {kerberoz: {}}}", `unknown key "kerberoz" in realms.corp: did you mean "kerberos"?`},
		{"inherited key", "services: {a: {alow: []}}", `unknown key "alow" in services.a: did you mean "allow"?`},
		{"twice", "store: {}\nstore: {}", `c.yaml:2:1: key "store" is there twice, first in line 1`},
		{"no value", "store:\n", `c.yaml:1:1: store has no value`},
		{"list for table", "store: []", `c.yaml:1:8: store is a list: want a table of keys`},
		{"text for list", "listen: \":80\"", `c.yaml:1:9: listen is ":80": want a list`},
		{"table for text", "store: {dsn: {}}", `store.dsn is a table of keys: want text`},
		{"empty list", listen + "services: {a: {match: {path: /}, login: [none], allow: []}}", `c.yaml:2:56: services.a.allow is an empty list: give it something, or leave the line out`},
		{"bool", "sessions: {allow_insecure_http: yes}", `is "yes": want true or false`},
		{"number", "passwords: {min_length: -1}", `is "-1": want a whole number`},
		{"number, too large", "passwords: {min_length: 99999999999999999999}", `want a whole number`},
		{"range", "passwords: {min_length: 4}", `c.yaml:1:25: passwords.min_length is 4: want 8 to 128`},
		{"duration", "sessions: {idle: 20}", `sessions.idle is "20": want a time such as`},
		{"duration, negative", "sessions: {idle: -20m}", `want a time such as`},
		{"durations", "sessions: {idle: 13h}", `sessions.idle is longer than sessions.absolute`},
		{"time of day", "realms: {a: {ad: {domain: x.y, sync: {at: 3am}}}}", `realms.a.ad.sync.at is "3am": want a time of day such as "03:30"`},
		{"network", "trusted_proxies: [10.0.0.1/8]", `want the network "10.0.0.0/8"`},
		{"network, no number", "trusted_proxies: [office]", `trusted_proxies[0] is "office": want a network`},
		{"address", "listen: [{addr: \"80\"}]", `listen[0].addr is "80": want an address to listen at`},
		{"address twice", listen + "admin: {addr: \":80\"}", `admin listens at :80, as listen[0] does`},
		{"address missing", "admin: {}", `addr is missing in admin`},
		{"unix", "listen: [{addr: \"unix:\"}]", `listen[0].addr is "unix:": want an address`},
		{"unix, long", "listen: [{addr: \"unix:/" + strings.Repeat("x", 103) + "\"}]", `longer than 103 bytes`},
		{"unix twice", "listen: [{addr: \"unix:/a\"}, {addr: \"unix:/a\"}]", `listen[1] listens at unix:/a, as listen[0] does`},
		{"systemd", "listen: [{addr: \"systemd:a/b\"}]", `"a/b" is no name of a socket`},
		{"tls more", "listen: [{addr: \":1\", tls: {cert: a, key: b, more: [{cert: c}]}}]", `listen[0].tls.more[0]: want both cert and key`},
		{"proxy protocol of everybody", "listen: [{addr: \":1\", proxy_protocol: [0.0.0.0/0]}]", `listen[0].proxy_protocol[0] is everybody`},
		{"proxy protocol at a file", "listen: [{addr: \"unix:/a\", proxy_protocol: [10.0.0.0/8]}]", `proxy_protocol is for TCP`},
		{"level", "log: {level: warning}", `log.level: "warning" is not known: want one of debug, info, warn, error`},
		{"include of a text", "include: [a.yaml]", `a text that is not a file includes none`},
		{"include as text", "include: a.yaml", `include is "a.yaml": want a list`},
		{"tls", "listen: [{addr: \":1\", tls: {cert: a}}]", `listen[0].tls: want both cert and key`},
		{"choice", "store: {driver: postgress, dsn: x}", `"postgress" is not known: want one of sqlite, postgres: did you mean "postgres"?`},
		{"url", "realms: {a: {oidc: {issuer: id.example}}}", `issuer is "id.example": want a URL that begins with http:// or https://`},
		{"url, plain", "realms: {a: {oidc: {issuer: \"http://id.example\", client_id: x}}}", `issuer: want https`},
		{"url, plain, of a name like an address", "realms: {a: {oidc: {issuer: \"http://127.0.0.1.id.example\", client_id: x}}}", `issuer: want https`},
		{"proxy of a provider", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, proxy: \"proxy:3128\"}}}", `realms.a.oidc.proxy is "proxy:3128": want a URL that begins with http:// or https://`},
		{"proxy of a provider on this machine", "realms: {a: {oidc: {issuer: \"http://127.0.0.1:8080\", client_id: x, proxy: \"http://proxy:3128\"}}}", `realms.a.oidc.proxy: want an issuer at https`},
		{"proxy of a provider, with a login", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, proxy: \"http://u:p@proxy:3128\"}}}", `realms.a.oidc.proxy: a login at the proxy is not possible here`},
		{"proxy of a provider, with a path", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, proxy: \"http://proxy:3128/proxy.pac\"}}}", `want a proxy such as http://proxy.corp.test:3128`},
		{"proxy of a provider, socks", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, proxy: \"socks5://proxy:1080\"}}}", `want a URL that begins with http:// or https://`},
		{"proxy of a provider, a list", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, proxy: []}}}", `realms.a.oidc.proxy is a list`},
		{"title", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, title: \"" + strings.Repeat("ü", 65) + "\"}}}", `realms.a.oidc.title: want up to 64 characters that can be seen`},
		{"title with a line end", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, title: \"Con\\ntoso\"}}}", `want up to 64 characters`},
		{"title written backwards", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, title: \"\\u202eosotnoC\"}}}", `want up to 64 characters`},
		{"title of space", "realms: {a: {oidc: {issuer: \"https://i.example\", client_id: x, title: \" \"}}}", `want up to 64 characters`},
		{"url of a server", "realms: {a: {ad: {url: \"http://dc\"}}}", `want a URL that begins with ldaps:// or ldap://`},
		{"empty", "", `c.yaml: the file is empty`},
		{"comment only", "# nothing", `the file is empty`},
		{"scalar", "hello", `the configuration is "hello": want a table of keys`},
		{"syntax", "store: {\n\n", `c.yaml:`},
		{"tab", "store:\n\tdriver: x", `c.yaml:2:1: yaml: found character that cannot start any token`},
		{"two documents", "store: {}\n---\nstore: {}", `a second document begins here`},
		{"merge", "a: &a {}\nstore:\n  <<: *a", `merge keys (<<) are not taken`},
		{"key no text", "[a]: b", `a key is not text`},
		{"name", "realms: {'a/b': {internal: {}}}", `name "a/b" in realms: want letters`},
		{"binary", "store: {dsn: !!binary aGFsbG8=}", `store.dsn is "aGFsbG8=": want text`},
		{"empty text", "store: {dsn: \"\"}", `store.dsn is empty`},

		{"no listener", staff + "services: {a: {match: {path: /}, login: [none], upstream: {url: \"http://x\"}}}", `listen is missing`},
		{"half a store", "store: {driver: sqlite}", `store: want both driver and dsn`},
		{"realm of nothing", "realms: {a: {}}", `realms.a says of no way to prove a login`},
		{"two directories", "realms: {a: {ad: {domain: x.y}, ldap: {url: \"ldaps://h/dc=x\"}}}", `has both ad and ldap`},
		{"alias", "realms: {a: {internal: {}, aliases: [b]}, b: {internal: {}}}", `"b" is a realm of its own`},
		{"kerberos", "realms: {a: {kerberos: {realm: X}}}", `want realm and keytab`},
		{"netlogon", "realms: {a: {ntlm: {verifier: netlogon}}}", `soapward join`},
		{"ad", "realms: {a: {ad: {}}}", `want url, or domain`},
		{"ad base", "realms: {a: {ad: {url: \"ldaps://h/dc=x\"}}}", `write it as base`},
		{"ad sealed", "realms: {a: {ad: {url: \"ldaps://h\", sealed: true}}}", `sealed is for ldap://`},
		{"ad domain", "realms: {a: {ad: {url: \"ldaps://h\", default_domain: corp.test}}}", `want the short name`},
		{"bind", "realms: {a: {ad: {url: \"ldaps://h\", bind_user: x}}}", `want both bind_user and bind_password`},
		{"ldap", "realms: {a: {ldap: {}}}", `realms.a.ldap.url is missing`},
		{"ldap base", "realms: {a: {ldap: {url: \"ldaps://h\"}}}", `want a base DN`},
		{"ldap bases", "realms: {a: {ldap: {url: \"ldaps://h/dc=a\", base: dc=b}}}", `another than that of the url`},
		{"ldap filter", "realms: {a: {ldap: {url: \"ldaps://h/dc=a\", filter: (uid=x)}}}", `want {user} in it`},
		{"ldap filter, bare", "realms: {a: {ldap: {url: \"ldaps://h/dc=a\", filter: \"uid={user}\"}}}", `want parentheses`},
		{"ldap plain", "realms: {a: {ldap: {url: \"ldaps://h/dc=a\", allow_insecure_plain: true}}}", `has TLS`},
		{"login", "defaults: {login: [corp]}", `defaults.login[0] is "corp": want REALM/METHOD`},
		{"login method", staff + "defaults: {login: [staff/basik]}", `login method "basik" is not known: want one of negotiate, ntlm, basic, form, oidc: did you mean "basic"?`},
		{"login realm", staff + "defaults: {login: [stuff/basic]}", `there is no realm "stuff": did you mean "staff"?`},
		{"login cannot", staff + "defaults: {login: [staff/ntlm]}", `staff/ntlm wants ntlm, or internal: {ntlm: true} in realms.staff`},
		{"login twice", staff + "defaults: {login: [staff/form, staff/form]}", `staff/form is there twice`},
		{"none with others", staff + "defaults: {login: [none, staff/form]}", `none stands alone`},
		{"custom", listen + "services: {a: {match: {path: /}, login: [custom], upstream: {url: \"http://x\"}}}", `custom wants a custom section`},
		{"inherited custom", listen + "defaults: {login: [custom]}\nservices: {a: {match: {path: /}, upstream: {url: \"http://x\"}}}", `c.yaml:3:15: services.a: custom, which defaults.login has, wants`},
		{"service login", listen + "services: {a: {match: {path: /}, upstream: {url: \"http://x\"}}}", `want login, here or in defaults`},
		{"service upstream", listen + "services: {a: {match: {path: /}, login: [none]}}", `want upstream: {url: URL}`},
		{"service match", listen + "services: {a: {login: [none], upstream: {url: \"http://x\"}}}", `want match:`},
		{"service path", listen + "services: {a: {match: {path: hr}, login: [none], upstream: {url: \"http://x\"}}}", `want a path that begins with /`},
		{"role", "defaults: {allow: [{operation: \"*\", roles: [payrol]}]}\nroles: {payroll: {}}", `there is no role "payrol": did you mean "payroll"?`},
		{"rule", "defaults: {allow: [{roles: [any]}]}", `want one of operation and path`},
		{"rule, method", "defaults: {allow: [{path: /, roles: [any], methods: [get]}]}", `want a method of HTTP in capitals`},
		{"act as", "upstreams: {s: {listen: \":1\", url: \"https://s\", act_as: [service]}}", `service wants an account: upstreams.s.service`},
		{"double hop", "upstreams: {s: {listen: \":1\", url: \"https://s\", act_as: [caller], on_double_hop: next}}", `next wants another in act_as`},
		{"account", "upstreams: {s: {listen: \":1\", url: \"https://s\", act_as: [fixed], fixed: {user: x}}}", `one of keytab and password`},
		{"AD without its short name", "realms: {x: {ad: {domain: corp.test}}}", `realms.x.ad: the daily job does not know whose users it is for: want default_domain, the short name, such as CORP, or domains; or sync: {disabled: true}`},
		{"throttle counts too far", "throttle: {address: [{failures: 300, block: 1m}]}", `throttle.address[0].failures is 300: want at most 256`},
		{"throttle", "throttle: {user: [{failures: 6, block: 1m}, {failures: 3, block: 1m}]}", `throttle.user[1].failures is 3: want more than in the rule before, 6`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("c.yaml", []byte(tt.text))
			var all *Errors
			if c != nil || !errors.As(err, &all) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error\n%v\nwant\n%s", err, tt.want)
			}
			for _, e := range all.List {
				if tt.text != "" && e.Line == 0 && tt.name != "comment only" && tt.name != "no listener" {
					t.Errorf("no position: %v", e)
				}
			}
		})
	}
}

// All that is wrong is told, in the order of the text, up to twenty.
func TestSeveralErrors(t *testing.T) {
	t.Parallel()
	_, err := Parse("c.yaml", []byte("stor: {}\nlisten: 5\nsessions: {idle: x, remember: y}\n"))
	var all *Errors
	if !errors.As(err, &all) || len(all.List) != 4 || all.List[0].Line != 1 || all.List[2].Column != 18 || all.List[3].Column != 31 {
		t.Errorf("errors:\n%v", err)
	}
	var one *Error
	if !errors.As(err, &one) || one.File != "c.yaml" {
		t.Errorf("no *Error in %v", err)
	}
	_, err = Parse("c.yaml", []byte("listen: ["+strings.Repeat("{x: 1}, ", 300)+"]"))
	if !errors.As(err, &all) || len(all.List) != maxErrors || all.More != 280 || !strings.HasSuffix(err.Error(), "and 280 more") {
		t.Errorf("%d errors, %d more", len(all.List), all.More)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	c, err := Parse("c.yaml", []byte(`
realms: {staff: {internal: {}}}
defaults: {login: &both [staff/form, staff/basic]}
listen: [{addr: ":80"}]
services: {a: {match: {path: /}, login: *both, upstream: {url: "http://x"}}}
`))
	if err != nil || len(c.Services["a"].Login) != 2 {
		t.Errorf("%v, %v", c, err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "soapward.yaml")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	write("soapward.yaml", "realms:\n  a:\n    ntlm: {verifier: netlogon, computer: GW$,\n      secret: {file: gw.secret}}\n", 0o644)
	_, err := Load(path)
	if err == nil || !strings.HasPrefix(err.Error(), path+":4:15: ") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without the secret: %v", err)
	}
	write("gw.secret", "hunter2\n", 0o640)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Realms["a"].NTLM.Secret.Read(); err != nil || s.Reveal() != "hunter2" {
		t.Errorf("secret %q, %v", s.Reveal(), err)
	}
	for _, tt := range []struct{ text, want string }{
		{"", "want one line"}, {"a\nb\n", "want one line"}, {strings.Repeat("x", maxSecret+1), "larger than"},
	} {
		write("gw.secret", tt.text, 0o600)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("secret of %d bytes: %v", len(tt.text), err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory is a configuration")
	}
	if _, err := (Secret{}).Read(); err == nil {
		t.Error("no secret has been read")
	}
}

func TestSecretFromEnvironment(t *testing.T) {
	t.Setenv("SOAPWARD_TEST_SECRET", "hunter2") // not parallel: an environment is of the process
	if s, err := (Secret{Env: "SOAPWARD_TEST_SECRET"}).Read(); err != nil || s.Reveal() != "hunter2" {
		t.Errorf("%q, %v", s.Reveal(), err)
	}
	t.Setenv("SOAPWARD_TEST_SECRET", "")
	if _, err := (Secret{Env: "SOAPWARD_TEST_SECRET"}).Read(); err == nil {
		t.Error("an empty variable is a secret")
	}
}
