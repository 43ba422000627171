// Package ntlm is NTLMv2 (MS-NLMP), both sides of it, on the standard library.
//
//   - Mechanism accepts logins: it is an authn.Mechanism whose acceptors run
//     the server side of one exchange and ask a Verifier to judge the answer.
//   - Initiator logs in: it is an authn.Initiator for one exchange.
//   - Verifier knows the users. Accounts is the one for local users.
//
// A service that knows its users itself needs no more than
//
//	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{
//		Name: "alice", Password: authn.NewSecret(password),
//	})
//	m := &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP"}}
//
// and hands m to package iwa. Most programs never touch an Acceptor, an
// Initiator or a message.
//
// NTLMv1, LM and anonymous logins are neither accepted nor made, whatever the
// configuration. Negotiate, Challenge and Authenticate are the three messages,
// exported for tools that show a token to people.
//
// An NTLM login proves who the caller is and leaves nothing to act for that
// caller elsewhere: the identities made here carry no Evidence.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package ntlm
