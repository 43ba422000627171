// Package iwa is Integrated Windows Authentication: the HTTP schemes
// Negotiate (RFC 4559) and NTLM (MS-NTHT), over the mechanisms it is given.
//
//   - Authenticator is an authn.Authenticator; put it into authn.Middleware.
//   - ConnContext must be installed in http.Server, because NTLM authenticates
//     connections, not requests. Server does that and switches HTTP/2 off.
//
// A server that forgets ConnContext refuses NTLM and says so in its log; it
// never guesses.
//
// Compatibility: as package authn.
package iwa
