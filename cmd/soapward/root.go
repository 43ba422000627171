package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/internal/demo"
)

// Exit codes, the same for every command.
const (
	exitDone   = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2

	exitInterrupted = 130 // by Ctrl-C or another signal, as shells count
)

// newRootCommand assembles the program. A new command is one file with a
// newXCommand function and one line here.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "soapward",
		Short: "Windows authentication for SOAP and REST, without Windows",
		Long: `soapward is Windows authentication (Kerberos, NTLM) for SOAP and REST services,
in both directions, without Windows and without a domain join.

serve stands as a gateway in front of services, which get callers who are logged
in, and between programs and the servers that they have to log in to. check says
what is wrong with its configuration, and what it means. join makes the computer
account that logins are verified with, user manages users with a password of
their own, sync follows Active Directory.

login logs in to a gateway that runs, as an administrator: user, session, audit,
sync, config, realm and status then work there.

doctor finds out why logins fail, token says what is in a login token, call calls
a service from the shell, generate makes Go code, client and server, from WSDL,
and demo shows logins of every kind, a call as the caller, and a double hop.`,
		Example: `  # every kind of login, a call as the caller, and a double hop, in one process
  soapward demo

  # is the configuration of the gateway right, and is all there that it names?
  soapward check -c soapward.yaml --dial

  # logins in front of services, and out of programs
  soapward serve -c /etc/soapward/soapward.yaml

  # Go client and server code from a WSDL file
  soapward generate -o internal/expenses expenses.wsdl

  # the same from a server that wants a Windows login; asks for the password
  soapward generate -u 'CORP\alice' 'https://host.corp.test/Service.svc?wsdl'

  # one call, without generated code
  soapward call -u 'CORP\alice' 'https://host.corp.test/Service.svc?wsdl' GetOrder id=7

  # a computer account in Active Directory, with its password and keytab
  soapward join --computer GW01 --domain corp.test -u Administrator --keytab gw01.keytab

  # a user with a password, and who was refused today
  soapward user add carol --store sqlite:users.db
  soapward user logins --store sqlite:users.db --since 24h --outcome refused

  # the same at a gateway that runs, and how it is
  soapward login --server https://gw-admin.corp.test
  soapward user list --server https://gw-admin.corp.test
  soapward status

  # why do logins to this service fail, as its clients see it, and by its keytab?
  soapward doctor https://host.corp.test/Service.svc
  soapward doctor --keytab gw01.keytab

  # what is in a login token
  soapward token 'Authorization: Negotiate YIIG...'`,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.PersistentFlags().Bool("json", false, "print results and errors as JSON")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, path: cmd.CommandPath()}
	})
	root.AddCommand(
		newAuditCommand(),
		newCallCommand(),
		newCheckCommand(buildGateway),
		newConfigCommand(),
		newDemoCommand(demo.Start),
		newDoctorCommand(joinNetwork{}),
		newGenerateCommand(),
		newJoinCommand(joinNetwork{}),
		newLoginCommand(),
		newLogoutCommand(),
		newManCommand(),
		newRealmCommand(),
		newServeCommand(),
		newSessionCommand(),
		newStatusCommand(),
		newSyncCommand(),
		newTokenCommand(),
		newUserCommand(),
		newVersionCommand(),
		newWhoamiCommand(),
	)
	return root
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, args []string) int { return execute(ctx, newRootCommand(), args) }

func execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(goFlags(root, args))
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted // whoever sent the signal knows
	}
	asJSON, _ := cmd.Flags().GetBool("json") // not parsed when the flags are at fault
	printError(root.ErrOrStderr(), err, asJSON)
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// wantJSON reports whether --json is set.
func wantJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// printJSON writes v, indented, and a newline. What would steer a terminal is
// escaped, also where JSON need not be (RFC 8259 7): DEL, C1 controls, and what
// turns the direction of writing round.
func printJSON(w io.Writer, v any) error { return printIndented(w, v, "  ") }

// printJSONLine is printJSON on one line, for what goes on.
func printJSONLine(w io.Writer, v any) error { return printIndented(w, v, "") }

func printIndented(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	var out []byte
	for _, r := range b.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		default: // stands in a string
			for _, u := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
		}
	}
	_, err := w.Write(out)
	return err
}

// A usageError is a command line that makes no sense. The program exits with
// exitUsage after it.
type usageError struct {
	err  error
	path string // command it belongs to, such as "soapward generate"
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// noArgs makes an argument that is no flag a usage error. Cobra's NoArgs would
// call it an unknown command, which a file without its flag is not.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef(cmd, "%s takes no argument, such as %q, only flags", cmd.CommandPath(), args[0])
}

// knownCommand refuses what is left of the command line of the root, which is
// the name of a command that does not exist.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := nearest(cmd, args[0]); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return usagef(cmd, "unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// nearest returns the command of cmd whose name is most like arg, or "" if none
// is much like it. Cobra suggests those within a distance, by the alphabet.
func nearest(cmd *cobra.Command, arg string) string {
	most := cmd.SuggestionsMinimumDistance
	defer func() { cmd.SuggestionsMinimumDistance = most }()
	for d := 1; d <= most; d++ {
		cmd.SuggestionsMinimumDistance = d
		if near := cmd.SuggestionsFor(arg); len(near) > 0 {
			return near[0]
		}
	}
	return ""
}

// usagef makes a usage error of cmd.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), path: cmd.CommandPath()}
}

// A remedyError is an error the reader can do something about.
type remedyError struct {
	err    error
	remedy string // a sentence without full stop, or a command to run
}

func (e *remedyError) Error() string { return e.err.Error() }
func (e *remedyError) Unwrap() error { return e.err }

// withRemedy adds to err what the reader can do. It keeps nil.
func withRemedy(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &remedyError{err, remedy}
}

// printError writes err with its remedy, each line of it indented alike.
func printError(w io.Writer, err error, asJSON bool) {
	remedy := ""
	var re *remedyError
	if errors.As(err, &re) {
		remedy = re.remedy
	}
	var usage *usageError
	if remedy == "" && errors.As(err, &usage) {
		remedy = usage.path + " --help"
	}
	var more interface {
		details() (text string, data any)
	}
	text, fault := "", any(nil)
	if errors.As(err, &more) {
		text, fault = more.details()
	}
	if asJSON {
		_ = printJSON(w, struct {
			Error  string `json:"error"`
			Fault  any    `json:"fault,omitempty"`
			Remedy string `json:"remedy,omitempty"`
		}{withoutPackages(err.Error()), fault, remedy})
		return
	}
	lines := strings.Split(withoutPackages(err.Error()), "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	fmt.Fprintf(w, "soapward: %s\n", strings.Join(lines, "\n  "))
	_, _ = io.WriteString(w, text)
	if remedy != "" {
		fmt.Fprintf(w, "  try: %s\n", oneLine(remedy))
	}
}

// packagePrefixes are what our packages begin their errors with. Somebody at a
// shell has no use for them.
var packagePrefixes = regexp.MustCompile(`(^|\n|: )(?:(?:wsdl|gen|admin|authclient|authn|client|config|directory|gateway|ldap|listen|oidc|password|provision|publish|store): )+`)

func withoutPackages(s string) string { return packagePrefixes.ReplaceAllString(s, "$1") }

// oneLine is a text that a peer may have had a hand in, without what would
// steer the terminal or begin another line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
