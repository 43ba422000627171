package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// startMiddle starts something that stands between a server and its clients:
// it ends their TLS with a certificate of its own, which caFile makes them
// trust, and passes everything on over TLS.
func startMiddle(t *testing.T, s *server) (u *url.URL, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"example.com", "*.corp.test"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	upstream := x509.NewCertPool()
	upstream.AddCert(s.leaf)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go pass(client, s.Listener.Addr().String(), upstream)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return &url.URL{Scheme: "https", Host: l.Addr().String()}, writeCA(t, cert)
}

// pass ends with the connection of the client or of the server.
func pass(client net.Conn, addr string, roots *x509.CertPool) {
	defer func() { _ = client.Close() }()
	// The name is in the certificate of httptest.
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		return // the client sees its connection end
	}
	go func() {
		defer func() { _ = conn.Close() }()
		_, _ = io.Copy(conn, client)
	}()
	_, _ = io.Copy(client, conn)
}

// TestAttackRelayOverTLS: somebody in between with a certificate that the
// client trusts cannot log in with what the client sends, because the client
// bound it to that certificate. The control, which is let in through the same
// relay, shows that nothing else is in the way.
func TestAttackRelayOverTLS(t *testing.T) {
	t.Parallel()
	clients := []struct {
		name string
		get  func(t *testing.T, url *url.URL, caFile string) foreignAnswer
	}{
		{"requests-ntlm", func(t *testing.T, u *url.URL, caFile string) foreignAnswer {
			t.Helper()
			client := requestsClient(t)
			return client.call(t, foreignCall{
				url: u.String(), domain: localDomain, user: localUser, password: localPass,
				body: "<a/>", count: 1, caFile: caFile,
			})[0]
		}},
		{"Chromium", func(t *testing.T, u *url.URL, _ string) foreignAnswer {
			t.Helper()
			page := *u
			page.Host = "web.corp.test:" + u.Port()
			page.User = url.UserPassword(`CORP\alice`, localPass)
			text := browse(t, nil, page.String(), "--ignore-certificate-errors")
			if from, to := strings.Index(text, "{"), strings.LastIndex(text, "}"); from >= 0 && from < to {
				return foreignAnswer{"200", text[from : to+1]}
			}
			if strings.TrimSpace(text) != "" {
				t.Fatalf("page %q, want JSON, or nothing as of each page that wants a login", text)
			}
			return foreignAnswer{"401", text}
		}},
	}
	for _, c := range clients {
		for _, tt := range []struct {
			name    string
			policy  authn.BindingPolicy
			relayed bool
			reason  authn.Reason
		}{
			{"direct, required", authn.BindingRequired, false, ""},
			{"relayed, required", authn.BindingRequired, true, authn.ReasonChannelBinding},
			{"relayed, supported", authn.BindingSupported, true, authn.ReasonChannelBinding},
			{"relayed, not looked at", authn.BindingOff, true, ""},
		} {
			t.Run(c.name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				m := localNTLM(t)
				m.Binding = tt.policy // required means a MIC as well
				s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m, NoNegotiate: true}, tls: true})
				u, err := url.Parse(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				caFile := s.CAFile
				if tt.relayed {
					u, caFile = startMiddle(t, s)
				}
				a := c.get(t, u, caFile)
				if tt.reason != "" {
					checkRefused(t, s, a.status, a.body, tt.reason)
					return
				}
				body := "<a/>"
				if c.name == "Chromium" {
					body = ""
				}
				checkLocalAlice(t, a.body, a.status, body)
				checkLoginLogged(t, s)
				if !tt.relayed {
					checkBound(t, s)
				}
			})
		}
	}
}

// checkBound looks into what the client sent: it has a MIC and names the
// server's certificate.
func checkBound(t *testing.T, s *server) {
	t.Helper()
	sent := s.Tokens(t, authn.MechanismNTLM)
	if len(sent) != 2 {
		t.Fatalf("client sent %d tokens, want 2", len(sent))
	}
	m, err := ntlm.ParseAuthenticate(sent[1])
	if err != nil {
		t.Fatal(err)
	}
	r, err := ntlm.ParseResponse(m.NTResponse)
	if err != nil {
		t.Fatal(err)
	}
	flags, _ := r.Pairs.Get(ntlm.AVFlags)
	if len(flags) != 4 || flags[0]&ntlm.AVFlagMIC == 0 || bytes.Equal(m.MIC, make([]byte, 16)) {
		t.Errorf("flags %x, MIC %x: want a MIC", flags, m.MIC)
	}
	got, _ := r.Pairs.Get(ntlm.AVChannelBindings)
	if want := authn.EndpointBinding(s.leaf).GSSHash(); !bytes.Equal(got, want[:]) {
		t.Errorf("bound to %x, want %x", got, want)
	}
}
