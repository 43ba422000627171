package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	const realms = `
realms:
  corp: {kerberos: {realm: CORP.TEST, keytab: k}, ntlm: {verifier: winbind}}
  krb: {kerberos: {realm: CORP.TEST, keytab: k}}
  staff: {internal: {}}
roles: {payroll: {groups: ["S-1-5-21-1-2-3-513"]}}
`
	hash := strings.Repeat("ab", 32)
	const backend = `upstream: {url: "http://127.0.0.1:1"}`
	for _, tt := range []struct {
		name, text string
		want       []string // "key: part of the text"; empty: none
	}{
		{"all well", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
admin: {addr: "127.0.0.1:9180"}
services: {hr: {match: {path: /}, login: [corp/negotiate, staff/basic], channel_binding: required, ` + backend + `}}`, nil},
		{"plain Basic and form", `listen: [{addr: ":80"}, {addr: "127.0.0.1:81"}]
defaults: {login: [staff/basic, staff/form]}
services: {hr: {match: {path: /}, ` + backend + `, elements: [{path: /a, login: [staff/basic]}, {path: /b}]}}`, []string{
			"services.hr.login: Basic sends passwords, which are not taken over plain HTTP: nobody logs in so at :80",
			"services.hr.login: the login form sends passwords, which are not taken",
			"services.hr.elements[0].login: Basic sends passwords",
		}},
		{"plain Basic, allowed", `listen: [{addr: ":80"}, {addr: "unix:/run/s"}]
sessions: {allow_insecure_http: true}
services: {hr: {match: {path: /}, login: [staff/basic], ` + backend + `}}`, []string{
			"sessions.allow_insecure_http: ", "services.hr.login: Basic sends passwords, and :80 is plain HTTP",
		}},
		{"plain Basic, TLS in front", `listen: [{addr: ":80"}]
trusted_proxies: [10.0.0.1]
sessions: {tls_at_proxy: true}
services: {hr: {match: {path: /}, login: [staff/basic], ` + backend + `}}`, nil},
		{"channel binding without TLS", `listen: [{addr: ":80"}]
services: {hr: {match: {path: /}, login: [corp/ntlm], channel_binding: required, ` + backend + `}}`, []string{"services.hr.channel_binding: it is required, and cannot be met at :80"}},
		{"behind a proxy", `listen: [{addr: "127.0.0.1:80"}]
trusted_proxies: [10.0.0.1]
store: {driver: sqlite, dsn: s.db}
services: {hr: {match: {path: /}, login: [corp/negotiate, corp/ntlm, krb/negotiate], ` + backend + `}}`, []string{
			"store: sqlite is for one gateway", "services.hr.login: NTLM, also within Negotiate",
		}},
		{"behind a proxy, with sessions", `listen: [{addr: "127.0.0.1:80"}]
trusted_proxies: [10.0.0.1]
defaults: {session: true}
services: {hr: {match: {path: /}, login: [corp/ntlm], ` + backend + `, elements: [{path: /a, login: [corp/ntlm], session: false}, {path: /b, login: [corp/ntlm], allow_forwarded: true}]}}`, []string{
			"services.hr.elements[1].allow_forwarded: NTLM is taken from connections that proxies forward on",
			"services.hr.elements[0].login: NTLM, also within Negotiate",
		}},
		{"everybody is a proxy", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
trusted_proxies: ["::/0"]
services: {hr: {match: {path: /}, login: [krb/negotiate], ` + backend + `}}`, []string{"trusted_proxies[0]: everybody is trusted"}},
		{"no login", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [none], allow: [{path: /a, roles: [payroll, any]}, {path: /, roles: [anonymous]}], upstream: {url: "http://127.0.0.1:1", identity: {header: X-User}}}}`, []string{
			"services.hr.login: none: everybody who reaches the gateway may call it",
			"services.hr.upstream.identity: with login: [none] nobody is known",
			"services.hr.allow[0]: with login: [none] nobody has the roles payroll, any",
		}},
		{"no login, in a network", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [none], networks: [10.0.0.0/8], ` + backend + `}}`, nil},
		{"no login for a part", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [krb/negotiate], elements: [{path: /a, login: [none]}], ` + backend + `}}`, []string{
			"services.hr.elements[0].login: none: everybody who reaches the gateway may call it",
		}},
		{"all networks", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [krb/negotiate], networks: [0.0.0.0/0], ` + backend + `}}`, []string{"services.hr.networks[0]: 0.0.0.0/0 is everybody"}},
		{"header to a server elsewhere", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [krb/negotiate], upstream: {url: "http://10.0.0.7:8080", identity: {header: X-User}}}}`, []string{
			"services.hr.upstream.identity: whoever reaches 10.0.0.7:8080 past the gateway can write X-User himself",
		}},
		{"two of a kind", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services:
  a: {match: {host: A.test}, login: [krb/negotiate], ` + backend + `}
  b: {match: {host: a.test}, login: [krb/negotiate], ` + backend + `}`, []string{"services.b.match: it is that of services.a"}},
		{"weakened", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
sessions: {allow_insecure_http: true}`, []string{"sessions.allow_insecure_http: cookies and passwords go over plain HTTP"}},
		{"credentials for the server", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {hr: {match: {path: /}, login: [krb/negotiate], upstream: {url: "https://127.0.0.1:1", keep_authorization: true, tls: {insecure_skip_verify: true}}}}`, []string{
			"services.hr.upstream.tls.insecure_skip_verify: any certificate is taken",
			"services.hr.upstream.keep_authorization: the server behind gets the callers' credentials",
		}},
		{"administrators", `admin: {addr: ":9180"}`, []string{"admin: it is reached from other machines at :9180"}},
		{"what nothing uses", `listen: [{addr: ":443", tls: {cert: c, key: k}}]
defaults: {login: [krb/negotiate]}
services:
  a: {match: {path: /a}, custom: {api_keys: [{name: x, hash: ` + hash + `}]}, ` + backend + `}
  b: {match: {path: /b}, custom: {api_keys: [{name: x, hash: ` + hash + `}]}, elements: [{path: /b/x, login: [custom]}], ` + backend + `}
upstreams:
  a: {listen: "127.0.0.1:1", url: "http://s.test", act_as: [fixed], fixed: &a {user: u, password: {env: P}}, service: *a, delegation: &k {principal: p@R, keytab: k}, methods: [password], names: [n.test], login: [krb/negotiate]}
  b: {listen: "127.0.0.1:2", url: "http://s.test", act_as: [caller, service], on_double_hop: next, service: *k, allow_ntlm: true, allow_basic: true, fixed: *a, protocol_transition: true, methods: [transition], names: [n.test]}
  c: {listen: "127.0.0.1:3", url: "http://s.test", act_as: [caller], service: *k}
  d: {listen: "127.0.0.1:4", url: "http://s.test", act_as: [service], service: {principal: p@R, password: {env: P}}, allow_ntlm: true}`, []string{
			"upstreams.b.allow_ntlm: accounts log in by NTLM", "upstreams.b.allow_basic: accounts send",
			"upstreams.d.allow_ntlm: accounts log in by NTLM",
			"services.a.custom: neither login nor a part",
			"upstreams.a.service: act_as does not have service", "upstreams.a.delegation: act_as does not have caller",
			"upstreams.a.methods: act_as does not have caller", "upstreams.a.names: it is for mode: local without a login",
			"upstreams.b.fixed: act_as does not have fixed", "upstreams.b.allow_ntlm: no account has principal and password",
		}},
		{"upstream for this machine", `upstreams: {sp: {listen: ":9300", url: "https://sp.test", act_as: [fixed], fixed: {user: 'CORP\svc', password: {env: P}}}}`, nil},
		{"upstream for all", `upstreams: {sp: {listen: ":9300", networks: [10.0.0.0/8], url: "https://sp.test", act_as: [fixed], fixed: {user: 'CORP\svc', password: {env: P}}}}`, []string{
			`upstreams.sp.networks: everybody in these networks who reaches :9300 calls sp as CORP\svc`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse("c.yaml", []byte(tt.text+realms))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range c.Warnings() {
				if w.Remedy == "" {
					t.Errorf("%s: no remedy", w.Key)
				}
				got = append(got, w.Key+": "+w.Text)
			}
			ok := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.HasPrefix(got[i], tt.want[i])
			}
			if !ok {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Each key that weakens a check is told of, with the realms that have some.
func TestWarningsOfRealms(t *testing.T) {
	t.Parallel()
	c, err := Parse("c.yaml", []byte(`realms: {old: {ldap: {url: "ldap://l.test/dc=x", allow_insecure_plain: true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Warnings(); len(got) != 1 || got[0].Key != "realms.old.ldap.allow_insecure_plain" || !strings.Contains(got[0].Text, "plain LDAP") {
		t.Errorf("got %+v", got)
	}
}

// A warning says where its key stands, or what is around one that is not written.
func TestWarningPosition(t *testing.T) {
	t.Parallel()
	c, err := Parse("c.yaml", []byte(`listen: [{addr: ":80"}]
trusted_proxies:
  - 10.0.0.1
  - ::/0
realms: {staff: {internal: {}}}
sessions: {allow_insecure_http: true}
defaults: {login: [staff/basic]}
services:
  a.b:
    match: {path: /a}
    upstream:
      url: "https://127.0.0.1:1"
      tls:
        insecure_skip_verify: true
    elements:
      - path: /a/x
      - path: /a/y
        login: [none]
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, w := range c.Warnings() {
		got[w.Key] = w.Position
	}
	for key, want := range map[string]string{
		"trusted_proxies[1]":                             "c.yaml:4",
		"sessions.allow_insecure_http":                   "c.yaml:6",
		"services.a.b.login":                             "c.yaml:10", // it is inherited
		"services.a.b.upstream.tls.insecure_skip_verify": "c.yaml:14",
		"services.a.b.elements[1].login":                 "c.yaml:18",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q of %v", key, got[key], want, got)
		}
	}
	for _, key := range []string{"none", "services.none.login", "services.a.b.elements[9].login", "services.a.b.elements[x]", "services[0]", "listen.addr"} {
		c.position(key) // does not panic
	}
}

// Each key that weakens a check has words of its own.
func TestDangers(t *testing.T) {
	t.Parallel()
	keys := keyList{typeOf: make(map[string]reflect.Type)}
	walk(reflect.TypeFor[Config](), "", &keys)
	for _, key := range keys.list {
		last := key[strings.LastIndexByte(key, '.')+1:]
		if weak := strings.HasPrefix(last, "allow_") || strings.HasPrefix(last, "insecure_"); weak && dangers[last] == "" {
			t.Errorf("%s: no danger is told", key)
		}
	}
}
