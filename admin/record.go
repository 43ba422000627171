package admin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// Actions of what is recorded here.
const (
	actionAdd            = "user.add"
	actionImport         = "user.import"
	actionChange         = "user.change"
	actionDisable        = "user.disable"
	actionEnable         = "user.enable"
	actionDelete         = "user.delete"
	actionPassword       = "user.password"
	actionSecondFactor   = "user.reset-second-factor"
	actionClearPasswords = "user.clear-passwords"
	actionEndSession     = "session.end"
	actionEndSessions    = "session.end-all"
	actionUnblock        = "block.lift"
)

// sealedLast is how long a session that is sealed into a cookie lasts at most:
// browsers keep none for longer.
const sealedLast = 400 * 24 * time.Hour

// audited has do change something, and writes down who did what, in one
// transaction. do may be called more than once, where the database undoes it for
// others.
func (s *Service) audited(ctx context.Context, st *store.Store, c *Caller, action, target string, do func(context.Context, *directory.Change) error) error {
	change := &directory.Change{Time: s.now(), Ref: authn.Ref(ctx), Actor: c.Name, Peer: c.Peer, Action: action, Target: target}
	err := st.Audited(ctx, change, func(ctx context.Context) error { return do(ctx, change) })
	s.granted.forget() // also if it failed: it may have been done
	return err
}

// asJSON is what Before and After of a change have. Nothing with a secret is given
// to it.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("admin: " + err.Error()) // all types that are recorded have a JSON
	}
	return string(b)
}

// recorded is a user as the record has it. Groups are the directory's, and may be
// thousands.
func recorded(u *directory.User, ended int) string {
	r := userOf(u)
	r.Groups, r.SessionsEnded = nil, ended
	return asJSON(r)
}

// ender ends sessions, also those that are sealed into cookies.
func (s *Service) ender(st *store.Store) *session.Manager {
	return &session.Manager{
		Store: st, Now: s.now,
		// With any key it notes in the store since when sealed ones are over. How long
		// they may last is known to the programs that seal them alone.
		Keys: []session.Key{session.NewKey()}, Remember: sealedLast,
	}
}
