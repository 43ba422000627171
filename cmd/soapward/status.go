package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/internal/terminal"
)

func newStatusCommand() *cobra.Command {
	f := &serverFlags{}
	var since string
	cmd := &cobra.Command{
		Use:   "status [--server URL] [--since AGE]",
		Short: "Show how a gateway is, and how logins went",
		Long: `Show how the gateway is: what it needs and whether that is there, what is down
first; the addresses it listens at; its warnings; and how many logins there were,
at all nodes, within AGE.`,
		Example: `  soapward status
  soapward status --server https://gw-admin.corp.test --since 7d --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := parseAge(since)
			if err != nil {
				return usagef(cmd, "--since: %w", err)
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			o, err := c.Overview(cmd.Context(), age)
			if err != nil {
				return forReader(err)
			}
			if wantJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), o)
			}
			return printStatus(printer(cmd), c.URL, o)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&since, "since", "24h", "logins of the last `AGE`, such as 24h or 7d")
	return cmd
}

// sign is that of a state of what a gateway needs.
func sign(p *terminal.Printer, s health.State) string {
	switch s {
	case health.Up:
		return p.Paint(terminal.Green, "+ ")
	case health.Down:
		return p.Paint(terminal.Red, "! ")
	}
	return "? "
}

func printStatus(p *terminal.Printer, server string, o *admin.Overview) error {
	ready := p.Paint(terminal.Green, "ready")
	if !o.Report.Ready {
		ready = p.Paint(terminal.Red, "not ready")
		if o.Report.Why != "" {
			ready += ": " + oneLine(o.Report.Why)
		}
	}
	p.Line(oneLine(server) + " is " + ready)
	const indent = 16
	p.Fact(indent, "version", o.Version+" ("+o.Go+")")
	p.Fact(indent, "started", localTime(o.Started))
	p.Fact(indent, "configuration", "of "+localTime(o.Loaded))
	if o.Refused != "" {
		p.Fact(indent, "last reload", "refused: "+o.Refused)
	}
	p.Fact(indent, "users", fmt.Sprintf("about %d", o.Users))
	for _, w := range o.Warning {
		p.Fact(indent, "warning", w)
	}
	if len(o.Report.Checks) > 0 {
		p.Line("")
		order := map[health.State]int{health.Down: -2, health.Unknown: -1}
		checks := slices.SortedStableFunc(slices.Values(o.Report.Checks), func(a, b health.Result) int { return cmp.Compare(order[a.State], order[b.State]) })
		rows := rowsOf(checks, func(c *health.Result) []string {
			text := c.Error
			if c.Remedy != "" {
				text = strings.TrimPrefix(text+"; "+c.Remedy, "; ")
			}
			return []string{c.Name, string(c.State), localTime(c.Since), text}
		})
		for i := range rows {
			rows[i].Sign = sign(p, checks[i].State)
		}
		p.Table([]string{"NEEDS", "STATE", "SINCE", "WHY"}, rows)
	}
	if len(o.Listens) > 0 {
		p.Line("")
		p.Table([]string{"LISTENS AT", "FOR", "BY"}, rowsOf(o.Listens, func(l *admin.Listen) []string {
			by := "HTTP"
			if l.TLS {
				by = "HTTPS"
			}
			return []string{l.Addr, strings.TrimSpace(l.Direction + " " + l.Upstream), by}
		}))
	}
	p.Line("")
	printCounts(p, o)
	return p.Err
}

// printCounts shows how many logins there were, by mechanism and outcome.
func printCounts(p *terminal.Printer, o *admin.Overview) {
	outcomes := []string{"accepted", "refused", "blocked", "unavailable"}
	sums := map[string]map[string]int64{}
	for _, n := range o.Logins {
		if sums[n.Mechanism] == nil {
			sums[n.Mechanism] = map[string]int64{}
		}
		sums[n.Mechanism][n.Outcome] += n.N
	}
	since := "since " + localTime(o.Since)
	if len(sums) == 0 {
		p.Line("  no logins " + since)
	} else {
		var rows []terminal.Row
		for _, mech := range slices.Sorted(maps.Keys(sums)) {
			cells := []string{cmp.Or(mech, "(unknown)")}
			for _, out := range outcomes {
				cells = append(cells, fmt.Sprint(sums[mech][out]))
			}
			rows = append(rows, terminal.Row{Cells: cells})
		}
		p.Table([]string{"LOGINS " + strings.ToUpper(since), "ACCEPTED", "REFUSED", "BLOCKED", "UNAVAILABLE"}, rows)
	}
	p.Line(fmt.Sprintf("  double hops: %d, logins with RC4: %d", o.DoubleHops, o.RC4))
}

func newRealmCommand() *cobra.Command {
	f := &serverFlags{}
	cmd := &cobra.Command{
		Use:   "realm",
		Short: "List and try realms of a gateway",
		Long: `List the realms of a gateway, and try whether logins at them work, from where the
gateway runs.`,
		Example: `  soapward realm list
  soapward realm test corp --kind bind -u alice`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	f.register(cmd)
	cmd.AddCommand(newRealmListCommand(f), newRealmTestCommand(f))
	return cmd
}

func newRealmListCommand(f *serverFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List realms, how users of them log in, and whether what they need is there",
		Example: `  soapward realm list --server https://gw-admin.corp.test`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			realms, err := c.Realms(cmd.Context())
			if err != nil {
				return forReader(err)
			}
			if wantJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), struct {
					Realms []admin.Realm `json:"realms"`
				}{append([]admin.Realm{}, realms...)})
			}
			p := printer(cmd)
			if len(realms) == 0 {
				p.Line("no realms")
				return p.Err
			}
			p.Records(3, []string{"REALM", "LOGINS BY", "NEEDS", "TESTS", "SYNCHRONISED"}, rowsOf(realms, func(r *admin.Realm) []string {
				state, sync := "all there", ""
				for _, c := range r.Checks {
					if c.State != health.Up {
						state = c.Name + " " + string(c.State)
						break
					}
				}
				if len(r.Checks) == 0 {
					state = "nothing"
				}
				if r.Sync != nil {
					sync = strings.TrimSpace(localTime(r.Sync.Last) + " " + r.Sync.Summary)
				}
				return []string{r.Name, strings.Join(r.Methods, ", "), state, strings.Join(kinds(r.Tests), ", "), sync}
			}))
			return p.Err
		},
	}
}

func kinds(list []admin.TestKind) []string {
	out := make([]string, len(list))
	for i, k := range list {
		out[i] = string(k)
	}
	return out
}

func newRealmTestCommand(f *serverFlags) *cobra.Command {
	var t admin.Test
	var kind, passwordFile string
	cmd := &cobra.Command{
		Use:   "test REALM [--kind KIND] [-u USER]",
		Short: "Try a login at a realm, from where the gateway runs",
		Long: `Try something of a realm, step by step. KIND is what: bind, a user's password at
the directory; netlogon, at a domain controller; ticket, a Kerberos ticket for the
user, and whether the gateway's keytab takes it; internal, a password of ours;
provider, the well-known document and the keys of a provider. Without KIND it is
the first that realm list shows.

The password is asked for, or taken from ` + passwordVariable + ` or --password-file.
It counts as a login: a wrong one may lock the user out. The exit code is 1 if
something did not work.`,
		Example: `  soapward realm test corp --kind bind -u alice
  soapward realm test partners --kind provider`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "want one REALM, not %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			t.Realm, t.Kind = args[0], admin.TestKind(kind)
			if t.Kind == "" {
				realms, err := c.Realms(cmd.Context())
				if err != nil {
					return forReader(err)
				}
				i := slices.IndexFunc(realms, func(r admin.Realm) bool { return r.Name == t.Realm })
				if i < 0 || len(realms[i].Tests) == 0 {
					return withRemedy(fmt.Errorf("there is no realm %s with something to try", t.Realm), "soapward realm list")
				}
				t.Kind = realms[i].Tests[0]
			}
			if t.Kind != admin.TestProvider {
				if t.User == "" {
					return usagef(cmd, "%s is a try of a login: add -u USER", t.Kind)
				}
				if t.Password, err = readPassword(cmd, t.User, passwordFile, passwordVariable, "--password-file"); err != nil {
					return err
				}
			}
			result, err := c.Test(cmd.Context(), t)
			if err != nil {
				return forReader(err)
			}
			return printTest(cmd, &t, result)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&kind, "kind", "", "what to try: `KIND`")
	fl.StringVarP(&t.User, "user", "u", "", "log in as `USER`")
	fl.StringVar(&passwordFile, "password-file", "", "read the password from the first line of `FILE`")
	completeWords(cmd, "kind", "bind", "netlogon", "ticket", "internal", "provider")
	return cmd
}

func printTest(cmd *cobra.Command, t *admin.Test, r *admin.TestResult) error {
	failed := fmt.Errorf("%s of realm %s failed", t.Kind, t.Realm)
	if r.OK {
		failed = nil
	}
	if wantJSON(cmd) {
		if err := printJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
		return failed
	}
	p := printer(cmd)
	for _, s := range r.Steps {
		mark := p.Paint(terminal.Green, "+ ")
		if !s.OK {
			mark = p.Paint(terminal.Red, "! ")
		}
		took := (time.Duration(s.Millis) * time.Millisecond).String()
		p.Line(mark + oneLine(s.Name+": "+s.Text+" ("+took+")"))
		width := 20
		for _, d := range s.Details {
			width = max(width, min(40, 4+utf8.RuneCountInString(oneLine(d.Name))))
		}
		for _, d := range s.Details {
			p.Fact(width, oneLine(d.Name), d.Value)
		}
		if s.Remedy != "" {
			p.Line("  try: " + oneLine(s.Remedy))
		}
	}
	if p.Err != nil {
		return p.Err
	}
	return failed
}
