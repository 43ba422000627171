package authn

import (
	"crypto"
	"crypto/md5"
	_ "crypto/sha256" // hashes of server certificates
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
)

// ChannelBinding is the RFC 5929 application data of the TLS connection an
// exchange runs over: "tls-server-end-point:" followed by a hash of the
// server's certificate. It is empty on plain HTTP.
type ChannelBinding []byte

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
	return sum.Sum(ChannelBinding("tls-server-end-point:"))
}

// GSSHash returns the MD5 hash of the gss_channel_bindings_struct that carries
// cb (RFC 4121 4.1.1.2, MS-NLMP 2.2.2.1). NTLM and Kerberos both send it.
func (cb ChannelBinding) GSSHash() [md5.Size]byte {
	b := make([]byte, 16, 20+len(cb)) // no addresses
	b = binary.LittleEndian.AppendUint32(b, uint32(len(cb)))
	return md5.Sum(append(b, cb...))
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
