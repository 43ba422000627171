package iwa_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

// TestListenAndServeTLS: one call, and logins are bound.
func TestListenAndServeTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.certificate("gw.test", 0)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name              string
		config            *tls.Config
		certFile, keyFile string
		want              string // in the error; "" means that it serves
	}{
		{"files", nil, certFile, keyFile, ""},
		{"files and settings", &tls.Config{MinVersion: tls.VersionTLS13}, certFile, keyFile, ""},
		{"in the settings", &tls.Config{Certificates: []tls.Certificate{cert}}, "", "", ""},
		{"none", nil, "", "", "without a certificate"},
		{"no such file", nil, certFile, filepath.Join(dir, "none"), "none: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			guard := &authn.Middleware{Authenticators: []authn.Authenticator{&iwa.Authenticator{NTLM: m}}, Logger: slog.New(slog.DiscardHandler)}
			s := iwa.Server(guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(authn.FromContext(r.Context()).String()))
			})))
			s.Addr, s.TLSConfig = "127.0.0.1:0", tt.config
			addr, base := make(chan string, 1), s.BaseContext
			s.BaseContext = func(l net.Listener) context.Context {
				addr <- l.Addr().String()
				return base(l)
			}
			done := make(chan error, 1)
			go func() { done <- iwa.ListenAndServeTLS(s, tt.certFile, tt.keyFile) }()
			if tt.want != "" {
				if err := <-done; err == nil || !strings.HasPrefix(err.Error(), "iwa: ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			select {
			case err := <-done:
				t.Fatal(err)
			case a := <-addr:
				if got, err := get(caller(t, "alice", &tls.Config{RootCAs: ca.pool}), "https://"+a); err != nil || got != `CORP\alice` {
					t.Errorf("got %q, %v", got, err)
				}
			}
			_ = s.Close()
			if err := <-done; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("got %v, want ErrServerClosed", err)
			}
		})
	}
}

// A server that cannot bind logins says so at once.
func TestListenAndServeTLSWithoutConnContext(t *testing.T) {
	t.Parallel()
	s := &http.Server{Addr: "127.0.0.1:0", TLSConfig: &tls.Config{Certificates: []tls.Certificate{newAuthority(t).certificate("gw.test", 0)}}}
	served := time.AfterFunc(10*time.Second, func() { _ = s.Close() })
	defer served.Stop()
	if err := iwa.ListenAndServeTLS(s, "", ""); err == nil || !strings.Contains(err.Error(), "ConnContext") {
		t.Errorf("got %v, want an error about ConnContext", err)
	}
}
