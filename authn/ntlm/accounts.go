package ntlm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// Account is a local user.
type Account struct {
	Name string // without a domain

	// Password, or in its place Hash, is what the user logs in with.
	Password authn.Secret
	Hash     NTHash

	UPN         string // alice@corp.test; a name to log in by as well
	DisplayName string
	SID         authn.SID
	Groups      []authn.Group
	Disabled    bool
}

// Accounts are local users, kept in memory with the NT hashes of their
// passwords. It is a Verifier and checks plain passwords too, so that the same
// users serve NTLM and Basic. It is safe for concurrent use.
//
// An NT hash is as good as the password. Programs that store accounts should
// encrypt the hashes and keep them only of users who need NTLM.
type Accounts struct {
	domain, dnsDomain string
	decoy             NTHash // stands in for unknown users

	mu     sync.RWMutex
	byName map[string]*account // by folded name
	byUPN  map[string]*account // by folded UPN
}

// account is never modified after it was made.
type account struct {
	hash     NTHash
	disabled bool
	id       authn.Identity
}

var _ Verifier = (*Accounts)(nil)

// NewAccounts returns the users of a domain. domain is its NetBIOS name, the
// one that identities get; dnsDomain may be empty. Users may log in with either
// name of the domain or none. The Names of the Mechanism should name the same
// domain: it is what clients fill in for people who type none.
func NewAccounts(domain, dnsDomain string, users ...Account) (*Accounts, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	decoy, err := NTHashFromBytes(random[:])
	if err != nil {
		return nil, err
	}
	as := &Accounts{
		domain: domain, dnsDomain: dnsDomain,
		decoy:  decoy,
		byName: make(map[string]*account),
		byUPN:  make(map[string]*account),
	}
	for _, u := range users {
		if as.byName[fold(u.Name)] != nil {
			return nil, fmt.Errorf("ntlm: account %q twice", u.Name)
		}
		if err := as.Set(u); err != nil {
			return nil, err
		}
	}
	return as, nil
}

// fold makes names that differ only in case equal. It maps as ntowfv2 does.
func fold(name string) string { return strings.ToUpper(name) }

// Set adds a user, or replaces the one of that name.
func (as *Accounts) Set(u Account) error {
	if u.Name == "" || strings.ContainsAny(u.Name, "\\@\x00") {
		return fmt.Errorf("ntlm: bad account name %q", u.Name)
	}
	hash := u.Hash
	if hash.IsZero() {
		hash = HashPassword(u.Password.Reveal())
	}
	if hash.Equal(HashPassword("")) {
		return fmt.Errorf("ntlm: account %q without a password", u.Name)
	}
	a := &account{hash: hash, disabled: u.Disabled, id: authn.Identity{
		Account: u.Name, Domain: as.domain, UPN: u.UPN, DisplayName: u.DisplayName,
		SID: u.SID, Groups: slices.Clone(u.Groups),
	}}
	as.mu.Lock()
	defer as.mu.Unlock()
	if other := as.byUPN[fold(u.UPN)]; other != nil && fold(other.id.Account) != fold(u.Name) {
		return fmt.Errorf("ntlm: accounts %q and %q have the same UPN", other.id.Account, u.Name)
	}
	as.remove(u.Name)
	as.byName[fold(u.Name)] = a
	if u.UPN != "" {
		as.byUPN[fold(u.UPN)] = a
	}
	return nil
}

// Remove removes a user, if there is one of that name.
func (as *Accounts) Remove(name string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.remove(name)
}

func (as *Accounts) remove(name string) {
	if old := as.byName[fold(name)]; old != nil {
		delete(as.byUPN, fold(old.id.UPN))
		delete(as.byName, fold(name))
	}
}

// find returns the user that a client means by the two fields of a login form
// or message, or nil.
func (as *Accounts) find(domain, user string) *account {
	if domain == "" {
		if d, u, ok := strings.Cut(user, `\`); ok {
			domain, user = d, u
		}
	}
	as.mu.RLock()
	defer as.mu.RUnlock()
	if domain == "" {
		if a := as.byUPN[fold(user)]; a != nil {
			return a
		}
		if i := strings.LastIndexByte(user, '@'); i >= 0 {
			if domain, user = user[i+1:], user[:i]; domain == "" {
				return nil
			}
		}
	}
	if !as.ours(domain) {
		return nil
	}
	return as.byName[fold(user)]
}

// ours reports whether a client that names this domain means us. A dot is how
// Windows users write the domain of local accounts.
func (as *Accounts) ours(domain string) bool {
	return domain == "" || domain == "." || fold(domain) == fold(as.domain) ||
		as.dnsDomain != "" && fold(domain) == fold(as.dnsDomain)
}

// VerifyNTLM implements Verifier.
func (as *Accounts) VerifyNTLM(_ context.Context, at *Attempt) (*authn.Identity, SessionBaseKey, error) {
	a := as.find(at.Domain, at.User)
	key, ok := at.Check(as.hashOf(a))
	id, err := as.judge(a, ok)
	if err != nil {
		err.Mechanism, err.User = mechName, joinName(at.Domain, at.User)
		return nil, SessionBaseKey{}, err
	}
	return id, key, nil
}

// VerifyPassword returns who user is if the password is right. The name may be
// written as DOMAIN\user, user@domain or user.
func (as *Accounts) VerifyPassword(_ context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" {
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user, Err: errors.New("empty user name or password")}
	}
	a := as.find("", user)
	ok := as.hashOf(a).Equal(HashPassword(password))
	id, err := as.judge(a, ok)
	if err != nil {
		err.User = user
		return nil, err
	}
	id.AuthTime = time.Now()
	return id, nil
}

// hashOf returns the hash of a user, or for nobody one that nothing matches,
// so that unknown users cost what known ones do.
func (as *Accounts) hashOf(a *account) NTHash {
	if a == nil {
		return as.decoy
	}
	return a.hash
}

// judge says what a compared password means. That an account is disabled is
// shown only to the log, and only after the right password.
func (as *Accounts) judge(a *account, ok bool) (*authn.Identity, *authn.RefusedError) {
	switch {
	case a == nil:
		return nil, &authn.RefusedError{Reason: authn.ReasonUnknownUser}
	case !ok:
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword}
	case a.disabled:
		return nil, &authn.RefusedError{Reason: authn.ReasonDisabled}
	}
	id := a.id
	return &id, nil
}
