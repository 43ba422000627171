// Package directory holds what is known of end users: accounts and their
// groups, sessions, failed logins and blocks, and the history of logins.
//
//   - [User] is an account, whether it has a password here or comes from a
//     domain or another directory.
//   - [Session], [Block] and [Login] are what the packages that log users in
//     keep between requests.
//
// The types are rows without behaviour. Package directory/store keeps them in
// SQLite or PostgreSQL, directory/ldap asks Active Directory and LDAP servers,
// directory/provision brings the two together. Packages that use a store
// declare the few methods they need as an interface of their own.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package directory
