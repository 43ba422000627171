package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/terminal"
)

func decimal(n int) string { return strconv.Itoa(n) }

type listFlags struct {
	*userFlags
	q admin.UserQuery
}

func newUserListCommand(uf *userFlags) *cobra.Command {
	f := listFlags{userFlags: uf}
	cmd := &cobra.Command{
		Use:   "list [PREFIX] [flags]",
		Short: "List users",
		Long: `List the users whose names begin with PREFIX, without regard to case, in the
order of their names.

States are active, disabled (by an operator) and gone (disabled by the
directory, or no longer in it).`,
		Example: `  soapward user list
  soapward user list 'CORP\' --state gone
  soapward user list --limit 1000 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "one prefix at most, not %q", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.q.Realm, "realm", "", "only users of `REALM`")
	fl.StringVar(&f.q.State, "state", "", "only users in `STATE`: active, disabled or gone")
	fl.BoolVar(&f.q.Domain, "domain", false, `only users of a domain, such as CORP\alice`)
	fl.StringVar(&f.q.AfterName, "after", "", "only users after `NAME`, to go on from there")
	fl.IntVar(&f.q.Limit, "limit", 100, "at most `N` users, 10000 at most")
	completeWords(cmd, "state", "active", "disabled", "gone")
	return cmd
}

// userJSON is a user for programs.
type userJSON struct {
	Name      string     `json:"name"`
	Realm     string     `json:"realm,omitempty"`
	State     string     `json:"state"`
	SID       string     `json:"sid,omitempty"`
	UPN       string     `json:"upn,omitempty"`
	Display   string     `json:"display,omitempty"`
	Email     string     `json:"email,omitempty"`
	Phone     string     `json:"phone,omitempty"`
	Password  bool       `json:"password"` // has one here
	Admin     bool       `json:"local_admin"`
	Groups    []string   `json:"groups"`
	Roles     []string   `json:"roles"`
	Created   time.Time  `json:"created"`
	Refreshed *time.Time `json:"refreshed,omitempty"`
	LastLogin *time.Time `json:"last_login,omitempty"`
}

func asUserJSON(u *admin.User) userJSON {
	j := userJSON{
		Name: u.Name, Realm: u.Realm, State: u.State, SID: string(u.SID), UPN: u.UPN, Display: u.DisplayName, Email: u.Email,
		Phone: u.Phone, Password: u.HasPassword, Admin: u.LocalAdmin, Groups: []string{}, Roles: append([]string{}, u.Roles...),
		Created: u.Created, Refreshed: jsonTime(u.Refreshed), LastLogin: jsonTime(u.LastLogin),
	}
	for _, g := range u.Groups {
		j.Groups = append(j.Groups, authn.Group(g).String())
	}
	return j
}

func (f *listFlags) run(cmd *cobra.Command, args []string) error {
	switch f.q.State {
	case "", admin.StateActive, admin.StateDisabled, admin.StateGone:
	default:
		return usagef(cmd, "--state %q: want active, disabled or gone", f.q.State)
	}
	if f.q.Limit < 1 || f.q.Limit > 10_000 {
		return usagef(cmd, "--limit takes a number from 1 to 10000")
	}
	if len(args) > 0 {
		f.q.Prefix = args[0]
	}
	return f.with(cmd, func(ctx context.Context, a areas) error {
		users, more, err := pages(f.q.Limit, func(after string, limit int) ([]admin.User, string, error) {
			q := f.q
			q.Limit = limit
			if after != "" {
				q.After, q.AfterName = after, ""
			}
			p, err := a.ListUsers(ctx, q)
			if err != nil {
				return nil, "", err
			}
			return p.Users, p.Next, nil
		})
		if err != nil {
			return err
		}
		if wantJSON(cmd) {
			list := make([]userJSON, len(users))
			for i := range users {
				list[i] = asUserJSON(&users[i])
			}
			return printJSON(cmd.OutOrStdout(), struct {
				Users []userJSON `json:"users"`
			}{list})
		}
		return printUsers(printer(cmd), users, more)
	})
}

func printUsers(p *terminal.Printer, users []admin.User, more bool) error {
	if len(users) == 0 {
		p.Line("no users")
		return p.Err
	}
	var rows []terminal.Row
	for _, u := range users {
		state := u.State
		if state == admin.StateGone {
			state = directory.DisabledByDirectory.String()
		}
		if u.LocalAdmin {
			state += ", local administrator"
		}
		rows = append(rows, terminal.Row{Cells: []string{u.Name, state, localTime(u.LastLogin), u.DisplayName}})
	}
	p.NameTable([]string{"NAME", "STATE", "LAST LOGIN", "DISPLAY NAME"}, rows)
	if more {
		p.Line("")
		p.Line("There may be more: add --after " + oneLine(shellWord(users[len(users)-1].Name)))
	}
	return p.Err
}
