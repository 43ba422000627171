// Package soapward is the root of a module that puts Windows authentication
// (Kerberos, NTLM) in front of SOAP and REST services, logs in to servers that
// demand it, and passes callers on to the next one. It has no code itself.
// Start with:
//
//   - authn: the middleware in front of any http.Handler, and the Identity of
//     who called; authn/iwa, authn/kerberos and authn/ntlm are its logins.
//   - authclient: an http.RoundTripper that logs in; authclient/delegation makes
//     it act for the caller of the request being served.
//   - soapserver: serves SOAP operations as an http.Handler.
//   - soapclient: calls SOAP operations over any http.Client.
//   - cmd/soapward: the command that generates Go from WSDL, and shows each kind
//     of login with "soapward demo".
//
// Whole programs are in
// [examples/server], [examples/client] and [examples/frontend].
//
// [examples/server]: https://pkg.go.dev/github.com/soapward/soapward/examples/server
// [examples/client]: https://pkg.go.dev/github.com/soapward/soapward/examples/client
// [examples/frontend]: https://pkg.go.dev/github.com/soapward/soapward/examples/frontend
package soapward
