package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/kdc"
)

// A ticket counts once, over reloads and a restart, and what was not used counts
// at once. No second gateway has the database, which would not know of it.
func TestAttackReplayAcrossRestart(t *testing.T) {
	t.Parallel()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{{Name: "alice", Password: "alice's"}, {Name: "front", Password: "front's", SPNs: []string{"HTTP/127.0.0.1"}}} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	dir, port := t.TempDir(), freePort(t)
	if err := k.WriteKeytab(filepath.Join(dir, "gw.keytab"), "HTTP/127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	client, err := kerberos.NewPasswordClient(kerberos.Config{
		DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{k.Addr()}}},
	}, "alice", authn.NewSecret("alice's"))
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := client.Ticket(t.Context(), "HTTP/127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	token := func() string {
		t.Helper()
		b, _, err := ticket.NewInitiator(kerberos.InitiatorConfig{}).Step(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	wants := func(when, token string, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d/hr/", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Negotiate "+token)
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", when, resp.StatusCode, want)
		}
	}
	text := fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
store: {driver: sqlite, dsn: %s/users.db}
realms: {corp: {create_users: true, kerberos: {realm: CORP.TEST, kdc: [%q], keytab: %s/gw.keytab}}}
services:
  hr: {match: {path: /hr/}, login: [corp/negotiate], upstream: {url: %q}}
`, port, dir, k.Addr(), dir, startBackend(t))
	used, unused := token(), token()
	t.Run("first", func(t *testing.T) {
		s := startGateway(t, text, nil)
		wants("new", used, 200)
		wants("again", used, 401)
		s.write("gw.yaml", strings.Replace(text, "users.db", "users.db, keep_logins: 30d", 1))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		wants("after a reload of the store", used, 401)
		c, err := config.Load(s.file)
		if err != nil {
			t.Fatal(err)
		}
		c.Listen = nil
		second, err := gateway.New(c, s.file, gateway.Options{NoWatch: true})
		if !errors.Is(err, store.ErrInUse) {
			t.Errorf("a second gateway: %v", err)
		}
		if err == nil {
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_ = second.Run(ended)
		}
	})
	t.Run("second", func(t *testing.T) {
		startGateway(t, text, nil)
		wants("after a restart", used, 401)
		wants("not used before the restart", unused, 200)
		wants("again", unused, 401)
	})
}
