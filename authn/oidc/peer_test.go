package oidc_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// All that we do with a provider, with a certified one that others wrote.
func TestPeer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	logouts := make(chan *http.Request, 1)
	us := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		n := logoutRequest("")
		n.Body = io.NopCloser(bytes.NewReader(body))
		n.Header = r.Header
		logouts <- n
	}))
	defer us.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: us.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := peers.StartProvider(t, peers.ProviderConfig{Redirects: []string{redirect}, LogoutRedirects: []string{"https://gw.example/out"}, Backchannel: us.URL + "/out", CAFile: ca})
	config := oidc.Config{
		Name: "it", Issuer: peer.Issuer, ClientID: peer.ClientID, ClientSecret: authn.NewSecret(peer.ClientSecret), DesktopClientID: peer.DesktopID,
		Scopes: []string{"phone"}, Logger: slog.New(slog.DiscardHandler),
	}
	p, err := oidc.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := p.Check(ctx); err != nil || !m.PKCE || !m.IssuerInResponse || !m.Backchannel || m.Device == "" || m.EndSession == "" || len(m.KeyIDs) != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar}
	}
	b := browser()
	at, l, err := p.Begin(ctx, redirect, "/")
	if err != nil {
		t.Fatal(err)
	}
	left, page := peer.SignIn(t, b, at, "alice")
	r := httptest.NewRequest(http.MethodGet, left, nil)
	if left == "" {
		t.Fatalf("nobody was led back: %s", page)
	}
	id, tokens, err := p.Callback(ctx, l, r)
	if err != nil || id.String() != `it\alice@corp.test` || id.DisplayName != "Alice Example" || !id.Claims.Has("groups", "admins") || tokens.Subject != "alice" || tokens.Refresh.IsEmpty() || tokens.SessionID == "" {
		t.Fatalf("%+v, %+v, %v", id, tokens, err)
	}
	if id, _, err := p.Callback(ctx, l, r); id != nil || err == nil {
		t.Error("the same answer again")
	}
	id, next, err := p.Refresh(ctx, &oidc.Tokens{Refresh: authn.NewSecret("made up"), Subject: "alice"})
	wantRefused(t, id, err, authn.ReasonProviderRefused)
	if next != nil {
		t.Errorf("%+v", next)
	}
	// A provider ends what came of a code that is used again (RFC 6749 4.1.2).
	at, l, err = p.Begin(ctx, redirect, "/")
	if err != nil {
		t.Fatal(err)
	}
	left, _ = peer.SignIn(t, b, at, "alice")
	_, tokens, err = p.Callback(ctx, l, httptest.NewRequest(http.MethodGet, left, nil))
	if err != nil {
		t.Fatal(err)
	}
	id, next, err = p.Refresh(ctx, tokens)
	if err != nil || id.String() != `it\alice@corp.test` || next.Refresh.Reveal() == tokens.Refresh.Reveal() || next.Subject != "alice" {
		t.Fatalf("%+v, %+v, %v", id, next, err)
	}

	// What was given to go on with is taken back.
	if err := p.Revoke(ctx, next); err != nil {
		t.Error(err)
	}
	id, _, err = p.Refresh(ctx, next)
	wantRefused(t, id, err, authn.ReasonProviderRefused)

	// The session there ends, and we are told.
	if left, page := peer.SignIn(t, b, p.LogoutURL(ctx, next, "https://gw.example/out"), "alice"); left != "https://gw.example/out" {
		t.Errorf("led to %q: %.300s", left, page)
	}
	select {
	case r := <-logouts:
		if sub, sid, err := p.BackchannelLogout(ctx, r); err != nil || sub != "alice" && sid != next.SessionID {
			t.Errorf("%q, %q, %v", sub, sid, err)
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody told us of the end")
	}

	// The command line.
	config.ClientID, config.ClientSecret, config.DesktopClientID, config.UsernameClaim = peer.DesktopID, authn.Secret{}, "", "sub"
	program, err := oidc.New(config)
	if err != nil {
		t.Fatal(err)
	}
	n := &oidc.Native{Provider: program, OpenBrowser: func(at string) error {
		go func() {
			b := browser()
			left, _ := peer.SignIn(t, b, at, "bob")
			if u, err := url.Parse(left); err == nil && u.Hostname() == "127.0.0.1" {
				_, _, _, _ = visit(b, left)
			}
		}()
		return nil
	}}
	raw, own, err := n.Loopback(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err := p.VerifyIDToken(ctx, raw, own.Nonce, time.Minute); err != nil || id.String() != `it\bob@corp.test` {
		t.Errorf("%v, %v", id, err)
	}
	id, _, err = p.VerifyIDToken(ctx, raw, own.Nonce, time.Minute)
	wantRefused(t, id, err, authn.ReasonReplay)
	if err := program.Revoke(ctx, own); err != nil {
		t.Error(err)
	}
	id, _, err = program.Refresh(ctx, own)
	wantRefused(t, id, err, authn.ReasonProviderRefused)
	n = &oidc.Native{Provider: program, Show: func(at, code string) {
		if code == "" {
			t.Error("no code")
		}
		go peer.SignIn(t, browser(), at, "alice")
	}}
	raw, own, err = n.Device(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err := p.VerifyIDToken(ctx, raw, own.Nonce, time.Minute); err != nil || id.String() != `it\alice@corp.test` {
		t.Errorf("%v, %v", id, err)
	}
}
