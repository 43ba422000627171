// Package winbind verifies NTLM logins of domain users through the winbindd of
// a host that is joined to the domain already. Most programs use package
// netlogon instead: it needs no joined host and no other program, and is
// faster. This one is for hosts whose join is somebody else's business, and for
// domains that only winbindd's trusts reach.
//
//   - Verifier is an ntlm.Verifier. Its zero value works where winbindd does.
//   - Verifier.Names are the names that ntlm.Mechanism must put into its
//     challenge: a domain controller refuses answers to another's.
//   - Verifier.Check says what is missing, and what to do about it.
//
// So that a mechanism is made of it like this:
//
//	v := &winbind.Verifier{}
//	names, err := v.Names(ctx)
//	...
//	login := &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: v, Names: names}}
//
// The challenge is our own, and so are all checks of the messages: the MIC,
// channel bindings, target names. Samba's ntlm_auth is asked only whether a
// response is right (its protocol ntlm-server-1), and returns the session key.
// That wants access to winbindd's privileged pipe: the program's user must be
// in the group winbindd_priv (Debian, Red Hat: usermod -a -G winbindd_priv USER).
//
// Ntlm_auth does not say whom the domain let in. Samba's wbinfo is asked that
// afterwards, by the name that the domain just accepted: it gives the account
// as the domain spells it, its SID and its groups, but neither UPN nor display
// name. Both answers are the domain's, but they are two, and winbindd keeps the
// second for some minutes ("winbind cache time"): a name that was given to
// another account may for that long mean the former one. The workstations that
// an account may log on from are compared with this host's name, not with the
// client's.
//
// Compatibility: as package authn.
package winbind
