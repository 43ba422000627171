package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/terminal"
)

// rowsOf makes the rows of a table.
func rowsOf[T any](list []T, cells func(*T) []string) []terminal.Row {
	rows := make([]terminal.Row, len(list))
	for i := range list {
		rows[i].Cells = cells(&list[i])
	}
	return rows
}

func newUserSessionsCommand(f *userFlags) *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use:   "sessions NAME [--end]",
		Short: "List the sessions of a user, or end them",
		Long: `List the sessions of a user in browsers, or end all of them, at all nodes. The
user can log in again; see soapward user disable.`,
		Example: `  soapward user sessions 'CORP\alice'
  soapward user sessions 'CORP\alice' --end`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, a areas) error {
				if end {
					return endSessions(ctx, cmd, a, args[0])
				}
				return listSessions(ctx, cmd, a, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&end, "end", false, "end all of them")
	return cmd
}

func endSessions(ctx context.Context, cmd *cobra.Command, a areas, name string) error {
	n, err := a.EndSessions(ctx, name)
	if err != nil {
		return noUser(name, err)
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Ended int `json:"ended"`
		}{n})
	}
	p := printer(cmd)
	p.Line(count(n, "session was ended", "sessions were ended"))
	return p.Err
}

// sessionJSON is a session for programs. What identifies it stays in the store.
type sessionJSON struct {
	User      string    `json:"user"`
	Created   time.Time `json:"created"`
	Seen      time.Time `json:"seen"`
	Expires   time.Time `json:"expires"`
	Remember  bool      `json:"remember"`
	Peer      string    `json:"peer"`
	UserAgent string    `json:"user_agent"`
}

// mostSessions is how many sessions of a user are listed.
const mostSessions = 1000

// liveSessions returns the sessions of a user, the newest first.
func (a areas) liveSessions(ctx context.Context, name string) ([]admin.Session, error) {
	live, _, err := pages(mostSessions, func(after string, limit int) ([]admin.Session, string, error) {
		p, err := a.ListSessions(ctx, admin.SessionQuery{User: name, After: after, Limit: limit})
		if err != nil {
			return nil, "", err
		}
		return p.Sessions, p.Next, nil
	})
	return live, err
}

func listSessions(ctx context.Context, cmd *cobra.Command, a areas, name string) error {
	live, err := a.liveSessions(ctx, name)
	if err != nil {
		return err
	}
	if len(live) == 0 {
		if _, err := a.userNamed(ctx, name); err != nil {
			return err
		}
	}
	if wantJSON(cmd) {
		list := []sessionJSON{}
		for _, n := range live {
			list = append(list, sessionJSON{n.User, n.Created, n.Seen, n.Expires, n.Remember, n.Peer, n.UserAgent})
		}
		return printJSON(cmd.OutOrStdout(), struct {
			Sessions []sessionJSON `json:"sessions"`
		}{list})
	}
	p := printer(cmd)
	if len(live) == 0 {
		p.Line("no sessions")
		return p.Err
	}
	p.Records(1, []string{"SINCE", "SEEN", "UNTIL", "ADDRESS", "BROWSER"}, rowsOf(live, func(n *admin.Session) []string {
		return []string{localTime(n.Created), localTime(n.Seen), localTime(n.Expires), n.Peer, n.UserAgent}
	}))
	return p.Err
}

type loginsFlags struct {
	*userFlags
	q      admin.LoginQuery
	since  string
	follow bool
}

func newUserLoginsCommand(uf *userFlags) *cobra.Command {
	f := loginsFlags{userFlags: uf}
	cmd := &cobra.Command{
		Use:   "logins [flags]",
		Short: "Show who logged in, who was refused, and why",
		Long: `Show the history of logins, the newest first. The reference is the one that the
client was given and that the gateway's log has.

--follow goes on, and shows logins as they come, the newest last.`,
		Example: `  soapward user logins --since 24h --outcome refused
  soapward user logins --user 'CORP\alice'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.q.User, "user", "u", "", "only those of `USER`")
	fl.StringVar(&f.q.Peer, "peer", "", "only those from `ADDRESS`")
	fl.StringVar(&f.q.Outcome, "outcome", "", "only those that were `OUTCOME`: accepted, refused, blocked or unavailable")
	fl.StringVar(&f.since, "since", "", "only those of the last `AGE`, such as 24h or 7d")
	fl.IntVar(&f.q.Limit, "limit", 100, "at most `N` logins, 10000 at most")
	fl.BoolVarP(&f.follow, "follow", "f", false, "show logins as they come, until it is interrupted")
	completeWords(cmd, "outcome", string(directory.Accepted), string(directory.Refused), string(directory.Blocked), string(directory.Unavailable))
	return cmd
}

// sinceAge returns the time that --since means, zero if it is not given.
func sinceAge(cmd *cobra.Command, since string) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	age, err := parseAge(since)
	if err != nil {
		return time.Time{}, usagef(cmd, "--since: %w", err)
	}
	return time.Now().Add(-age), nil
}

// loginJSON is a login for programs, without its number in the record, which is of
// one store.
type loginJSON struct {
	*admin.Login
	ID *int64 `json:"id,omitempty"` // in front of that of the Login
}

// reasonOf is why a login was refused.
func reasonOf(l *admin.Login) string {
	reason := withoutPackages(l.Detail)
	switch {
	case reason == "":
		return l.Reason
	case l.Reason != "":
		return l.Reason + ": " + reason
	}
	return reason
}

// followLogins shows logins as they come: a line each, or a line of JSON.
func (f *loginsFlags) followLogins(ctx context.Context, cmd *cobra.Command, a areas) error {
	q := f.q
	p := printer(cmd)
	show := func(l *admin.Login) error {
		q.NewerID = max(q.NewerID, l.ID)
		if wantJSON(cmd) {
			return printJSONLine(cmd.OutOrStdout(), loginJSON{Login: l})
		}
		p.Line(oneLine(strings.Join(strings.Fields(localTime(l.Time)+" "+l.Outcome+" "+l.User+" "+l.Mechanism+" "+l.Peer+" "+l.Ref+" "+reasonOf(l)), " ")))
		return p.Err
	}
	if a.follow != nil { // the server says it at once
		for {
			if err := a.follow(ctx, q, func(l admin.Login) error { return show(&l) }); err != nil {
				return err
			}
		}
	}
	logins := admin.NewFollower(a, q)
	return follow(ctx, logins.Next, show)
}

func (f *loginsFlags) run(cmd *cobra.Command) error {
	switch directory.Outcome(f.q.Outcome) {
	case "", directory.Accepted, directory.Refused, directory.Blocked, directory.Unavailable:
	default:
		return usagef(cmd, "--outcome %q: want accepted, refused, blocked or unavailable", f.q.Outcome)
	}
	if f.q.Limit < 1 || f.q.Limit > 10_000 {
		return usagef(cmd, "--limit takes a number from 1 to 10000")
	}
	if f.q.Peer != "" {
		addr, err := netip.ParseAddr(f.q.Peer)
		if err != nil {
			return usagef(cmd, "--peer %q: want an address, such as 192.0.2.7", f.q.Peer)
		}
		f.q.Peer = addr.Unmap().String()
	}
	var err error
	if f.q.Since, err = sinceAge(cmd, f.since); err != nil {
		return err
	}
	return f.with(cmd, func(ctx context.Context, a areas) error {
		if f.follow {
			return f.followLogins(ctx, cmd, a)
		}
		logins, _, err := pages(f.q.Limit, func(after string, limit int) ([]admin.Login, string, error) {
			q := f.q
			q.After, q.Limit = after, limit
			p, err := a.Logins(ctx, q)
			if err != nil {
				return nil, "", err
			}
			return p.Logins, p.Next, nil
		})
		if err != nil {
			return err
		}
		if wantJSON(cmd) {
			list := []loginJSON{}
			for i := range logins {
				list = append(list, loginJSON{Login: &logins[i]})
			}
			return printJSON(cmd.OutOrStdout(), struct {
				Logins []loginJSON `json:"logins"`
			}{list})
		}
		p := printer(cmd)
		if len(logins) == 0 {
			p.Line("no logins")
			return p.Err
		}
		p.Records(3, []string{"TIME", "OUTCOME", "USER", "BY", "FROM", "REF", "REASON"}, rowsOf(logins, func(l *admin.Login) []string {
			return []string{localTime(l.Time), l.Outcome, l.User, l.Mechanism, l.Peer, l.Ref, reasonOf(l)}
		}))
		return p.Err
	})
}
