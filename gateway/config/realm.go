package config

import (
	"cmp"

	"go.yaml.in/yaml/v3"
)

// A Realm is users, and how their logins are proved.
type Realm struct {
	Kerberos *Kerberos `yaml:"kerberos"`
	NTLM     *NTLMAuth `yaml:"ntlm"`
	AD       *AD       `yaml:"ad"`
	LDAP     *LDAP     `yaml:"ldap"`
	Internal *Internal `yaml:"internal"`
	OIDC     *Provider `yaml:"oidc"`

	// CreateUsers makes users at their first login.
	CreateUsers bool `yaml:"create_users"`

	// Aliases are former names of the realm, whose users are its users.
	Aliases []string `yaml:"aliases"`
}

func (r *Realm) decode(d *decoder, n *yaml.Node, path string) {
	type plain Realm // without this method
	r.CreateUsers = true
	decodeStruct(d, n, (*plain)(r), path)
}

// Kerberos takes tickets.
type Kerberos struct {
	Realm  string   `yaml:"realm"` // CORP.TEST
	KDC    []string `yaml:"kdc"`   // empty: DNS names them
	Keytab Path     `yaml:"keytab"`
	SPN    []string `yaml:"spn"` // empty: those of the keytab
}

// NTLMAuth asks somebody who can verify NTLM.
type NTLMAuth struct {
	Verifier Verifier `yaml:"verifier"`
	Computer string   `yaml:"computer"` // account, for netlogon: GW01$
	Secret   Secret   `yaml:"secret"`   // of the computer
	Domain   string   `yaml:"domain"`   // NetBIOS name; empty: that of ad
}

// A Verifier verifies NTLM.
type Verifier string

// Verifiers.
const (
	Netlogon Verifier = "netlogon"
	Winbind  Verifier = "winbind"
)

func (Verifier) choices() []string { return []string{string(Netlogon), string(Winbind)} }

// AD is an Active Directory domain: where passwords of the form and Basic are
// checked, and where names, groups and states come from.
type AD struct {
	URL    ServerURLs `yaml:"url"`    // controllers; empty: DNS names those of Domain
	Domain string     `yaml:"domain"` // corp.test

	// DefaultDomain is put before names that are typed without one: CORP.
	DefaultDomain string `yaml:"default_domain"`

	// Domains are those whose users the daily job looks for. Empty means
	// DefaultDomain.
	Domains []string `yaml:"domains"`

	Base         string `yaml:"base"`      // DN; empty: the domain
	BindUser     string `yaml:"bind_user"` // who may read accounts
	BindPassword Secret `yaml:"bind_password"`

	// Sealed protects the connection by Kerberos in place of TLS.
	Sealed bool `yaml:"sealed"`

	CAFile  Path     `yaml:"ca_file"` // empty: the authorities of the system
	Groups  Groups   `yaml:"groups"`
	Timeout Duration `yaml:"timeout"`
	Sync    SyncJob  `yaml:"sync"`
}

func (a *AD) decode(d *decoder, n *yaml.Node, path string) {
	type plain AD
	a.Groups = GroupsAuto
	a.Sync = SyncJob{At: TimeOfDay{Hour: 3}}
	decodeStruct(d, n, (*plain)(a), path)
}

// Groups says how the groups of an account are found.
type Groups string

// Ways to find groups.
const (
	GroupsAuto     Groups = "auto"
	GroupsMemberOf Groups = "member_of"
	GroupsChain    Groups = "chain" // Active Directory only
	GroupsNone     Groups = "none"
)

func (Groups) choices() []string {
	return []string{string(GroupsAuto), string(GroupsMemberOf), string(GroupsChain), string(GroupsNone)}
}

// SyncJob is the daily job that refreshes users.
type SyncJob struct {
	At       TimeOfDay `yaml:"at"`       // local time
	Disabled bool      `yaml:"disabled"` // by hand only

	// AllowManyGone disables users who are gone whatever their number.
	AllowManyGone bool `yaml:"allow_many_gone"`
}

// LDAP is a directory that is no Active Directory, or not known to be one.
type LDAP struct {
	URL   ServerURLs `yaml:"url"`   // its path is Base, if that is empty
	Base  string     `yaml:"base"`  // DN
	Style Style      `yaml:"style"` // how users bind

	// Filter finds the entry of a user, for the standard style: (uid={user}).
	// Empty means that users bind as typed, or as BindName says.
	Filter   string `yaml:"filter"`
	BindName string `yaml:"bind_name"` // {user}@corp.test

	DefaultDomain string     `yaml:"default_domain"`
	BindUser      string     `yaml:"bind_user"` // who may search
	BindPassword  Secret     `yaml:"bind_password"`
	Attributes    Attributes `yaml:"attributes"`

	Groups      Groups `yaml:"groups"`
	GroupBase   string `yaml:"group_base"`
	GroupFilter string `yaml:"group_filter"`

	// AllowInsecurePlain sends passwords over ldap:// without TLS, where anybody
	// on the way can read them.
	AllowInsecurePlain bool `yaml:"allow_insecure_plain"`

	CAFile  Path     `yaml:"ca_file"`
	Timeout Duration `yaml:"timeout"`
}

func (l *LDAP) decode(d *decoder, n *yaml.Node, path string) {
	type plain LDAP
	l.Style, l.Groups = StyleStandard, GroupsAuto
	decodeStruct(d, n, (*plain)(l), path)
}

// Style says how users of an LDAP server bind.
type Style string

// Styles.
const (
	StyleStandard Style = "standard" // search for the entry, then bind as it
	StyleAD       Style = "ad"       // user@domain
)

func (Style) choices() []string { return []string{string(StyleStandard), string(StyleAD)} }

// Attributes are the names of attributes. Empty ones have the usual names.
type Attributes struct {
	Name        string `yaml:"name"`
	DisplayName string `yaml:"display_name"`
	Email       string `yaml:"email"`
	Phone       string `yaml:"phone"`
	UPN         string `yaml:"upn"`
	Group       string `yaml:"group"`
}

// Internal are users with a password in the store.
type Internal struct {
	// NTLM takes NTLM logins of internal users, whose NT hash is kept for it.
	NTLM bool `yaml:"ntlm"`
}

// Provider is an external OpenID Connect provider.
type Provider struct {
	Issuer        URL      `yaml:"issuer"`
	ClientID      string   `yaml:"client_id"`
	ClientSecret  Secret   `yaml:"client_secret"`
	UsernameClaim string   `yaml:"username_claim"`
	Scopes        []string `yaml:"scopes"` // besides openid, email and profile

	// DesktopClientID is that of the command line, which has no secret. Empty
	// means ClientID.
	DesktopClientID string `yaml:"desktop_client_id"`

	// Audiences are those of access tokens that services take as bearer tokens.
	Audiences []string `yaml:"audiences"`

	// AllowUnverifiedEmail takes an e-mail address that the provider does not call
	// verified for a user name.
	AllowUnverifiedEmail bool `yaml:"allow_unverified_email"`

	// Title is what people know the provider by, for the words on buttons. Empty
	// means the name of the realm.
	Title string `yaml:"title"`

	// Proxy is on the way to the provider. Nil means none, whatever the environment
	// says.
	Proxy ProxyURL `yaml:"proxy"`

	CAFile  Path     `yaml:"ca_file"`
	Timeout Duration `yaml:"timeout"`
}

// Shown returns the title of a provider, which is its realm's name without one.
func (p *Provider) Shown(realm string) string { return cmp.Or(p.Title, realm) }

func (p *Provider) decode(d *decoder, n *yaml.Node, path string) {
	type plain Provider
	p.UsernameClaim = "email"
	decodeStruct(d, n, (*plain)(p), path)
}
