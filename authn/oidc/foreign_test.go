package oidc_test

import (
	"context"
	"testing"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func foreignContext(w *world) context.Context {
	return goidc.ClientContext(context.Background(), w.Client())
}

// foreignLogin logs in with package go-oidc alone.
func foreignLogin(t *testing.T, w *world) {
	t.Helper()
	ctx := foreignContext(w)
	p, err := goidc.NewProvider(ctx, w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	c := &oauth2.Config{ClientID: "web", ClientSecret: "web-secret", RedirectURL: redirect, Endpoint: p.Endpoint(), Scopes: []string{"openid", "offline_access"}}
	verifier := oauth2.GenerateVerifier()
	r := browse(t, w.Client(), c.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), goidc.Nonce("nonce")))
	tok, err := c.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tok.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &goidc.Config{ClientID: "web", SupportedSigningAlgs: []string{"RS256", "ES256"}}).Verify(ctx, raw)
	if err != nil || id.Subject != "sub-alice" || id.Nonce != "nonce" || id.VerifyAccessToken(tok.AccessToken) != nil {
		t.Fatalf("%+v, %v", id, err)
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil || info.Subject != "sub-alice" || info.Email != "alice@example.com" {
		t.Fatalf("%+v, %v", info, err)
	}
	if again, err := c.TokenSource(ctx, &oauth2.Token{RefreshToken: tok.RefreshToken}).Token(); err != nil || again.RefreshToken == tok.RefreshToken {
		t.Fatalf("refresh: %v", err)
	}
}
