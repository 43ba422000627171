// Package computer makes and keeps the computer account that a gateway has in
// Active Directory, without the machine being joined: the account, the file
// with its password, its keytab, and the change of its password every month.
// The command soapward join is all of it; a program that keeps its account by
// itself uses the package.
//
//	file := computer.SecretFile("/etc/soapward/gw01.secret")
//	cfg := netlogon.Config{Account: "GW01$", Secrets: file.Secrets, ...}
//	r := computer.Rotation{File: file, Channel: computer.Netlogon(cfg), MaxAge: 30 * 24 * time.Hour}
//	outcome, err := r.Run(ctx)
//
// [SecretFile] is the password on the disk: a line of text that its owner can
// read. [Joiner] makes the account over LDAP, and [Rotation] changes its
// password over the account's own secure channel. Both write the new password
// to the disk before the domain controller hears of it, and keep the old one,
// so that a crash between any two steps leaves an account that works:
// [SecretFile.Secrets] has the passwords to try, and the next run finishes what
// was begun.
//
// One account is for one running instance: two programs that open secure
// channels for the same account invalidate each other's.
//
// The API stays compatible within a major version of the module.
package computer
