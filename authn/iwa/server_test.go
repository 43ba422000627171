package iwa_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// newNTLM knows alice, whose password is a, and bob with b.
func newNTLM(t testing.TB) *ntlm.Mechanism {
	t.Helper()
	as, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "alice", Password: authn.NewSecret("a")},
		ntlm.Account{Name: "bob", Password: authn.NewSecret("b")})
	if err != nil {
		t.Fatal(err)
	}
	return &ntlm.Mechanism{Verifier: as, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}}
}

// service is a real server with a real listener.
type service struct {
	server *http.Server
	addr   string
	log    *logBuffer
	open   atomic.Int64 // connections
}

// serve starts a server for login, with TLS if config is not nil. change may
// alter it before. It tells callers who they are and how long their body was.
func serve(t *testing.T, login *iwa.Authenticator, config *tls.Config, change ...func(*http.Server)) *service {
	t.Helper()
	s := &service{log: new(logBuffer)}
	log := s.log.logger()
	login.Logger = log
	if m, ok := login.NTLM.(*ntlm.Mechanism); ok {
		m.Logger = log
	}
	m := &authn.Middleware{Authenticators: []authn.Authenticator{login}, Logger: log}
	s.server = iwa.Server(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if r.TLS != nil {
			w.Header().Set("X-Resumed", strconv.FormatBool(r.TLS.DidResume))
		}
		fmt.Fprintf(w, "%s %d", authn.FromContext(r.Context()), n)
	})))
	ended := s.server.ConnState
	s.server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	s.server.ConnState = func(c net.Conn, now http.ConnState) {
		switch now {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed:
			s.open.Add(-1)
		}
		ended(c, now)
	}
	for _, f := range change {
		f(s.server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if config != nil {
		l = iwa.NewTLSListener(l, config)
	}
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(l) }()
	t.Cleanup(func() {
		_ = s.server.Close()
		<-done
		if t.Failed() {
			t.Logf("log:\n%s", s.log)
		}
	})
	return s
}

// caller is a client that logs in as user. Its connections are its own.
func caller(t *testing.T, user string, config *tls.Config) *http.Client {
	t.Helper()
	base := &http.Transport{TLSClientConfig: config}
	tr := &authclient.Transport{
		Source: authclient.Static(&authclient.NTLM{User: `CORP\` + user, Password: authn.NewSecret(user[:1])}), Base: base,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get returns what the service says, or the error.
func get(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(b), err
}

// authority signs certificates for servers.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.key = a.newKey(elliptic.P384())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	a.cert = a.sign(template, template, a.key)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) newKey(c elliptic.Curve) *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// certificate returns a new one for name and 127.0.0.1, signed with alg.
func (a *authority) certificate(name string, alg x509.SignatureAlgorithm) tls.Certificate {
	a.t.Helper()
	key := a.newKey(elliptic.P256())
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	leaf := a.sign(&x509.Certificate{
		SerialNumber: serial, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: alg,
	}, a.cert, key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
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

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBuffer) has(s string) bool { return strings.Contains(l.String(), s) }
