package directory

import (
	"encoding/hex"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
)

// A User is an account. Its name is unique in the store without regard to case;
// see FoldName.
type User struct {
	ID      int64  // given by the store, never used again
	Version int64  // counts changes; see ErrConflict
	Realm   string // the realm of the configuration that the user logs in at; may be empty
	Name    string // DOMAIN\account, or a name without domain for an internal user

	// SID is that of the domain, empty if the authority has none. No two users
	// have the same one: a user who was renamed is still the same.
	SID authn.SID
	UPN string // alice@corp.test, if known
	DN  string // in the directory, if known

	DisplayName string // "Name" to people
	Email       string
	Phone       string // mobile

	// Password is the hash of an internal password. Most users of a domain have
	// none here.
	Password PasswordHash

	// NTHash is kept beside Password where internal users log in by NTLM, which
	// knows no other. It is weaker by far: unsalted, fast to guess from, and good
	// for a login as it is. Most users have none.
	NTHash NTHash

	// LocalAdmin may log in to the console without the external provider.
	LocalAdmin bool

	// SecondFactor is the secret of the user's one-time passwords (RFC 6238), in
	// base32, and RecoveryCodes are the hashes of codes that take their place once.
	SecondFactor  authn.Secret
	RecoveryCodes []string

	// Subject is who the user is to an OpenID Connect provider: issuer and sub. A
	// name that the provider gives to somebody else later is not that user's. No
	// two users have the same one; empty: none.
	Subject string

	State State

	Groups []authn.Group // of the directory, as of Refreshed
	Roles  []string      // granted by an operator, without regard to groups

	Created   time.Time
	Refreshed time.Time // last time that the directory was asked; zero: never
	LastLogin time.Time // zero: never
}

// Account returns Name without its domain, and the domain.
func (u *User) Account() (domain, account string) {
	domain, account, ok := strings.Cut(u.Name, `\`)
	if !ok {
		return "", u.Name
	}
	return domain, account
}

// Identity returns the user as an authenticated caller, without mechanism and
// time, which are the login's.
func (u *User) Identity() *authn.Identity {
	domain, account := u.Account()
	return &authn.Identity{
		Account: account, Domain: domain, UPN: u.UPN, DisplayName: u.DisplayName, SID: u.SID, Groups: u.Groups,
		Roles: u.Roles,
	}
}

// State says whether a user may log in, and who said so.
type State uint8

// States of a User.
const (
	Active State = iota

	// DisabledByOperator is lifted by an operator only.
	DisabledByOperator

	// DisabledByDirectory is a user whom the directory has disabled or no longer
	// knows. It is lifted when the directory knows and enables the user again.
	DisabledByDirectory
)

// String returns the state as people read it.
func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case DisabledByOperator:
		return "disabled"
	case DisabledByDirectory:
		return "disabled by the directory"
	}
	return "unknown"
}

// FoldName returns the form in which names are compared: without space around
// it and without regard to case. No letter beyond ASCII is the same as one of
// ASCII: capitals of ı and ſ are I and S, and whoever may choose a name must not
// become admin as admın.
func FoldName(name string) string { return Fold(strings.TrimSpace(name)) }

// Fold is FoldName for a name whose space is part of it.
func Fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, name)
		}
	}
	return strings.ToLower(name)
}

// foldRune goes by the capital, which letters have in common that differ by their
// place in a word, such as σ and ς.
func foldRune(r rune) rune {
	folded := unicode.ToLower(unicode.ToUpper(r))
	if r >= utf8.RuneSelf && folded < utf8.RuneSelf {
		return r
	}
	return folded
}

// PasswordHash is the hash of a password with its parameters, in the form of the
// PHC ($argon2id$v=19$m=...). It does not print.
type PasswordHash struct{ authn.Secret }

// NewPasswordHash returns an encoded hash as a PasswordHash.
func NewPasswordHash(encoded string) PasswordHash { return PasswordHash{authn.NewSecret(encoded)} }

// LogValue implements slog.LogValuer.
func (h PasswordHash) LogValue() slog.Value { return h.Secret.LogValue() }

// NTHash is the hash of a password that NTLM works with, as 32 hexadecimal digits
// (MS-NLMP 3.3.1, NTOWFv1). Whoever has it can log in with it, so it does not
// print. The zero value is none.
type NTHash struct{ authn.Secret }

// NewNTHash returns the 16 bytes of a hash as an NTHash.
func NewNTHash(hash []byte) NTHash { return NTHash{authn.NewSecret(hex.EncodeToString(hash))} }

// Hash returns the 16 bytes, nil if there is no hash.
func (h NTHash) Hash() []byte {
	b, err := hex.DecodeString(h.Reveal())
	if err != nil || len(b) != 16 {
		return nil
	}
	return b
}

// LogValue implements slog.LogValuer.
func (h NTHash) LogValue() slog.Value { return h.Secret.LogValue() }

// A UserQuery asks for users in the order of their folded names. All that it
// says must hold.
type UserQuery struct {
	After  string // names that come after this one; a page ends with the next one's After
	Prefix string // of the name, without regard to case
	Search string // how name, account, display name or e-mail begin, without regard to case
	Realm  string // empty: any
	Domain bool   // only names with a domain, those with a backslash
	State  *State // nil: any
	Role   string // granted by an operator; empty: any
	Local  bool   // only local administrators
	Limit  int    // at most so many; zero means 100
}
