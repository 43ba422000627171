// Package kerberos logs in by Kerberos, on both sides of a connection.
//
//   - Mechanism accepts logins to a service whose keys are in a Keytab. It
//     takes tokens in GSS framing (RFC 4121); package authn/spnego does the
//     negotiation around them, package authn/iwa the HTTP.
//   - Client logs in to a KDC with a password, a keytab or a credential cache,
//     gets tickets and makes the tokens of the other side. It also gets
//     tickets in a caller's name: constrained delegation and protocol
//     transition (MS-SFU).
//   - Evidence is what an accepted login leaves for that. Package
//     authclient/delegation brings the two together; most programs use it
//     instead.
//
// The identity of an accepted caller is what the domain controller says in the
// ticket's PAC: account, SID, groups, UPN. The server signature of the PAC is
// verified, every authenticator is good once, and DES is not there at all;
// RC4, forwarded tickets and tickets without a PAC are taken only where the
// configuration says so.
//
// Compatibility: as package authn.
package kerberos
