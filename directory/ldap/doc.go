// Package ldap asks a directory: Active Directory first of all, and other LDAP
// v3 servers (RFC 4511).
//
// [Directory] is for users. It checks passwords, as a password.Verifier, and
// reads accounts with their groups, nested ones included. It knows several
// servers, by URL or by DNS, turns to another one when one is silent, and keeps
// connections:
//
//	users := ldap.NewDirectory(ldap.DirectoryConfig{Domain: "corp.test", DefaultDomain: "CORP"})
//	id, err := users.VerifyPassword(ctx, `CORP\alice`, password)
//
// [Conn] is a single connection, for programs that change the directory:
//
//	conn, err := ldap.Dial(ctx, ldap.Config{URL: "ldaps://dc1.corp.test"})
//	err = conn.Bind(ctx, "alice@corp.test", password)
//	entries, err := conn.Search(ctx, ldap.Search{
//		Base:   "DC=corp,DC=test",
//		Filter: ldap.Equal("sAMAccountName", name),
//	})
//
// Names and values of others go into filters and DNs by [Equal], [And] and
// [Child], which escape them. What the server refuses is an [*Error] with its
// result code, and a refused login an *authn.RefusedError.
//
// Passwords travel inside TLS, after the server's certificate was verified, or
// not at all, where Kerberos is used in place of them; plain LDAP is for those
// who say AllowInsecurePlain. Referrals are not followed, so that no other
// server gets a password. Each answer is bounded in bytes and in time.
//
// The API stays compatible within a major version of the module. Structs may
// gain fields whose zero value keeps today's behaviour.
package ldap
