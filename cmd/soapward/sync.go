package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// defaultConfig is the configuration of commands without -c.
const defaultConfig = "soapward.yaml"

type syncFlags struct {
	serverFlags
	config string
	realm  string
	dryRun bool
	force  bool
}

func newSyncCommand() *cobra.Command {
	var f syncFlags
	cmd := &cobra.Command{
		Use:   "sync [-c FILE] [--realm REALM] [--dry-run] [--force]",
		Short: "Refresh the users of a domain from Active Directory now",
		Long: `Refresh all users of the store whose names have a domain from Active Directory:
name, e-mail, mobile phone and groups. Users who are disabled, expired or gone in
the directory are disabled; those it disabled and knows as enabled again are
enabled. Nobody is added, and whom an operator disabled stays disabled. Users of
other domains and of LDAP realms, which are refreshed at their logins, are left
alone.

The gateway does the same once a day (realms.NAME.ad.sync.at). One run at a time
works on a realm. A run that is interrupted does no harm: the next one goes on
where it was, and then does the rest.

If more than 50 users and more than 20 % of them are not in the directory, none
of these is disabled, because the configuration is likely wrong, and the exit
code is 1. --force disables them. Users whom the directory or the store has an
error for are listed with it, and do not change the exit code.

With --server, or ` + serverVariable + `, a gateway does it, with the rights of whoever logged
in with soapward login. --force is for the machine itself.`,
		Example: `  soapward sync --dry-run
  soapward sync -c /etc/soapward/soapward.yaml --realm corp --json
  soapward sync --server https://gw-admin.corp.test`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.config, "config", "c", defaultConfig, "configuration `FILE`")
	fl.StringVar(&f.realm, "realm", "", "only the realm `NAME` (default: each one with ad)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "find out what would change, and write nothing")
	fl.BoolVar(&f.force, "force", false, "disable users who are gone whatever their number")
	return cmd
}

func (f *syncFlags) run(cmd *cobra.Command) error {
	here := cmd.Flags().Changed("config")
	switch {
	case here && f.server != "":
		return usagef(cmd, "--server and -c exclude each other")
	case !here && f.named() != "" && f.force:
		return usagef(cmd, "--force is not for a gateway: run it there, with -c FILE")
	case !here && f.named() != "":
		return f.runAtServer(cmd)
	}
	c, err := config.Load(f.config)
	if errors.Is(err, os.ErrNotExist) {
		return withRemedy(err, "name the configuration with -c FILE")
	}
	if err != nil {
		return err
	}
	realms, err := f.realms(c)
	if err != nil {
		return err
	}
	if err := mustExist(string(c.Store.Driver), c.Store.DSN); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler) // the report tells it all
	store, err := openStore(cmd.Context(), c, quiet)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	reports := []syncReport{}
	for _, name := range realms {
		report, err := f.one(cmd, c, name, store, quiet)
		if report != nil {
			reports = append(reports, *report)
		}
		if err != nil {
			return errors.Join(printSync(cmd, reports), err)
		}
	}
	return printSync(cmd, reports)
}

// runAtServer has a gateway do it.
func (f *syncFlags) runAtServer(cmd *cobra.Command) error {
	c, err := f.client(cmd)
	if err != nil {
		return err
	}
	names := []string{f.realm}
	if f.realm == "" {
		realms, err := c.Realms(cmd.Context())
		if err != nil {
			return forReader(err)
		}
		names = nil
		for _, r := range realms {
			if r.Sync != nil {
				names = append(names, r.Name)
			}
		}
		if len(names) == 0 {
			return withRemedy(errors.New(c.URL+" has no realm with ad"), "only realms of Active Directory have the job; users of others are refreshed at their logins")
		}
	}
	reports := []syncReport{}
	for _, name := range names {
		bar := newProgress(cmd.ErrOrStderr())
		sum, err := c.Synchronise(cmd.Context(), name, admin.SyncOptions{DryRun: f.dryRun}, func(p admin.SyncProgress) {
			bar.show(syncProgress(&provision.Summary{Realm: name, Seen: int(p.Done), Total: int(p.Total)}))
		})
		bar.clear()
		if sum != nil {
			reports = append(reports, syncReport{Summary: *sum, Seconds: sum.Took.Seconds()})
		}
		if err != nil {
			return errors.Join(printSync(cmd, reports), forReader(err))
		}
	}
	return printSync(cmd, reports)
}

// realms returns the realms to do, in the order of their names.
func (f *syncFlags) realms(c *config.Config) (names []string, err error) {
	for name, r := range c.Realms {
		if r.AD != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch {
	case f.realm == "" && len(names) == 0:
		return nil, withRemedy(fmt.Errorf("%s has no realm with ad", f.config), "only realms of Active Directory have the job; users of others are refreshed at their logins")
	case f.realm == "":
		return names, nil
	case c.Realms[f.realm] == nil:
		return nil, noRealm(f.config, f.realm, c)
	case c.Realms[f.realm].AD == nil:
		return nil, fmt.Errorf("the realm %q has no ad: its users are refreshed at their logins", f.realm)
	}
	return []string{f.realm}, nil
}

// one does a realm. There is a report if anything was done.
func (f *syncFlags) one(cmd *cobra.Command, c *config.Config, name string, store provision.SyncStore, log *slog.Logger) (*syncReport, error) {
	domains := realm.Domains(c.Realms[name].AD)
	if len(domains) == 0 {
		return nil, withRemedy(fmt.Errorf("realm %s does not say which domains its directory knows", name), "add realms."+name+".ad.default_domain, such as CORP")
	}
	dir, err := realm.Directory(c.Realms[name], log)
	if err != nil {
		return nil, fmt.Errorf("realm %s: %w", name, err)
	}
	defer func() { _ = dir.Close() }()
	// Before the job, which tries again for a while, and asks nothing where the
	// store has nobody.
	if _, err := dir.Accounts(cmd.Context(), []directory.AccountRef{{Name: domains[0] + `\Administrator`}}); err != nil {
		return nil, noDirectory(name, err)
	}
	bar := newProgress(cmd.ErrOrStderr())
	job, err := realm.Sync(name, c.Realms[name], store, dir, log)
	if err != nil {
		return nil, err
	}
	job.DryRun, job.AllowManyGone = f.dryRun, job.AllowManyGone || f.force
	job.Dead, job.Progress = ownerDead, func(s provision.Summary) { bar.show(syncProgress(&s)) }
	sum, err := job.Run(cmd.Context())
	bar.clear()
	if errors.Is(err, provision.ErrRunning) && sum.Seen == 0 {
		return nil, withRemedy(err, "wait until it is done, or, if it was killed, until then")
	}
	return &syncReport{Summary: *sum, Seconds: sum.Took.Seconds()}, syncError(name, err)
}

// noDirectory adds to the error of a directory that does not answer what the
// reader can do.
func noDirectory(realm string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return withRemedy(fmt.Errorf("realm %s: %w", realm, err), "look at realms."+realm+".ad: url, bind_user, bind_password, ca_file")
}

// syncError adds to an error what the reader can do.
func syncError(realm string, err error) error {
	switch {
	case errors.Is(err, provision.ErrTooManyGone):
		return withRemedy(err, "look at realms."+realm+".ad: url, base, domains and the rights of bind_user; if they are right, soapward sync --realm "+realm+" --force")
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, authn.ErrUnavailable):
		return withRemedy(err, "run it again when store and directory answer: it goes on where it was")
	}
	return err
}

// ownerDead reports whether a run was one of a process of this machine that is
// no more.
func ownerDead(owner string) bool {
	mine := provision.Owner()
	host, number, ok := strings.Cut(owner, " process ")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil || !strings.HasPrefix(mine, host+" process ") {
		return false
	}
	return !processLives(pid)
}

// syncProgress is the line of a run: a bar where the last run tells how long it
// will be.
func syncProgress(s *provision.Summary) string {
	text := fmt.Sprintf("%s: %d users", s.Realm, s.Seen)
	if s.Total > 0 {
		const width = 30
		done := portion(s.Seen, s.Total, width)
		text = fmt.Sprintf("%s: [%s%s] %3d %%  %d of %d users", s.Realm, strings.Repeat("=", done), strings.Repeat(" ", width-done),
			portion(s.Seen, s.Total, 100), s.Seen, max(s.Total, s.Seen))
	}
	if s.Took > time.Second {
		text += fmt.Sprintf(", %.0f a second", float64(s.Seen)/s.Took.Seconds())
	}
	return text
}

// syncReport is what soapward sync tells of a realm.
type syncReport struct {
	provision.Summary
	Seconds float64 `json:"seconds"`
}

func printSync(cmd *cobra.Command, reports []syncReport) error {
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Realms []syncReport `json:"realms"`
		}{reports})
	}
	var b strings.Builder
	for i := range reports {
		if i > 0 {
			b.WriteByte('\n')
		}
		reports[i].text(&b)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

func (r *syncReport) text(b *strings.Builder) {
	how := "done"
	switch {
	case !r.Complete:
		how = "ended before its end"
	case r.DryRun:
		how = "tried, nothing written"
	}
	fmt.Fprintf(b, "%s: %s, %s in %.1f s\n", oneLine(r.Realm), how, count(r.Seen, "user", "users"), r.Seconds)
	if r.Seen == 0 {
		fmt.Fprintf(b, "  The store has no users of %s yet: each is made at the first login.\n", oneLine(strings.Join(r.Domains, ", ")))
		return
	}
	gone := "not in the directory, disabled now"
	if r.Held {
		gone = "not in the directory: too many, NOT disabled"
	}
	for _, row := range []struct {
		n    int
		text string
	}{
		{r.Refreshed, "refreshed"}, {r.Unchanged, "unchanged"}, {r.Deactivated, "disabled, as in the directory"},
		{r.Reactivated, "enabled again"}, {r.Gone, gone}, {r.Conflicts, "in conflict with another user"}, {r.Failed, "failed"},
	} {
		fmt.Fprintf(b, "  %7d  %s\n", row.n, row.text)
	}
	if len(r.GoneNames) > 0 {
		fmt.Fprintf(b, "  not in the directory: %s%s\n", oneLine(strings.Join(r.GoneNames, ", ")), andMore(r.Gone-len(r.GoneNames)))
	}
	for i, name := range r.FailedNames {
		why := "no cause is given"
		if i < len(r.FailedCauses) { // each has one, unless a server made it up
			why = withoutPackages(r.FailedCauses[i])
		}
		fmt.Fprintf(b, "  %s: %s\n", oneLine(name), oneLine(why))
	}
	if more := r.Failed + r.Conflicts - len(r.FailedNames); more > 0 {
		fmt.Fprintf(b, "  and %d more failed or in conflict\n", more)
	}
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return " and " + decimal(n) + " more"
}
