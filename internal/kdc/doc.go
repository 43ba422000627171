// Package kdc is a Kerberos KDC that behaves like an Active Directory domain
// controller, in the process of whoever starts it. It is for demonstration and
// tests and for nothing else: its accounts live in memory, their passwords are
// part of a program, and it listens on loopback addresses only.
//
//	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
//	err = k.Add(kdc.Account{Name: "alice", Password: "pw", Groups: []uint32{1200}})
//	err = k.Add(kdc.Account{Name: "front", Password: "pw", SPNs: []string{"HTTP/localhost"}})
//	err = k.Start("127.0.0.1:0")
//	defer k.Close()
//	err = k.WriteKrb5Conf(path)
//	err = k.WriteKeytab(path, "front")
//
// It answers AS requests with encrypted timestamps, TGS requests, renewals,
// forwarded tickets, S4U2Self and S4U2Proxy (classic and resource-based), and
// referrals to other instances. Its tickets carry a PAC with groups, UPN and
// all four signatures. MIT Kerberos and gokrb5 take it for a domain controller.
//
// Tests move its clock (Config.Now), make it misbehave (SetFault) and ask what
// it was asked for (Stats).
package kdc
