package inbound

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/internal/kdc"
)

// Behind a proxy that asks over one connection for all clients, a login by
// Kerberos begins a session, which later requests go by. It is the client's, not
// the connection's.
func TestForwardAuthSession(t *testing.T) {
	t.Parallel()
	dir, password := t.TempDir(), "pw-of-all 42"
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: password}, {Name: "bob", Password: password},
		{Name: "front", Password: password, SPNs: []string{"HTTP/127.0.0.1"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	if err := k.WriteKeytab(filepath.Join(dir, "gw.keytab"), "HTTP/127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(filepath.Join(dir, "gw.yaml"), []byte(`
listen: [{addr: ":8080"}]
forward_auth: {proxies: [127.0.0.1]}
sessions: {allow_insecure_http: true}
realms: {corp: {kerberos: {realm: CORP.TEST, kdc: ["`+k.Addr()+`"], keytab: gw.keytab}, internal: {ntlm: true}}}
services:
  web: {match: {host: 127.0.0.1}, login: [corp/negotiate, corp/ntlm], session: true, forward_auth: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	users, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "users.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })
	logins, err := login.New(c, login.Options{Store: users, Logger: logger}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logins.Close(nil) })
	h, err := New(c, Parts{Logins: logins, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	gw := httptest.NewUnstartedServer(h)
	gw.Config = iwa.Server(h)
	gw.Start()
	t.Cleanup(gw.Close)
	proxy := httptest.NewServer(asking(t, gw))
	t.Cleanup(proxy.Close)

	client := func(cred authclient.Credential) *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		if cred == nil {
			return &http.Client{Jar: jar}
		}
		tr := &authclient.Transport{Source: authclient.Static(cred)}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Jar: jar, Transport: tr}
	}
	get := func(c *http.Client) (int, string) {
		res, err := c.Get(proxy.URL + "/x")
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	sessions := map[string]*http.Client{}
	for _, user := range []string{"alice", "bob"} {
		kc, err := kerberos.NewPasswordClient(kerberos.Config{
			DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{k.Addr()}}},
		}, user, authn.NewSecret(password))
		if err != nil {
			t.Fatal(err)
		}
		first := client(&authclient.Kerberos{Client: kc})
		if status, body := get(first); status != 200 || body != `CORP\`+user {
			t.Fatalf("%s: got %d %q", user, status, body)
		}
		sessions[user] = &http.Client{Jar: first.Jar} // the cookie and nothing else
	}
	for range 3 {
		for user, c := range sessions {
			if status, body := get(c); status != 200 || body != `CORP\`+user {
				t.Errorf("session of %s: got %d %q", user, status, body)
			}
		}
		if status, body := get(client(nil)); status != 401 {
			t.Errorf("nobody: got %d %q, want 401", status, body)
		}
	}
	if status, body := get(client(&authclient.NTLM{User: "carol", Password: authn.NewSecret(password)})); status == 200 {
		t.Errorf("NTLM: got %d %q", status, body)
	}
}

// asking is a proxy that asks a gateway, as Traefik does, with one connection.
func asking(t *testing.T, gw *httptest.Server) http.Handler {
	tr := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, gw.URL+"/.soapward/auth", nil)
		if err != nil {
			t.Error(err)
			return
		}
		q.Header = r.Header.Clone()
		for name, value := range map[string]string{
			"X-Forwarded-Method": r.Method, "X-Forwarded-Proto": "http", "X-Forwarded-Host": r.Host, "X-Forwarded-Uri": r.RequestURI, "X-Forwarded-For": "10.1.1.1",
		} {
			q.Header.Set(name, value)
		}
		res, err := tr.RoundTrip(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		for _, name := range []string{"Www-Authenticate", "Set-Cookie"} {
			w.Header()[name] = res.Header[name]
		}
		w.WriteHeader(res.StatusCode)
		if res.StatusCode == http.StatusOK {
			_, _ = io.WriteString(w, res.Header.Get("X-Remote-User"))
		}
		_, _ = io.Copy(io.Discard, res.Body)
	})
}
