package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/doctor"
)

type doctorFlags struct {
	network joinNetwork

	keytab       string
	offline      bool
	names        []string
	krb5conf     string
	kdcs         []string
	user         string
	passwordFile string
	controller   string
	caFile       string

	url          string // set: look at a service in place of a keytab
	proxy        string
	probeBinding bool
}

func newDoctorCommand(network joinNetwork) *cobra.Command {
	f := doctorFlags{network: network}
	cmd := &cobra.Command{
		Use:   "doctor URL | --keytab FILE [flags]",
		Short: "Find out why Windows logins fail",
		Long: `Look at a service from where its clients stand, or at the keytab that it reads,
and say what breaks logins, why, and what to do. Nothing is changed.

With a URL: names and addresses, connection, certificate, what the server offers
and in what order, signs of a proxy or balancer in between, whether connections
stay as NTLM needs them, clocks, KDCs, the ticket and the size of its header. The
server is asked by GET. With tickets of kinit, or -u USER, the login is tried,
once by each mechanism; with --probe-binding again without and with a wrong
channel binding. At most one login of each mechanism fails: a wrong password is
not tried again, but it counts where failed logins are counted. No login goes to
a server whose certificate is not in order (--ca FILE).

With --keytab and no URL, the keytab:

The file is looked at first: its mode, key versions, encryption types, names.
Then the KDC: whether it answers, its clock, whether the account can log in with
the file, which keys it seals tickets for each service name with, and whether
the file has them. --offline leaves that out.

The KDCs are those of --kdc, or of --krb5conf, $KRB5_CONFIG or /etc/krb5.conf, or
those that DNS names for the realm in the file. Tickets are asked for as the
file's own account. With -u, USER asks for them, and also asks the directory who
has the service names and how the accounts are set up; any user may do that.

USER's password is asked for on the terminal, or taken from ` + passwordVariable + ` or
--password-file. The directory gets it over LDAPS, or LDAP with StartTLS, and
nothing else. A file with a wrong key costs its account one failed login.

The exit code is 0 if nothing is found that breaks logins, 1 if something is, 2
for a wrong command line.`,
		Example: `  soapward doctor https://app.corp.test/Service.svc
  soapward doctor -u alice@corp.test --ca corp-ca.pem https://app.corp.test/Service.svc
  soapward doctor --keytab /etc/soapward/app.keytab
  soapward doctor --keytab app.keytab --name app.corp.test -u alice@corp.test
  soapward doctor --keytab app.keytab --offline --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "soapward doctor takes one URL, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.url = args[0]
				return f.runSite(cmd)
			}
			return f.run(cmd)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.keytab, "keytab", "", "the `FILE` that the service reads; with a URL and -u: log in with the keys in FILE")
	fl.BoolVar(&f.offline, "offline", false, "look at the file only, and ask nobody")
	fl.StringArrayVar(&f.names, "name", nil, "a `HOST` name by which clients call, such as app.corp.test; may be repeated")
	fl.StringVar(&f.krb5conf, "krb5conf", "", "take KDCs from `FILE` (default: $KRB5_CONFIG, or /etc/krb5.conf)")
	fl.StringArrayVar(&f.kdcs, "kdc", nil, "ask the KDC at `HOST` or HOST:PORT; may be repeated")
	fl.StringVarP(&f.user, "user", "u", "", "ask as `USER`, such as alice@corp.test, and ask the directory; with a URL: log in as USER")
	fl.StringVar(&f.passwordFile, "password-file", "", "read USER's password from the first line of `FILE`")
	fl.StringVar(&f.controller, "controller", "", "with -u: domain controller `HOST` (default: DNS names it)")
	fl.StringVar(&f.caFile, "ca-file", "", "with a URL or -u: trust the authorities in `FILE` (PEM or DER) and no others")
	fl.StringVar(&f.caFile, "ca", "", "the same as --ca-file `FILE`")
	fl.StringVar(&f.proxy, "proxy", "", "with a URL: go through the HTTP proxy at `URL` (default: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say)")
	fl.BoolVar(&f.probeBinding, "probe-binding", false, "with a URL and -u: try logins without and with a wrong channel binding; the server counts one that it refuses as a failed login")
	return cmd
}

// check refuses flags that make no sense together.
func (f *doctorFlags) check(cmd *cobra.Command) error {
	name, domain, _ := strings.Cut(f.user, "@")
	switch {
	case f.keytab == "":
		return usagef(cmd, "a URL is missing, or --keytab FILE")
	case f.proxy != "" || f.probeBinding:
		return usagef(cmd, "--proxy and --probe-binding need a URL")
	case f.offline && (f.user != "" || len(f.kdcs) > 0 || f.krb5conf != ""):
		return usagef(cmd, "--offline asks nobody: leave out -u, --kdc and --krb5conf")
	case strings.Contains(f.user, ":"):
		return usagef(cmd, "-u takes a user without password; set %s or use --password-file", passwordVariable)
	case f.user != "" && (name == "" || domain == "" || strings.Contains(f.user, `\`)):
		return usagef(cmd, "-u takes a user with domain, such as alice@corp.test: the keytab is not to decide which domain gets a password")
	case f.user == "" && (f.passwordFile != "" || f.controller != "" || f.caFile != ""):
		return usagef(cmd, "--password-file, --controller and --ca-file need -u USER")
	case strings.ContainsAny(f.controller, "/ "):
		return usagef(cmd, "--controller takes the name of a host, not %q", f.controller)
	}
	for _, k := range f.kdcs {
		if k == "" || strings.ContainsAny(k, "/ ") {
			return usagef(cmd, "--kdc takes HOST or HOST:PORT, not %q", k)
		}
	}
	for _, n := range f.names {
		if n == "" || strings.ContainsAny(n, "/@: ") {
			return usagef(cmd, "--name takes the name of a host, such as app.corp.test, not %q", n)
		}
	}
	return nil
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	progress := newProgress(cmd.ErrOrStderr())
	cfg.Progress = progress.show
	report, err := doctor.Run(cmd.Context(), cfg)
	progress.clear()
	if err != nil {
		return err
	}
	if wantJSON(cmd) {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = printDoctor(cmd.OutOrStdout(), styleOf(cmd.OutOrStdout()), report)
	}
	if err != nil || report.OK {
		return err
	}
	return breakingLogins(report.Count(doctor.Broken), "Kerberos logins")
}

// breakingLogins is how a run ends whose report has findings that break logins.
func breakingLogins(n int, logins string) error {
	found := "1 finding breaks"
	if n > 1 {
		found = fmt.Sprintf("%d findings break", n)
	}
	return withRemedy(fmt.Errorf("%s %s", found, logins), "the remedy under each finding")
}

// config makes the configuration of a run. It may ask for a password.
func (f *doctorFlags) config(cmd *cobra.Command) (doctor.Config, error) {
	cfg := doctor.Config{Keytab: f.keytab, Offline: f.offline, Names: f.names, KDCs: f.kdcs, User: f.user}
	if f.offline {
		return cfg, nil
	}
	krb, err := f.kerberos()
	if err != nil {
		return cfg, err
	}
	cfg.Kerberos = *krb
	if f.user == "" {
		return cfg, nil
	}
	if cfg.Password, err = (&loginFlags{user: f.user, passwordFile: f.passwordFile}).password(cmd); err != nil {
		return cfg, err
	}
	cfg.Directory = func(ctx context.Context, realm string) (doctor.Searcher, error) {
		return f.directory(cmd, realm, &cfg)
	}
	return cfg, nil
}

// kerberos reads krb5.conf, if there is one.
func (f *doctorFlags) kerberos() (*kerberos.Config, error) {
	path, named := f.krb5conf, true
	if path == "" {
		path, named = krb5Config(), os.Getenv("KRB5_CONFIG") != ""
	}
	krb, err := kerberos.LoadConfig(path)
	switch {
	case err == nil:
		return krb, nil
	case !named && errors.Is(err, fs.ErrNotExist):
		return &kerberos.Config{}, nil // DNS knows the KDCs
	}
	return nil, withRemedy(err, "mend the file, or name another: --krb5conf FILE")
}

// directory connects to the directory and logs USER in. Where DNS is to name a
// controller, it is that of USER's domain: a file with another realm in it gets
// nobody's password.
func (f *doctorFlags) directory(cmd *cobra.Command, realm string, cfg *doctor.Config) (doctor.Searcher, error) {
	_, domain, _ := strings.Cut(f.user, "@")
	if f.controller == "" && !strings.EqualFold(domain, realm) {
		return nil, fmt.Errorf("%s is not of the keytab's realm %s", f.user, realm)
	}
	j := &joining{cmd: cmd, flags: &joinFlags{network: f.network, controller: f.controller, caFile: f.caFile}}
	j.flags.account.Domain = strings.ToLower(domain)
	conn, err := j.connect()
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(cmd.Context(), f.user, cfg.Password); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
