// Package users tests all that has to do with end users at once, over real HTTP:
// the login form, Basic, Kerberos and NTLM; passwords of our own, of a Windows
// domain and of an LDAP server; sessions, blocks and the record of logins, in
// SQLite and PostgreSQL; several nodes, and servers that crash. All of it is in
// its tests.
package users
