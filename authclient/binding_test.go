package authclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// TestAttackChannelBinding: over TLS the client binds its login to the
// server's certificate, and a server that demands that refuses a login made
// for another certificate.
func TestAttackChannelBinding(t *testing.T) {
	t.Parallel()
	own := httptest.NewUnstartedServer(nil)
	own.StartTLS()
	t.Cleanup(own.Close)
	for _, tt := range []struct {
		name   string
		policy authn.BindingPolicy
		cert   func() *tls.Certificate // that the server believes to present
		ok     bool
	}{
		{"required", authn.BindingRequired, func() *tls.Certificate { return &own.TLS.Certificates[0] }, true},
		{"another certificate, as in the middle", authn.BindingSupported, otherCertificate(t), false},
		{"another certificate, not looked at", authn.BindingOff, otherCertificate(t), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			binding, err := iwa.CertificateBinding(tt.cert())
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, func(a *iwa.Authenticator) {
				a.Binding = binding
				a.NTLM.(*ntlm.Mechanism).Binding = tt.policy
			}, func(s *httptest.Server) { s.TLS = &tls.Config{Certificates: own.TLS.Certificates} })
			base := s.Client().Transport.(*http.Transport)
			c := &http.Client{Transport: &authclient.Transport{Source: authclient.Static(ntlmCredential("alice")), Base: base}}
			status, body, err := do(c, "GET", s.URL, nil)
			if (err == nil && status == 200) != tt.ok {
				t.Errorf("%d %q, %v; want ok %v", status, body, err, tt.ok)
			}
		})
	}
}

// otherCertificate is one that the server does not present.
func otherCertificate(t *testing.T) func() *tls.Certificate {
	return func() *tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
}
