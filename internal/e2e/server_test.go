package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// whoami is what the server tells a caller about the request it got.
type whoami struct {
	User        string      `json:"user"`
	UPN         string      `json:"upn"`
	DisplayName string      `json:"display_name"`
	SID         authn.SID   `json:"sid"`
	Groups      []authn.SID `json:"groups"`
	GroupNames  []string    `json:"group_names"`
	Mechanism   string      `json:"mechanism"`
	Bytes       int         `json:"bytes"`
	SHA256      string      `json:"sha256"`
	Evidence    string      `json:"evidence"`
}

func serveWhoami(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id := authn.FromContext(r.Context())
	sum := sha256.Sum256(body)
	me := whoami{
		User: id.String(), UPN: id.UPN, DisplayName: id.DisplayName, SID: id.SID, Mechanism: id.Mechanism,
		Bytes: len(body), SHA256: hex.EncodeToString(sum[:]),
	}
	for _, g := range id.Groups {
		me.Groups = append(me.Groups, g.SID)
		me.GroupNames = append(me.GroupNames, g.Name)
	}
	if id.Evidence != nil {
		me.Evidence = id.Evidence.EvidenceKind()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(me) // a client that went away is its own test's failure
}

// server is one of ours, on a port of 127.0.0.1.
type server struct {
	*httptest.Server
	Port   string
	CAFile string // of a server with TLS
	leaf   *x509.Certificate
	log    *logBuffer

	mu     sync.Mutex
	logins []string // the Authorization of each request that has one
}

// serverConfig says how callers log in and what is served to them.
type serverConfig struct {
	login   *iwa.Authenticator
	handler http.Handler // nil: serveWhoami for each path
	tls     bool
}

func startServer(t *testing.T, c serverConfig) *server {
	t.Helper()
	s := &server{log: new(logBuffer)}
	if c.handler == nil {
		c.handler = http.HandlerFunc(serveWhoami)
	}
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{c.login},
		Logger:         slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(s.recordLogins(m.Wrap(c.handler)))
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelDebug)
	if c.tls {
		cert := loopbackCertificate()
		s.leaf, s.CAFile = cert.Leaf, writeCA(t, cert.Leaf)
		s.Listener = iwa.NewTLSListener(s.Listener, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	s.Start()
	t.Cleanup(s.Close)
	if c.tls {
		s.URL = "https" + strings.TrimPrefix(s.URL, "http")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.URL, s.log)
		}
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Port = u.Port()
	return s
}

func (s *server) recordLogins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := r.Header.Get("Authorization"); h != "" {
			s.mu.Lock()
			s.logins = append(s.logins, h)
			s.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// Tokens returns what clients sent in a scheme so far.
func (s *server) Tokens(t *testing.T, scheme string) (tokens [][]byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.logins {
		if text, ok := strings.CutPrefix(h, scheme+" "); ok {
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, b)
		}
	}
	return tokens
}

// loopbackCertificate is the one that httptest has.
func loopbackCertificate() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	cert := s.TLS.Certificates[0]
	cert.Leaf = s.Certificate()
	return cert
}

// At returns a URL of the server under another host name.
func (s *server) At(host, path string) string {
	u, _ := url.Parse(s.URL) // startServer parsed it
	u.Host, u.Path = net.JoinHostPort(host, s.Port), path
	return u.String()
}

func writeCA(t *testing.T, cert *x509.Certificate) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// logBuffer is a log that a test reads. It is safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The local users that NTLM callers log in as.
const (
	localDomain = adtest.NetBIOS
	localDNS    = "corp.test"
	localUser   = "alice"
	localPass   = "local-s3cret"
	localSID    = authn.SID("S-1-5-21-1-2-3-1104")
)

func localAccounts(t *testing.T) *ntlm.Accounts {
	t.Helper()
	accounts, err := ntlm.NewAccounts(localDomain, localDNS,
		ntlm.Account{
			Name: localUser, Password: authn.NewSecret(localPass), UPN: "alice@corp.test",
			DisplayName: "Alice Liddell", SID: localSID,
			Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}},
		},
		ntlm.Account{Name: "bob", Password: authn.NewSecret("bob-local"), SID: "S-1-5-21-1-2-3-1105"},
		ntlm.Account{Name: "zoë", Password: authn.NewSecret("zoe-local")},
		ntlm.Account{Name: "eve", Password: authn.NewSecret("geheim-ß")},
		ntlm.Account{Name: "dave", Password: authn.NewSecret("dave-local"), Disabled: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}

func localNTLM(t *testing.T) *ntlm.Mechanism {
	t.Helper()
	return &ntlm.Mechanism{
		Verifier: localAccounts(t),
		Names:    ntlm.Names{Domain: localDomain, Computer: "WEB", DNS: ntlm.DNSNames{Domain: localDNS, Computer: "web.corp.test"}},
	}
}

// domainKerberos accepts tickets for a service of the test domain.
func domainKerberos(t *testing.T, dc *adtest.DC, service string) *kerberos.Mechanism {
	t.Helper()
	keytab, err := kerberos.LoadKeytab(dc.Keytab(service))
	if err != nil {
		t.Fatal(err)
	}
	return &kerberos.Mechanism{Keytab: keytab}
}

// decodeWhoami reads what serveWhoami wrote.
func decodeWhoami(t *testing.T, text string) whoami {
	t.Helper()
	var me whoami
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&me); err != nil {
		t.Fatalf("answer %.200q: %v", text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("answer %.200q has more than one value", text)
	}
	return me
}
