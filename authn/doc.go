// Package authn says who sent a request.
//
// It holds the words that every way of logging in shares, and the HTTP
// middleware that drives them:
//
//   - Identity is an authenticated caller. It is never changed once made.
//   - Authenticator decides who sent an HTTP request. It never writes the
//     response; Middleware does, so several authenticators share one endpoint.
//   - Mechanism makes Acceptors for token exchanges such as Kerberos and NTLM.
//     Initiator is the same exchange seen from the client.
//
// Proxies finds out who the client is behind trusted proxies, and a Decision is
// what Middleware.Observe is told of each login and refusal.
//
// A service puts Middleware in front of its handler and reads the caller with
// FromContext:
//
//	id := authn.FromContext(r.Context())
//
// The package imports only the standard library. The mechanisms live in the
// packages below it (authn/kerberos, authn/ntlm, authn/iwa ...) and import it.
//
// Compatibility: exported names keep their meaning within a major version.
// Structs may gain fields whose zero value keeps today's behaviour, and Reason
// may gain values; interfaces here gain no methods.
package authn
