// Package oidc is login by OpenID Connect providers.
//
//   - Provider is one of them: Login begins the code flow with PKCE in a browser,
//     Callback ends it, Refresh goes on later, LogoutURL ends the session there, and
//     Revoke takes back what Refresh goes on with.
//   - LoginSealer seals what has begun into a cookie of the browser.
//   - Provider.VerifyIDToken and Bearer take tokens that somebody else got.
//   - Device and Loopback get tokens for a command line, which has no secret.
//
// Everything that arrives is checked: OpenID Connect Core 1.0 3.1.3.7, RFC 9207
// (iss), RFC 7636 (PKCE, S256 alone), RFC 8725 (algorithms), RFC 9700.
package oidc
