package kdc

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// Well-known RIDs (MS-DTYP 2.4.2.4) and account bits (MS-PAC 2.5, MS-SAMR
// 2.2.1.12).
const (
	ridDomainUsers    = 513
	ridProtectedUsers = 525

	accountNormal       = 0x10
	accountDontExpire   = 0x200
	accountNotDelegated = 0x4000

	// Authentication by password and by the word of a service (MS-SFU 3.2.5.1.2).
	sidAuthenticationAuthority pac.SID = "S-1-18-1"
	sidServiceAsserted         pac.SID = "S-1-18-2"
)

// maxKeyVersions is how many passwords back tickets and keytabs still work.
const maxKeyVersions = 3

// Account is a user or a service of the domain.
type Account struct {
	Name     string // sAMAccountName
	Password string `json:"-"`
	FullName string
	UPN      string // default: name@realm, marked as constructed
	RID      uint32 // default: the next free one

	Groups    []uint32  // RIDs of groups of the domain, besides Domain Users
	ExtraSIDs []pac.SID // groups from elsewhere

	SPNs   []string     // services the account runs, such as HTTP/host
	ETypes []krb5.EType // strongest first; default: AES256 and AES128 with SHA-1

	Disabled        bool
	PasswordExpired bool
	Sensitive       bool // may not be delegated
	NoPAC           bool // tickets of this client carry no PAC
	NoPreauth       bool // the AS answers without proof of the password

	// TrustedForDelegation has clients forward their ticket-granting ticket.
	TrustedForDelegation bool
	// TrustedToAuth (TrustedToAuthForDelegation) lets the tickets of S4U2Self
	// be passed on.
	TrustedToAuth bool
	// DelegateTo (msDS-AllowedToDelegateTo) lists the SPNs the account may
	// call in others' names.
	DelegateTo []string
	// ActFor (msDS-AllowedToActOnBehalfOfOtherIdentity) lists the accounts
	// that may call this one in others' names.
	ActFor []string
}

// account is an Account in use. It is not changed; Add and SetPassword put a
// new one in its place.
type account struct {
	Account
	upnConstructed bool
	passwordSet    time.Time
	versions       []keyVersion // newest first
}

type keyVersion struct {
	kvno uint32
	keys []krb5.Key // in the order of ETypes
}

// Add adds an account, or replaces the one of the same name, which keeps its
// RID. A new password, or other encryption types, make a new version of its
// keys; the versions before are kept for the tickets that are about.
func (k *KDC) Add(a Account) error {
	if a.Name == "" || strings.ContainsAny(a.Name, "/@") {
		return fmt.Errorf("kdc: account name %q", a.Name)
	}
	if a.Password == "" {
		return fmt.Errorf("kdc: account %s has no password", a.Name)
	}
	if len(a.ETypes) == 0 {
		a.ETypes = []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1}
	}
	n := &account{Account: a, passwordSet: k.cfg.Now().UTC().Truncate(time.Second)}
	if n.UPN == "" {
		n.UPN, n.upnConstructed = a.Name+"@"+strings.ToLower(k.cfg.Realm), true
	}
	v, err := k.deriveKeys(a)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range a.SPNs {
		if o := k.spns[strings.ToLower(s)]; o != nil && !strings.EqualFold(o.Name, a.Name) {
			return fmt.Errorf("kdc: %s belongs to both %s and %s", s, o.Name, a.Name)
		}
	}
	v.kvno = 1
	if old := k.accounts[strings.ToLower(a.Name)]; old != nil {
		k.forget(old)
		if n.RID == 0 {
			n.RID = old.RID
		}
		n.versions = old.versions
		v.kvno = old.versions[0].kvno + 1
		if a.Password == old.Password && slices.Equal(a.ETypes, old.ETypes) {
			v, n.versions, n.passwordSet = old.versions[0], old.versions[1:], old.passwordSet
		}
	}
	n.versions = append([]keyVersion{v}, n.versions[:min(len(n.versions), maxKeyVersions-1)]...)
	if n.RID == 0 {
		n.RID = k.nextRID
		k.nextRID++
	}
	k.accounts[strings.ToLower(n.Name)] = n
	k.upns[strings.ToLower(n.UPN)] = n
	for _, s := range n.SPNs {
		k.spns[strings.ToLower(s)] = n
	}
	return nil
}

// SetPassword changes an account's password, which makes a new key version.
func (k *KDC) SetPassword(name, password string) error {
	return k.Update(name, func(a *Account) { a.Password = password })
}

// Update changes an account. Its keys change with its password only.
func (k *KDC) Update(name string, change func(*Account)) error {
	a := k.account(name)
	if a == nil {
		return fmt.Errorf("kdc: no account %q", name)
	}
	c := a.Account
	if a.upnConstructed {
		c.UPN = ""
	}
	change(&c)
	if !strings.EqualFold(c.Name, name) {
		return errors.New("kdc: an account cannot be renamed")
	}
	return k.Add(c)
}

// forget takes the names of an account out of use. The caller holds the lock.
func (k *KDC) forget(a *account) {
	delete(k.accounts, strings.ToLower(a.Name))
	delete(k.upns, strings.ToLower(a.UPN))
	for _, s := range a.SPNs {
		delete(k.spns, strings.ToLower(s))
	}
}

func (k *KDC) deriveKeys(a Account) (keyVersion, error) {
	var v keyVersion
	for _, e := range a.ETypes {
		key, err := krb5.StringToKey(e, a.Password, k.salt(a.Name), nil)
		if err != nil {
			return v, fmt.Errorf("kdc: key of %s: %w", a.Name, err)
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// salt returns the default salt of a user's keys (RFC 4120 4).
func (k *KDC) salt(name string) string { return k.cfg.Realm + name }

// newServiceOfKDC returns the account of a ticket-granting service, with a
// random key.
func newServiceOfKDC(name string, e krb5.EType) (*account, error) {
	key, err := krb5.RandomKey(e)
	if err != nil {
		return nil, fmt.Errorf("kdc: key of %s: %w", name, err)
	}
	return &account{
		Account: Account{Name: name, ETypes: []krb5.EType{
			krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2, krb5.RC4HMAC}},
		versions: []keyVersion{{kvno: 2, keys: []krb5.Key{key}}},
	}, nil
}

// ticketKey returns the key that tickets for the account are sealed with.
func (a *account) ticketKey() (krb5.Key, uint32) {
	return a.versions[0].keys[0], a.versions[0].kvno
}

// key returns the current key of type e.
func (a *account) key(e krb5.EType) (krb5.Key, bool) {
	return a.versions[0].key(e)
}

func (v keyVersion) key(e krb5.EType) (krb5.Key, bool) {
	for _, k := range v.keys {
		if k.EType() == e {
			return k, true
		}
	}
	return krb5.Key{}, false
}

// open decrypts a ticket for the account.
func (a *account) open(t *krb5.Ticket) (*krb5.EncTicketPart, krb5.Key, error) {
	for _, v := range a.versions {
		if t.EncPart.KVNO != 0 && t.EncPart.KVNO != v.kvno {
			continue
		}
		key, ok := v.key(t.EncPart.EType)
		if !ok {
			continue
		}
		b, err := t.EncPart.Open(key, krb5.UsageTicket)
		if err != nil {
			return nil, key, refuse(krb5.CodeBadIntegrity, "ticket was made with another key or altered")
		}
		p, err := krb5.ParseEncTicketPart(b)
		if err != nil {
			return nil, key, refuse(krb5.CodeBadIntegrity, "ticket is malformed inside")
		}
		return p, key, nil
	}
	return nil, krb5.Key{}, refuse(krb5.CodeBadKeyVersion, "no key of that version and type")
}

// mayBeDelegated reports whether others may act in the account's name.
func (a *account) mayBeDelegated() bool {
	return !a.Sensitive && !slices.Contains(a.Groups, ridProtectedUsers)
}

// account returns the account with the given sAMAccountName, or nil.
func (k *KDC) account(name string) *account {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.accounts[strings.ToLower(name)]
}

// client returns the account that a client name stands for, or nil. As in
// Active Directory a service name is no client.
func (k *KDC) client(p krb5.PrincipalName) *account {
	if len(p.Components) != 1 {
		return nil
	}
	n := strings.ToLower(p.Components[0])
	k.mu.RLock()
	defer k.mu.RUnlock()
	if a := k.accounts[n]; a != nil {
		return a
	}
	if a := k.upns[n]; a != nil {
		return a
	}
	if name, domain, ok := strings.Cut(n, "@"); ok &&
		(strings.EqualFold(domain, k.cfg.Realm) || strings.EqualFold(domain, k.cfg.NetBIOS)) {
		return k.accounts[name]
	}
	return nil
}

// service returns the account that runs a service, or nil. Names of services
// that Windows considers part of the host fall back to its HOST name (MS-ADTS
// 6.1.1.2.4.1.4, sPNMappings).
func (k *KDC) service(p krb5.PrincipalName) *account {
	n := strings.ToLower(p.String())
	k.mu.RLock()
	defer k.mu.RUnlock()
	if a := k.spns[n]; a != nil {
		return a
	}
	if class, host, ok := strings.Cut(n, "/"); ok {
		switch class {
		case "http", "www", "cifs", "rpc":
			return k.spns["host/"+host]
		}
		return nil
	}
	name, domain, ok := strings.Cut(n, "@")
	if ok && !strings.EqualFold(domain, k.cfg.Realm) {
		return k.upns[n]
	}
	return k.accounts[name]
}

// String returns the name of the account; the password does not print.
func (a Account) String() string { return a.Name }

// GoString is String for %#v.
func (a Account) GoString() string { return "kdc.Account(" + a.Name + ")" }

// LogValue implements slog.LogValuer.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.Name) }
