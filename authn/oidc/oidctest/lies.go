package oidctest

import (
	"fmt"
	"strings"
	"time"
)

// Lies are what a provider, or somebody between, may put into an ID token. None may
// log anybody in. Each is by its name, and is for Provider.Set; now is the clock of
// the provider.
func Lies(now func() time.Time) map[string]func(s *Switches) {
	claim := func(change func(c map[string]any)) func(*Switches) {
		return func(s *Switches) { s.Claims = change }
	}
	set := func(name string, v any) func(*Switches) {
		return claim(func(c map[string]any) { c[name] = v })
	}
	without := func(name string) func(*Switches) {
		return claim(func(c map[string]any) { delete(c, name) })
	}
	algorithm := func(alg string, sign func(*Provider, string) []byte) func(*Switches) {
		return func(s *Switches) {
			s.Header = func(h map[string]any) { h["alg"] = alg }
			s.Sign = sign
		}
	}
	kind := func(typ string) func(*Switches) {
		return func(s *Switches) { s.Header = func(h map[string]any) { h["typ"] = typ } }
	}
	return map[string]func(*Switches){
		"issuer of somebody else": set("iss", "https://evil.example"),
		"issuer with a slash":     claim(func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }),
		"issuer in a list":        claim(func(c map[string]any) { c["iss"] = []any{c["iss"]} }),
		"issuer in capitals":      claim(func(c map[string]any) { c["ISS"] = c["iss"]; delete(c, "iss") }),
		"no issuer":               without("iss"),

		"audience of another client":  set("aud", "somebody-else"),
		"audience in capitals":        claim(func(c map[string]any) { c["Aud"] = c["aud"]; delete(c, "aud") }),
		"no audience":                 without("aud"),
		"two audiences without azp":   claim(func(c map[string]any) { c["aud"] = []any{c["aud"], "other"} }),
		"authorized party of another": set("azp", "somebody-else"),
		"two audiences, azp the other": claim(func(c map[string]any) {
			c["aud"], c["azp"] = []any{c["aud"], "other"}, "other"
		}),

		"another nonce":   set("nonce", "another"),
		"nonce in a list": claim(func(c map[string]any) { c["nonce"] = []any{c["nonce"]} }),
		"expired": claim(func(c map[string]any) {
			c["iat"], c["exp"] = now().Add(-time.Hour).Unix(), now().Add(-2*time.Minute).Unix()
		}),
		"no expiry":      without("exp"),
		"expiry as text": set("exp", "tomorrow"),
		"issued tomorrow": claim(func(c map[string]any) {
			c["iat"], c["exp"] = now().Add(24*time.Hour).Unix(), now().Add(25*time.Hour).Unix()
		}),
		"no time of issue": without("iat"),
		"not valid yet":    claim(func(c map[string]any) { c["nbf"] = now().Add(time.Hour).Unix() }),
		"login in future":  claim(func(c map[string]any) { c["auth_time"] = now().Add(time.Hour).Unix() }),

		"no subject":      without("sub"),
		"empty subject":   set("sub", ""),
		"subject a list":  set("sub", []any{"sub-alice"}),
		"huge subject":    set("sub", strings.Repeat("x", 256)),
		"subject of dots": set("sub", "a\x00b"),
		"huge": claim(func(c map[string]any) {
			for i := range 20 {
				c[fmt.Sprint("padding", i)] = strings.Repeat("x", 4000)
			}
		}),

		"no signature":          algorithm("none", func(*Provider, string) []byte { return nil }),
		"no signature, spelled": algorithm("nOnE", func(*Provider, string) []byte { return nil }),
		"client secret as key":  algorithm("HS256", func(_ *Provider, signed string) []byte { return HS256([]byte("web-secret"), signed) }),
		"public key as secret":  algorithm("HS256", func(p *Provider, signed string) []byte { return HS256(p.PublicKeyPEM(), signed) }),
		"foreign key":           func(s *Switches) { s.Sign = func(_ *Provider, signed string) []byte { return Foreign(signed) } },
		"signature cut off":     func(s *Switches) { s.Sign = func(*Provider, string) []byte { return nil } },
		"algorithm of another":  algorithm("ES256", nil),

		"access token":     kind("at+jwt"),
		"logout token":     kind("logout+jwt"),
		"kind in capitals": kind("Application/AT+JWT"),
		"unknown header": func(s *Switches) {
			s.Header = func(h map[string]any) { h["crit"], h["x"] = []any{"x"}, 1 }
		},

		"hash of another access token": func(s *Switches) {
			s.Claims = func(c map[string]any) { c["at_hash"] = AccessTokenHash("RS256", "another") }
		},
	}
}
