package login_test

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/trail"
)

// Where bindings are required, a login must be bound to the certificate that the
// client sees: that of our listener, or the one that is said to be a balancer's.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS() // for its certificate, which all of httptest's have
	cert := srv.Certificate()
	srv.Close()
	if err := os.WriteFile(filepath.Join(w.dir, "lb.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := w.config(strings.ReplaceAll(`
listen: [{addr: ":443"}]
realms: {staff: {internal: {ntlm: true}}}
services:
  required: {match: {path: /a}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], channel_binding: required}
  balancer: {match: {path: /b}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], channel_binding: required, allow_forwarded: true, channel_binding_hash: [lb.pem, "%OTHER%"]}
  unknown:  {match: {path: /d}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], allow_forwarded: true}
  off:      {match: {path: /e}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], allow_forwarded: true, channel_binding: "off"}
  other:    {match: {path: /c}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], allow_forwarded: true, channel_binding_hash: ["%OTHER%"]}
`, "%OTHER%", strings.Repeat("ab", 32)))
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	handler := func(service string) http.Handler {
		h, err := s.Handler(spec(c, service), whoami)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	t.Run("our listener", func(t *testing.T) {
		own := httptest.NewUnstartedServer(nil)
		own.StartTLS()
		config := own.TLS
		own.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		front := iwa.Server(handler("required"))
		go func() { _ = front.Serve(iwa.NewTLSListener(l, config)) }()
		t.Cleanup(func() { _ = front.Close() })
		url := "https://" + l.Addr().String()
		if got := get(t, w.client(own, ntlmAs("dora")), url); got != "200 dora by NTLM" {
			t.Errorf("bound: %s", got)
		}
		plain := own.Client().Transport.(*http.Transport).Clone()
		if status := loginOver(t, oneConnection(t, &http.Client{Transport: plain}), url, "dora"); status != 401 {
			t.Errorf("without a binding: %d, want 401", status)
		}
	})
	for service, want := range map[string]string{"balancer": "200 dora by NTLM", "other": "401", "unknown": "401", "off": "200 dora by NTLM"} {
		front := w.balancer(w.listen(handler(service), false).URL)
		got := get(t, w.client(front, ntlmAs("dora")), front.URL)
		if want == "401" && !strings.Contains(got, "refused the NTLM login") || want != "401" && got != want {
			t.Errorf("%s behind a balancer: %s, want %s", service, got, want)
		}
	}
	if got := strings.Join(w.seen.reasons(), ","); !strings.Contains(got, "refused channel-binding") {
		t.Errorf("told of %q, want a refusal for its binding", got)
	}
}

// TestAttackGatewayBasicOverPlainHTTP: a password that others on the way may have
// read is neither asked for nor taken, unless a trusted proxy took it over TLS.
func TestAttackGatewayBasicOverPlainHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const service = `
listen: [{addr: ":80"}]
realms: {staff: {internal: {}}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [staff/basic]}}
`
	const far, near = "192.0.2.1:80", "127.0.0.1:80"
	behind := "trusted_proxies: [198.51.100.0/24]\nsessions: {tls_at_proxy: true}\n"
	for _, tt := range []struct {
		name, more, local, peer string
		tls, want               bool
	}{
		{"plain", "", far, "203.0.113.9:1", false, false},
		{"to this machine", "", near, "127.0.0.1:1", false, true},
		{"TLS", "", far, "203.0.113.9:1", true, true},
		{"development", "sessions: {allow_insecure_http: true}\n", far, "203.0.113.9:1", false, true},
		{"TLS at a proxy", behind, far, "198.51.100.7:1", false, true},
		{"past the proxy", behind, far, "203.0.113.9:1", false, false},
	} {
		c := w.config(tt.more + service)
		if tt.name == "plain" {
			w.user(c, "staff", "dora")
		}
		s := w.set(c, nil)
		h, err := s.Handler(spec(c, "x"), whoami)
		if err != nil {
			t.Fatal(err)
		}
		scheme := map[bool]string{true: "https", false: "http"}[tt.tls]
		for _, sent := range []bool{false, true} {
			r := httptest.NewRequest("GET", scheme+"://gw.example/", nil)
			local, err := net.ResolveTCPAddr("tcp", tt.local)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
			r.RemoteAddr = tt.peer
			if sent {
				r.SetBasicAuth("dora", marked+"dora")
			}
			rw := httptest.NewRecorder()
			h.ServeHTTP(rw, r)
			switch {
			case sent && (rw.Code == 200) != tt.want:
				t.Errorf("%s: %d with the right password, want it taken: %v", tt.name, rw.Code, tt.want)
			case !sent && (rw.Header().Get("WWW-Authenticate") != "") != tt.want:
				t.Errorf("%s: asks with %q, want that it asks: %v", tt.name, rw.Header().Get("WWW-Authenticate"), tt.want)
			}
		}
	}
}

// The trail of a request learns who came and how, or why not.
func TestTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	h, err := s.Handler(spec(c, "session"), whoami)
	if err != nil {
		t.Fatal(err)
	}
	var last *trail.Trail
	srv := w.listen(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		last = new(trail.Trail)
		h.ServeHTTP(rw, r.WithContext(trail.With(r.Context(), last)))
	}), true)
	client := w.client(srv, w.kerberos("alice"))
	if got := get(t, client, srv.URL); got != `200 CORP\alice by Kerberos` || last.Identity.String() != `CORP\alice` || last.Session || last.Refusal != "" {
		t.Errorf("%s, trail %+v", got, last)
	}
	plain := w.client(srv, nil)
	plain.Jar = client.Jar
	if got := get(t, plain, srv.URL); got != `200 CORP\alice by Kerberos` || last.Identity.String() != `CORP\alice` || !last.Session {
		t.Errorf("%s, trail %+v", got, last)
	}
	if got := get(t, srv.Client(), srv.URL); !strings.HasPrefix(got, "401") || last.Refusal != "" {
		t.Errorf("a first request: %s, trail %+v", got, last)
	}
	if got := ask(t, srv.Client(), "GET", srv.URL, "Authorization", "Negotiate AAAA"); !strings.HasPrefix(got, "401") || last.Refusal == "" || last.Identity != nil {
		t.Errorf("a broken token: %s, trail %+v", got, last)
	}
}

// A controller that does not answer is no refusal, and the checks say so.
func TestControllersAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret("computer.secret", marked+"computer")
	c := w.config(`
listen: [{addr: ":443"}]
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}
    ntlm: {verifier: netlogon, computer: GW05$, secret: {file: computer.secret}, domain: CORP}
    ad: {url: "ldaps://127.0.0.1:1", default_domain: CORP}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/ntlm, corp/basic]}}
`)
	s := w.set(c, nil)
	srv := w.serve(c, s, "x")
	if status := loginOver(t, oneConnection(t, srv.Client()), srv.URL, "alice"); status != 503 {
		t.Errorf("NTLM: %d, want 503", status)
	}
	if got := get(t, w.client(srv, &authclient.Basic{User: "alice", Password: basicAs("alice").(*authclient.Basic).Password}), srv.URL); !strings.HasPrefix(got, "503") {
		t.Errorf("Basic: %s, want 503", got)
	}
	if got := get(t, w.client(srv, w.kerberos("alice")), srv.URL); got != `200 CORP\alice by Kerberos` {
		t.Errorf("Kerberos, which needs none of them: %s", got)
	}
	if err := w.kdc.Close(); err != nil {
		t.Fatal(err)
	}
	for _, k := range s.Checks() {
		err := k.Run(t.Context())
		if away := strings.Contains(k.Name, "kdc") || strings.Contains(k.Name, "netlogon") || strings.Contains(k.Name, "directory"); (err != nil) != away {
			t.Errorf("%s: %v", k.Name, err)
		}
		if err != nil && strings.Contains(err.Error(), marked) {
			t.Errorf("%s tells a secret: %v", k.Name, err)
		}
	}
	if strings.Contains(w.log.String(), marked) {
		t.Error("a password is in the log")
	}
}
