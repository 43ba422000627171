package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
)

func newUserRolesCommand(f *userFlags) *cobra.Command {
	var grant, revoke []string
	cmd := &cobra.Command{
		Use:   "roles NAME",
		Short: "Show, grant and revoke the roles of a user",
		Long: `Show the roles that were granted to a user here, and change them. They come on
top of those that the configuration gives to groups. Gateways see a change
within seconds, also for users who are logged in.`,
		Example: `  soapward user roles 'CORP\alice'
  soapward user roles 'CORP\alice' --grant payroll --revoke auditor`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, r := range slices.Concat(grant, revoke) {
				if strings.TrimSpace(r) == "" {
					return usagef(cmd, "a role has no name")
				}
			}
			return f.with(cmd, func(ctx context.Context, a areas) error {
				u, err := a.changeUser(ctx, args[0], func(u *admin.User) *admin.UserChange {
					roles := changedRoles(u.Roles, grant, revoke)
					if slices.Equal(u.Roles, roles) {
						return nil
					}
					return &admin.UserChange{Roles: &roles}
				})
				if err != nil {
					return err
				}
				if wantJSON(cmd) {
					return printJSON(cmd.OutOrStdout(), struct {
						Name  string   `json:"name"`
						Roles []string `json:"roles"`
					}{u.Name, append([]string{}, u.Roles...)})
				}
				p := printer(cmd)
				if len(u.Roles) == 0 {
					p.Line(oneLine(u.Name + " has no roles of its own"))
				} else {
					p.Line(oneLine(u.Name + " has " + strings.Join(u.Roles, ", ")))
				}
				return p.Err
			})
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&grant, "grant", nil, "grant a `ROLE`; may be repeated")
	fl.StringArrayVar(&revoke, "revoke", nil, "take a `ROLE` away; may be repeated")
	return cmd
}

// changedRoles returns roles without those revoked and with those granted, which
// win. Case does not tell roles apart.
func changedRoles(roles, grant, revoke []string) []string {
	is := func(r string) func(string) bool {
		return func(other string) bool { return directory.FoldName(other) == directory.FoldName(r) }
	}
	out := slices.Clone(roles)
	for _, r := range revoke {
		out = slices.DeleteFunc(out, is(r))
	}
	for _, r := range grant {
		if !slices.ContainsFunc(out, is(r)) {
			out = append(out, strings.TrimSpace(r))
		}
	}
	slices.Sort(out) // as the store has them
	return out
}
