package authn

import (
	"crypto"
	"crypto/md5"
	_ "crypto/sha256" // hashes of server certificates
	_ "crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ChannelBinding is the RFC 5929 application data of the TLS connection an
// exchange runs over: "tls-server-end-point:" followed by a hash of the
// server's certificate. It is empty on plain HTTP.
type ChannelBinding []byte

// endpointPrefix is the unique prefix of RFC 5929 4.1.
const endpointPrefix = "tls-server-end-point:"

// EndpointBinding returns the channel binding of a connection whose server
// presented cert (RFC 5929 4.1): the hash is that of the certificate's
// signature, except that MD5 and SHA-1 give way to SHA-256. A certificate
// whose signature names no single hash, such as Ed25519, is taken as SHA-256,
// which is what OpenSSL and Windows peers do.
func EndpointBinding(cert *x509.Certificate) ChannelBinding {
	h := crypto.SHA256
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	}
	sum := h.New()
	sum.Write(cert.Raw)
	return sum.Sum(ChannelBinding(endpointPrefix))
}

// HashBinding returns the channel binding of connections whose server presents
// the certificate with that hash, in hexadecimal, with or without colons. It is
// what "openssl x509 -fingerprint -sha256" prints, or -sha384 and -sha512 for a
// certificate that was signed with these.
func HashBinding(hash string) (ChannelBinding, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(hash), ":", ""))
	if err != nil {
		return nil, errors.New("authn: certificate hash is not hexadecimal")
	}
	switch len(b) {
	case crypto.SHA256.Size(), crypto.SHA384.Size(), crypto.SHA512.Size():
		return append(ChannelBinding(endpointPrefix), b...), nil
	}
	return nil, fmt.Errorf("authn: certificate hash of %d bytes, want one of SHA-256, SHA-384 or SHA-512", len(b))
}

// GSSHash returns the MD5 hash of the gss_channel_bindings_struct that carries
// cb (RFC 4121 4.1.1.2, MS-NLMP 2.2.2.1). NTLM and Kerberos both send it.
func (cb ChannelBinding) GSSHash() [md5.Size]byte {
	b := make([]byte, 16, 20+len(cb)) // no addresses
	b = binary.LittleEndian.AppendUint32(b, uint32(len(cb)))
	return md5.Sum(append(b, cb...))
}

// Bindings are those that a client may use on one connection: mostly one, and
// two while the certificate of a load balancer is being replaced. None, or none
// but empty ones, means that the server does not know them.
type Bindings []ChannelBinding

// Known reports whether there is one that is not empty.
func (bs Bindings) Known() bool {
	return slices.ContainsFunc(bs, func(cb ChannelBinding) bool { return len(cb) > 0 })
}

// Fit reports whether sum, which a client sent, is the GSSHash of one of bs. It
// takes the same time whatever sum is.
func (bs Bindings) Fit(sum []byte) bool {
	fit := 0
	for _, cb := range bs {
		if len(cb) > 0 { // the hash of no binding proves nothing
			want := cb.GSSHash()
			fit |= subtle.ConstantTimeCompare(sum, want[:])
		}
	}
	return fit == 1
}

// BindingPolicy says what an acceptor demands of channel bindings. A binding
// that is sent and does not fit is refused under each policy but BindingOff, as
// far as the server knows its own: over TLS whose binding it was not told,
// BindingSupported takes every login and BindingRequired none.
type BindingPolicy int

const (
	BindingSupported BindingPolicy = iota // checked when the client sends one
	BindingRequired                       // a client over TLS that sends none is refused
	BindingOff                            // not looked at: TLS ends where we cannot see it
)
