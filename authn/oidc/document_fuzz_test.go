package oidc

import (
	"strings"
	"testing"
)

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"issuer": "https://id.example", "authorization_endpoint": "https://id.example/a", "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k"}`))
	f.Add([]byte(`{"issuer": "https://id.example", "scopes_supported": null, "token_endpoint": "http://127.0.0.1"}`))
	f.Add([]byte(`{"issuer": "https://id.example", "authorization_endpoint": "https://id.example/a", "token_endpoint": "https://id.example/t", "jwks_uri": "hTtps://id.example/k"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := parseDocument(raw)
		if err != nil || d.check("https://id.example") != nil {
			return
		}
		for _, at := range []string{d.Authorization, d.Token, d.JWKS, d.Userinfo, d.Device, d.EndSession, d.Revocation} {
			if at != "" && (len(at) < 9 || !strings.EqualFold(at[:8], "https://")) {
				t.Errorf("%q", at)
			}
		}
	})
}
