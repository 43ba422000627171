package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/hook"
)

// A backend is told the roles of the caller, in a header and in the token, and sees
// no cookie of ours; a SOAP client is told of a backend that is away by a fault.
func TestBackendIsTold(t *testing.T) {
	t.Parallel()
	key, hash := hook.NewAPIKey()
	seen := make(chan http.Header, 8)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		w.Header().Add("Set-Cookie", "soapward-corp=chosen; Path=/")
		w.Header().Add("Set-Cookie", "app=1; Path=/")
	}))
	t.Cleanup(backend.Close)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
sessions: {allow_insecure_http: true}
roles: {payroll: {users: [robot]}}
defaults: {login: [custom]}
services:
  hr:
    match: {path: /hr/}
    custom: {api_keys: [{name: robot, hash: "%x"}]}
    upstream:
      url: %q
      identity: {headers: {roles: X-Roles}, jwt: {header: X-Identity, key: {file: id.pem}}}
  gone:
    match: {path: /gone/}
    login: [none]
    upstream: {url: "http://127.0.0.1:1"}
`, port, hash, backend.URL), map[string]string{"id.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/hr/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key.Reveal())
	r.Header.Set("Cookie", "soapward-corp=abc; app=2; __Host-soapward-staff=def")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if got := resp.Header["Set-Cookie"]; len(got) != 1 || got[0] != "app=1; Path=/" {
		t.Errorf("the client got the cookies %q", got)
	}
	h := <-seen
	if got := h.Get("X-Roles"); got != "payroll" {
		t.Errorf("header with the roles: %q, want payroll", got)
	}
	if got := h.Get("Cookie"); got != "app=2" {
		t.Errorf("the backend got the cookies %q", got)
	}
	if parts := strings.Split(h.Get("X-Identity"), "."); len(parts) != 3 {
		t.Errorf("token %q", h.Get("X-Identity"))
	} else if claims, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || !strings.Contains(string(claims), `"roles":["payroll"]`) {
		t.Errorf("claims %s, %v: want the role", claims, err)
	}

	resp, err = http.Post(base+"/gone/x", "text/xml", strings.NewReader(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><a/></s:Body></s:Envelope>`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "Fault>") || !strings.Contains(string(body), resp.Header.Get("Soapward-Ref")) || strings.Contains(string(body), "127.0.0.1:1") {
		t.Errorf("no backend: status %d, %s; want a fault with the reference and no address", resp.StatusCode, body)
	}
}
