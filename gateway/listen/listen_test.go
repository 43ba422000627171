package listen

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

// open opens a listener and serves the address of each request's client.
func open(t *testing.T, c config.Listener) (*Listener, *testenv.Log) {
	t.Helper()
	log := new(testenv.Log)
	l, err := Open(c, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l)
	return l, log
}

func serve(t *testing.T, l *Listener) {
	t.Helper()
	s := iwa.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

// pair writes a certificate for names, and its key.
func pair(t *testing.T, dir, base string, names ...string) config.KeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: base}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if strings.HasPrefix(base, "expired") {
		tmpl.NotAfter = time.Now().Add(-time.Minute)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := config.KeyPair{Cert: config.Path(filepath.Join(dir, base+".pem")), Key: config.Path(filepath.Join(dir, base+".key"))}
	for _, f := range []struct {
		path config.Path
		typ  string
		der  []byte
	}{{p.Cert, "CERTIFICATE", der}, {p.Key, "PRIVATE KEY", keyDER}} {
		if err := os.WriteFile(string(f.path), pem.EncodeToMemory(&pem.Block{Type: f.typ, Bytes: f.der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// presented returns the name of the certificate that a client is shown.
func presented(t *testing.T, l *Listener, name string) string {
	t.Helper()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	state := c.ConnectionState()
	if state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("protocol %q", state.NegotiatedProtocol)
	}
	return state.PeerCertificates[0].Subject.CommonName
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := pair(t, dir, "first", "gw.corp.test")
	c := config.Listener{Addr: "127.0.0.1:0", TLS: &config.TLS{Cert: first.Cert, Key: first.Key, More: []config.KeyPair{
		pair(t, dir, "hr", "hr.corp.test"), pair(t, dir, "wild", "*.apps.corp.test"), pair(t, dir, "expired", "old.corp.test"),
	}}}
	l, log := open(t, c)
	for _, tt := range []struct{ name, want string }{
		{"gw.corp.test", "first"}, {"hr.corp.test", "hr"}, {"HR.corp.test", "hr"}, {"a.apps.corp.test", "wild"},
		{"a.b.apps.corp.test", "first"}, {"other.test", "first"}, {"", "first"}, {"old.corp.test", "expired"},
	} {
		if got := presented(t, l, tt.name); got != tt.want {
			t.Errorf("%q is shown %s, want %s", tt.name, got, tt.want)
		}
	}
	if !strings.Contains(log.String(), "a certificate has expired") || !strings.Contains(log.String(), "expired.pem") {
		t.Errorf("log %s", log)
	}
	if got := l.Certificates(); len(got) != 4 || got[1].Names[0] != "hr.corp.test" || got[1].File != string(c.TLS.More[0].Cert) {
		t.Errorf("certificates %v", got)
	}
	old, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		_ = old.Close()
		t.Error("TLS 1.1 is spoken")
	}

	// A new pair in the same files, and then one that does not fit.
	next := pair(t, t.TempDir(), "next", "gw.corp.test")
	rename(t, string(next.Cert), string(first.Cert))
	if _, err := l.Prepare(c); err == nil || !strings.Contains(err.Error(), string(first.Key)) {
		t.Errorf("a certificate with another's key: %v", err)
	}
	if got := presented(t, l, "gw.corp.test"); got != "first" {
		t.Errorf("after a bad pair %s", got)
	}
	rename(t, string(next.Key), string(first.Key))
	apply, err := l.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := presented(t, l, "gw.corp.test"); got != "first" {
		t.Errorf("before it is applied: %s", got)
	}
	apply()
	if got := presented(t, l, "gw.corp.test"); got != "next" {
		t.Errorf("after it is applied: %s", got)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A key that others can read, or a certificate that they can change, is refused.
func TestAttackKeyMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := pair(t, dir, "gw", "gw.corp.test")
	c := config.Listener{Addr: "127.0.0.1:0", TLS: &config.TLS{Cert: p.Cert, Key: p.Key}}
	for _, tt := range []struct {
		file config.Path
		mode os.FileMode
		want string
	}{
		{p.Key, 0o604, "chmod 0640"}, {p.Key, 0o660, "chmod 0640"}, {p.Key, 0o640, ""}, {p.Cert, 0o646, "chmod 0644"}, {p.Cert, 0o644, ""},
	} {
		if err := os.Chmod(string(tt.file), tt.mode); err != nil {
			t.Fatal(err)
		}
		l, err := Open(c, Options{})
		if err == nil {
			_ = l.Close()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want+" "+string(tt.file))) {
			t.Errorf("%s with mode %o: %v, want %q", tt.file, tt.mode, err, tt.want)
		}
		_ = os.Chmod(string(tt.file), 0o600)
	}
}

// TLS is switched on without a connection being refused, and an old one ends as
// it began.
func TestReopen(t *testing.T) {
	t.Parallel()
	p := pair(t, t.TempDir(), "gw", "gw.corp.test")
	c := config.Listener{Addr: "127.0.0.1:0"}
	l, _ := open(t, c)
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	get(t, plain)

	c.TLS = &config.TLS{Cert: p.Cert, Key: p.Key}
	if _, err := l.Prepare(c); !errors.Is(err, ErrReopen) {
		t.Fatalf("Prepare: %v", err)
	}
	next, err := l.Reopen(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, next)
	if got := presented(t, next, ""); got != "gw" {
		t.Errorf("certificate %s", got)
	}
	get(t, plain)
}

// get sends a request and returns the status and the body.
func get(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return answer(t, c)
}

func answer(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gw.sock")
	c := config.Listener{Addr: config.Address("unix:" + path)}
	l, _ := open(t, c)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	dial := func() (int, error) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		status, _ := get(t, conn)
		return status, nil
	}
	if status, err := dial(); status != 200 {
		t.Errorf("%d, %v", status, err)
	}
	// Somebody else who wants it finds it taken.
	_, err = Open(c, Options{})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "another program listens there") || e.Remedy == "" {
		t.Errorf("a second one: %v", err)
	}
	// Of two for the same socket, the last one takes the file away.
	next, err := l.Reopen(c)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, next)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if status, err := dial(); status != 200 {
		t.Errorf("after the first was closed: %d, %v", status, err)
	}
	if err := errors.Join(next.Close(), next.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}

	// One that a program left behind makes room; another file does not.
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	again, err := Open(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c, Options{}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in place of a file: %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	missing := filepath.Join(t.TempDir(), "none", "gw.sock")
	for _, tt := range []struct {
		addr         string
		want, remedy string
	}{
		{busy.Addr().String(), "address already in use", "ss -ltnp"},
		{"192.0.2.1:4000", "cannot assign requested address", "ip address"},
		{"unix:" + missing, "no such file or directory", "make the directory"},
		{"systemd:gw", "systemd handed over no socket of that name", "FileDescriptorName=gw"},
	} {
		l, err := Open(config.Listener{Addr: config.Address(tt.addr)}, Options{})
		var e *Error
		if !errors.As(err, &e) {
			if err == nil {
				_ = l.Close()
			}
			t.Errorf("%s: %v", tt.addr, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(e.Remedy, tt.remedy) || strings.Count(err.Error(), tt.addr) != 1 {
			t.Errorf("%s: %v; try %q", tt.addr, err, e.Remedy)
		}
	}
	if r := remedy(":443", fmt.Errorf("x: %w", os.ErrPermission)); r != "" {
		t.Errorf("a permission that is not of a port: %q", r)
	}
}

func networks(s ...string) (out []config.Network) {
	for _, one := range s {
		out = append(out, config.Network{Prefix: netip.MustParsePrefix(one)})
	}
	return out
}
