// Package netlogon verifies NTLM logins of domain users at a domain
// controller, by the Netlogon secure channel of a computer account (MS-NRPC,
// MS-APDS). It needs no domain join of the host and no other program: a
// computer account's name and password are enough, which "soapward join"
// makes.
//
//   - Verifier is an ntlm.Verifier; New makes one of a Config.
//   - Verifier.Names are the names that ntlm.Mechanism must put into its
//     challenge: a domain controller refuses answers to another's.
//   - Probe and SetPassword try and change the computer account's password.
//
// So that a mechanism is made of it like this:
//
//	v, err := netlogon.New(netlogon.Config{
//		Account: "GW01$", Secrets: netlogon.Password(secret),
//		Domain: "CORP", DNSDomain: "corp.test",
//	})
//	...
//	login := &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: v, Names: v.Names()}}
//
// Give each running instance a computer account of its own. Two that share one
// take each other's channel away whenever they open one; the log says so.
//
// Compatibility: as package authn.
package netlogon
