package slapdtest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// Domain is a directory with the shape of an Active Directory domain, CORP of
// corp.test, for what would take Samba too long to be filled with: it can be
// read as one, but nobody logs in there but AdminDN.
type Domain struct {
	// Users is how many there are: CORP\user000000 and so on, with the SIDs
	// DomainSID-(FirstRID+i), in Groups groups each of which is in the next
	// larger one.
	Users, Groups int

	// Missing leaves users out, Disabled are disabled ones.
	Missing, Disabled func(i int) bool
}

// SIDs of a Domain.
const (
	DomainSID = "S-1-5-21-1-2-3"
	FirstRID  = 10_000
)

// UserName returns the account of a user, without its domain.
func (Domain) UserName(i int) string { return fmt.Sprintf("user%06d", i) }

// Config returns what a server of the domain has.
func (d Domain) Config() Config {
	var b strings.Builder
	entry := func(dn string, lines ...string) {
		fmt.Fprintf(&b, "dn: %s\n%s\n\n", dn, strings.Join(lines, "\n"))
	}
	is := func(classes ...string) string {
		return "objectClass: " + strings.Join(classes, "\nobjectClass: ")
	}
	entry("cn=Configuration,"+BaseDN, is("device"), "cn: Configuration")
	entry("cn=Partitions,cn=Configuration,"+BaseDN, is("device"), "cn: Partitions")
	entry("cn=CORP,cn=Partitions,cn=Configuration,"+BaseDN, is("device", "adCrossRef"), "cn: CORP", "nCName: "+BaseDN, "nETBIOSName: CORP")
	entry("ou=users,"+BaseDN, is("organizationalUnit"), "ou: users")
	group := func(name string, rid uint32, more ...string) {
		entry("cn="+name+",ou=users,"+BaseDN, append([]string{
			is("device", "group"), "cn: " + name, "sAMAccountName: " + name, sid(rid), "groupType: -2147483646",
		}, more...)...)
	}
	groupDN := func(i int) string { return fmt.Sprintf("cn=group%02d,ou=users,%s", i, BaseDN) }
	group("Domain Users", 513)
	for i := range d.Groups {
		var in []string
		if i+1 < d.Groups {
			in = []string{"memberOf: " + groupDN(i+1)}
		}
		group(fmt.Sprintf("group%02d", i), uint32(2000+i), in...)
	}
	for i := range d.Users {
		if d.Missing != nil && d.Missing(i) {
			continue
		}
		control := 512
		if d.Disabled != nil && d.Disabled(i) {
			control |= 2
		}
		name := d.UserName(i)
		lines := []string{
			is("device", "user"), "cn: " + name, "sAMAccountName: " + name, sid(uint32(FirstRID + i)),
			fmt.Sprintf("userAccountControl: %d", control), "accountExpires: 9223372036854775807", "primaryGroupID: 513",
			"userPrincipalName: " + name + "@corp.test", "displayName: User " + name, "mail: " + name + "@example.com", "mobile: +49 170 " + name,
		}
		if d.Groups > 0 {
			lines = append(lines, "memberOf: "+groupDN(i%d.Groups), "memberOf: "+groupDN((i+1)%d.Groups))
		}
		entry("cn="+name+",ou=users,"+BaseDN, lines...)
	}
	return Config{LDIF: b.String(), Head: headOfDomain, Root: []string{is("domainHead"), domainSID()}, More: moreOfDomain, Memory: 4 << 30}
}

// sid is a line with a SID of the domain in its binary form (MS-DTYP 2.4.2.2).
func sid(rid uint32) string { return sidLine(21, 1, 2, 3, rid) }

func domainSID() string { return sidLine(21, 1, 2, 3) }

func sidLine(sub ...uint32) string {
	b := []byte{1, byte(len(sub)), 0, 0, 0, 0, 0, 5}
	for _, s := range sub {
		b = binary.LittleEndian.AppendUint32(b, s)
	}
	return "objectSid:: " + base64.StdEncoding.EncodeToString(b)
}

// headOfDomain is the part of Active Directory's schema (MS-ADA1 to MS-ADSC)
// that an account is read from. The classes are auxiliary, so that entries need
// nothing else of it.
const headOfDomain = `attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.750 NAME 'groupType' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.16 NAME 'nCName' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.87 NAME 'nETBIOSName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'defaultNamingContext' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'configurationNamingContext' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'domainHead' SUP top AUXILIARY MAY objectSid )
objectclass ( 1.3.6.1.4.1.32473.2.2 NAME 'adCrossRef' SUP top AUXILIARY MAY ( nCName $ nETBIOSName ) )
objectclass ( 1.3.6.1.4.1.32473.2.3 NAME 'group' SUP top AUXILIARY MAY ( sAMAccountName $ objectSid $ groupType ) )
objectclass ( 1.3.6.1.4.1.32473.2.4 NAME 'user' SUP top AUXILIARY MAY ( sAMAccountName $ objectSid $ userAccountControl $ accountExpires $ primaryGroupID $ userPrincipalName $ displayName $ mail $ mobile ) )
rootDSE {dir}/rootdse.ldif
`

const moreOfDomain = "index sAMAccountName,objectSid,nCName eq\n"
