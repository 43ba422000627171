// Package health says what the gateway depends on and whether it is there.
//
// A part that asks somebody else, such as a domain controller, a store or a
// backend, has Checks. The admin listener answers with them, and "soapward check
// --dial" runs each once. A Monitor runs them in the background.
//
// Compatibility: as package trail; names in the JSON of a Report are stable.
package health

import "context"

// A Check looks whether something is there.
type Check struct {
	Name string // unique: "realm corp: ldap ldaps://dc1.corp.test"
	Kind Kind

	// Essential means that the gateway is not ready without it. What only some
	// requests need is not.
	Essential bool

	// Run returns nil if it is there, and an error that says what was asked and
	// what came back, without a secret. It ends when ctx does. It is safe for
	// concurrent use.
	Run func(ctx context.Context) error

	// Remedy says what an operator can do when Run fails. It may be empty.
	Remedy string
}

// Kind is what a Check is about.
type Kind string

// Kinds.
const (
	Store            Kind = "store"
	DomainController Kind = "domain controller" // NTLM
	KDC              Kind = "kdc"
	Directory        Kind = "directory" // LDAP
	Backend          Kind = "backend"
	Upstream         Kind = "upstream"
	Provider         Kind = "provider" // a call-out, JWKS, OpenID Connect
	File             Kind = "file"     // keytab, certificate
	Process          Kind = "process"  // this one
)
