// Package pac reads and builds the Privilege Attribute Certificate, the part
// of a Kerberos ticket in which an Active Directory domain controller says who
// the user is: SID, groups, display name, UPN (MS-PAC).
//
// A PAC is worth nothing until its server signature has been checked with the
// key of the service, so readers go in this order:
//
//	p, err := pac.Parse(data)               // the directory of buffers
//	err = p.VerifyServer(key)               // signed by whoever has our key
//	err = p.CheckClient("alice", authTime)  // and made for this ticket
//	logon, err := p.LogonInfo()             // SID and groups
//
// Each buffer is decoded when it is asked for, by hand and without reflection.
// No input makes the package panic or allocate more than a small multiple of
// its size.
//
// Build is the other direction, for a KDC.
package pac
