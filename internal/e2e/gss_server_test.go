package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/mittest"
	"github.com/soapward/soapward/internal/testenv"
)

// gssCaller is what gss_server.py knows of a caller.
type gssCaller struct {
	Error string
	User  string
	Bound bool // to the TLS connection
	Bytes int
	Spent []byte // a token for HTTP/back.a.test in the caller's name
}

// startGSSServer starts gss_server.py with the keys of the service web, and
// returns its URL. binding is what the server
// believes of its TLS connections, or "" for plain HTTP.
func startGSSServer(t *testing.T, k *mittest.KDCs, binding string) string {
	t.Helper()
	args, scheme := []string{"testdata/gss_server.py", mitService, "none", "HTTP@back.a.test"}, "http"
	if binding != "" {
		scheme, args[2] = "https", binding
		cert := loopbackCertificate()
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, writeCA(t, cert.Leaf),
			writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))))
	}
	cmd := exec.Command(testenv.NeedPython(t, "gssapi"), args...)
	cmd.Env = append(append(os.Environ(), k.Env()...), "KRB5_KTNAME="+k.Keytab("web"))
	var stderr logBuffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server wrote:\n%s", stderr.String())
		}
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no port: %v", err)
	}
	return scheme + "://127.0.0.1:" + strings.TrimSpace(port)
}

// mitClient is our client as alice of the MIT realm. Names of services are not
// those of the URL.
func mitClient(t *testing.T, k *mittest.KDCs, forward bool) *http.Client {
	t.Helper()
	cfg, err := kerberos.LoadConfig(k.Conf)
	if err != nil {
		t.Fatal(err)
	}
	kc, err := kerberos.NewPasswordClient(*cfg, "alice", authn.NewSecret(mitPassword))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(loopbackCertificate().Leaf)
	transport := &authclient.Transport{
		Source: authclient.Static(&authclient.Kerberos{Client: kc, Forward: forward}),
		SPN:    func(authclient.Target) string { return "HTTP/" + mitHost },
		Base:   &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestOurClientAtGSSAPI: our client at a server whose logins are MIT's GSS-API,
// which looks at channel bindings and can use what was forwarded to it.
func TestOurClientAtGSSAPI(t *testing.T) {
	t.Parallel()
	k := startMITRealm(t, "")
	call := func(t *testing.T, client *http.Client, url, body string) gssCaller {
		t.Helper()
		status, answer, err := post(t.Context(), t, client, url, body)
		if err != nil || status != http.StatusOK {
			t.Fatalf("status %d, answer %q, %v", status, answer, err)
		}
		var c gssCaller
		if err := json.Unmarshal([]byte(answer), &c); err != nil {
			t.Fatalf("answer %q: %v", answer, err)
		}
		if c.User != "alice@A.TEST" || c.Bytes != len(body) {
			t.Errorf("caller = %+v, want alice and %d bytes", c, len(body))
		}
		return c
	}
	for _, tt := range []struct {
		name, binding string
		bound         bool
	}{
		{"http", "", false},
		{"https, bindings not looked at", "none", false},
		{"https, bindings checked", "right", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, url := mitClient(t, k, false), startGSSServer(t, k, tt.binding)
			for _, body := range []string{"<a/>", strings.Repeat("<line/>", 1<<20/7), ""} {
				if c := call(t, client, url, body); c.Bound != tt.bound || c.Spent != nil {
					t.Errorf("caller = %+v, want bound %v and nothing forwarded", c, tt.bound)
				}
			}
		})
	}
	t.Run("bindings of another certificate", func(t *testing.T) {
		t.Parallel()
		_, answer, err := post(t.Context(), t, mitClient(t, k, false), startGSSServer(t, k, "wrong"), "<a/>")
		var refused *authclient.RefusedError
		if !errors.As(err, &refused) || refused.Scheme != authclient.SchemeNegotiate {
			t.Errorf("answer %q, error %v, want a refusal", answer, err)
		}
	})
	t.Run("forwarded", func(t *testing.T) {
		t.Parallel()
		c := call(t, mitClient(t, k, true), startGSSServer(t, k, "right"), "<a/>")
		_, id, err := mitKerberos(t, k, "back").NewAcceptor(authn.Exchange{}).Step(t.Context(), c.Spent)
		if err != nil || id.String() != `A.TEST\alice` {
			t.Errorf("the server as the caller, at the next service: %v, %v", id, err)
		}
	})
	t.Run("200 calls", func(t *testing.T) {
		t.Parallel()
		client, url := mitClient(t, k, false), startGSSServer(t, k, "right")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 25 {
					status, answer, err := post(t.Context(), t, client, url, "<a/>")
					if err != nil || status != http.StatusOK || !strings.Contains(answer, `"alice@A.TEST"`) {
						t.Errorf("status %d, answer %q, %v", status, answer, err)
					}
				}
			})
		}
		wg.Wait()
	})
}
