package iwa_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/go-ntlmssp"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// otherwise is alice, bound to something else than the connection she is on.
type otherwise struct {
	*authclient.NTLM
	initiator func(own authn.ChannelBinding) authn.Initiator
}

func (o otherwise) NewInitiator(_ string, _ authclient.Target, own authn.ChannelBinding) (authn.Initiator, error) {
	return o.initiator(own), nil
}

// boundTo makes alice's initiators.
func boundTo(f func(own authn.ChannelBinding) authn.ChannelBinding) func(authn.ChannelBinding) authn.Initiator {
	return func(own authn.ChannelBinding) authn.Initiator {
		return &ntlm.Initiator{Credential: ntlm.Credential{User: "alice", Domain: "CORP", Password: authn.NewSecret("a")}, Binding: f(own)}
	}
}

// peer is alice by go-ntlmssp, which knows nothing of channel bindings.
type peer struct{}

func (peer) Step(_ context.Context, challenge []byte) ([]byte, bool, error) {
	if len(challenge) == 0 {
		b, err := ntlmssp.NewNegotiateMessage("", "")
		return b, false, err
	}
	b, err := ntlmssp.NewAuthenticateMessage(challenge, `CORP\alice`, "a", nil)
	return b, true, err
}

// TestAttackChannelBindingOfConnection: what a client is bound to is compared
// with the certificate of its very connection, without being told which.
func TestAttackChannelBindingOfConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, other := ca.certificate("gw.test", 0), ca.certificate("gw.test", 0)
	right := boundTo(func(own authn.ChannelBinding) authn.ChannelBinding { return own })
	wrong := boundTo(func(authn.ChannelBinding) authn.ChannelBinding { return authn.EndpointBinding(other.Leaf) })
	zero := boundTo(func(authn.ChannelBinding) authn.ChannelBinding { return nil })
	absent := func(authn.ChannelBinding) authn.Initiator { return peer{} }
	for _, tt := range []struct {
		name   string
		policy authn.BindingPolicy
		client func(authn.ChannelBinding) authn.Initiator
		reason authn.Reason // "" means accepted
	}{
		{"off, right", authn.BindingOff, right, ""},
		{"off, wrong", authn.BindingOff, wrong, ""},
		{"off, zero", authn.BindingOff, zero, ""},
		{"off, absent", authn.BindingOff, absent, ""},
		{"supported, right", authn.BindingSupported, right, ""},
		{"supported, wrong", authn.BindingSupported, wrong, authn.ReasonChannelBinding},
		{"supported, zero", authn.BindingSupported, zero, ""},
		{"supported, absent", authn.BindingSupported, absent, ""},
		{"required, right", authn.BindingRequired, right, ""},
		{"required, wrong", authn.BindingRequired, wrong, authn.ReasonChannelBinding},
		{"required, zero", authn.BindingRequired, zero, authn.ReasonChannelBinding},
		{"required, absent", authn.BindingRequired, absent, authn.ReasonChannelBinding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newNTLM(t)
			m.Binding = tt.policy
			s := serve(t, &iwa.Authenticator{NTLM: m}, &tls.Config{Certificates: []tls.Certificate{cert}})
			tr := &authclient.Transport{
				Source: authclient.Static(otherwise{&authclient.NTLM{}, tt.client}),
				Base:   &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}},
			}
			t.Cleanup(tr.CloseIdleConnections)
			got, err := get(&http.Client{Transport: tr}, "https://"+s.addr)
			wantOutcome(t, s, got, err, tt.reason)
		})
	}
}

// wantOutcome checks that alice was let in, or refused by reason.
func wantOutcome(t *testing.T, s *service, got string, err error, reason authn.Reason) {
	t.Helper()
	if reason == "" {
		if err != nil || got != `CORP\alice 0` {
			t.Errorf("got %q, %v, want alice", got, err)
		}
		return
	}
	var refused *authclient.RefusedError
	if !errors.As(err, &refused) || !s.log.has("cause.reason="+string(reason)) {
		t.Errorf("got %q, %v, want a refusal by reason %s", got, err, reason)
	}
}

// TestBindingOfEachCertificate: whichever certificate a server shows, a client
// that has to be bound to it is, and needs its own hash for that.
func TestBindingOfEachCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	a, b := ca.certificate("a.test", x509.ECDSAWithSHA256), ca.certificate("b.test", x509.ECDSAWithSHA384)
	c := ca.certificate("c.test", x509.ECDSAWithSHA512)
	c.Leaf = nil // as programs have it that fill in tls.Certificate themselves
	byName := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		for name, cert := range map[string]*tls.Certificate{"a.test": &a, "b.test": &b} {
			if hello.ServerName == name {
				return cert, nil
			}
		}
		return nil, nil
	}
	for name, config := range map[string]*tls.Config{
		"list":             {Certificates: []tls.Certificate{a, b, c}},
		"list, HTTP/2 too": {Certificates: []tls.Certificate{a, b, c}, NextProtos: []string{"h2", "http/1.1"}},
		"GetCertificate":   {GetCertificate: byName, Certificates: []tls.Certificate{c}},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{a, b, c}}, nil
		}},
		"GetConfigForClient that leaves it to the other": {
			Certificates:       []tls.Certificate{a, b, c},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
		},
		"TLS 1.2": {Certificates: []tls.Certificate{a, b, c}, MaxVersion: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			s := serve(t, &iwa.Authenticator{NTLM: m}, config)
			for host, cert := range map[string]tls.Certificate{"a.test": a, "b.test": b, "c.test": c} {
				shown := ""
				got, err := get(caller(t, "alice", &tls.Config{
					RootCAs: ca.pool, ServerName: host, NextProtos: []string{"h2", "http/1.1"},
					VerifyConnection: func(cs tls.ConnectionState) error {
						shown = string(cs.PeerCertificates[0].Raw)
						if cs.NegotiatedProtocol == "h2" {
							t.Error("HTTP/2 was agreed on")
						}
						return nil
					},
				}), "https://"+s.addr)
				wantOutcome(t, s, got, err, "")
				if shown != string(cert.Certificate[0]) {
					t.Errorf("%s: another certificate was shown", host)
				}
			}
		})
	}
}

// TestBindingWithoutCertificate: a server that has none fails TLS handshakes,
// and nothing else.
func TestBindingWithoutCertificate(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, config := range map[string]*tls.Config{
		"none":               {},
		"GetCertificate":     {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, broken }},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, broken }},
		"empty":              {Certificates: []tls.Certificate{{}}},
	} {
		s := serve(t, &iwa.Authenticator{NTLM: newNTLM(t)}, config)
		if got, err := get(caller(t, "alice", &tls.Config{ServerName: "a.test"}), "https://"+s.addr); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
		until(t, name+": the log has the reason", func() bool { return s.log.has("TLS handshake error") })
	}
}

// loadBalancer ends TLS in front of the server at addr and returns where.
func loadBalancer(t *testing.T, addr string, cert tls.Certificate) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(c[0], c[1]) // ends when either side does
					_, _ = c[0].Close(), c[1].Close()
				}()
			}
		}
	}()
	return l.Addr().String()
}

// TestAttackBindingBehindLoadBalancer: where TLS ends in front of the server,
// clients are held to the certificates that the operator names, old and new,
// and to no other.
func TestAttackBindingBehindLoadBalancer(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	before, after, other := ca.certificate("lb.test", x509.ECDSAWithSHA256), ca.certificate("lb.test", x509.ECDSAWithSHA384), ca.certificate("lb.test", 0)
	file := filepath.Join(t.TempDir(), "lb.pem")
	chain := slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte("not looked at")}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: after.Leaf.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	if err := os.WriteFile(file, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile, err := iwa.LoadBinding(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(before.Leaf.Raw)
	fromHash, err := authn.HashBinding(hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		fixed  []authn.ChannelBinding
		shown  *tls.Certificate // nil: the client comes by plain HTTP
		reason authn.Reason     // "" means accepted
	}{
		{"by file", []authn.ChannelBinding{fromFile}, &after, ""},
		{"by hash", []authn.ChannelBinding{fromHash}, &before, ""},
		{"two, the old one is shown", []authn.ChannelBinding{fromHash, fromFile}, &before, ""},
		{"two, the new one is shown", []authn.ChannelBinding{fromHash, fromFile}, &after, ""},
		{"two, another is shown", []authn.ChannelBinding{fromHash, fromFile}, &other, authn.ReasonChannelBinding},
		{"only the old one, the new one is shown", []authn.ChannelBinding{fromHash}, &after, authn.ReasonChannelBinding},
		{"round the load balancer", []authn.ChannelBinding{fromHash, fromFile}, nil, authn.ReasonChannelBinding},
		{"not configured", nil, &before, authn.ReasonChannelBinding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			login := &iwa.Authenticator{NTLM: m}
			if tt.fixed != nil {
				var err error
				if login.Binding, err = iwa.FixedBinding(tt.fixed...); err != nil {
					t.Fatal(err)
				}
			}
			s := serve(t, login, nil)
			url := "http://" + s.addr
			if tt.shown != nil {
				url = "https://" + loadBalancer(t, s.addr, *tt.shown)
			}
			got, err := get(caller(t, "alice", &tls.Config{RootCAs: ca.pool}), url)
			wantOutcome(t, s, got, err, tt.reason)
		})
	}
}

// TestBindingPrecedence: what the operator says counts more than what the
// listener saw, also where that is nothing.
func TestBindingPrecedence(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, other := ca.certificate("gw.test", 0), ca.certificate("gw.test", 0)
	for _, tt := range []struct {
		name   string
		set    func(*http.Request) authn.Bindings
		reason authn.Reason
	}{
		{"not set", nil, ""},
		{"other", func(*http.Request) authn.Bindings { return authn.Bindings{authn.EndpointBinding(other.Leaf)} }, authn.ReasonChannelBinding},
		{"none", func(*http.Request) authn.Bindings { return nil }, authn.ReasonChannelBinding},
	} {
		m := newNTLM(t)
		m.Binding = authn.BindingRequired
		s := serve(t, &iwa.Authenticator{NTLM: m, Binding: tt.set}, &tls.Config{Certificates: []tls.Certificate{cert}})
		got, err := get(caller(t, "alice", &tls.Config{RootCAs: ca.pool}), "https://"+s.addr)
		t.Run(tt.name, func(t *testing.T) { wantOutcome(t, s, got, err, tt.reason) })
	}
}

func TestBindingConstructors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, f := range map[string]func() error{
		"no file":           func() error { _, err := iwa.LoadBinding(filepath.Join(dir, "none")); return err },
		"no certificate in": func() error { _, err := iwa.LoadBinding(write("empty", "")); return err },
		"malformed": func() error {
			_, err := iwa.LoadBinding(write("bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
			return err
		},
		"no certificate given": func() error { _, err := iwa.FixedBinding(); return err },
		"an empty one":         func() error { _, err := iwa.FixedBinding(authn.ChannelBinding("x"), nil); return err },
		"no certificate":       func() error { _, err := iwa.CertificateBinding(&tls.Certificate{}); return err },
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "iwa: channel binding: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cert := newAuthority(t).certificate("gw.test", 0)
	f, err := iwa.CertificateBinding(&cert)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f(&http.Request{TLS: &tls.ConnectionState{}}), authn.EndpointBinding(cert.Leaf); fmt.Sprint(got) != fmt.Sprint(authn.Bindings{want}) {
		t.Errorf("binding %q, want %q", got, want)
	}
	if got := f(&http.Request{}); got.Known() {
		t.Errorf("binding %q without TLS", got)
	}
}
