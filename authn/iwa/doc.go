// Package iwa is Integrated Windows Authentication: the HTTP schemes
// Negotiate (RFC 4559) and NTLM (MS-NTHT), over the mechanisms it is given.
//
//   - Authenticator is an authn.Authenticator; put it into authn.Middleware.
//   - ConnContext must be installed in http.Server, because NTLM authenticates
//     connections, not requests. Server does that and switches HTTP/2 off.
//   - NewTLSListener and ListenAndServeTLS bind logins to the certificate that
//     each connection presented, so that they cannot be relayed. FixedBinding is
//     for TLS that ends at a load balancer.
//
// A server that forgets ConnContext refuses NTLM and says so in its log; it
// never guesses. Between the legs of a handshake a connection is one of few: see
// Authenticator.HandshakeTimeout and MaxHandshakes.
//
// Compatibility: as package authn.
package iwa
