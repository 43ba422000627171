package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// maxText bounds a text that a directory gives, in bytes.
const maxText = 512

// realm is which users a realm has a say over.
type realm struct {
	name    string
	aliases []string
	store   UserStore
	log     *slog.Logger
}

// owns reports whether the realm may log in and refresh a user. One that has no
// realm yet was made by hand for it, unless it is an internal user: those have
// a password and no domain.
func (r *realm) owns(u *directory.User) bool {
	switch domain, _ := u.Account(); {
	case u.Realm == r.name || slices.Contains(r.aliases, u.Realm):
		return true
	case u.Realm != "" || u.LocalAdmin:
		return false
	default:
		return domain != "" || u.Password.IsEmpty()
	}
}

// setAside gives a user whose name another person has now a name that nobody
// can log in with. The user can be reached by SID only from now on: one who was
// renamed gets the new name at the next login or job, and one who is gone stays
// disabled.
func (r *realm) setAside(ctx context.Context, u *directory.User) error {
	c := *u
	c.Name = u.Name + ":" + string(u.SID)
	if c.State == directory.Active {
		c.State = directory.DisabledByDirectory
	}
	if err := r.store.UpdateUser(ctx, &c); err != nil {
		return fmt.Errorf("provision: set %q aside: %w", u.Name, err)
	}
	r.log.LogAttrs(ctx, slog.LevelWarn, "the name belongs to another account now; its former user is set aside with roles and history",
		slog.String("user", u.Name), slog.String("former_sid", string(u.SID)), slog.String("kept_as", c.Name))
	return r.endSessions(ctx, u.Name)
}

func (r *realm) endSessions(ctx context.Context, user string) error {
	if _, err := r.store.DeleteSessionsOf(ctx, user); err != nil {
		return fmt.Errorf("provision: end the sessions of %q: %w", user, err)
	}
	return nil
}

// errNameTaken means that a user cannot have the name of its account, because
// it belongs to a user who must not be touched.
var errNameTaken = errors.New("provision: the name belongs to a user of another realm, or to one without a SID")

// makeRoom sets aside whoever has the name that a renamed user gets.
func (r *realm) makeRoom(ctx context.Context, u *directory.User, name string) error {
	other, err := r.store.User(ctx, name)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil
	case err != nil:
		return err
	case other.ID == u.ID:
		return nil
	case !r.owns(other) || other.SID == "" || other.SID == u.SID || other.LocalAdmin:
		return fmt.Errorf("%w: %q", errNameTaken, name)
	}
	return r.setAside(ctx, other)
}

// take puts what a directory says into a user, all but name and state, and
// reports whether that changes it. What the directory has no longer, the user
// has no longer either.
func take(u *directory.User, a *directory.Account) bool {
	before := *u
	if u.SID == "" {
		u.SID = a.SID
	}
	u.UPN, u.DN = text(a.UPN), text(a.DN)
	u.DisplayName, u.Email, u.Phone = text(a.DisplayName), text(a.Email), text(a.Phone)
	changed := before.SID != u.SID || before.UPN != u.UPN || before.DN != u.DN ||
		before.DisplayName != u.DisplayName || before.Email != u.Email || before.Phone != u.Phone
	if groups := sorted(a.Groups); !slices.Equal(groups, sorted(u.Groups)) {
		u.Groups, changed = groups, true
	}
	return changed
}

// sorted returns groups in one order, each once. It leaves its argument alone.
func sorted(groups []authn.Group) []authn.Group {
	order := func(a, b authn.Group) int {
		return cmp.Or(cmp.Compare(a.SID, b.SID), cmp.Compare(a.Name, b.Name))
	}
	for i := 1; i < len(groups); i++ {
		if order(groups[i-1], groups[i]) >= 0 {
			return slices.Compact(slices.SortedFunc(slices.Values(groups), order))
		}
	}
	return groups
}

// text bounds what a directory gives, and takes out what a database or a page
// cannot have.
func text(s string) string {
	if len(s) <= maxText && !strings.ContainsFunc(s, unfit) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unfit(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > maxText {
		s = s[:maxText]
		for r, n := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && n == 1; r, n = utf8.DecodeLastRuneInString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

func unfit(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }

// newName returns the name that a user gets from its account, or the one it has.
func newName(u *directory.User, name string) (_ string, renamed bool) {
	name = text(strings.TrimSpace(name))
	if name == "" || name == u.Name {
		return u.Name, false
	}
	return name, directory.FoldName(name) != directory.FoldName(u.Name)
}

func clock(now func() time.Time) time.Time {
	if now != nil {
		return now()
	}
	return time.Now()
}
