package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/gateway/login"
)

// swapped is a handler that a reload replaces.
type swapped struct{ atomic.Pointer[http.Handler] }

func (s *swapped) set(h http.Handler)                               { s.Store(&h) }
func (s *swapped) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*s.Load()).ServeHTTP(w, r) }

// oneConnection makes calls over one connection and adds nothing to them.
func oneConnection(t testing.TB, c *http.Client) *http.Client {
	t.Helper()
	tr := c.Transport.(*http.Transport).Clone()
	tr.MaxConnsPerHost = 1
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// leg sends a message of a handshake, and returns the status and the server's.
func leg(t testing.TB, c *http.Client, url string, message []byte, header ...string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if message != nil {
		r.Header.Set("Authorization", "NTLM "+base64.StdEncoding.EncodeToString(message))
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer(t, resp)
	token, ok := strings.CutPrefix(resp.Header.Get("WWW-Authenticate"), "NTLM ")
	if !ok {
		return resp.StatusCode, nil
	}
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func initiatorAs(user string) *ntlm.Initiator {
	return &ntlm.Initiator{Credential: ntlm.Credential{User: user, Password: authn.NewSecret(marked + user)}}
}

func step(t testing.TB, i *ntlm.Initiator, in []byte) []byte {
	t.Helper()
	out, _, err := i.Step(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reload ends neither logins of connections nor handshakes that are half-way,
// unless the realm changed.
func TestReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, change string
		stays        bool
	}{
		{"the same again", "", true},
		{"another realm changes", "  new: {internal: {}}\n", true},
		{"the realm changes", "", false},
	} {
		text := both
		next := strings.Replace(text, "realms:\n", "realms:\n"+tt.change, 1)
		if !tt.stays {
			next = strings.Replace(next, "staff: {internal: {ntlm: true}}", "staff: {internal: {ntlm: true}, aliases: [team]}", 1)
		}
		c := w.config(text)
		if tt.name == "the same again" {
			w.user(c, "staff", "dora")
		}
		t.Run(tt.name, func(t *testing.T) {
			first := w.set(c, nil)
			h, err := first.Handler(spec(c, "staff"), whoami)
			if err != nil {
				t.Fatal(err)
			}
			front := new(swapped)
			front.set(h)
			srv := w.listen(front, true)
			loggedIn, halfway := oneConnection(t, srv.Client()), oneConnection(t, srv.Client())

			i, j := initiatorAs("dora"), initiatorAs("dora")
			_, challenge := leg(t, loggedIn, srv.URL, step(t, i, nil))
			if status, _ := leg(t, loggedIn, srv.URL, step(t, i, challenge)); status != 200 {
				t.Fatalf("login: %d", status)
			}
			_, challenge = leg(t, halfway, srv.URL, step(t, j, nil))

			c2 := w.config(next)
			second := w.set(c2, first)
			if h, err = second.Handler(spec(c2, "staff"), whoami); err != nil {
				t.Fatal(err)
			}
			front.set(h)
			if err := first.Close(second); err != nil {
				t.Fatal(err)
			}
			want := map[bool]int{true: 200, false: 401}[tt.stays]
			if status, _ := leg(t, loggedIn, srv.URL, nil); status != want {
				t.Errorf("the connection after the reload: %d, want %d", status, want)
			}
			if status, _ := leg(t, halfway, srv.URL, step(t, j, challenge)); status != want {
				t.Errorf("the handshake after the reload: %d, want %d", status, want)
			}
		})
	}
}

// A change of a file that a realm is made of makes a new one; the keytab is read
// again by itself.
func TestReloadFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret, keytab := filepath.Join(w.dir, "reader.secret"), filepath.Join(w.dir, "gw.keytab")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, marked+"one")
	c := w.config(`
realms:
  corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}}
  people: {ldap: {url: "ldaps://127.0.0.1:1/dc=x", filter: "(uid={user})", bind_user: "cn=reader,dc=x", bind_password: {file: reader.secret}}}
`)
	first := w.set(c, nil)
	b, err := os.ReadFile(keytab)
	if err != nil {
		t.Fatal(err)
	}
	write(keytab, string(b))
	second := w.set(c, first)
	if !login.SameRealm(first, second, "corp") || !login.SameRealm(first, second, "people") {
		t.Error("a realm was not taken over although nothing changed")
	}
	write(secret, marked+"two")
	third := w.set(c, second)
	if !login.SameRealm(second, third, "corp") || login.SameRealm(second, third, "people") {
		t.Error("want a new realm people, and the same corp, after its password changed")
	}
}

// A new certificate of a load balancer, in the file of the old one, counts from the
// next reload on: what was made of the old one was taken over.
func TestReloadBindingFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	certificate := func(der []byte) {
		t.Helper()
		b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(filepath.Join(w.dir, "lb.pem"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := w.config(`
listen: [{addr: ":443"}]
realms: {staff: {internal: {ntlm: true}}}
services:
  x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], channel_binding: required, allow_forwarded: true, channel_binding_hash: [lb.pem]}
`)
	w.user(c, "staff", "dora")
	certificate(otherCertificate(t))
	first := w.set(c, nil)
	handler := new(swapped)
	use := func(s *login.Set) {
		t.Helper()
		h, err := s.Handler(spec(c, "x"), whoami)
		if err != nil {
			t.Fatal(err)
		}
		handler.set(h)
	}
	use(first)
	front := w.balancer(w.listen(handler, false).URL)
	if got := get(t, w.client(front, ntlmAs("dora")), front.URL); !strings.Contains(got, "refused the NTLM login") {
		t.Errorf("bound to another certificate: %s", got)
	}
	certificate(front.Certificate().Raw)
	use(w.set(c, first))
	if got := get(t, w.client(front, ntlmAs("dora")), front.URL); got != "200 dora by NTLM" {
		t.Errorf("after the file changed: %s", got)
	}
}

// otherCertificate is one that nobody presents.
func otherCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What cannot be is told with the key and the reason, and nothing stays open.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := filepath.Join(w.dir, "open.keytab")
	b, err := os.ReadFile(filepath.Join(w.dir, "gw.keytab"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text, want string
		noStore          bool
	}{
		{"open keytab", `realms: {corp: {kerberos: {realm: CORP.TEST, keytab: open.keytab}}}`, "chmod", false},
		{"no keytab", `realms: {corp: {kerberos: {realm: CORP.TEST, keytab: none.keytab}}}`, "realms.corp: kerberos.keytab", false},
		{"netlogon without a domain", `realms: {corp: {ntlm: {verifier: netlogon, computer: GW, secret: {env: HOME}}}}`, "ntlm.domain is missing", false},
		{"netlogon without controllers", `realms: {corp: {ntlm: {verifier: netlogon, computer: GW, secret: {env: HOME}, domain: CORP}}}`, "want ad.url, or ad.domain", false},
		{"internal without a store", `realms: {staff: {internal: {}}}`, "internal wants a store", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := w.options()
			if tt.noStore {
				o.Store = nil
			}
			s, err := login.New(w.config(tt.text), o, nil)
			if s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want an error with %q", err, tt.want)
			}
		})
	}
	c := w.config(`realms: {id: {oidc: {issuer: "https://id.example", client_id: x}}}`)
	if _, err := login.New(c, w.options(), nil); err != nil {
		t.Errorf("a realm with OIDC that nobody uses: %v", err)
	}
}

func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(`
listen: [{addr: ":443"}]
realms:
  corp: {kerberos: {realm: CORP.TEST, keytab: gw.keytab}}
  staff: {internal: {ntlm: true}}
services:
  two:  {match: {path: /a}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, staff/ntlm]}
`)
	s := w.set(c, nil)
	for service, want := range map[string]string{"two": "Negotiate and NTLM of two realms"} {
		if _, err := s.Handler(spec(c, service), whoami); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", service, err, want)
		}
	}
	if _, err := s.Handler(login.Spec{}, whoami); err == nil {
		t.Error("no logins at all are taken")
	}
}
