package config

import (
	"strings"
	"testing"
	"time"
)

const upstreamHead = `
realms: {corp: {kerberos: {realm: CORP.TEST, keytab: k}, internal: {}}, id: {oidc: {issuer: "https://id.example", client_id: x}}}
upstreams: {up: {`

func TestUpstreamDefaults(t *testing.T) {
	t.Parallel()
	c, err := Parse("dir/gw.yaml", []byte(upstreamHead+`listen: "unix:/run/up.sock", url: "https://a.test", act_as: [service], service: {user: x, password: {env: X}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Upstreams["up"]
	if path, ok := u.Listen.Unix(); !ok || path != "/run/up.sock" {
		t.Errorf("socket %q, %v", path, ok)
	}
	if u.Mode != ModeLocal || u.OnDoubleHop != DoubleHopFault || u.IdentityHeader != "X-Identity" || u.Idle != Duration(time.Minute) || u.Replay.Memory != 256<<10 || u.Replay.Disk != 64<<20 ||
		u.ProtocolTransition || u.AllowBasic || u.AllowNTLM || u.Networks != nil || c.Tokens.Issuer != "soapward" {
		t.Errorf("%+v", u)
	}
}

func TestUpstreamErrors(t *testing.T) {
	t.Parallel()
	const listen = `listen: "127.0.0.1:1", `
	const local = listen + `url: "https://a.test", act_as: [caller], `
	const account = `{principal: a@CORP.TEST, keytab: k}`
	for _, tt := range []struct{ text, want string }{
		{listen + `act_as: [caller]`, "want url"},
		{local + `hosts: [a.test]`, "hosts is for mode: forward_proxy"},
		{local + `mode: proxy`, `"proxy" is not known: want one of local, forward_proxy`},
		{listen + `mode: forward_proxy, act_as: [caller]`, "wants hosts"},
		{listen + `mode: forward_proxy, url: "http://a.test", hosts: [a.test], act_as: [caller]`, "url is for mode: local"},
		{listen + `mode: forward_proxy, hosts: ["*.a.test"], act_as: [caller]`, "names without *"},
		{listen + `mode: forward_proxy, hosts: ["a*.test"], act_as: [caller]`, "want a host such as"},
		{listen + `mode: forward_proxy, hosts: ["http://a.test"], act_as: [caller]`, "want a host such as"},
		{listen + `mode: forward_proxy, hosts: [a.test], act_as: [caller], login: [corp/negotiate]`, "login is for mode: local"},
		{listen + `mode: forward_proxy, hosts: [a.test], act_as: [caller], spn: x`, "spn is for mode: local"},
		{local + `login: [id/oidc]`, "want negotiate, ntlm or basic"},
		{local + `login: [custom]`, "want negotiate, ntlm or basic"},
		{local + `login: [corp/ntlm]`, "corp/ntlm wants ntlm"},
		{local + `identity_header: "X Identity"`, "want the name of a header"},
		{local + `identity_header: "X_Identity"`, "want the name of a header"},
		{local + `protocol_transition: true`, "wants delegation"},
		{local + `methods: [transition], delegation: ` + account, "transition wants protocol_transition"},
		{local + `methods: [constrained, constrained]`, "there twice"},
		{local + `methods: [s4u]`, "want one of constrained, forwarded, password, transition"},
		{local + `delegation: {user: x, password: {env: X}}`, "want principal"},
		{local + `delegation: {principal: x}`, "one of keytab and password"},
		{local + `fixed: {user: x, keytab: k}`, "wants a principal"},
		{local + `proxy: {account: ` + account + `}`, "want url"},
		{local + `proxy: {url: "http://u:secret@proxy.test"}`, "no password"},
		{local + `services: [hr]`, `there is no service "hr"`},
		{local + `replay: {memory: 256}`, "a size such as"},
		{local + `replay: {memory: 65MiB}`, "more than 64MiB"},
		{local + `replay: {memory: -1KiB}`, "a size such as"},
	} {
		_, err := Parse("gw.yaml", []byte(upstreamHead+tt.text+"}}"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "gw.yaml:3:") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q with its place", tt.text, err, tt.want)
		}
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for jwt, want := range map[string]string{
		"header: X-Identity":                                       "want header and key",
		"header: X-Identity, key: {env: K}, lifetime: 5s":          "10s to 24h",
		"header: X-Identity, key: {env: K}, lifetime: 2d":          "10s to 24h",
		"header: X-Identity, key: {env: K}, groups: all":           "names, sids, none",
		"header: X-Identity, key: \"-----BEGIN PRIVATE KEY-----\"": "write it into a file",
	} {
		_, err := Parse("gw.yaml", []byte("listen: [{addr: \":1\"}]\nservices: {a: {match: {path: /}, login: [none], upstream: {url: \"http://b\", identity: {jwt: {"+jwt+"}}}}}"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v, want %q", jwt, err, want)
		}
	}
}
