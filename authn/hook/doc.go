// Package hook is custom authentication: programs and services that say who
// sent a request.
//
//   - [Authenticator] asks a [Func], which sees the request without its body and
//     returns an identity, a refusal, or "not mine". [PasswordFunc] is the same
//     for a user name and a password that are already decoded.
//   - [Callout] asks a service at a URL, with a timeout and a small memory, about
//     requests or about passwords.
//   - [JWT] takes bearer tokens that an issuer signed with one of its [Keys].
//   - [APIKeys] takes random keys in a header.
//
// All of them are what authn.Middleware asks, alone or after others:
//
//	login := &authn.Middleware{Authenticators: []authn.Authenticator{
//		&hook.Authenticator{Hook: whoIs},
//	}}
//
// A hook that wants to choose status, WWW-Authenticate or body of a refusal
// returns an *authn.ResponseError. It never gets the ResponseWriter.
//
// What is said of a caller here counts as much as what a domain says. Names with
// a domain in them are refused unless the domain was listed, so that a service
// or an issuer does not speak for the users of another.
//
// Compatibility: exported names keep their meaning within a major version.
// Structs may gain fields whose zero value keeps today's behaviour.
package hook
