package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/terminal"
)

// userFlags are the flags of all commands for users.
type userFlags struct {
	serverFlags
	store      string
	configFile string

	makes     bool             // the command makes the store if there is none
	realm     string           // that users are added to; one of the configuration
	passwords config.Passwords // of the configuration, zero without one
	config    *config.Config   // nil without one
}

func newUserCommand() *cobra.Command {
	f := &userFlags{}
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Manage users, their sessions, and who is blocked",
		Long: `Manage the users in a store, their sessions and logins, and lift blocks of
brute-force protection. It works while gateways run: they see a change with
their next request.

The store is that of the configuration FILE, or STORE: sqlite:FILE, which the
gateways on a machine share, or a PostgreSQL, as
postgres://USER@HOST/DATABASE?sslmode=verify-full. The password of STORE comes
from PGPASSWORD or ~/.pgpass, never from an argument.

With --server, or ` + serverVariable + `, the commands do the same at a gateway, with the
rights of whoever logged in with soapward login.`,
		Example: `  soapward user add carol
  soapward user list -c /etc/soapward/soapward.yaml
  soapward user disable --store sqlite:/var/lib/soapward/soapward.db 'CORP\alice'
  soapward user unblock --store postgres://soapward@db.corp.test/soapward?sslmode=verify-full 192.0.2.7
  soapward user import --store sqlite:soapward.db users.csv
  soapward user list --server https://gw-admin.corp.test`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	f.where(cmd)
	cmd.AddCommand(
		newUserAddCommand(f),
		newUserAuditCommand(f),
		newUserClearPasswordsCommand(f),
		newUserDeleteCommand(f),
		newUserDisableCommand(f),
		newUserEnableCommand(f),
		newUserImportCommand(f),
		newUserListCommand(f),
		newUserLoginsCommand(f),
		newUserPasswdCommand(f),
		newUserResetSecondFactorCommand(f),
		newUserRolesCommand(f),
		newUserSessionsCommand(f),
		newUserUnblockCommand(f),
	)
	for _, sub := range cmd.Commands() {
		if sub.Name() != "import" { // arguments are names, and not files
			sub.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	return cmd
}

// passwordIn finds a password in a DSN of keywords or in the query of a URL.
var passwordIn = regexp.MustCompile(`(?i)password\s*=`)

// given is the store of --store.
func (f *userFlags) given(cmd *cobra.Command) (store.Config, error) {
	c := store.Config{Logger: slog.New(slog.DiscardHandler), MaxConns: 2}
	driver, dsn, ok := strings.Cut(f.store, ":")
	switch {
	case !ok || dsn == "":
		return c, usagef(cmd, "--store %q: want sqlite:FILE or postgres://USER@HOST/DATABASE", f.store)
	case driver == "sqlite":
		c.Driver, c.DSN = driver, dsn
		return c, nil
	case driver != "postgres" && driver != "postgresql":
		return c, usagef(cmd, "--store: %q is no store: want sqlite:FILE or postgres://USER@HOST/DATABASE", driver)
	}
	c.Driver, c.DSN = "postgres", f.store
	if !strings.HasPrefix(dsn, "//") {
		c.DSN = dsn // keywords
	}
	u, err := url.Parse(c.DSN)
	if err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return c, usagef(cmd, "--store has a password in it, which ps shows to everybody: set PGPASSWORD, or use ~/.pgpass")
		}
	}
	if passwordIn.MatchString(c.DSN) {
		return c, usagef(cmd, "--store has a password in it, which ps shows to everybody: set PGPASSWORD, or use ~/.pgpass")
	}
	return c, nil
}

// open opens the store.
func (f *userFlags) open(cmd *cobra.Command) (*store.Store, error) {
	if f.store != "" {
		if cmd.Flags().Changed("config") {
			return nil, usagef(cmd, "-c and --store exclude each other")
		}
		c, err := f.given(cmd)
		if err == nil && !f.makes {
			err = mustExist(c.Driver, c.DSN)
		}
		if err != nil {
			return nil, err
		}
		s, err := store.Open(cmd.Context(), c)
		return s, noStore(c.Driver, err)
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	c := f.config
	if !f.makes {
		if err := mustExist(string(c.Store.Driver), c.Store.DSN); err != nil {
			return nil, err
		}
	}
	return openStore(cmd.Context(), c, slog.New(slog.DiscardHandler))
}

// load reads the configuration.
func (f *userFlags) load() error {
	c, err := config.Load(f.configFile)
	if errors.Is(err, os.ErrNotExist) {
		return withRemedy(err, "name the configuration with -c FILE, or the store with --store STORE")
	}
	if err != nil {
		return err
	}
	if f.realm != "" && c.Realms[f.realm] == nil {
		return noRealm(f.configFile, f.realm, c)
	}
	f.passwords, f.config = c.Passwords, c
	return nil
}

// mustExist keeps a command that only reads or changes what is there from making
// a store where a name is misspelled.
func mustExist(driver, file string) error {
	if driver != "sqlite" {
		return nil
	}
	_, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return withRemedy(fmt.Errorf("there is no store %s", file), "correct the name; a new store is made by soapward user add, user import, or the gateway")
	}
	return nil // store.Open tells what else is wrong
}

// noStore adds a remedy to an error of store.Open.
func noStore(driver string, err error) error {
	if driver == "postgres" && errors.Is(err, authn.ErrUnavailable) {
		return withRemedy(fmt.Errorf("no connection to the store: %w", err), "look whether the database runs there, and at the address, the user and the password")
	}
	return err
}

// noRealm is the error for a realm that the configuration does not have.
func noRealm(file, realm string, c *config.Config) error {
	remedy := "add it to realms"
	if names := slices.Sorted(maps.Keys(c.Realms)); len(names) > 0 {
		remedy = "one of " + strings.Join(names, ", ")
	}
	return withRemedy(fmt.Errorf("%s has no realm %q", file, realm), remedy)
}

// atLeastOne refuses a command line without arguments.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(cmd, "%s is missing", what)
		}
		return nil
	}
}

// completeWords offers the values of a flag to the shell.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("soapward: completion of --" + flag + ": " + err.Error()) // there is no such flag
	}
}

// printer prints for people.
func printer(cmd *cobra.Command) *terminal.Printer {
	return &terminal.Printer{Style: styleOf(cmd.OutOrStdout()), W: cmd.OutOrStdout()}
}

// localTime is a time as people at this machine read it, empty for never.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// jsonTime is nil for never.
func jsonTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return decimal(n) + " " + many
}
