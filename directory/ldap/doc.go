// Package ldap asks a directory, over TLS and nothing else: Active Directory
// first of all, and other LDAP v3 servers (RFC 4511).
//
//	conn, err := ldap.Dial(ctx, ldap.Config{URL: "ldaps://dc1.corp.test"})
//	err = conn.Bind(ctx, "alice@corp.test", password)
//	entries, err := conn.Search(ctx, ldap.Search{
//		Base:   "DC=corp,DC=test",
//		Filter: ldap.Equal("sAMAccountName", name),
//	})
//
// [Dial] gives a [Conn]. Names and values of others go into filters and DNs by
// [Equal], [And] and [Child], which escape them. What the server refuses is an
// [*Error] with its result code, and a refused login an *authn.RefusedError.
//
// Passwords travel inside TLS only, after the server's certificate was
// verified: there is no way to bind over plain LDAP. Referrals are not
// followed, so that no other server gets a password. Each answer is bounded in
// bytes and in time.
//
// The package keeps no connections: a Conn is for one piece of work. Its API
// stays compatible within a major version of the module.
package ldap
