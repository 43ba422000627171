package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
)

type auditFlags struct {
	*userFlags
	q      admin.ChangeQuery
	since  string
	follow bool
}

func newUserAuditCommand(uf *userFlags) *cobra.Command {
	f := auditFlags{userFlags: uf}
	cmd := &cobra.Command{
		Use:   "audit [flags]",
		Short: "Show what administrators changed",
		Long: `Show what administrators changed, the newest first: who, what of whom, and how it
was before and after (with --json all of it). The reference is the one that the
administrator was given and that the gateway's log has.

ACTION is one, such as user.disable, or how several begin: "user." has all that
were done to users.`,
		Example: `  soapward user audit --since 24h
  soapward user audit --target 'CORP\alice' --action user. --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.q.Actor, "actor", "", "only what `NAME` did")
	fl.StringVar(&f.q.Action, "action", "", "only `ACTION`")
	fl.StringVar(&f.q.Target, "target", "", "only what was done to `NAME`")
	fl.StringVar(&f.since, "since", "", "only what was done in the last `AGE`, such as 24h or 7d")
	fl.IntVar(&f.q.Limit, "limit", 100, "at most `N` changes, 10000 at most")
	fl.BoolVarP(&f.follow, "follow", "f", false, "show changes as they come, until it is interrupted")
	return cmd
}

func (f *auditFlags) run(cmd *cobra.Command) error {
	if f.q.Limit < 1 || f.q.Limit > 10_000 {
		return usagef(cmd, "--limit takes a number from 1 to 10000")
	}
	var err error
	if f.q.Since, err = sinceAge(cmd, f.since); err != nil {
		return err
	}
	return f.with(cmd, func(ctx context.Context, a areas) error {
		if f.follow {
			return f.followChanges(ctx, cmd, a)
		}
		changes, _, err := pages(f.q.Limit, func(after string, limit int) ([]admin.Change, string, error) {
			q := f.q
			q.After, q.Limit = after, limit
			p, err := a.Changes(ctx, q)
			if err != nil {
				return nil, "", err
			}
			return p.Changes, p.Next, nil
		})
		if err != nil {
			return err
		}
		if wantJSON(cmd) {
			return printJSON(cmd.OutOrStdout(), struct {
				Changes []admin.Change `json:"changes"`
			}{append([]admin.Change{}, changes...)})
		}
		p := printer(cmd)
		if len(changes) == 0 {
			p.Line("no changes")
			return p.Err
		}
		p.Records(4, []string{"TIME", "ACTION", "OF", "BY", "FROM", "REF", "CHANGE"}, rowsOf(changes, func(c *admin.Change) []string {
			return []string{localTime(c.Time), c.Action, c.Target, c.Actor, c.Peer, c.Ref, difference(c.Before, c.After)}
		}))
		return p.Err
	})
}

// followChanges shows changes as they come: a line each, or a line of JSON.
func (f *auditFlags) followChanges(ctx context.Context, cmd *cobra.Command, a areas) error {
	q := f.q
	q.Since, q.Limit = time.Time{}, mostOfPage
	newest, err := a.Changes(ctx, admin.ChangeQuery{Limit: 1})
	if err != nil {
		return err
	}
	last := int64(0)
	if len(newest.Changes) > 0 {
		last = newest.Changes[0].ID
	}
	p := printer(cmd)
	return follow(ctx, func(ctx context.Context) ([]admin.Change, bool, error) {
		page, err := a.Changes(ctx, q)
		if err != nil {
			return nil, false, err
		}
		fresh := slices.DeleteFunc(page.Changes, func(c admin.Change) bool { return c.ID <= last })
		slices.Reverse(fresh)
		return fresh, false, nil
	}, func(c *admin.Change) error {
		last = max(last, c.ID)
		if wantJSON(cmd) {
			return printJSONLine(cmd.OutOrStdout(), c)
		}
		p.Line(oneLine(strings.Join(strings.Fields(localTime(c.Time)+" "+c.Action+" "+c.Target+" by "+c.Actor+" "+c.Peer+" "+c.Ref+" "+difference(c.Before, c.After)), " ")))
		return p.Err
	})
}

// difference is what a change made different, in a line. Where there was or is
// nothing it is empty: the action says it all.
func difference(before, after json.RawMessage) string {
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil {
		return ""
	}
	var parts []string
	keys := slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(is)))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if k != "version" && !bytes.Equal(was[k], is[k]) {
			parts = append(parts, k+": "+valueText(was[k])+" -> "+valueText(is[k]))
		}
	}
	return strings.Join(parts, "; ")
}

func valueText(v json.RawMessage) string {
	if len(v) == 0 {
		return "none"
	}
	return string(v)
}
