package authclient_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
)

// domain is an in-process KDC with alice, bob and a service HTTP/127.0.0.1.
type domain struct {
	kdc    *kdc.KDC
	config kerberos.Config
	keytab *kerberos.Keytab
}

func newDomain(t testing.TB) *domain {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "a"},
		{Name: "bob", Password: "b"},
		{Name: "front", Password: "secret", SPNs: []string{"HTTP/127.0.0.1"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	d := &domain{kdc: k}
	config, err := kerberos.ParseConfig(k.Krb5Conf())
	if err != nil {
		t.Fatal(err)
	}
	d.config = *config
	b, err := k.Keytab("HTTP/127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if d.keytab, err = kerberos.ParseKeytab(b); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *domain) client(t testing.TB, user, password string) *kerberos.Client {
	t.Helper()
	c, err := kerberos.NewPasswordClient(d.config, user, authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAttackMixedUsersBothMechanisms is the load of a busy gateway: two users,
// 64 goroutines, one transport, NTLM and Kerberos in turn. Each call succeeds,
// and the server sees the caller and the mechanism that the caller chose.
func TestAttackMixedUsersBothMechanisms(t *testing.T) {
	t.Parallel()
	calls := 20_000
	if testing.Short() {
		calls = 2_000
	}
	d := newDomain(t)
	s := newServer(t, func(a *iwa.Authenticator) { a.Kerberos = &kerberos.Mechanism{Keytab: d.keytab} })

	type who struct{ user, mech string }
	creds := map[who]authclient.Credential{}
	for _, user := range []string{"alice", "bob"} {
		creds[who{user, authn.MechanismNTLM}] = ntlmCredential(user)
		creds[who{user, authn.MechanismKerberos}] = &authclient.Kerberos{Client: d.client(t, user, user[:1])}
	}
	tr := &authclient.Transport{
		Source: sourceFunc(func(ctx context.Context, _ authclient.Target) (authclient.Credential, error) {
			return creds[ctx.Value(userKey{}).(who)], nil
		}),
		Base: &http.Transport{},
	}
	t.Cleanup(tr.CloseIdleConnections)
	c := &http.Client{Transport: tr}
	const goroutines = 64
	var wg sync.WaitGroup
	var done atomic.Int64
	for g := range goroutines {
		wg.Go(func() {
			for i := range (calls + goroutines - 1) / goroutines {
				n := g + i
				me := who{[]string{"alice", "bob"}[n%2], []string{authn.MechanismNTLM, authn.MechanismKerberos}[n/2%2]}
				req, err := http.NewRequestWithContext(context.WithValue(context.Background(), userKey{}, me), "POST", s.URL, strings.NewReader("0123456789"))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Errorf("%v: %v", me, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				want := fmt.Sprintf(`CORP\%s body=10 err=<nil>`, me.user)
				if err != nil || resp.StatusCode != 200 || string(b) != want || resp.Header.Get("X-Mechanism") != me.mech {
					t.Errorf("%v: %d %q by %q, %v; want %q", me, resp.StatusCode, b, resp.Header.Get("X-Mechanism"), err, want)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if got := done.Load(); got < int64(calls) {
		t.Errorf("%d calls succeeded, want %d", got, calls)
	}
	t.Logf("%d calls, %d connections, %d requests at the server", done.Load(), s.conns.Load(), s.requests.Load())
}

// TestKerberosTokens: a server that checks each request gets a token with
// each, one that keeps the connection logged in gets one.
func TestKerberosTokens(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	for _, tt := range []struct {
		perConnection bool
		tokens        int64 // for three calls
	}{{false, 3}, {true, 1}} {
		s := newServer(t, func(a *iwa.Authenticator) {
			a.Kerberos, a.KerberosPerConnection = &kerberos.Mechanism{Keytab: d.keytab}, tt.perConnection
		})
		var tokens atomic.Int64
		inner := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				tokens.Add(1)
			}
			inner.ServeHTTP(w, r)
		})
		c := newClient(t, &authclient.Kerberos{Client: d.client(t, "bob", "b")})
		for range 3 {
			if status, body, err := do(c, "POST", s.URL, strings.NewReader("x")); err != nil || status != 200 || body != `CORP\bob body=1 err=<nil>` {
				t.Fatalf("%d %q, %v", status, body, err)
			}
		}
		if got := tokens.Load(); got != tt.tokens {
			t.Errorf("per connection %v: %d tokens, want %d", tt.perConnection, got, tt.tokens)
		}
	}
}
