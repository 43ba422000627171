package login

import (
	"context"
	"time"

	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
)

// SameRealm reports whether two Sets have one realm in common.
func SameRealm(a, b *Set, name string) bool { return a.realms[name] == b.realms[name] }

// WithWinbind has realms ask another winbindd than that of the host.
func (o Options) WithWinbind(f func() *winbind.Verifier) Options {
	o.testOnlyWinbind = f
	return o
}

// WithNow has the daily job go by another clock.
func (o Options) WithNow(now func() time.Time) Options {
	o.testOnlyNow = now
	return o
}

// Manager returns the sessions of a realm.
func Manager(s *Set, name string) *session.Manager { return s.manager(s.realms[name], false) }

// Limiter returns the protection against guessing of a realm.
func Limiter(s *Set, name string) *throttle.Limiter { return s.realms[name].limit }

// KeyOfLogins has a function told of each time that the key of logins is asked for.
func KeyOfLogins(s *Set, asked func()) {
	k := &s.memory.states.sealer.Key
	ask := *k
	*k = func(ctx context.Context) (*[32]byte, error) { asked(); return ask(ctx) }
}
