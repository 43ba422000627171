package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newUserClearPasswordsCommand(f *userFlags) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "clear-passwords --yes",
		Short: "Take the passwords of all but local administrators",
		Long: `Take the passwords of all users who are not local administrators, and end the
sessions of those who had one. They can log in by a domain, a directory or a
provider only. It is for the day on which everybody has a login there: it cannot
be undone.

It may take minutes where there are many. If it is interrupted, run it again: it
does the rest.`,
		Example: `  soapward user clear-passwords --yes`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usagef(cmd, "this takes the passwords of all users but local administrators, and cannot be undone: add --yes")
			}
			return f.with(cmd, func(ctx context.Context, a areas) error {
				n, err := a.ClearPasswords(ctx)
				if err != nil {
					if n > 0 {
						err = withRemedy(forReader(err), count(n, "password was", "passwords were")+" taken; run it again: it does the rest")
					}
					return err
				}
				if wantJSON(cmd) {
					return printJSON(cmd.OutOrStdout(), struct {
						Cleared int `json:"cleared"`
					}{n})
				}
				p := printer(cmd)
				p.Line(count(n, "password was taken", "passwords were taken"))
				return p.Err
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func newUserResetSecondFactorCommand(f *userFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "reset-second-factor NAME",
		Short: "Have a local administrator set up a new second factor",
		Long: `Forget the second factor of a local administrator, such as one on a telephone that
was lost, with its recovery codes, and end the administrator's sessions. A new one
is set up at the next login, for which the password is enough: see that nobody
else has it.`,
		Example: `  soapward user reset-second-factor admin`,
		Args:    oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, a areas) error {
				u, err := a.userNamed(ctx, args[0])
				if err != nil {
					return err
				}
				if err := a.ClearSecondFactor(ctx, u.Name); err != nil {
					return noUser(u.Name, err)
				}
				text := "had no second factor"
				if u.SecondFactor {
					text = "sets up a new second factor at the next login"
				}
				if u, err = a.userNamed(ctx, u.Name); err != nil {
					return err
				}
				return printUser(cmd, u, text)
			})
		},
	}
}
