package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
)

func newUserDisableCommand(f *userFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "disable NAME...",
		Short: "Keep users from logging in, and end their sessions",
		Long: `Keep users from logging in and end their sessions, at all nodes. They stay
disabled until somebody enables them here, whatever their directory says.`,
		Example: `  soapward user disable 'CORP\alice' bob`,
		Args:    atLeastOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.setState(cmd, args, true)
		},
	}
}

func newUserEnableCommand(f *userFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "enable NAME...",
		Short: "Let disabled users log in again",
		Long: `Let disabled users log in again. Who is disabled in his directory as well cannot
log in with its password, and is disabled again by the daily job.`,
		Example: `  soapward user enable 'CORP\alice'`,
		Args:    atLeastOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.setState(cmd, args, false)
		},
	}
}

// stateChange is what became of one user.
type stateChange struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Changed  bool   `json:"changed"`
	Sessions int    `json:"sessions_ended"`
}

// setState changes one user after the other. All are looked up before the first
// is changed.
func (f *userFlags) setState(cmd *cobra.Command, names []string, disabled bool) error {
	state := admin.StateActive
	if disabled {
		state = admin.StateDisabled
	}
	return f.with(cmd, func(ctx context.Context, a areas) error {
		for _, name := range names {
			if _, err := a.userNamed(ctx, name); err != nil {
				return err
			}
		}
		var done []stateChange
		for _, name := range names {
			change := stateChange{State: state}
			u, err := a.changeUser(ctx, name, func(u *admin.User) *admin.UserChange {
				if change.Changed = u.State != state; change.Changed {
					return &admin.UserChange{Disabled: &disabled}
				}
				return nil
			})
			if err != nil {
				return err
			}
			change.Name, change.Sessions = u.Name, u.SessionsEnded
			if disabled && !change.Changed {
				if change.Sessions, err = a.endLeft(ctx, u.Name); err != nil {
					return err
				}
			}
			done = append(done, change)
		}
		if wantJSON(cmd) {
			return printJSON(cmd.OutOrStdout(), struct {
				Users []stateChange `json:"users"`
			}{done})
		}
		p := printer(cmd)
		for _, c := range done {
			text := c.Name + " is " + c.State
			if !c.Changed {
				text = c.Name + " was " + c.State + " already"
			}
			if c.Sessions > 0 {
				text += "; " + count(c.Sessions, "session was ended", "sessions were ended")
			}
			p.Line(oneLine(text))
		}
		return p.Err
	})
}

// endLeft ends the sessions that somebody has all the same, if there are any.
func (a areas) endLeft(ctx context.Context, name string) (int, error) {
	left, err := a.liveSessions(ctx, name)
	if err != nil || len(left) == 0 {
		return 0, err
	}
	return a.EndSessions(ctx, name)
}

func newUserUnblockCommand(f *userFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "unblock [USER|ADDRESS|KEY]...",
		Short: "Lift blocks after failed logins, or list them",
		Long: `Lift the blocks of users or client addresses after too many failed logins, and
forget the failures. USER is meant at all addresses; a name without a domain is
meant in each domain. ADDRESS may be any of the network that an IPv6 client is
counted by. KEY is a block as it is listed.

Without an argument the blocks are listed.`,
		Example: `  soapward user unblock
  soapward user unblock 'CORP\alice' 192.0.2.7`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, a areas) error {
				if len(args) > 0 {
					return unblock(ctx, cmd, a, args)
				}
				blocks, err := a.ListBlocks(ctx)
				if err != nil {
					return err
				}
				return printBlocks(cmd, blocks)
			})
		},
	}
}

// blockJSON is a block for programs.
type blockJSON struct {
	Key      string    `json:"key"`
	Failures int       `json:"failures"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
}

func printBlocks(cmd *cobra.Command, blocks []admin.Block) error {
	if wantJSON(cmd) {
		list := []blockJSON{}
		for _, b := range blocks {
			list = append(list, blockJSON{b.Key, b.Failures, b.From, b.Until})
		}
		return printJSON(cmd.OutOrStdout(), struct {
			Blocks []blockJSON `json:"blocks"`
		}{list})
	}
	p := printer(cmd)
	if len(blocks) == 0 {
		p.Line("nobody is blocked")
		return p.Err
	}
	p.NameTable([]string{"BLOCKED", "FAILURES", "UNTIL"}, rowsOf(blocks, func(b *admin.Block) []string {
		return []string{b.Key, fmt.Sprint(b.Failures), localTime(b.Until)}
	}))
	return p.Err
}

// unblock lifts the blocks that args mean. Who of them is not blocked is an
// error, after the others were done.
func unblock(ctx context.Context, cmd *cobra.Command, a areas, args []string) error {
	lifted := []string{}
	var not []string
	for _, arg := range args {
		keys, err := a.Unblock(ctx, arg)
		switch {
		case isKind(err, admin.NotFound):
			not = append(not, arg)
		case err != nil:
			return err
		}
		lifted = append(lifted, keys...)
	}
	if wantJSON(cmd) {
		if err := printJSON(cmd.OutOrStdout(), struct {
			Unblocked []string `json:"unblocked"`
		}{lifted}); err != nil {
			return err
		}
	} else {
		p := printer(cmd)
		for _, key := range lifted {
			p.Line(oneLine(key + " is not blocked any more"))
		}
		if p.Err != nil {
			return p.Err
		}
	}
	if len(not) > 0 {
		return withRemedy(fmt.Errorf("not blocked: %s", strings.Join(not, ", ")), "soapward user unblock, without a name, lists who is")
	}
	return nil
}
