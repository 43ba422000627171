package login

import (
	"context"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/gateway/config"
	builder "github.com/soapward/soapward/gateway/realm"
)

// openNTLM makes what verifies NTLM. Users are looked up inside of the limit: a
// right answer for a disabled user must count as any other refusal, or the block
// that does not come would tell that it was right.
func (s *Set) openNTLM(r *realm) error {
	c := r.made.realm
	var domain, internal ntlm.Verifier
	switch n := c.NTLM; {
	case n == nil:
	case n.Verifier == config.Netlogon:
		v, err := builder.Netlogon(c, s.log)
		if err != nil {
			return err
		}
		names := v.Names()
		r.netlogon, domain, r.names = v, v, func() (ntlm.Names, error) { return names, nil }
	case n.Verifier == config.Winbind:
		if r.winbind = new(winbind.Verifier); s.o.testOnlyWinbind != nil {
			r.winbind = s.o.testOnlyWinbind()
		}
		domain, r.names = r.winbind, func() (ntlm.Names, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return r.winbind.Names(ctx)
		}
	}
	if domain != nil && r.provisioner != nil {
		domain = &knownUsers{domain, r.provisioner}
	}
	if c.Internal != nil && c.Internal.NTLM && r.users != nil {
		names := ownNames(r.name)
		internal = &internalNTLM{users: r.users, anyDomain: builder.AnyDomain(c), domains: append([]string{names.Computer}, r.domains...)}
		if r.names == nil {
			r.names = func() (ntlm.Names, error) { return names, nil }
		}
	}
	switch {
	case domain != nil && internal != nil:
		r.verifier = r.limit.NTLM(bothNTLM{internal, domain})
	case domain != nil:
		r.verifier = r.limit.NTLM(domain)
	case internal != nil:
		r.verifier = r.limit.NTLM(internal)
	}
	return nil
}

// maxNetBIOS is how long such a name is at most.
const maxNetBIOS = 15

// ownNames are those of a realm without a domain. Clients fill in the domain for
// people who type none.
func ownNames(realm string) ntlm.Names {
	cut := func(name string) string {
		name, _, _ = strings.Cut(strings.ToUpper(name), ".")
		return name[:min(len(name), maxNetBIOS)]
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "soapward"
	}
	return ntlm.Names{Domain: cut(realm), Computer: cut(host)}
}

// knownUsers is a verifier that refuses those who may not log in here, whatever
// the domain says.
type knownUsers struct {
	ntlm.Verifier
	users *provision.Provisioner
}

func (k *knownUsers) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	id, key, err := k.Verifier.VerifyNTLM(ctx, a)
	if err != nil {
		return nil, key, err
	}
	if id, err = k.users.Provision(ctx, id); err != nil {
		return nil, ntlm.SessionBaseKey{}, err
	}
	return id, key, nil
}

// internalNTLM verifies internal users, by the NT hash that is kept for it.
type internalNTLM struct {
	users     *realmUsers
	anyDomain bool     // a client may name, or else
	domains   []string // one of these
}

// errNotInternal is inside of the refusal of who is no internal user, or has no
// hash here: the domain may know him. It is not authn.ErrNoCredentials, with which
// another login would be asked.
var errNotInternal = errors.New("login: not an internal user")

// VerifyNTLM implements ntlm.Verifier.
func (v *internalNTLM) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	none := func(reason authn.Reason, hint string, err error) (*authn.Identity, ntlm.SessionBaseKey, error) {
		a.Check(noHash) // the time that a wrong password takes
		return nil, ntlm.SessionBaseKey{}, &authn.RefusedError{
			Mechanism: authn.MechanismNTLM, Reason: reason, User: a.User, Hint: hint, Err: fmt.Errorf("%w: %w", errNotInternal, err),
		}
	}
	if a.Domain != "" && !v.anyDomain && !slices.ContainsFunc(v.domains, func(d string) bool { return strings.EqualFold(d, a.Domain) }) {
		return none(authn.ReasonUnknownUser, "", errors.New("the domain is not one of this realm"))
	}
	u, err := v.users.User(ctx, a.User)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return none(authn.ReasonUnknownUser, "", errors.New("no user of that name in this realm"))
	case err != nil:
		return nil, ntlm.SessionBaseKey{}, fmt.Errorf("login: find user: %w", err)
	}
	hash := u.NTHash.Hash()
	if hash == nil {
		return none(authn.ReasonPolicy, "set the password again (soapward user passwd), or log in once by the form or Basic: the hash for NTLM is made of the password", errors.New("no NT hash is kept of the user"))
	}
	nt, err := ntlm.NTHashFromBytes(hash)
	if err != nil {
		return nil, ntlm.SessionBaseKey{}, fmt.Errorf("login: NT hash of %s: %w", u.Name, err)
	}
	key, ok := a.Check(nt)
	switch {
	case !ok:
		return nil, ntlm.SessionBaseKey{}, &authn.RefusedError{Mechanism: authn.MechanismNTLM, Reason: authn.ReasonWrongPassword, User: a.User}
	case u.State != directory.Active:
		return nil, ntlm.SessionBaseKey{}, &authn.RefusedError{
			Mechanism: authn.MechanismNTLM, Reason: authn.ReasonDisabled, User: a.User, Err: errors.New("user is " + u.State.String()),
		}
	}
	if err := v.users.TouchLogin(ctx, u.ID, time.Now()); err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, ntlm.SessionBaseKey{}, fmt.Errorf("login: note the login: %w", err)
	}
	id := u.Identity()
	id.Mechanism = authn.MechanismNTLM
	return id, key, nil
}

// noHash is that of nobody's password.
var noHash = func() ntlm.NTHash {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	h, _ := ntlm.NTHashFromBytes(b[:])
	return h
}()

// bothNTLM asks the domain about those who are not internal users.
type bothNTLM struct{ internal, domain ntlm.Verifier }

func (b bothNTLM) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	id, key, err := b.internal.VerifyNTLM(ctx, a)
	if errors.Is(err, errNotInternal) {
		return b.domain.VerifyNTLM(ctx, a)
	}
	return id, key, err
}

// lateNTLM is a mechanism whose names are asked for when the first client comes:
// winbindd knows them, and may not run yet.
type lateNTLM struct {
	names func() (ntlm.Names, error)
	base  func(ntlm.Names) *ntlm.Mechanism

	mu   sync.Mutex
	made *ntlm.Mechanism
}

var _ authn.Mechanism = (*lateNTLM)(nil)

// OID implements authn.Mechanism.
func (l *lateNTLM) OID() asn1.ObjectIdentifier { return new(ntlm.Mechanism).OID() }

// NewAcceptor implements authn.Mechanism.
func (l *lateNTLM) NewAcceptor(x authn.Exchange) authn.Acceptor {
	m, err := l.mechanism()
	if err != nil {
		return notYet{fmt.Errorf("login: NTLM: %w: %w", authn.ErrUnavailable, err)}
	}
	return m.NewAcceptor(x)
}

func (l *lateNTLM) mechanism() (*ntlm.Mechanism, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made == nil {
		names, err := l.names()
		if err != nil {
			return nil, err
		}
		l.made = l.base(names)
	}
	return l.made, nil
}

// notYet is an acceptor that cannot judge anybody.
type notYet struct{ err error }

func (n notYet) Step(context.Context, []byte) ([]byte, *authn.Identity, error) {
	return nil, nil, n.err
}
