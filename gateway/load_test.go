package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/kdc"
)

// windowsLogin takes alice by NTLM and by Kerberos, and returns what she logs in
// with.
func windowsLogin(t *testing.T) (*iwa.Authenticator, map[string]authclient.Source) {
	t.Helper()
	const password = "correct horse"
	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret(password)})
	if err != nil {
		t.Fatal(err)
	}
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(k.Add(kdc.Account{Name: "alice", Password: password}),
		k.Add(kdc.Account{Name: "front", Password: "pw", SPNs: []string{"HTTP/localhost"}}), k.Start("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	b, err := k.Keytab("front")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kerberos.ParseKeytab(b)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := kerberos.ParseConfig(k.Krb5Conf())
	if err != nil {
		t.Fatal(err)
	}
	alice, err := kerberos.NewPasswordClient(*conf, "alice", authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &iwa.Authenticator{
			NTLM:     &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP"}, Logger: log},
			Kerberos: &kerberos.Mechanism{Keytab: keys, SPNs: []string{"HTTP/localhost"}, Logger: log}, Logger: log,
			MaxHandshakes: 4096,
		}, map[string]authclient.Source{
			"NTLM":     authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(password)}),
			"Kerberos": authclient.Static(&authclient.Kerberos{Client: alice}),
		}
}

// Reloads one after the other, which add and remove a listener, cost no request
// of those who come on new connections, on old ones, or in the middle of a
// login.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	login, sources := windowsLogin(t)
	a, b := freeAddr(t), freeAddr(t)
	var handshakes atomic.Int64
	fake := &fakeParts{handler: func(c *config.Config) http.Handler {
		m := &authn.Middleware{
			Authenticators: []authn.Authenticator{login}, Logger: slog.New(slog.DiscardHandler),
			Observe: func(_ context.Context, d *authn.Decision) {
				if d.Outcome == authn.OutcomeAccepted {
					handshakes.Add(1)
				}
			},
		}
		who := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, authn.FromContext(r.Context()).Account)
		}))
		mux := http.NewServeMux()
		mux.Handle("/who", who)
		mux.Handle("/", text("open"))
		return mux
	}}
	r := start(t, configuration("one", a), fake, false)
	base := "http://localhost" + strings.TrimPrefix(a, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg       sync.WaitGroup
		requests atomic.Int64
		failures atomic.Int64
	)
	load := func(name, path, want string, client func() *http.Client) {
		wg.Go(func() {
			for ctx.Err() == nil {
				c := client()
				for range 5 {
					got, err := fetchBy(c, base+path)
					requests.Add(1)
					if err != nil || got != want {
						if failures.Add(1) < 10 {
							t.Errorf("%s: %q, %v", name, got, err)
						}
					}
				}
			}
		})
	}
	kept := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 20 * time.Second}
	load("kept connections", "/open", "open", func() *http.Client { return kept })
	load("new connections", "/open", "open", func() *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	})
	for name, source := range sources {
		logged := &authclient.Transport{Source: source}
		load(name+", logged in", "/who", "alice", func() *http.Client { return &http.Client{Transport: logged, Timeout: 20 * time.Second} })
		for range 2 {
			var last *authclient.Transport
			load(name+", logging in", "/who", "alice", func() *http.Client {
				if last != nil {
					last.CloseIdleConnections()
				}
				last = &authclient.Transport{Source: source}
				return &http.Client{Transport: last, Timeout: 20 * time.Second}
			})
		}
	}
	reloads := 0
	for begin := time.Now(); time.Since(begin) < 3*time.Second; reloads++ {
		text := configuration(fmt.Sprint("s", reloads), a)
		if reloads%2 == 0 {
			text = configuration(fmt.Sprint("s", reloads), a, b)
		}
		r.write(r.file, text)
		if err := r.Reload(); err != nil {
			t.Errorf("reload %d: %v", reloads, err)
		}
		if reloads%2 == 0 { // nothing is lost at the new one as soon as Reload returned
			if _, err := tryFetch("http://" + b); err != nil {
				t.Errorf("at the new listener: %v", err)
			}
		} else if !refusesConnections(b) {
			t.Error("the removed listener is open after Reload returned")
		}
	}
	cancel()
	wg.Wait()
	if failures.Load() > 0 || reloads < 20 || requests.Load() < 200 || handshakes.Load() < 20 {
		t.Errorf("%d of %d requests failed, with %d logins and %d reloads", failures.Load(), requests.Load(), handshakes.Load(), reloads)
	}
	t.Logf("%d requests, %d logins, %d reloads", requests.Load(), handshakes.Load(), reloads)
	eventually(t, "generations are left", func() bool { return fake.ended.Load() == fake.built.Load()-1 })
}
