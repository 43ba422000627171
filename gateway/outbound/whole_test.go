package outbound_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/testenv"
)

const wholeConfig = `
listen: [{addr: "%s"}]
realms: {corp: {kerberos: {realm: CORP.TEST, kdc: ["%s"], keytab: front.keytab, spn: [HTTP/127.0.0.1]}}}
services:
  hr: {match: {path: /hr/}, login: [corp/negotiate], upstream: {url: "%s", identity: {jwt: {header: X-Identity, key: {file: id.key}}}}}
upstreams:
  up: {listen: "%s", url: "%s", spn: HTTP/back.corp.test, act_as: [caller], delegation: {principal: front@CORP.TEST, keytab: front.keytab}}
`

// All of a gateway: a caller logs in to a service, whose backend calls another
// server through the gateway, with the token it got, as that caller. It is so
// after a reload, too, also for a token of before.
func TestWholeGateway(t *testing.T) {
	t.Parallel()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "a"}, {Name: "bob", Password: "b"},
		{Name: "front", Password: "pw-front", SPNs: []string{"HTTP/127.0.0.1"}, DelegateTo: []string{"HTTP/back.corp.test"}},
		{Name: "back", Password: "pw-back", SPNs: []string{"HTTP/back.corp.test"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })

	b, err := k.Keytab("HTTP/back.corp.test")
	if err != nil {
		t.Fatal(err)
	}
	keytab, err := kerberos.ParseKeytab(b)
	if err != nil {
		t.Fatal(err)
	}
	m := &authn.Middleware{Authenticators: []authn.Authenticator{&iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keytab}}}, Logger: slog.New(slog.DiscardHandler)}
	server := httptest.NewUnstartedServer(nil)
	server.Config = iwa.Server(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s at the server", authn.FromContext(r.Context()))
	})))
	server.Start()
	t.Cleanup(server.Close)

	var listen, up string
	for _, addr := range []*string{&listen, &up} {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		*addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Token", r.Header.Get("X-Identity")) // for the test only
		req, err := http.NewRequestWithContext(r.Context(), "GET", "http://"+up+"/x", nil)
		if err != nil {
			return
		}
		req.Header.Set("X-Identity", r.Header.Get("X-Identity"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(w, resp.Body) // the test compares
	}))
	t.Cleanup(backend.Close)

	dir := t.TempDir()
	if err := k.WriteKeytab(filepath.Join(dir, "front.keytab"), "front"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "gw.yaml")
	text := fmt.Sprintf(wholeConfig, listen, k.Addr(), backend.URL, up, server.URL)
	writeFiles(t, dir, map[string]string{"gw.yaml": text, "id.key": newKey(t)})
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, file, gateway.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), NoWatch: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	call := func(user string) (body, token string) {
		t.Helper()
		kc, err := kerberos.NewPasswordClient(kerberos.Config{
			DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{k.Addr()}}},
		}, user, authn.NewSecret(user[:1]))
		if err != nil {
			t.Fatal(err)
		}
		tr := &authclient.Transport{Source: authclient.Static(&authclient.Kerberos{Client: kc})}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("http://" + listen + "/hr/x")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), resp.Header.Get("X-Token")
	}
	var old string
	for _, user := range []string{"alice", "bob"} {
		body, token := call(user)
		if want := `CORP\` + user + " at the server"; body != want {
			t.Errorf("%q, want %q", body, want)
		}
		old = token
	}
	writeFiles(t, dir, map[string]string{"gw.yaml": strings.Replace(text, "login: [corp/negotiate]", "login: [corp/negotiate], allow: [{path: /, roles: [any]}]", 1), "id.key": newKey(t)})
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if body, _ := call("alice"); body != `CORP\alice at the server` {
		t.Errorf("after the reload: %q", body)
	}
	req, err := http.NewRequest("GET", "http://"+up+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Identity", old)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != `CORP\bob at the server` {
		t.Errorf("by a token of before the reload: %q, %v", b, err)
	}
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
