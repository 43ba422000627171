package login

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	builder "github.com/soapward/soapward/gateway/realm"
)

// reread is for how long what is known of a row counts, so that warm requests do
// not each ask the store, if nobody is heard to change one (store.Store.Version).
const reread = 2 * time.Second

// realm is a realm of the configuration, opened. It is not modified once it is,
// and outlives its Set where the next one takes it over.
type realm struct {
	name    string
	made    basis
	domains []string // spellings of its own
	store   *store.Store

	keytab *kerberos.Keytab // nil: no Kerberos
	replay kerberos.ReplayCache

	verifier ntlm.Verifier // nil: no NTLM; behind users and limit
	names    func() (ntlm.Names, error)
	netlogon *netlogon.Verifier
	winbind  *winbind.Verifier

	provider *oidc.Provider // nil: none
	provided *provided      // nil without a store, or a provider

	directory   *ldap.Directory
	provisioner *provision.Provisioner // nil without a store
	users       *realmUsers            // nil without a store
	limit       *throttle.Limiter
	passwords   password.Verifier // nil: nobody has one

	mu         sync.Mutex
	mechanisms map[string]authn.Mechanism // by kind and binding
}

// basis is what a realm was made of.
type basis struct {
	realm     *config.Realm
	throttle  config.Throttle
	passwords config.Passwords
	files     [sha256.Size]byte
}

func (b *basis) same(o *basis) bool { return b.files == o.files && reflect.DeepEqual(b, o) }

// basisOf reads the files that a realm is made of, but for those that are read
// again by themselves: the keytab, and the password of the computer.
func (s *Set) basisOf(r *config.Realm) basis {
	b := basis{realm: r, throttle: s.config.Throttle, passwords: s.config.Passwords}
	h := sha256.New()
	add := func(content []byte) {
		sum := sha256.Sum256(content)
		h.Write(sum[:])
	}
	file := func(p config.Path) {
		content, _ := os.ReadFile(string(p)) // who opens it tells what is wrong
		add(content)
	}
	hidden := func(x config.Secret) {
		if !x.IsZero() {
			v, _ := x.Read()
			add([]byte(v.Reveal()))
		}
	}
	if a := r.AD; a != nil {
		file(a.CAFile)
		hidden(a.BindPassword)
	}
	if l := r.LDAP; l != nil {
		file(l.CAFile)
		hidden(l.BindPassword)
	}
	if o := r.OIDC; o != nil {
		file(o.CAFile)
		hidden(o.ClientSecret)
	}
	b.files = [sha256.Size]byte(h.Sum(nil))
	return b
}

// openRealm makes a realm, or takes that of previous.
func (s *Set) openRealm(name string, previous *Set) (*realm, error) {
	c := s.config.Realms[name]
	made := s.basisOf(c)
	if previous != nil && previous.realms[name] != nil && previous.realms[name].made.same(&made) {
		return previous.realms[name], nil
	}
	r := &realm{
		name: name, made: made, domains: builder.Spellings(name, c), store: s.o.Store,
		limit: s.limiter(builder.Names(name, c)), mechanisms: make(map[string]authn.Mechanism),
	}
	err := errors.Join(r.limit.Check(), s.openUsers(r), s.openKerberos(r), s.openNTLM(r), s.openProvider(r))
	if err != nil {
		_ = r.close() // nothing was used
		return nil, err
	}
	return r, nil
}

// openUsers makes what checks passwords and keeps users.
func (s *Set) openUsers(r *realm) error {
	c := r.made.realm
	dir, err := builder.Directory(c, s.log)
	if err != nil {
		return err
	}
	r.directory = dir
	chain := &password.Chain{}
	var next password.Verifier
	if dir != nil {
		next = dir
	}
	if s.o.Store != nil {
		r.users = &realmUsers{store: s.o.Store, realm: r.name, aliases: c.Aliases}
		chain.Internal = &password.Internal{
			Users: r.users, Policy: password.Policy{MinLength: r.made.passwords.MinLength},
			Hasher: password.Hasher{Params: password.Params{Memory: uint32(r.made.passwords.MemoryKiB), Time: uint32(r.made.passwords.Passes)}},
			Logger: s.log,
		}
		if c.Internal != nil && c.Internal.NTLM {
			chain.Internal.NTHash = builder.NTHash
		}
		r.provisioner = &provision.Provisioner{
			Realm: r.name, Store: s.o.Store, KnownOnly: !c.CreateUsers, Aliases: c.Aliases, RereadAfter: reread, Version: of(s.o.Store, store.Users), Logger: s.log,
		}
		if dir != nil {
			r.provisioner.Source = dir
			next = r.provisioner.Verifier(dir)
		}
	}
	if c.Internal != nil && s.o.Store == nil {
		return errors.New("internal wants a store: users and their passwords are there, such as store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}")
	}
	chain.Next = next
	if c.Internal != nil || dir != nil {
		r.passwords = r.limit.Password(chain)
	}
	return nil
}

func (s *Set) openProvider(r *realm) (err error) {
	c := r.made.realm
	if r.provider, err = builder.Provider(r.name, c, s.o.Store, s.log); err != nil || r.provider == nil || r.users == nil {
		return err
	}
	r.provided = &provided{
		users: r.users, known: &cachedUsers{users: r.users, version: of(s.o.Store, store.Users)},
		issuer: c.OIDC.Issuer.String(), create: c.CreateUsers, now: time.Now,
	}
	return nil
}

func (s *Set) openKerberos(r *realm) error {
	k := r.made.realm.Kerberos
	if k == nil {
		return nil
	}
	keytab, err := kerberos.LoadKeytab(string(k.Keytab))
	if err != nil {
		return fmt.Errorf("kerberos.keytab: %w", err)
	}
	r.keytab = keytab
	if s.o.Store != nil {
		r.replay = s.o.Store.Replays()
	}
	m := &kerberos.Mechanism{Keytab: keytab, SPNs: k.SPN}
	if err := m.Check(); err != nil {
		return fmt.Errorf("kerberos: %w", err)
	}
	return nil
}

// limiter is the protection against guessing, for users with these names.
func (s *Set) limiter(names throttle.Names) *throttle.Limiter {
	var counts throttle.Store = s.memory.failures
	if s.o.Store != nil {
		counts = s.memory.blocks
	}
	return builder.Limiter(&s.config.Throttle, names, counts, s.log)
}

// mechanism returns what accepts tokens of a kind under a policy for channel
// bindings. There is one of each, so that a handshake may go on after a reload.
func (r *realm) mechanism(kind string, binding authn.BindingPolicy) authn.Mechanism {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := fmt.Sprint(kind, binding)
	m := r.mechanisms[key]
	switch {
	case m != nil:
	case kind == authn.MechanismKerberos:
		m = &kerberos.Mechanism{Keytab: r.keytab, SPNs: r.made.realm.Kerberos.SPN, Binding: binding, Replay: r.replay, Logger: r.limit.Logger}
	default:
		m = &lateNTLM{names: r.names, base: func(n ntlm.Names) *ntlm.Mechanism {
			return &ntlm.Mechanism{Verifier: r.verifier, Names: n, Binding: binding, Logger: r.limit.Logger}
		}}
	}
	r.mechanisms[key] = m
	return m
}

// base is the DN that the directory of the realm is below, if that is known.
func (r *realm) base() string {
	switch c := r.made.realm; {
	case c.AD != nil && c.AD.Base != "":
		return c.AD.Base
	case c.AD != nil && c.AD.Domain != "":
		return "DC=" + strings.ReplaceAll(c.AD.Domain, ".", ",DC=")
	case c.LDAP != nil:
		return c.LDAP.Base
	}
	return ""
}

// keep returns an authenticator that lets in whom next lets in, as users of the
// realm, and asks at each request whether they still may.
func (r *realm) keep(next authn.Authenticator) authn.Authenticator {
	if r.provisioner == nil {
		return next
	}
	return &keeper{Authenticator: next, users: r.provisioner, internal: session.CheckUser(&cachedUsers{users: r.users, version: of(r.users.store, store.Users)})}
}

// keeper tells users of a domain, who have a SID, from internal ones, whom the
// provisioner would take for users of another realm if they have none.
type keeper struct {
	authn.Authenticator
	users    *provision.Provisioner
	internal checkUser
}

var _ authn.Authenticator = (*keeper)(nil)

func (k *keeper) Authenticate(req *http.Request) (*authn.Result, error) {
	res, err := k.Authenticator.Authenticate(req)
	if err != nil || res.Identity == nil {
		return res, err
	}
	if res.Identity.SID != "" {
		return k.users.Wrap(decided{k.Authenticator, res}).Authenticate(req)
	}
	id, err := k.internal(req.Context(), res.Identity)
	if err != nil {
		return nil, err
	}
	c := *res // the authenticator may hold on to its own
	c.Identity = id
	return &c, nil
}

// decided is an authenticator that was asked already.
type decided struct {
	authn.Authenticator
	res *authn.Result
}

func (d decided) Authenticate(*http.Request) (*authn.Result, error) { return d.res, nil }

func (r *realm) close() error {
	var errs []error
	if r.netlogon != nil {
		errs = append(errs, r.netlogon.Close())
	}
	if r.winbind != nil {
		errs = append(errs, r.winbind.Close())
	}
	if r.directory != nil {
		errs = append(errs, r.directory.Close())
	}
	return errors.Join(errs...)
}

// owns reports whether a user with a realm may log in at r: one of r, or one of
// none.
func owns(realm string, aliases []string, users string) bool {
	return users == "" || users == realm || slices.Contains(aliases, users)
}
