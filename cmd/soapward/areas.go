package main

import (
	"context"
	"errors"
	"log/slog"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// areas are what the commands for users work on.
type areas struct {
	admin.Users
	admin.Sessions
	admin.Blocks
	admin.Audit

	// follow is client.Client.Follow, nil at a store.
	follow func(context.Context, admin.LoginQuery, func(admin.Login) error) error

	// passwords are the rules for new ones, so that nobody types one twice in vain.
	// Nil where they are not known here.
	passwords *password.Policy
}

// areas returns those that the flags name. close must be called after. This is the
// one place that knows where they are.
func (f *userFlags) areas(cmd *cobra.Command) (_ areas, close func() error, err error) {
	if remote, err := f.remote(cmd); err != nil {
		return areas{}, nil, err
	} else if remote {
		c, err := f.client(cmd)
		if err != nil {
			return areas{}, nil, err
		}
		return areas{Users: c, Sessions: c, Blocks: c, Audit: c, follow: c.Follow}, func() error { return nil }, nil
	}
	s, err := f.open(cmd)
	if err != nil {
		return areas{}, nil, err
	}
	return f.areasOf(s), s.Close, nil
}

// areasOf are those of a store.
func (f *userFlags) areasOf(s *store.Store) areas {
	service := admin.New(admin.Options{
		Store:  func() *store.Store { return s },
		Config: func() *config.Config { return f.config },
		Logger: slog.New(slog.DiscardHandler),
	})
	policy := &password.Policy{MinLength: f.passwords.MinLength}
	return areas{Users: service, Sessions: service, Blocks: service, Audit: service, passwords: policy}
}

// remote reports whether the flags name a gateway. A store that is named goes
// before one of the environment.
func (f *userFlags) remote(cmd *cobra.Command) (bool, error) {
	here := f.store != "" || cmd.Flags().Changed("config")
	if here && f.server != "" {
		return false, usagef(cmd, "--server, -c and --store exclude each other")
	}
	return !here && f.named() != "", nil
}

// with calls do with the areas, as whoever sits at this machine.
func (f *userFlags) with(cmd *cobra.Command, do func(context.Context, areas) error) (err error) {
	a, end, err := f.areas(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	return forReader(do(asOperator(cmd.Context()), a))
}

// withStore calls do with the store that the flags name, for what an area has with
// bounds.
func (f *userFlags) withStore(cmd *cobra.Command, do func(context.Context, *store.Store) error) (err error) {
	s, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return forReader(do(asOperator(cmd.Context()), s))
}

// asOperator returns ctx for what the command line does. Who may read the store may
// do everything; the record says who it was.
func asOperator(ctx context.Context) context.Context {
	name := "command line"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name += " (" + u.Username + ")"
	}
	ctx = authn.WithRef(ctx, authn.NewRef()) // one for all that a command does
	return admin.NewContext(ctx, &admin.Caller{Name: name, Role: admin.Administrator, Login: "command line"})
}

// forReader makes of an error of an area one with what the reader can do.
func forReader(err error) error {
	var e *admin.Error
	var told *remedyError
	var way *client.TransportError
	switch {
	case errors.As(err, &told):
		return err
	case errors.As(err, &way):
		return transportError(way)
	case !errors.As(err, &e):
		return err
	case e.Kind == wire.Unauthenticated:
		return withRemedy(err, "soapward login")
	case e.Kind == admin.Unavailable && e.Err != nil: // who sits at this machine may know the cause
		return e.Err
	case e.Remedy != "":
		return withRemedy(err, e.Remedy)
	}
	return err
}

// isKind reports whether an error of an area is of a kind.
func isKind(err error, k admin.Kind) bool {
	var e *admin.Error
	return errors.As(err, &e) && e.Kind == k
}

// noUser adds to an error of an area that there is no such user what the reader
// can do.
func noUser(name string, err error) error {
	if isKind(err, admin.NotFound) {
		return withRemedy(&noUserError{name}, "soapward user list")
	}
	return err
}

// A noUserError is a name that nobody has.
type noUserError struct{ name string }

func (e *noUserError) Error() string { return "there is no user " + e.name }

// userNamed is Users.User with a remedy for a name that nobody has.
func (a areas) userNamed(ctx context.Context, name string) (*admin.User, error) {
	u, err := a.User(ctx, name)
	return u, noUser(name, err)
}

// changeUser reads and changes a user, and does it again if somebody else did
// meanwhile. change returns nil if there is nothing to change.
func (a areas) changeUser(ctx context.Context, name string, change func(*admin.User) *admin.UserChange) (*admin.User, error) {
	for {
		u, err := a.userNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		c := change(u)
		if c == nil {
			return u, nil
		}
		c.Version = u.Version
		u, err = a.ChangeUser(ctx, name, *c)
		if !isKind(err, admin.Conflict) {
			return u, noUser(name, err)
		}
	}
}

// mostOfPage is how many rows are asked for at once.
const mostOfPage = 1000

// pages asks for pages until there are limit rows, and reports whether there are
// more.
func pages[T any](limit int, page func(after string, limit int) (rows []T, next string, err error)) (all []T, more bool, err error) {
	after := ""
	for {
		rows, next, err := page(after, min(limit-len(all), mostOfPage))
		if err != nil {
			return nil, false, err
		}
		all = append(all, rows...)
		if next == "" || len(all) >= limit {
			return all, next != "", nil
		}
		after = next
	}
}
