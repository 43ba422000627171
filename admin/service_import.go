package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
)

// maxSource bounds UserImport.Source, in bytes.
const maxSource = 255

const leaveHashOut = "leave it empty, and set the password afterwards"

// ImportUsers implements Users. There is one record of it, which has how many were
// added, and none if nobody was.
func (s *Service) ImportUsers(ctx context.Context, in UserImport) (*Imported, error) {
	c, err := need(ctx, Administrator)
	if err != nil {
		return nil, err
	}
	users, err := s.importable(in)
	if err != nil {
		return nil, err
	}
	if in.DryRun { // which needs no store
		return &Imported{}, nil
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	written, err := st.Import(ctx, func(yield func(*directory.User, error) bool) {
		for i := range users {
			if !yield(&users[i], nil) {
				return
			}
		}
	}, nil)
	done := &Imported{Created: written.Created, Existed: written.Existed}
	if done.Created > 0 { // also what was interrupted
		after, cancel := afterwards(ctx)
		defer cancel()
		unrecorded := s.audited(after, st, c, actionImport, in.Source, func(_ context.Context, change *directory.Change) error {
			change.After = asJSON(done)
			return nil
		})
		if unrecorded != nil {
			s.log.LogAttrs(after, slog.LevelError, "an import is not in the audit record", slog.String("ref", authn.Ref(ctx)),
				slog.String("actor", c.Name), slog.Int("created", done.Created), slog.String("cause", unrecorded.Error()))
			err = errors.Join(err, unrecorded)
		}
	}
	if err != nil {
		return nil, failed("import", err)
	}
	return done, nil
}

// importable returns the users of an import, if each one is right.
func (s *Service) importable(in UserImport) ([]directory.User, error) {
	switch {
	case len(in.Users) > MaxImport:
		return nil, invalid("users", fmt.Sprintf("%d users, and %d may be imported at once", len(in.Users), MaxImport), "import them in parts")
	case in.Source == "" || len(in.Source) > maxSource:
		return nil, invalid("source", fmt.Sprintf("what the users are from is to be said in 1 to %d bytes", maxSource), "such as the name of the file")
	}
	users, seen := make([]directory.User, len(in.Users)), make(map[string]bool, len(in.Users))
	for i, one := range in.Users {
		u, err := s.importUser(&one)
		if err == nil && seen[directory.FoldName(u.Name)] {
			err = invalid("name", "the name is there twice", "")
		}
		if err != nil {
			return nil, ofUser(i, one.Name, err)
		}
		users[i], seen[directory.FoldName(u.Name)] = *u, true
	}
	return users, nil
}

func (s *Service) importUser(one *ImportUser) (*directory.User, error) {
	u := &directory.User{Name: strings.TrimSpace(one.Name), Realm: one.Realm, DisplayName: one.DisplayName, Email: one.Email, Phone: one.Phone}
	var err error
	if u.Roles, err = rolesOf(one.Roles); err != nil {
		return nil, err
	}
	if hash := one.PasswordHash.Reveal(); hash != "" {
		if !strings.HasPrefix(hash, "$argon2id$v=") {
			return nil, invalid("password_hash", "the password hash is not one of argon2id ($argon2id$v=19$...)", leaveHashOut)
		}
		if err := s.mayHavePassword(u); err != nil {
			return nil, err
		}
		u.Password = directory.NewPasswordHash(hash)
	}
	if err := checkUser(u); err != nil {
		return nil, err
	}
	if !u.Password.IsEmpty() {
		if err := password.CheckHash(u.Password); err != nil {
			return nil, invalid("password_hash", strings.TrimPrefix(err.Error(), "password: "), leaveHashOut)
		}
	}
	return u, s.checkRealm(u.Realm)
}

// ofUser says of which user of an import an error is.
func ofUser(i int, name string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Text = fmt.Sprintf("user %q: %s", shown(name), e.Text)
	if out.Field = fmt.Sprintf("users[%d]", i); e.Field != "" {
		out.Field += "." + e.Field
	}
	return &out
}
