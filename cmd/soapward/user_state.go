package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
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
			return f.setState(cmd, args, directory.DisabledByOperator)
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
			return f.setState(cmd, args, directory.Active)
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
func (f *userFlags) setState(cmd *cobra.Command, names []string, state directory.State) error {
	return f.with(cmd, func(ctx context.Context, s *store.Store) error {
		for _, name := range names {
			if _, err := userNamed(ctx, s, name); err != nil {
				return err
			}
		}
		var done []stateChange
		for _, name := range names {
			change := stateChange{State: state.String()}
			u, err := updateUser(ctx, s, name, func(u *directory.User) bool {
				change.Changed = u.State != state
				u.State = state
				return change.Changed
			})
			if err != nil {
				return err
			}
			change.Name = u.Name
			if state != directory.Active { // after the change, or one could begin between
				if change.Sessions, err = endAll(ctx, s, u.Name); err != nil {
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

// updateUser reads and changes a user, and does it again if somebody else did
// meanwhile. change reports whether there is something to write.
func updateUser(ctx context.Context, s *store.Store, name string, change func(*directory.User) bool) (*directory.User, error) {
	for {
		u, err := userNamed(ctx, s, name)
		if err != nil || !change(u) {
			return u, err
		}
		if err = s.UpdateUser(ctx, u); !errors.Is(err, directory.ErrConflict) {
			return u, err
		}
	}
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
			return f.with(cmd, func(ctx context.Context, s *store.Store) error {
				blocks, err := s.Blocks(ctx, time.Now())
				if err != nil {
					return err
				}
				if len(args) == 0 {
					return printBlocks(cmd, blocks)
				}
				return unblock(ctx, cmd, s, blocks, args)
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

func printBlocks(cmd *cobra.Command, blocks []directory.Block) error {
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
	p.NameTable([]string{"BLOCKED", "FAILURES", "UNTIL"}, rowsOf(blocks, func(b *directory.Block) []string {
		return []string{b.Key, fmt.Sprint(b.Failures), localTime(b.Until)}
	}))
	return p.Err
}

// unblock lifts the blocks that args mean. Who of them is not blocked is an
// error, after the others were done.
func unblock(ctx context.Context, cmd *cobra.Command, s *store.Store, blocks []directory.Block, args []string) error {
	lifted := []string{}
	var not []string
	for _, arg := range args {
		found := false
		keys := []string{arg} // failures may be counted where no block is
		if addr, err := netip.ParseAddr(arg); err == nil {
			keys = append(keys, throttle.AddressKey(addr))
		}
		for _, b := range blocks {
			if throttle.KeyIsOf(b.Key, arg) {
				keys = append(keys, b.Key)
			}
		}
		for _, key := range keys {
			was, err := s.Unblock(ctx, key)
			if err != nil {
				return err
			}
			if was {
				found = true
				lifted = append(lifted, key)
			}
		}
		if !found {
			not = append(not, arg)
		}
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
