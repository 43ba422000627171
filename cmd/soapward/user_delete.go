package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

func newUserDeleteCommand(f *userFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete users, and end their sessions",
		Long: `Delete users with their password, roles and sessions. The history of logins stays
until its time is over (store.keep_logins).

A user of a directory is made anew at the next login: to keep somebody out, use
soapward user disable.`,
		Example: `  soapward user delete carol`,
		Args:    atLeastOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, s *store.Store) error { return deleteUsers(ctx, cmd, s, args) })
		},
	}
}

// deletedUser is what became of one user.
type deletedUser struct {
	Name     string `json:"name"`
	Sessions int    `json:"sessions_ended"`
}

// deleteUsers deletes one user after the other. All are looked up before the
// first is deleted.
func deleteUsers(ctx context.Context, cmd *cobra.Command, s *store.Store, names []string) error {
	var users []*directory.User
	for _, name := range names {
		u, err := userNamed(ctx, s, name)
		if err != nil {
			return err
		}
		users = append(users, u)
	}
	done := []deletedUser{}
	for _, u := range users {
		if err := s.DeleteUser(ctx, u.ID); err != nil && !errors.Is(err, directory.ErrNotFound) { // named twice, or somebody else was faster
			return err
		}
		n, err := s.DeleteSessionsOf(ctx, u.Name) // after the user, or one could begin between
		if err != nil {
			return err
		}
		done = append(done, deletedUser{u.Name, n})
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Users []deletedUser `json:"users"`
		}{done})
	}
	p := printer(cmd)
	for _, d := range done {
		text := d.Name + " was deleted"
		if d.Sessions > 0 {
			text += "; " + count(d.Sessions, "session was ended", "sessions were ended")
		}
		p.Line(oneLine(text))
	}
	return p.Err
}
