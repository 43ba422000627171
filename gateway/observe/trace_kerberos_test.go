package observe

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/kdc"
)

// A caller logs in by Kerberos, and the gateway calls a backend in his name: all
// of it is in one trace, each question to the KDC within what needed it.
func TestTraceKerberos(t *testing.T) {
	t.Parallel()
	const frontSPN, backSPN = "HTTP/front.corp.test", "HTTP/back.corp.test"
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "marked-alice"},
		{Name: "front", Password: "marked-front", SPNs: []string{frontSPN}, DelegateTo: []string{backSPN}},
		{Name: "back", Password: "marked-back", SPNs: []string{backSPN}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	conf := kerberos.Config{DefaultRealm: k.Realm(), Realms: map[string]kerberos.Realm{k.Realm(): {KDCs: []string{k.Addr()}}}}
	client := func(name string) *kerberos.Client {
		c, err := kerberos.NewPasswordClient(conf, name, authn.NewSecret("marked-"+name))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	login := func(account, spn string) *authn.Middleware {
		b, err := k.Keytab(account, spn)
		if err != nil {
			t.Fatal(err)
		}
		tab, err := kerberos.ParseKeytab(b)
		if err != nil {
			t.Fatal(err)
		}
		return &authn.Middleware{
			Authenticators: []authn.Authenticator{&iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: tab}}},
			Logger:         slog.New(slog.DiscardHandler),
		}
	}
	var seen string
	back := httptest.NewServer(login("back", backSPN).Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = authn.FromContext(r.Context()).Account + " " + r.Header.Get("Traceparent")
	})))
	defer back.Close()

	c := newCollector(t)
	ob, _, dir := observer(t, fmt.Sprintf("access_log: {file: off}\ntracing: {otlp: %q, sample: 1}", c.URL), Options{})
	out := &http.Client{Transport: &authclient.Transport{
		SPN: func(authclient.Target) string { return backSPN },
		Source: delegation.Source(&delegation.Delegator{
			Client: client("front"), Kerberos: conf, Upstreams: []delegation.Upstream{{SPN: backSPN}},
			Logger: slog.New(slog.DiscardHandler), Observe: ob.Delegation,
		}),
	}}
	m := login("front", frontSPN)
	m.Observe = ob.Login
	front := httptest.NewServer(ob.Wrap(trail.Inbound, ":443", m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr := trail.From(r.Context())
		tr.Service = "hr"
		q, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, back.URL, nil)
		resp, err := out.Do(q)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		if tr.As != string(delegation.Constrained) || tr.Identity.Account != "alice" {
			t.Errorf("trail: as %q, %v", tr.As, tr.Identity)
		}
	}))))
	defer front.Close()
	caller := &http.Client{Transport: &authclient.Transport{
		SPN:    func(authclient.Target) string { return frontSPN },
		Source: authclient.Static(&authclient.Kerberos{Client: client("alice")}),
	}}
	resp, err := caller.Get(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	front.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(seen, "alice 00-") {
		t.Fatalf("status %d, the backend saw %q", resp.StatusCode, seen)
	}
	if err := ob.Reconfigure(parse(t, dir, "access_log: {file: off}")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET hr server", "  login internal", "  upstream client", "    delegation internal", "      kdc client", "      kdc client", "      kdc client",
		"GET server", "  login internal", // the caller waited to be asked
	}
	var got []string
	for deadline := time.Now().Add(10 * time.Second); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got = c.tree("")
	}
	if !slices.Equal(got, want) {
		t.Fatalf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(c.raw.String(), "marked") || strings.Contains(c.raw.String(), "alice") {
		t.Error("a secret or a user is in the spans")
	}
}
