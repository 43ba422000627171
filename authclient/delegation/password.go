package delegation

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// passwordEvidence is what a login by password leaves, such as
// *password.Secret.
type passwordEvidence interface {
	Credentials() (user string, password authn.Secret)
}

// withPassword gets a ticket as the caller would. A password that a KDC did
// not take is not tried again for a while: in a long session each request
// would otherwise count as one more wrong try, until the account is locked.
// digest is that of principal and password.
func (d *Delegator) withPassword(ctx context.Context, ev passwordEvidence, digest [sha256.Size]byte, principal, spn string) (*kerberos.Ticket, error) {
	if err := d.refusals.get(digest, d.now()); err != nil {
		return nil, err
	}
	_, password := ev.Credentials()
	c, err := kerberos.NewPasswordClient(d.Kerberos, principal, password)
	if err != nil {
		return nil, err
	}
	t, err := c.Ticket(ctx, spn)
	if errors.Is(err, authn.ErrBadCredentials) {
		keep := refusedFor
		if reasonOf(Password, err) == ReasonWrongPassword {
			keep = maxAge // it will not become right, and each try counts
		}
		d.refusals.put(digest, err, d.now(), keep)
	}
	return t, err
}

// maxRefusals bounds the passwords remembered as refused.
const maxRefusals = 4096

// refusals remembers which passwords a KDC did not take, by a digest that says
// nothing without its key. The zero value is ready for use. It is safe for
// concurrent use.
type refusals struct {
	mu  sync.Mutex
	key []byte
	set map[[sha256.Size]byte]refusedPassword
}

type refusedPassword struct {
	err   error
	until time.Time
}

func (r *refusals) digest(principal string, password authn.Secret) [sha256.Size]byte {
	r.mu.Lock()
	if r.key == nil {
		r.key = make([]byte, sha256.Size)
		_, _ = rand.Read(r.key) // never fails (crypto/rand)
	}
	m := hmac.New(sha256.New, r.key)
	r.mu.Unlock()
	m.Write([]byte(principal + "\x00" + password.Reveal()))
	return [sha256.Size]byte(m.Sum(nil))
}

func (r *refusals) get(digest [sha256.Size]byte, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.set[digest]; ok && now.Before(v.until) {
		return v.err
	}
	return nil
}

func (r *refusals) put(digest [sha256.Size]byte, err error, now time.Time, keep time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.set) >= maxRefusals {
		for d, v := range r.set {
			if !now.Before(v.until) {
				delete(r.set, d)
			}
		}
	}
	for d := range r.set { // some other has to go
		if len(r.set) < maxRefusals {
			break
		}
		delete(r.set, d)
	}
	if r.set == nil {
		r.set = map[[sha256.Size]byte]refusedPassword{}
	}
	r.set[digest] = refusedPassword{err, now.Add(keep)}
}
