package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
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
			return f.with(cmd, func(ctx context.Context, a areas) error { return deleteUsers(ctx, cmd, a, args) })
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
func deleteUsers(ctx context.Context, cmd *cobra.Command, a areas, names []string) error {
	var users []*admin.User
	for _, name := range names {
		u, err := a.userNamed(ctx, name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(users, func(o *admin.User) bool { return o.Name == u.Name }) { // named twice
			users = append(users, u)
		}
	}
	done := []deletedUser{}
	for _, u := range users {
		sessions, err := a.liveSessions(ctx, u.Name)
		if err != nil {
			return err
		}
		if err := a.DeleteUser(ctx, u.Name); err != nil && !isKind(err, admin.NotFound) { // somebody else was faster
			return err
		}
		done = append(done, deletedUser{u.Name, len(sessions)})
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
