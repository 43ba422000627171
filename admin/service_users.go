package admin

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// stateWords are the states of users, in the order of directory.State.
var stateWords = [...]string{StateActive, StateDisabled, StateGone}

// userOf returns a user without what proves a login.
func userOf(u *directory.User) *User {
	out := &User{
		Name: u.Name, Realm: u.Realm, SID: u.SID, UPN: u.UPN, DN: u.DN, DisplayName: u.DisplayName, Email: u.Email, Phone: u.Phone,
		State: u.State.String(), LocalAdmin: u.LocalAdmin, HasPassword: !u.Password.IsEmpty(), SecondFactor: !u.SecondFactor.IsEmpty(),
		Roles: u.Roles, Created: u.Created, Refreshed: u.Refreshed, LastLogin: u.LastLogin, Version: u.Version,
	}
	if int(u.State) < len(stateWords) {
		out.State = stateWords[u.State]
	}
	for _, g := range u.Groups {
		out.Groups = append(out.Groups, Group{SID: g.SID, Name: g.Name})
	}
	return out
}

// ListUsers implements Users.
func (s *Service) ListUsers(ctx context.Context, q UserQuery) (*UserPage, error) {
	st, size, err := s.listing(ctx, q.Limit)
	if err != nil {
		return nil, err
	}
	dq := directory.UserQuery{
		After: q.AfterName, Prefix: q.Prefix, Search: q.Search, Realm: q.Realm, Domain: q.Domain, Role: q.Role, Local: q.LocalAdmin, Limit: size + 1,
	}
	if q.After != "" {
		p, err := placeOf("users", q.After)
		if err != nil {
			return nil, err
		}
		dq.After = p.Name
	}
	if q.State != "" {
		i := slices.Index(stateWords[:], q.State)
		if i < 0 {
			return nil, invalid("state", "there is no such state", "one of "+strings.Join(stateWords[:], ", "))
		}
		state := directory.State(i)
		dq.State = &state
	}
	rows, next, err := st.UsersPart(ctx, dq)
	if err != nil {
		return nil, failed("such user", err)
	}
	page := &UserPage{Users: []User{}}
	if page.Total, err = st.CountUsers(ctx); err != nil {
		return nil, failed("count", err)
	}
	rows, more := cut(rows, size)
	for i := range rows {
		page.Users = append(page.Users, *userOf(&rows[i]))
	}
	switch {
	case more:
		page.Next = place{List: "users", Name: rows[len(rows)-1].Name}.String()
	case next != "":
		page.Next, page.Partial = place{List: "users", Name: next}.String(), len(rows) < size
	}
	return page, nil
}

// User implements Users.
func (s *Service) User(ctx context.Context, name string) (*User, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	u, err := st.User(ctx, name)
	if err != nil {
		return nil, failed("user "+shown(name), err)
	}
	return userOf(u), nil
}

// shown is a name that somebody asks for, in an answer.
func shown(name string) string {
	const most = 100
	if r := []rune(name); len(r) > most {
		return string(r[:most]) + "..."
	}
	return name
}

// AddUser implements Users.
func (s *Service) AddUser(ctx context.Context, n NewUser) (*User, error) {
	c, err := need(ctx, Administrator)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	u := &directory.User{
		Name: strings.TrimSpace(n.Name), Realm: n.Realm, DisplayName: n.DisplayName, Email: n.Email, Phone: n.Phone, LocalAdmin: n.LocalAdmin,
	}
	if u.Roles, err = rolesOf(n.Roles); err != nil {
		return nil, err
	}
	if err := checkUser(u); err != nil {
		return nil, err
	}
	if err := s.checkRealm(u.Realm); err != nil {
		return nil, err
	}
	if !n.Password.IsEmpty() {
		if err := s.mayHavePassword(u); err != nil {
			return nil, err
		}
		set, err := s.newPassword(ctx, u, n.Password)
		if err != nil {
			return nil, err
		}
		set(u)
	}
	var added directory.User
	err = s.audited(ctx, st, c, actionAdd, u.Name, func(ctx context.Context, change *directory.Change) error {
		added = *u
		if err := st.CreateUser(ctx, &added); err != nil {
			return err
		}
		change.After = recorded(&added, 0)
		return nil
	})
	if err != nil {
		return nil, failed("user "+shown(u.Name), err)
	}
	return userOf(&added), nil
}

// checkUser says which field of a user cannot be kept.
func checkUser(u *directory.User) error {
	const any = "x" // a name
	for _, f := range []struct {
		name string
		with directory.User
	}{
		{"name", directory.User{Name: u.Name}},
		{"realm", directory.User{Name: any, Realm: u.Realm}},
		{"display_name", directory.User{Name: any, DisplayName: u.DisplayName}},
		{"email", directory.User{Name: any, Email: u.Email}},
		{"phone", directory.User{Name: any, Phone: u.Phone}},
		{"roles", directory.User{Name: any, Roles: u.Roles}},
		{"password_hash", directory.User{Name: any, Password: u.Password}},
	} {
		if err := store.CheckUser(&f.with); err != nil {
			return invalidValue(f.name, err)
		}
	}
	return nil
}

// checkRealm refuses a realm that is not configured.
func (s *Service) checkRealm(name string) error {
	c := s.config()
	if name == "" || c == nil || hasRealm(c, name) {
		return nil
	}
	remedy := "leave it empty"
	if names := slices.Sorted(maps.Keys(c.Realms)); len(names) > 0 {
		remedy = "one of " + strings.Join(names, ", ")
	}
	return invalid("realm", "the configuration has no such realm", remedy)
}

func hasRealm(c *config.Config, name string) bool {
	if c.Realms[name] != nil {
		return true
	}
	for _, r := range c.Realms {
		if slices.Contains(r.Aliases, name) {
			return true
		}
	}
	return false
}

// rolesOf returns roles without space around them, each once, in order. Case does
// not tell them apart.
func rolesOf(roles []string) ([]string, error) {
	var out []string
	for _, r := range roles {
		if r = strings.TrimSpace(r); r == "" {
			return nil, invalid("roles", "a role has no name", "")
		}
		if !slices.ContainsFunc(out, func(o string) bool { return directory.FoldName(o) == directory.FoldName(r) }) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out, nil
}

// DeleteUser implements Users.
func (s *Service) DeleteUser(ctx context.Context, name string) error {
	c, err := need(ctx, Administrator)
	if err != nil {
		return err
	}
	st, err := s.store()
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		u, err := st.User(ctx, name)
		if err != nil {
			return failed("user "+shown(name), err)
		}
		if c.is(u) {
			return notYourself("delete")
		}
		err = s.audited(ctx, st, c, actionDelete, u.Name, func(ctx context.Context, change *directory.Change) error {
			if err := s.keepLocalAdmin(ctx, st, u, nil); err != nil {
				return err
			}
			if err := st.UpdateUser(ctx, ptr(*u)); err != nil { // it is still the user that was decided on
				return err
			}
			if err := st.DeleteUser(ctx, u.ID); err != nil {
				return err
			}
			change.Before = recorded(u, 0)
			_, err := s.ender(st).EndAll(ctx, u.Name)
			return err
		})
		if errors.Is(err, directory.ErrConflict) && try < maxTries {
			continue
		}
		if err != nil {
			return failed("user "+shown(u.Name), err)
		}
		_, err = s.ender(st).EndAll(ctx, u.Name) // that began before the others saw it
		return failed("user "+shown(u.Name), err)
	}
}

func ptr[T any](v T) *T { return &v }
