package adtest

import "strings"

// A User is an account of the test domain. Its password is Password.
type User struct {
	Name      string `json:"name"`
	Password  string `json:"password"`
	GivenName string `json:"given_name"`
	Surname   string `json:"surname"`
	Sensitive bool   `json:"sensitive"` // "account is sensitive and cannot be delegated"
	Disabled  bool   `json:"disabled"`
	Protected bool   `json:"protected"` // in Protected Users, which Samba 4.17 does not honour

	MustChange   bool   `json:"must_change"`  // the password, at the next login
	Expired      bool   `json:"expired"`      // the account
	Locked       bool   `json:"locked"`       // for half an hour
	LogonHours   string `json:"logon_hours"`  // 21 bytes in hexadecimal; empty means always
	Workstations string `json:"workstations"` // names it may log on from; empty means any
}

// A Computer is a computer account. Its account name has a $ at its end.
type Computer struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// A Unit is an organizational unit.
type Unit struct {
	Name   string `json:"name"`
	Joiner string `json:"joiner"` // may create computers there, and nothing else
}

// A Group is a security group.
type Group struct {
	Name    string    `json:"name"`
	Type    groupType `json:"type"`
	Members []string  `json:"members"`
}

// groupType is the attribute of that name (MS-ADTS 2.2.12).
type groupType int32

const (
	globalGroup      groupType = -0x7ffffffe // 0x80000002
	domainLocalGroup groupType = -0x7ffffffc // 0x80000004
	universalGroup   groupType = -0x7ffffff8 // 0x80000008
)

// A Service is an account that tickets are for.
type Service struct {
	Name     string   `json:"name"`
	Password string   `json:"password"`
	SPNs     []string `json:"spns"`
	EncTypes int      `json:"enc_types"` // msDS-SupportedEncryptionTypes (MS-KILE 2.2.7)

	// Transition is TrustedToAuthForDelegation: S4U2Self gives forwardable tickets.
	Transition bool     `json:"transition"`
	DelegateTo []string `json:"delegate_to"` // msDS-AllowedToDelegateTo
}

const (
	encRC4 = 0x4
	encAES = 0x8 | 0x10
)

// The fixture. Alice is in Payroll, and through it in Finance and Auditors.
const (
	Realm   = "CORP.TEST"
	NetBIOS = "CORP"

	Alice = "alice"
	Bob   = "bob"
	Carol = "carol" // sensitive: may not be delegated
	Dave  = "dave"  // disabled
	Peggy = "peggy" // a member of Protected Users
	Zoe   = "zoë"   // name and password are not ASCII
	Mike  = "mike"  // must change his password
	Erin  = "erin"  // her account expired
	Nick  = "nick"  // has no hours to log on in
	Walt  = "walt"  // may log on from the workstation ELSEWHERE only
	Locke = "locke" // locked out
	Jill  = "jill"  // may create computers in Gateways

	Payroll  = "Payroll"  // global
	Finance  = "Finance"  // universal, holds Payroll
	Auditors = "Auditors" // domain local, holds Finance
	Staff    = "Staff"    // global: alice and bob

	// Web takes callers in and may act for them at Backend, even for those that
	// did not come by Kerberos.
	Web    = "svc-web"
	WebSPN = "HTTP/web.corp.test"
	// Front may act at Backend for callers that came by Kerberos only.
	Front    = "svc-front"
	FrontSPN = "HTTP/front.corp.test"
	// Backend is what Web and Front call.
	Backend    = "svc-backend"
	BackendSPN = "HTTP/backend.corp.test"
	// Other is a service that neither Web nor Front may call for others.
	Other    = "svc-other"
	OtherSPN = "HTTP/other.corp.test"
	// Legacy has RC4 keys only.
	Legacy    = "svc-legacy"
	LegacySPN = "HTTP/legacy.corp.test"
)

// Gateways is an organizational unit, GatewaysDN its name in the directory.
const (
	Gateways   = "Gateways"
	GatewaysDN = "OU=Gateways,DC=corp,DC=test"
)

// Computers. A Netlogon secure channel belongs to one of them, so that tests
// which run at the same time need one each.
const (
	GW01 = "GW01"
	GW02 = "GW02"
	GW03 = "GW03"
	GW04 = "GW04"
	GW05 = "GW05"
	GW06 = "GW06"
	GW07 = "GW07"
	GW08 = "GW08"
	GW09 = "GW09"
	GW10 = "GW10"
	GW11 = "GW11"
	GW12 = "GW12"
)

type fixture struct {
	Users    []User    `json:"users"`
	Groups   []Group   `json:"groups"`
	Services []Service `json:"services"`

	Computers []Computer `json:"computers"`
	Units     []Unit     `json:"units"`
}

var content = fixture{
	Users: []User{
		{Name: Alice, Password: "alice-s3cret", GivenName: "Alice", Surname: "Liddell"},
		{Name: Bob, Password: "bob-s3cret", GivenName: "Bob", Surname: "Cratchit"},
		{Name: Carol, Password: "carol-s3cret", GivenName: "Carol", Surname: "Peletier", Sensitive: true},
		{Name: Dave, Password: "dave-s3cret", GivenName: "Dave", Surname: "Bowman", Disabled: true},
		{Name: Peggy, Password: "peggy-s3cret", GivenName: "Peggy", Surname: "Olson", Protected: true},
		{Name: Zoe, Password: "zoë-ß-s3cret", GivenName: "Zoë", Surname: "Größe"},
		{Name: Mike, Password: "mike-s3cret", GivenName: "Mike", Surname: "Ross", MustChange: true},
		{Name: Erin, Password: "erin-s3cret", GivenName: "Erin", Surname: "Gone", Expired: true},
		{Name: Nick, Password: "nick-s3cret", GivenName: "Nick", Surname: "Night", LogonHours: strings.Repeat("00", 21)},
		{Name: Walt, Password: "walt-s3cret", GivenName: "Walt", Surname: "Wall", Workstations: "ELSEWHERE"},
		{Name: Locke, Password: "locke-s3cret", GivenName: "John", Surname: "Locke", Locked: true},
		{Name: Jill, Password: "jill-s3cret", GivenName: "Jill", Surname: "Joiner"},
	},
	Groups: []Group{
		{Name: Payroll, Type: globalGroup, Members: []string{Alice}},
		{Name: Finance, Type: universalGroup, Members: []string{Payroll}},
		{Name: Auditors, Type: domainLocalGroup, Members: []string{Finance}},
		{Name: Staff, Type: globalGroup, Members: []string{Alice, Bob}},
	},
	Services: []Service{
		{
			Name: Web, Password: "web-s3cret", SPNs: []string{WebSPN, "HTTP/web"}, EncTypes: encAES,
			Transition: true, DelegateTo: []string{BackendSPN},
		},
		{
			Name: Front, Password: "front-s3cret", SPNs: []string{FrontSPN}, EncTypes: encAES,
			DelegateTo: []string{BackendSPN},
		},
		{Name: Backend, Password: "backend-s3cret", SPNs: []string{BackendSPN}, EncTypes: encAES},
		{Name: Other, Password: "other-s3cret", SPNs: []string{OtherSPN}, EncTypes: encAES},
		{Name: Legacy, Password: "legacy-s3cret", SPNs: []string{LegacySPN}, EncTypes: encRC4},
	},
	Units:     []Unit{{Name: Gateways, Joiner: Jill}},
	Computers: computers(GW01, GW02, GW03, GW04, GW05, GW06, GW07, GW08, GW09, GW10, GW11, GW12),
}

func computers(names ...string) []Computer {
	cs := make([]Computer, 0, len(names))
	for _, n := range names {
		cs = append(cs, Computer{Name: n, Password: strings.ToLower(n) + "-mach1ne"})
	}
	return cs
}
