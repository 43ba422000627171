// Package doctor finds out why Kerberos logins to a service fail, from its
// keytab: what is in the file, and with a KDC at hand, whether its account can
// log in, which keys the KDC seals tickets with, and whether the file has them.
//
//	report, err := doctor.Run(ctx, doctor.Config{Keytab: "app.keytab"})
//
// A Report has the facts and the Findings made of them: what is wrong, why that
// matters and what to do about it. Finding.ID is stable: programs may branch on
// it. Nothing is changed anywhere. The KDC is asked for tickets as any client
// does; a keytab whose key is wrong costs its account one failed login.
//
// Package main prints the report; a password and a connection to the directory
// come from there. The package is internal and follows the command.
package doctor
