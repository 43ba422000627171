package iwa

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/soapward/soapward/authn"
)

// maxCertificateFile bounds what LoadBinding reads.
const maxCertificateFile = 1 << 20

// bindings returns those of r's connection: what the operator says, or else
// what the listener saw.
func (a *Authenticator) bindings(r *http.Request) authn.Bindings {
	if a.Binding != nil {
		return a.Binding(r)
	}
	s, _ := r.Context().Value(connKey{}).(*connState)
	if s == nil || s.tls == nil || r.TLS == nil {
		return nil
	}
	return authn.Bindings{s.tls.binding(r.TLS.DidResume)}
}

// CertificateBinding returns an Authenticator.Binding for a server that
// presents one certificate to all its clients and does not listen with
// NewTLSListener. Requests without TLS have no binding.
func CertificateBinding(cert *tls.Certificate) (func(*http.Request) authn.Bindings, error) {
	cb, err := endpointBinding(cert)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) authn.Bindings {
		if r.TLS == nil {
			return nil
		}
		return authn.Bindings{cb}
	}, nil
}

// FixedBinding returns an Authenticator.Binding for a server behind a load
// balancer or proxy that ends TLS. Clients are bound to the certificates shown
// there, whatever leads from there to here; any one of them fits, so that
// while a certificate is being replaced both the old and the new one are
// given. LoadBinding and authn.HashBinding make them.
//
// It is for servers that are reached in no other way: it holds for requests
// over plain HTTP too.
func FixedBinding(bindings ...authn.ChannelBinding) (func(*http.Request) authn.Bindings, error) {
	bs := make(authn.Bindings, 0, len(bindings))
	for _, cb := range bindings {
		if len(cb) == 0 {
			return nil, errors.New("iwa: channel binding: an empty one fits nobody")
		}
		bs = append(bs, cb)
	}
	if len(bs) == 0 {
		return nil, errors.New("iwa: channel binding: no certificate given")
	}
	return func(*http.Request) authn.Bindings { return bs }, nil
}

// LoadBinding returns the channel binding of connections whose server presents
// the certificate that comes first in a PEM file, as it does in files with a
// chain. A private key in the file is not looked at.
func LoadBinding(file string) (authn.ChannelBinding, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("iwa: channel binding: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCertificateFile))
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return nil, fmt.Errorf("iwa: channel binding: %w", err)
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, fmt.Errorf("iwa: channel binding: no certificate in %s", file)
		}
		if block.Type == "CERTIFICATE" {
			return endpointBinding(&tls.Certificate{Certificate: [][]byte{block.Bytes}})
		}
	}
}

// endpointBinding is authn.EndpointBinding of the leaf.
func endpointBinding(cert *tls.Certificate) (authn.ChannelBinding, error) {
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
	return authn.EndpointBinding(leaf), nil
}
