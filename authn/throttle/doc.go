// Package throttle slows down guessing of passwords, without asking a domain
// controller or an LDAP server about a user who is blocked, so that guesses here
// cannot lock the account there.
//
//   - Limiter counts failed logins of each user together with the client's
//     address, and of each address, and blocks them by its rules.
//   - Limiter.Password and Limiter.NTLM stand in front of what judges passwords
//     and NTLM responses.
//   - Limiter.Authenticator stands in front of an authn.Authenticator. It keeps
//     blocked addresses out and counts what the other two do not see.
//   - Names gives each user one spelling, so that none gets round the count.
//
// Together:
//
//	limit := &throttle.Limiter{Store: throttle.NewMemory(0), Canonical: names.Canonical}
//	login := &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: limit.NTLM(accounts)}}
//	basic := &password.Basic{Verifier: limit.Password(accounts)}
//	mw := &authn.Middleware{Authenticators: []authn.Authenticator{
//		limit.Authenticator(login), limit.Authenticator(basic),
//	}}
//	handler := proxies.Wrap(mw.Wrap(service)) // if there are trusted proxies
//
// What counts is a refusal, whatever its reason: if a right password for a
// disabled account did not count, the block that does not come would tell that
// it was right. What nobody judged does not count: first legs, requests without
// credentials, authorities that do not answer. Broken handshakes, tickets of a
// wrong clock and the like are no guesses and do not count either; forged and
// repeated tickets count for the address, and so does every user name.
//
// Who wraps logins besides, such as a provision.Provisioner that refuses disabled
// users, stands inside of Limiter.Password, so that all refusals of a password are
// one, and outside of Limiter.Authenticator for Kerberos: a right ticket of a
// disabled user is no guess, and comes with each click.
//
// The rules for a user should block before the domain locks the account. That
// holds for one address: guesses from many addresses are up to the domain.
//
// A block keeps people from logging in. It does not end logins that a
// connection or a session has already. A Kerberos client that sends a ticket
// with each request logs in each time; who wants a blocked address not to
// concern it puts Limiter.NTLM into the mechanism, and leaves
// Limiter.Authenticator out.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package throttle
