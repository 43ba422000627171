// Package password is login with a user name and a password.
//
//   - Basic is an authn.Authenticator for HTTP Basic authentication (RFC 7617).
//   - Verifier knows the users, such as *ntlm.Accounts.
//   - Internal is a Verifier of users whose passwords are in our own store, as
//     hashes that Hasher makes. Policy says which passwords they may choose.
//   - Chain is the Verifier of a realm: it asks Internal first, and then another
//     Verifier, such as a directory.
//   - Secret is the evidence such a login leaves: name and password, with which
//     a later step can log in elsewhere as the caller. It does not print.
//
// A service offers Basic by
//
//	mw := &authn.Middleware{Authenticators: []authn.Authenticator{
//		&password.Basic{Verifier: accounts, Realm: "corp"},
//	}}
//
// Passwords cross the network readable by whoever can read the connection, so
// Basic works over TLS only unless the operator says otherwise.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package password
