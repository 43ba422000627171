package login

import (
	"time"

	"github.com/soapward/soapward/authn/ntlm/winbind"
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
