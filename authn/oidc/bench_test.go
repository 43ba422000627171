package oidc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

func BenchmarkIDToken(b *testing.B) {
	for _, kind := range []string{"RSA", "EC", "Ed25519"} {
		b.Run(kind, func(b *testing.B) {
			w := setup(b, nil, nil)
			w.Rotate(kind)
			w.us = w.client(b, func(c *oidc.Config) {
				c.Used = func(context.Context, [32]byte, time.Time) (bool, error) { return true, nil }
			})
			raw := authn.NewSecret(w.IDToken("desktop", "alice", "n"))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := w.us.VerifyIDToken(b.Context(), raw, "n", time.Hour); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBearerAgain(b *testing.B) {
	w := setup(b, nil, nil)
	r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
	r.Header.Set("Authorization", "Bearer "+w.AccessToken("https://api.example", "alice", nil))
	a := w.us.Bearer()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
