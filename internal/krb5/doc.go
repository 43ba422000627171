// Package krb5 is the Kerberos 5 wire protocol: cryptography and messages.
//
//   - Key encrypts and signs (RFC 3961, 3962, 4757, 8009). Its files are
//     crypto*.go and etype*.go.
//   - The messages of RFC 4120, such as Ticket and APReq, are read from and
//     written as DER by hand, without reflection, because an acceptor reads
//     three of them for every request. Their files are messages*.go.
//
// The package decides nothing: which keys, times, names and encryption types
// are acceptable is up to authn/kerberos, which acceptor and client share, and
// to internal/kdc.
package krb5
