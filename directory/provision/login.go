package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// keepRefreshed is how old Refreshed of a user may become whom nothing changes:
// a row is not written at each login for the time alone.
const keepRefreshed = time.Hour

// login is one look at a user, with what the source said of the account.
type login struct {
	p     *Provisioner
	realm realm
	id    *authn.Identity
	old   *snapshot // may be nil

	now     time.Time
	asked   time.Time // the source
	account *directory.Account
	known   bool // the source answered: account is nil if it has none
	tried   bool
	own     bool // there is no source, and what the login says is due
}

// resolve finds the user of an identity, makes or refreshes it, and says
// whether it may log in.
func (p *Provisioner) resolve(ctx context.Context, id *authn.Identity, old *snapshot) (*snapshot, error) {
	l := &login{
		p: p, realm: realm{p.Realm, p.Aliases, p.Store, p.logger()},
		id: id, old: old, now: p.now(),
	}
	if old != nil {
		l.asked = old.asked
	}
	if p.Source == nil && l.now.Sub(l.asked) >= p.refreshAfter() {
		l.own, l.asked = true, l.now
	}
	var err error
	for range tries {
		var u *directory.User
		as := p.version()
		u, err = l.once(ctx)
		switch {
		case err == nil:
			return &snapshot{user: u, read: l.now, as: as, asked: l.asked}, nil
		case errors.Is(err, directory.ErrConflict), errors.Is(err, directory.ErrExists), errors.Is(err, directory.ErrNotFound):
			// Another node, or an operator, was faster: look again.
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("provision: %w: the user is being changed by others: %w", authn.ErrUnavailable, err)
}

func (l *login) once(ctx context.Context) (*directory.User, error) {
	u, former, err := l.find(ctx, l.id.SID, l.id.String())
	if err != nil {
		return nil, err
	}
	if err := l.allowed(u, former); err != nil {
		return nil, err
	}
	l.ask(ctx, u)
	if l.account != nil && l.sid() == "" && spaced(l.account.Name) {
		return nil, refuseSpaced(l.id)
	}
	if l.another(u) {
		if u, former, err = l.find(ctx, l.sid(), l.name(nil)); err != nil {
			return nil, err
		}
		if err := l.allowed(u, former); err != nil {
			return nil, err
		}
	}
	if u == nil {
		return l.create(ctx, former)
	}
	return l.refresh(ctx, u)
}

// another reports whether the directory's answer is about somebody else than the
// user that was found by what the login says, or than nobody.
func (l *login) another(u *directory.User) bool {
	switch a := l.account; {
	case a == nil:
		return false
	case u == nil:
		return a.SID != l.id.SID || directory.FoldName(l.name(nil)) != directory.FoldName(l.id.String())
	default:
		return a.SID != u.SID
	}
}

// find returns the user, if there is one, or the user who has the name and is
// somebody else.
func (l *login) find(ctx context.Context, sid authn.SID, name string) (u, former *directory.User, err error) {
	if sid != "" {
		u, err = l.p.Store.UserBySID(ctx, sid)
		if err == nil || !errors.Is(err, directory.ErrNotFound) {
			return u, nil, wrap("look for the user", err)
		}
	}
	u, err = l.p.Store.User(ctx, name)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, wrap("look for the user", err)
	case sid != "" && u.SID != "" && u.SID != sid:
		return nil, u, nil
	}
	return u, nil, nil
}

// allowed refuses a login by what the store alone says.
func (l *login) allowed(u, former *directory.User) error {
	for _, row := range []*directory.User{u, former} {
		if row != nil && (!l.realm.owns(row) || row == former && row.LocalAdmin) {
			whose := "realm " + row.Realm
			if row.Realm == "" {
				whose = "no realm: it is an internal user"
			}
			return l.refuse(authn.ReasonPolicy, fmt.Sprintf("a user of one realm cannot log in at another: if %q is the same person, give the user the realm %q", row.Name, l.p.Realm),
				fmt.Errorf("the name or SID is that of %q, a user of %s", row.Name, whose))
		}
	}
	switch {
	case u == nil && l.p.KnownOnly:
		return l.refuse(authn.ReasonPolicy, fmt.Sprintf("add the user, or let the realm %q make users at their first login (create_users: true)", l.p.Realm),
			errors.New("the user is not known, and the realm makes none at a first login"))
	case u != nil && u.State == directory.DisabledByOperator:
		return l.refuse(authn.ReasonDisabled, "soapward user enable lets the user in again", errors.New("disabled by an operator"))
	}
	return nil
}

// ask asks the source, if that is due.
func (l *login) ask(ctx context.Context, u *directory.User) {
	p := l.p
	disabled := u != nil && u.State == directory.DisabledByDirectory // may be enabled again any moment
	if p.Source == nil || l.tried || !disabled && u != nil && l.old != nil && l.now.Sub(l.asked) < p.refreshAfter() {
		return
	}
	l.tried, l.asked = true, l.now
	if l.now.UnixNano() < p.silentUntil.Load() {
		return
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	c, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// By what the login says, not by what the user has: a name without a SID may
	// have become somebody else's.
	a, err := p.Source.Account(c, directory.AccountRef{Name: l.id.String(), SID: l.id.SID})
	switch {
	case err == nil && (a == nil || a.SID != "" && l.id.SID != "" && a.SID != l.id.SID):
		p.logger().LogAttrs(ctx, slog.LevelError, "the directory answered about another account than it was asked for",
			slog.String("user", l.id.String()), slog.String("sid", string(l.id.SID)))
		return
	case err == nil:
		l.account, l.known = a, true
	case errors.Is(err, directory.ErrNotFound):
		l.known = true
		p.logger().LogAttrs(ctx, slog.LevelDebug, "the directory does not know the user", slog.String("user", l.id.String()))
	case ctx.Err() != nil: // the client went away
		l.asked = time.Time{}
		return
	default:
		// An error that comes at once may be about this account alone.
		if now := p.now(); now.Sub(l.now) >= slow {
			p.silentUntil.Store(now.Add(awayFor).UnixNano())
		}
		if !p.silent.Swap(true) {
			p.logger().LogAttrs(ctx, slog.LevelWarn, "the directory does not answer: users log in with the names and groups they had",
				slog.String("realm", p.Realm), slog.String("cause", err.Error()))
		}
		return
	}
	if p.silent.Swap(false) {
		p.logger().LogAttrs(ctx, slog.LevelInfo, "the directory answers again", slog.String("realm", p.Realm))
	}
}

// sid is the SID of the caller, empty if nobody knows one.
func (l *login) sid() authn.SID {
	if l.id.SID == "" && l.account != nil {
		return l.account.SID
	}
	return l.id.SID
}

// name is the name that the user has, or gets.
func (l *login) name(u *directory.User) string {
	switch {
	case l.account != nil && l.account.Name != "":
		return l.account.Name
	case u != nil && (l.id.SID == "" || strings.Contains(l.id.Domain, ".")):
		return u.Name // the login may know the Kerberos realm only
	}
	return l.id.String()
}

// create makes a user.
func (l *login) create(ctx context.Context, former *directory.User) (*directory.User, error) {
	if err := l.usable(); err != nil {
		return nil, err
	}
	if former != nil {
		if err := l.realm.setAside(ctx, former); err != nil {
			return nil, err
		}
	}
	u := &directory.User{Realm: l.p.Realm, Name: text(l.name(nil)), SID: l.sid()}
	l.fill(u)
	// Those of a user of that name whom somebody deleted.
	if err := l.realm.endSessions(ctx, u.Name); err != nil {
		return nil, err
	}
	if err := l.p.Store.CreateUser(ctx, u); err != nil {
		return nil, wrap("make the user", err)
	}
	l.p.logger().LogAttrs(ctx, slog.LevelInfo, "user made at the first login",
		slog.String("user", u.Name), slog.String("sid", string(u.SID)), slog.String("realm", u.Realm))
	return u, nil
}

// usable refuses accounts that the directory has disabled.
func (l *login) usable() error {
	switch a := l.account; {
	case a == nil || a.Usable(l.now):
		return nil
	case a.Disabled:
		return l.refuse(authn.ReasonDisabled, "", errors.New("disabled in the directory"))
	default:
		return l.refuse(authn.ReasonAccountExpired, "", errors.New("expired in the directory"))
	}
}

// refresh brings a user up to date.
func (l *login) refresh(ctx context.Context, row *directory.User) (*directory.User, error) {
	c := *row
	u := &c
	changed := l.fill(u)
	if u.Realm == "" {
		u.Realm, changed = l.p.Realm, true
	}
	if u.SID == "" && l.sid() != "" {
		u.SID, changed = l.sid(), true
	}
	name, renamed := newName(u, l.name(u))
	if renamed {
		switch err := l.realm.makeRoom(ctx, u, name); {
		case errors.Is(err, errNameTaken):
			l.p.logger().LogAttrs(ctx, slog.LevelWarn, "a renamed user keeps the old name",
				slog.String("user", u.Name), slog.String("new_name", name), slog.String("cause", err.Error()))
			name, renamed = u.Name, false
		case err != nil:
			return nil, err
		}
	}
	if name != u.Name {
		u.Name, changed = name, true
	}
	refused := l.usable()
	switch {
	case refused != nil && u.State == directory.Active:
		u.State, changed = directory.DisabledByDirectory, true
	case refused == nil && u.State == directory.DisabledByDirectory && l.account != nil:
		u.State, changed = directory.Active, true
	}
	if changed {
		if err := l.p.Store.UpdateUser(ctx, u); err != nil {
			return nil, wrap("refresh the user", err)
		}
		if err := l.after(ctx, row, u, renamed); err != nil {
			return nil, err
		}
	}
	if refused != nil {
		return nil, refused
	}
	if u.State == directory.DisabledByDirectory {
		if l.p.Source == nil || l.known {
			return nil, l.refuse(authn.ReasonDisabled, "soapward user enable lets the user in again", errors.New("disabled by the directory, which does not know the account any more"))
		}
		return nil, fmt.Errorf("provision: %w: the directory disabled %q and does not answer now", authn.ErrUnavailable, u.Name)
	}
	return u, nil
}

// after tells of a change, and ends the sessions that it ends.
func (l *login) after(ctx context.Context, old, u *directory.User, renamed bool) error {
	log := l.p.logger()
	switch {
	case old.State == directory.Active && u.State != directory.Active:
		log.LogAttrs(ctx, slog.LevelInfo, "user disabled, as the directory says", slog.String("user", u.Name))
		renamed = true
	case old.State != directory.Active && u.State == directory.Active:
		log.LogAttrs(ctx, slog.LevelInfo, "user enabled again, as the directory says", slog.String("user", u.Name))
	}
	if !renamed {
		return nil
	}
	if u.Name != old.Name {
		log.LogAttrs(ctx, slog.LevelInfo, "user renamed, as the directory says", slog.String("user", u.Name), slog.String("old_name", old.Name))
	}
	return l.realm.endSessions(ctx, old.Name)
}

// fill puts what is known of the caller into a user, and reports whether the
// row must be written for it.
func (l *login) fill(u *directory.User) bool {
	a, asked := l.account, l.account != nil || l.own
	switch {
	case a != nil:
	case l.own || u.ID == 0:
		// What the login says is all there is.
		a = &directory.Account{
			SID: l.id.SID, UPN: cmp.Or(l.id.UPN, u.UPN), DN: u.DN, DisplayName: cmp.Or(l.id.DisplayName, u.DisplayName),
			Email: u.Email, Phone: u.Phone, Groups: u.Groups,
		}
		if len(l.id.Groups) > 0 {
			a.Groups = l.id.Groups
		}
	default:
		return false
	}
	changed := take(u, a)
	if asked && (changed || l.now.Sub(u.Refreshed) >= keepRefreshed) {
		u.Refreshed, changed = l.now, true
	}
	return changed
}

// spaced reports whether a name has space around it, which does not count where
// names are compared, so that one who chose it would be somebody else.
func spaced(name string) bool { return name != strings.TrimSpace(name) }

func refuseSpaced(id *authn.Identity) error {
	return &authn.RefusedError{
		Mechanism: id.Mechanism, Reason: authn.ReasonPolicy, User: id.String(),
		Hint: "rename the account where it is kept", Err: errors.New("the name has space around it, and would pass for the one without"),
	}
}

func (l *login) refuse(reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: l.id.Mechanism, Reason: reason, User: l.id.String(), Hint: hint, Err: err}
}

// wrap keeps nil and the errors that callers test.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("provision: %s: %w", what, err)
}
