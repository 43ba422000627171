package login

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// checkUser is a session.Manager.Check.
type checkUser = func(ctx context.Context, id *authn.Identity) (*authn.Identity, error)

// realmUsers are the users of a store that may log in at a realm: its own, and
// those of no realm. To all others it is as if they were not there, since the
// passwords of one realm do not open another.
type realmUsers struct {
	store   *store.Store
	realm   string
	aliases []string
}

// User implements password.Users.
func (u *realmUsers) User(ctx context.Context, name string) (*directory.User, error) {
	return u.ours(u.store.User(ctx, name))
}

// UserBySID implements session.Users.
func (u *realmUsers) UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error) {
	return u.ours(u.store.UserBySID(ctx, sid))
}

func (u *realmUsers) ours(user *directory.User, err error) (*directory.User, error) {
	if err == nil && !owns(u.realm, u.aliases, user.Realm) {
		return nil, fmt.Errorf("login: a user of the realm %q, not of %q: %w", user.Realm, u.realm, directory.ErrNotFound)
	}
	return user, err
}

// UpdateUser implements password.Users.
func (u *realmUsers) UpdateUser(ctx context.Context, user *directory.User) error {
	return u.store.UpdateUser(ctx, user)
}

// TouchLogin implements password.LoginNoter.
func (u *realmUsers) TouchLogin(ctx context.Context, id int64, at time.Time) error {
	return u.store.TouchLogin(ctx, id, at)
}

// sessionUsers is session.Users.
type sessionUsers interface {
	User(ctx context.Context, name string) (*directory.User, error)
	UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error)
}

// maxCached bounds how many users are kept in memory.
const maxCached = 8192

// cachedUsers remembers users for a moment, as long as nobody changes any. Only who is found is remembered. It is
// safe for concurrent use, and whoever is asked must not change what it returns.
type cachedUsers struct {
	users   sessionUsers
	version version

	mu    sync.RWMutex
	known map[string]cachedUser

	testOnlyNow func() time.Time
}

type cachedUser struct {
	user  *directory.User
	as    reading
	until time.Time
}

// User implements session.Users.
func (c *cachedUsers) User(ctx context.Context, name string) (*directory.User, error) {
	return c.get("n"+name, func() (*directory.User, error) { return c.users.User(ctx, name) })
}

// UserBySID implements session.Users.
func (c *cachedUsers) UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error) {
	return c.get("s"+string(sid), func() (*directory.User, error) { return c.users.UserBySID(ctx, sid) })
}

func (c *cachedUsers) get(key string, ask func() (*directory.User, error)) (*directory.User, error) {
	now := time.Now()
	if c.testOnlyNow != nil {
		now = c.testOnlyNow()
	}
	as := c.version.now()
	c.mu.RLock()
	k, ok := c.known[key]
	c.mu.RUnlock()
	if ok && as.fits(k.as) && now.Before(k.until) {
		return k.user, nil
	}
	u, err := ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.known, key)
		return nil, err
	}
	if c.known == nil || len(c.known) >= maxCached {
		c.known = make(map[string]cachedUser)
	}
	c.known[key] = cachedUser{u, as, now.Add(reread)}
	return u, nil
}
