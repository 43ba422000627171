package iwa

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/soapward/soapward/authn"
)

// CertificateBinding returns an Authenticator.Binding for a server that
// presents one certificate to all its clients. Requests without TLS have no
// binding.
func CertificateBinding(cert *tls.Certificate) (func(*http.Request) authn.ChannelBinding, error) {
	leaf := cert.Leaf
	if leaf == nil {
		if len(cert.Certificate) == 0 {
			return nil, errors.New("iwa: channel binding: no certificate")
		}
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("iwa: channel binding: %w", err)
		}
	}
	binding := authn.EndpointBinding(leaf)
	return func(r *http.Request) authn.ChannelBinding {
		if r.TLS == nil {
			return nil
		}
		return binding
	}, nil
}
