package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// ourClient makes an HTTP client that logs in, in the test domain: every name
// is on 127.0.0.1, and certificates are those of dc.
func ourClient(t *testing.T, dc *adtest.DC, source authclient.Source) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(dc.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &authclient.Transport{
		Source: source,
		Base:   &http.Transport{DialContext: dialLoopback, TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends body and returns status and answer.
func post(ctx context.Context, t *testing.T, client *http.Client, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func TestOurClientAtApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, scheme := range []string{"http", "https"} {
		a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", scheme == "https", nil)
		for _, p := range principals {
			t.Run(scheme+" "+p.name, func(t *testing.T) {
				t.Parallel()
				kc, err := p.make(t, dc)
				if err != nil {
					t.Fatal(err)
				}
				// The server proves itself, or this fails.
				client := ourClient(t, dc, authclient.Static(&authclient.Kerberos{Client: kc}))
				for _, body := range []string{"<a/>", strings.Repeat("<line/>", 1<<20/7), ""} {
					status, answer, err := post(t.Context(), t, client, a.URL("/x"), body)
					if err != nil {
						t.Fatal(err)
					}
					if want := p.user + "@" + adtest.Realm + "\n" + body; status != http.StatusOK || answer != want {
						t.Errorf("status %d, answer %.100q (%d bytes), want %.100q", status, answer, len(answer), want)
					}
				}
			})
		}
	}
}

func TestOurClientRefusedByApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
	// A server that shows the name of another service: the ticket is for a key
	// it does not have.
	imposter := peers.StartApache(t, dc, adtest.Other, "backend.corp.test", false, nil)

	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		kc, err := kerberos.NewPasswordClient(krbConfig(t, dc), adtest.Alice, authn.NewSecret("wrong"))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = post(t.Context(), t, ourClient(t, dc, authclient.Static(&authclient.Kerberos{Client: kc})), a.URL("/"), "<a/>")
		if !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("error = %v, want bad credentials", err)
		}
	})
	t.Run("NTLM is not offered", func(t *testing.T) {
		t.Parallel()
		client := ourClient(t, dc, authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(adtest.Password(t, adtest.Alice))}))
		_, _, err := post(t.Context(), t, client, a.URL("/"), "<a/>")
		// Apache offers Negotiate, and refuses what is inside.
		var refused *authclient.RefusedError
		if !errors.As(err, &refused) || refused.Scheme != authclient.SchemeNegotiate {
			t.Errorf("error = %v, want a refusal of Negotiate", err)
		}
	})
	t.Run("server without the key", func(t *testing.T) {
		t.Parallel()
		kc, err := passwordClient(t, dc, adtest.Alice)
		if err != nil {
			t.Fatal(err)
		}
		status, answer, err := post(t.Context(), t, ourClient(t, dc, authclient.Static(&authclient.Kerberos{Client: kc})), imposter.URL("/"), "<a/>")
		if err == nil {
			t.Errorf("status %d, answer %q from a server that cannot prove itself, want an error", status, answer)
		}
	})
	t.Run("no login", func(t *testing.T) {
		t.Parallel()
		status, _, err := post(t.Context(), t, ourClient(t, dc, nil), a.URL("/"), "<a/>")
		if err != nil || status != http.StatusUnauthorized {
			t.Errorf("status %d, %v, want 401", status, err)
		}
	})
}

// Several users through one client to a server that others wrote, at the same
// time: each request is answered as its own user.
func TestAttackUsersMixedAtApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
	users := map[string]authclient.Credential{}
	for _, user := range []string{adtest.Alice, adtest.Bob, adtest.Carol, adtest.Peggy} {
		kc, err := passwordClient(t, dc, user)
		if err != nil {
			t.Fatal(err)
		}
		users[user] = &authclient.Kerberos{Client: kc}
	}
	client := ourClient(t, dc, contextSource{})
	var wg sync.WaitGroup
	for user, credential := range users {
		for worker := range 4 { // 16 together: Apache has 25 threads
			wg.Go(func() {
				for i := range 10 {
					ctx := withCredential(t.Context(), credential)
					body := fmt.Sprintf("%s %d %d", user, worker, i)
					_, answer, err := post(ctx, t, client, a.URL("/"), body)
					if want := user + "@" + adtest.Realm + "\n" + body; err != nil || answer != want {
						t.Errorf("answer %q, %v, want %q", answer, err, want)
					}
				}
			})
		}
	}
	wg.Wait()
}

// Our client against our server, by name as a user would have it.
func TestOurClientAtOurServer(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)}})
	kc, err := passwordClient(t, dc, adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name       string
		credential authclient.Credential
		mechanism  string
		sid        authn.SID
	}{
		{"Kerberos", &authclient.Kerberos{Client: kc}, authn.MechanismKerberos, authn.SID(dc.SID(t, adtest.Alice))},
		{"Kerberos, TGT forwarded", &authclient.Kerberos{Client: kc, Forward: true}, authn.MechanismKerberos, authn.SID(dc.SID(t, adtest.Alice))},
		{"NTLM", &authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(localPass)}, authn.MechanismNTLM, localSID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := ourClient(t, dc, authclient.Static(tt.credential))
			for range 3 {
				status, answer, err := post(t.Context(), t, client, s.At("web.corp.test", "/"), "<a/>")
				if err != nil || status != http.StatusOK {
					t.Fatalf("status %d, %v, answer %q", status, err, answer)
				}
				me := decodeWhoami(t, answer)
				if me.User != `CORP\alice` || me.Mechanism != tt.mechanism || me.SID != tt.sid {
					t.Errorf("caller = %+v, want %s by %s", me, tt.sid, tt.mechanism)
				}
				checkBody(t, me, "<a/>")
			}
		})
	}
}

// contextSource takes the credential that withCredential put into the context.
type contextSource struct{}

type credentialKey struct{}

func withCredential(ctx context.Context, c authclient.Credential) context.Context {
	return context.WithValue(ctx, credentialKey{}, c)
}

func (contextSource) Credential(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
	c, _ := ctx.Value(credentialKey{}).(authclient.Credential)
	if c == nil {
		return nil, errors.New("no credential in the context")
	}
	return c, nil
}
