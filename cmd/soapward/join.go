package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/atomicfile"
)

// joinNetwork is how soapward join finds domain controllers and connects to
// them, nil for the machine's own ways.
type joinNetwork struct {
	resolver computer.Resolver
	dialer   ldap.Dialer
}

type joinFlags struct {
	network joinNetwork

	account      computer.Account
	controller   string
	ou           string
	user         string
	passwordFile string
	caFile       string
	secret       string
	keytab       string
	maxAge       string
	rotate       bool
	reset        bool
	dryRun       bool

	age time.Duration // maxAge
}

func newJoinCommand(network joinNetwork) *cobra.Command {
	f := joinFlags{network: network}
	cmd := &cobra.Command{
		Use:   "join --computer NAME --domain DOMAIN -u USER [flags]",
		Short: "Make a computer account, or change its password",
		Long: `Make the computer account in Active Directory that a gateway verifies NTLM logins
with and takes Kerberos logins for. The machine itself is not joined, and needs
no Samba. Each running instance of a gateway needs an account of its own.

USER must be allowed to create computers: an administrator, or somebody who was
delegated that for the organizational unit DN. The account's password is random
and goes to FILE, which its owner only can read; with --keytab, the account's
Kerberos keys go to a keytab. What USER may not write is listed, with the
command for an administrator, and the exit code is 1.

With --rotate the account changes its own password, if it is older than
--max-age; no USER is needed. Run it once a day, by a timer. It is safe to
interrupt: the next run finishes. With --reset, USER sets a new password for an
account whose file is lost.

USER's password is asked for on the terminal, or taken from ` + passwordVariable + ` or
--password-file. It is sent over LDAPS, or LDAP with StartTLS, and nothing else.`,
		Example: `  soapward join --computer GW01 --domain corp.test -u Administrator --keytab gw01.keytab
  soapward join --computer GW01 --domain corp.test -u jill --ou OU=Gateways,DC=corp,DC=test --dry-run
  soapward join --computer GW01 --domain corp.test --keytab gw01.keytab --rotate   # daily`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.account.Name, "computer", "", "`NAME` of the account, at most 15 letters, digits and hyphens")
	fl.StringVar(&f.account.Domain, "domain", "", "DNS name of the `DOMAIN`")
	fl.StringVar(&f.controller, "controller", "", "domain controller `HOST` (default: DNS names it)")
	fl.StringVar(&f.ou, "ou", "", "make the account in the organizational unit `DN` (default: the domain's container for computers)")
	fl.StringVarP(&f.user, "user", "u", "", `log in as `+"`USER`"+`: jill, jill@corp.test or CORP\jill`)
	fl.StringVar(&f.passwordFile, "password-file", "", "read USER's password from the first line of `FILE`")
	fl.StringVar(&f.caFile, "ca-file", "", "trust the authorities in `FILE` (PEM or DER) and no others")
	fl.StringVar(&f.secret, "secret", "", "`FILE` with the account's password (default: NAME.secret)")
	fl.StringVar(&f.keytab, "keytab", "", "write the account's Kerberos keys to `FILE`")
	fl.StringArrayVar(&f.account.SPNs, "spn", nil, "another `SERVICE` name, such as HTTP/hr.corp.test; may be repeated")
	fl.BoolVar(&f.rotate, "rotate", false, "let the account change its password, if that is due")
	fl.StringVar(&f.maxAge, "max-age", "30d", "with --rotate: `AGE` of a password that is due, such as 30d or 12h; 0 for now")
	fl.BoolVar(&f.reset, "reset", false, "set a new password for an account that exists")
	fl.BoolVar(&f.dryRun, "dry-run", false, "log in and check everything, and write nothing")
	return cmd
}

// check refuses flags that make no sense together, and completes them.
func (f *joinFlags) check(cmd *cobra.Command) error {
	switch {
	case f.account.Name == "":
		return usagef(cmd, "--computer is missing")
	case f.account.Domain == "":
		return usagef(cmd, "--domain is missing")
	case f.rotate && f.reset:
		return usagef(cmd, "--rotate and --reset exclude each other")
	case f.rotate && (f.user != "" || f.passwordFile != ""):
		return usagef(cmd, "--rotate needs no user: the account changes its own password")
	case (f.rotate || f.reset) && f.ou != "":
		return usagef(cmd, "--ou is for an account that is made")
	case !f.rotate && f.user == "":
		return usagef(cmd, "-u USER is missing: who is to make the account?")
	case !f.rotate && cmd.Flags().Changed("max-age"):
		return usagef(cmd, "--max-age is for --rotate")
	case strings.ContainsAny(f.controller, "/ "):
		return usagef(cmd, "--controller takes the name of a host, not %q", f.controller)
	case strings.HasSuffix(f.controller, ":389"):
		return usagef(cmd, "--controller takes a host without :389: LDAPS is tried first, and StartTLS at that port next")
	case strings.Contains(f.user, ":"):
		return usagef(cmd, "-u takes a user without password; set %s or use --password-file", passwordVariable)
	}
	if err := f.account.Check(); err != nil {
		return usagef(cmd, "%w", err)
	}
	var err error
	if f.age, err = parseAge(f.maxAge); err != nil {
		return usagef(cmd, "--max-age: %w", err)
	}
	if f.secret == "" {
		f.secret = strings.ToLower(strings.TrimSuffix(f.account.Name, "$")) + ".secret"
	}
	return nil
}

// parseAge reads a duration that may be in days.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: want a number of days, such as 30d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q: want days or hours, such as 30d or 12h", s)
	}
	return d, nil
}

// userName is the user as LDAP takes it.
func (f *joinFlags) userName() string {
	if strings.ContainsAny(f.user, `@\=`) {
		return f.user
	}
	return f.user + "@" + f.account.Domain
}

func (f *joinFlags) run(cmd *cobra.Command) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	j := &joining{flags: f, cmd: cmd, file: computer.SecretFile(f.secret)}
	defer j.close()
	work := j.make
	if f.rotate {
		work = j.rotate
	}
	err := work()
	if err == nil || j.report.Changed { // what was done is told in any case
		if err := j.report.print(cmd); err != nil {
			return err
		}
	}
	if err != nil {
		return j.explain(err)
	}
	return j.report.failure()
}

// checkFiles finds out early what the files would be refused for.
func (f *joinFlags) checkFiles() error {
	info, err := os.Lstat(f.secret)
	switch {
	case err == nil && info.IsDir():
		return withRemedy(fmt.Errorf("--secret %s is a directory", f.secret), "name a file in it")
	case err == nil && !f.reset:
		return fmt.Errorf("%w: password file %s", computer.ErrFileExists, f.secret)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	for _, path := range []string{f.secret, f.keytab} {
		if path == "" {
			continue
		}
		switch err := atomicfile.CheckDir(filepath.Dir(path)); {
		case errors.Is(err, os.ErrNotExist):
			return withRemedy(fmt.Errorf("the directory of %s: %w", path, err), "make the directory, or name another file")
		case err != nil:
			return err
		}
	}
	return f.checkKeytab()
}

// checkKeytab refuses a file to which no keys could be added, before there is an
// account that lacks them.
func (f *joinFlags) checkKeytab() error {
	if f.keytab == "" {
		return nil
	}
	if _, err := os.Lstat(f.keytab); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := kerberos.LoadKeytab(f.keytab)
	return withRemedy(err, "mend that, or name another file: --keytab FILE")
}
