// Package dirtest checks stores of users, sessions, blocks and logins, such as
// one over another database. The implementation's own test calls Run.
//
// Only tests import this package.
package dirtest

import (
	"context"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A Store is what is tested: all that directory/store.Store does, but for
// replays, which authn/kerberos/kerberostest is for.
type Store interface {
	User(ctx context.Context, name string) (*directory.User, error)
	UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error)
	UserBySubject(ctx context.Context, subject string) (*directory.User, error)
	UserByID(ctx context.Context, id int64) (*directory.User, error)
	CreateUser(ctx context.Context, u *directory.User) error
	UpdateUser(ctx context.Context, u *directory.User) error
	TouchLogin(ctx context.Context, id int64, at time.Time) error
	DeleteUser(ctx context.Context, id int64) error
	Users(ctx context.Context, q directory.UserQuery) ([]directory.User, error)
	UsersPart(ctx context.Context, q directory.UserQuery) ([]directory.User, string, error)
	UpdateUsers(ctx context.Context, users []*directory.User) error
	CountUsers(ctx context.Context) (int64, error)
	CountGranted(ctx context.Context) (map[string]int64, error)

	PutSession(ctx context.Context, s *directory.Session) error
	Session(ctx context.Context, id directory.SessionID) (*directory.Session, error)
	TouchSession(ctx context.Context, id directory.SessionID, seen time.Time) error
	DeleteSession(ctx context.Context, id directory.SessionID) error
	SessionsOf(ctx context.Context, user string) ([]directory.Session, error)
	DeleteSessionsOf(ctx context.Context, user string) (int, error)
	Sessions(ctx context.Context, now time.Time, q directory.SessionQuery) ([]directory.Session, error)
	ClaimGrant(ctx context.Context, id directory.SessionID, now, until time.Time) (bool, error)
	PutGrant(ctx context.Context, id directory.SessionID, g *directory.Grant, data []byte) error
	DeleteSessionsOfGrant(ctx context.Context, provider, subject, sessionID string) (int, error)

	AddFailure(ctx context.Context, at, since time.Time, keys ...string) ([]int, error)
	ForgetFailures(ctx context.Context, key string) error
	SetBlock(ctx context.Context, b directory.Block) error
	BlockOf(ctx context.Context, at time.Time, keys ...string) (*directory.Block, error)
	Blocks(ctx context.Context, at time.Time) ([]directory.Block, error)
	Unblock(ctx context.Context, key string) (bool, error)

	AddLogin(ctx context.Context, l *directory.Login) error
	Logins(ctx context.Context, q directory.LoginQuery) ([]directory.Login, error)
	LoginsPart(ctx context.Context, q directory.LoginQuery) ([]directory.Login, *directory.LoginQuery, error)

	Audited(ctx context.Context, c *directory.Change, do func(context.Context) error) error
	Changes(ctx context.Context, q directory.ChangeQuery) ([]directory.Change, error)
	AddCounts(ctx context.Context, counts []directory.Count) error
	Counts(ctx context.Context, q directory.CountQuery) ([]directory.Count, error)
	AddConfig(ctx context.Context, v *directory.ConfigVersion) error
	Configs(ctx context.Context, before int64, limit int) ([]directory.ConfigVersion, error)
	Config(ctx context.Context, id int64) (*directory.ConfigVersion, error)

	Note(ctx context.Context, key string) (string, error)
	SetNote(ctx context.Context, key, value string) error
	Prune(ctx context.Context, now time.Time) (directory.Pruned, error)
}

// Open makes an empty store and returns two handles of it, as two nodes have
// them. They keep logins for 90 days.
type Open func(t *testing.T) (a, b Store)

// start is when the tests take place. It has microseconds, and a zone that is
// not the machine's.
var start = time.Date(2026, 11, 26, 9, 30, 0, 123456000, time.FixedZone("here", 5*3600+1800))

// Run runs all tests, in parallel.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		f    func(t *testing.T, a, b Store)
	}{
		{"user round trip", userRoundTrip},
		{"user of long values", userLong},
		{"user names", userNames},
		{"user SID", userSID},
		{"user subject", userSubject},
		{"user conflicts", userConflicts},
		{"user renamed", userRenamed},
		{"user deleted", userDeleted},
		{"user memberships", userMemberships},
		{"user last login", userLastLogin},
		{"users paged", usersPaged},
		{"users asked for", usersAskedFor},
		{"users searched for", usersSearchedFor},
		{"users searched for by pages", usersSearchedPaged},
		{"users counted", usersCounted},
		{"users changed from two handles", usersChangedAtOnce},
		{"values refused", valuesRefused},
		{"sessions", sessions},
		{"sessions of a user", sessionsOfUser},
		{"sessions listed", sessionsListed},
		{"grants", grants},
		{"grants claimed from two handles", grantsClaimedAtOnce},
		{"sessions of a grant", sessionsOfGrant},
		{"failures", failures},
		{"failures from two handles", failuresAtOnce},
		{"failures of clocks that differ", failuresOfClocks},
		{"failures of any key", failuresOfAnyKey},
		{"blocks", blocks},
		{"unblock", unblock},
		{"logins", logins},
		{"logins paged", loginsPaged},
		{"logins of any text", loginsOfAnyText},
		{"logins asked for by more", loginsByMore},
		{"logins in parts", loginsInParts},
		{"logins followed", loginsFollowed},
		{"audited", audited},
		{"audited, undone", auditedUndone},
		{"audited, every write", auditedEveryWrite},
		{"audited in audited", auditedNested},
		{"audited from two handles", auditedAtOnce},
		{"changes", changes},
		{"counts", counts},
		{"counts from two handles", countsAtOnce},
		{"counts of any times", countsOfAnyTimes},
		{"configurations", configs},
		{"notes", notes},
		{"pruned", pruned},
		{"context ended", contextEnded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := open(t)
			test.f(t, a, b)
		})
	}
}

// together calls add so often, many times in a transaction, which is faster.
func together(t *testing.T, s Store, n int, add func(ctx context.Context, i int) error) {
	t.Helper()
	for from := 0; from < n; from += 200 {
		must(t, s.Audited(t.Context(), &directory.Change{Action: "test"}, func(ctx context.Context) error {
			for i := from; i < min(from+200, n); i++ {
				if err := add(ctx, i); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
