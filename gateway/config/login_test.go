package config

import (
	"slices"
	"strings"
	"testing"
)

func TestCustomLogins(t *testing.T) {
	t.Parallel()
	const key = "7c22fb2927d828af22f592134e8932480637c0d0c0b4d7cb4f2b1c9b2b1d1a4e"
	for _, tt := range []struct{ name, custom, want string }{
		{"call", `{call: "https://auth.example/ask"}`, ""},
		{"call on this machine", `{call: "http://127.0.0.1:7000/auth", cache: 5s}`, ""},
		{"call without TLS", `{call: "http://auth.example/ask"}`, "custom.call: want https"},
		{"tokens", `{jwt: {jwks: "https://id.example/k", issuer: "https://id.example", audience: [a], algorithms: [RS256], username_claim: sub}}`, ""},
		{"tokens for anybody", `{jwt: {jwks: "https://id.example/k", issuer: "https://id.example"}}`, "want jwks, issuer and audience"},
		{"keys anybody can change", `{jwt: {jwks: "http://id.example/k", issuer: x, audience: [a]}}`, "custom.jwt.jwks: want https"},
		{"shared secret", `{jwt: {jwks: "https://id.example/k", issuer: x, audience: [a], algorithms: [HS256]}}`, `"HS256" is not known`},
		{"none", `{jwt: {jwks: "https://id.example/k", issuer: x, audience: [a], algorithms: [none]}}`, `"none" is not known`},
		{"keys", `{api_keys: [{name: robot, hash: ` + key + `}]}`, ""},
		{"a key in place of its hash", `{api_keys: [{name: robot, hash: s3cret-key}]}`, "not the key itself"},
		{"a key of a domain", `{api_keys: [{name: 'CORP\alice', hash: ` + key + `}]}`, "want a name without a domain"},
		{"one key for two", `{api_keys: [{name: a, hash: ` + key + `}, {name: b, hash: ` + key + `}]}`, "another name has the same key"},
		{"two kinds", `{call: "https://a.example", api_keys: [{name: a, hash: ` + key + `}]}`, "want exactly one of call"},
		{"no kind", `{timeout: 1s}`, "want exactly one of call"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("gw.yaml", []byte(`
listen: [{addr: ":443"}]
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [custom], custom: `+tt.custom+`}}`))
			switch {
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error repeats a key: %v", err)
			case err != nil && !strings.Contains(err.Error(), "gw.yaml:3:"):
				t.Errorf("%v does not say where", err)
			}
		})
	}
}

func TestCertHash(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for _, tt := range []struct{ text, hash, file, want string }{
		{hash, hash, "", ""},
		{strings.TrimSuffix(strings.Repeat("AB:", 32), ":"), hash, "", ""},
		{"lb.pem", "", "/etc/soapward/lb.pem", ""},
		{strings.Repeat("ab", 20), "", "", "want a hash of 64, 96 or 128"}, // SHA-1
	} {
		c, err := Parse("/etc/soapward/gw.yaml", []byte("defaults: {channel_binding_hash: ['"+tt.text+"']}"))
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := c.Defaults.ChannelBindingHash[0]; got.Hash != tt.hash || string(got.File) != tt.file {
			t.Errorf("%s: %+v", tt.text, got)
		}
	}
}

func TestSessionSettings(t *testing.T) {
	t.Parallel()
	if _, err := Parse("gw.yaml", []byte("sessions: {tls_at_proxy: true}")); err == nil || !strings.Contains(err.Error(), "wants trusted_proxies") {
		t.Errorf("%v, want that the proxies are named", err)
	}
	c, err := Parse("gw.yaml", []byte("defaults: {session: true, allow_forwarded: false}"))
	if err != nil || c.Defaults.Session == nil || !*c.Defaults.Session || c.Defaults.AllowForwarded == nil || *c.Defaults.AllowForwarded {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLoginWarnings(t *testing.T) {
	t.Parallel()
	c, err := Parse("gw.yaml", []byte("sessions: {allow_evidence: true}\ndefaults: {allow_forwarded: true}"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, w := range c.Warnings() {
		keys = append(keys, w.Key)
	}
	for _, want := range []string{"sessions.allow_evidence", "defaults.allow_forwarded"} {
		if !slices.Contains(keys, want) {
			t.Errorf("warned of %q, want %s among them", keys, want)
		}
	}
}
