package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
)

func newSessionCommand() *cobra.Command {
	f := &userFlags{}
	cmd := &cobra.Command{
		Use:   "session",
		Short: "List and end sessions",
		Long: `List the sessions of users and administrators, in browsers and on command lines,
and end them, at all nodes.

` + whereHelp,
		Example: `  soapward session list --server https://gw-admin.corp.test
  soapward session end --user 'CORP\alice'`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	f.where(cmd)
	cmd.AddCommand(newSessionListCommand(f), newSessionEndCommand(f))
	return cmd
}

// whereHelp says what the flags of userFlags.where mean.
const whereHelp = `They are those of the gateway at --server, after soapward login, or of the store
of the configuration FILE, or of STORE.`

// where registers the flags that say which gateway or store it is.
func (f *userFlags) where(cmd *cobra.Command) {
	fl := cmd.PersistentFlags()
	fl.StringVarP(&f.configFile, "config", "c", defaultConfig, "configuration `FILE`, whose store it is")
	fl.StringVar(&f.store, "store", "", "another `STORE`: sqlite:FILE or postgres://...")
	f.register(cmd)
}

// sessionRow is a session for programs. Its ID is of no use for getting in.
type sessionRow struct {
	ID string `json:"id"`
	sessionJSON
	Provider string `json:"provider,omitempty"`
}

func newSessionListCommand(f *userFlags) *cobra.Command {
	var q admin.SessionQuery
	cmd := &cobra.Command{
		Use:   "list [--user USER]",
		Short: "List sessions, the newest first",
		Example: `  soapward session list
  soapward session list --user 'CORP\alice' --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 || q.Limit > 10_000 {
				return usagef(cmd, "--limit takes a number from 1 to 10000")
			}
			return f.with(cmd, func(ctx context.Context, a areas) error { return printSessions(ctx, cmd, a, q) })
		},
	}
	cmd.Flags().StringVarP(&q.User, "user", "u", "", "only those of `USER`")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most `N` sessions, 10000 at most")
	return cmd
}

func printSessions(ctx context.Context, cmd *cobra.Command, a areas, q admin.SessionQuery) error {
	list, more, err := pages(q.Limit, func(after string, limit int) ([]admin.Session, string, error) {
		p, err := a.ListSessions(ctx, admin.SessionQuery{User: q.User, After: after, Limit: limit})
		if err != nil {
			return nil, "", err
		}
		return p.Sessions, p.Next, nil
	})
	if err != nil {
		return err
	}
	if wantJSON(cmd) {
		rows := []sessionRow{}
		for _, n := range list {
			rows = append(rows, sessionRow{n.ID, sessionJSON{n.User, n.Created, n.Seen, n.Expires, n.Remember, n.Peer, n.UserAgent}, n.Provider})
		}
		return printJSON(cmd.OutOrStdout(), struct {
			Sessions []sessionRow `json:"sessions"`
			More     bool         `json:"more"`
		}{rows, more})
	}
	p := printer(cmd)
	if len(list) == 0 {
		p.Line("no sessions")
		return p.Err
	}
	p.Records(2, []string{"USER", "SINCE", "SEEN", "UNTIL", "ADDRESS", "ID", "BROWSER"}, rowsOf(list, func(n *admin.Session) []string {
		return []string{n.User, localTime(n.Created), localTime(n.Seen), localTime(n.Expires), n.Peer, n.ID, n.UserAgent}
	}))
	if more {
		p.Line("")
		p.Line("There are more: add --limit")
	}
	return p.Err
}

func newSessionEndCommand(f *userFlags) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "end ID... | --user USER",
		Short: "End sessions",
		Long: `End the sessions with an ID as session list shows it, or all of a user. The user
can log in again; see soapward user disable.`,
		Example: `  soapward session end --user 'CORP\alice'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (user == "") {
				return usagef(cmd, "want either the ID of sessions or --user USER")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, a areas) error {
				if user != "" {
					return endSessions(ctx, cmd, a, user)
				}
				for _, id := range args {
					if err := a.EndSession(ctx, id); err != nil {
						return err
					}
				}
				if wantJSON(cmd) {
					return printJSON(cmd.OutOrStdout(), struct {
						Ended int `json:"ended"`
					}{len(args)})
				}
				p := printer(cmd)
				p.Line(count(len(args), "session was ended", "sessions were ended"))
				return p.Err
			})
		},
	}
	cmd.Flags().StringVarP(&user, "user", "u", "", "end all sessions of `USER`")
	return cmd
}

func newAuditCommand() *cobra.Command {
	f := &userFlags{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show logins, and what administrators changed",
		Long: `Show who logged in and who was refused, and what administrators changed.

` + whereHelp,
		Example: `  soapward audit logins --outcome refused --since 24h
  soapward audit logins --follow --server https://gw-admin.corp.test
  soapward audit changes --target 'CORP\alice'`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	f.where(cmd)
	logins, changes := newUserLoginsCommand(f), newUserAuditCommand(f)
	logins.Example = `  soapward audit logins --since 24h --outcome refused
  soapward audit logins --user 'CORP\alice' --follow`
	changes.Use = "changes [flags]"
	changes.Example = `  soapward audit changes --since 24h
  soapward audit changes --target 'CORP\alice' --action user. --json`
	cmd.AddCommand(logins, changes)
	return cmd
}

// followPause is the time between two looks for what is new.
const followPause = time.Second

// follow shows what is new until the command is interrupted. look returns what came
// since it was called last, the oldest first, and whether there is more already;
// each shows it.
func follow[T any](ctx context.Context, look func(context.Context) ([]T, bool, error), each func(*T) error) error {
	for {
		list, more, err := look(ctx)
		if err != nil {
			return err
		}
		for i := range list {
			if err := each(&list[i]); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followPause):
		}
	}
}
