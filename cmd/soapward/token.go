package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/tokentext"
)

func newTokenCommand() *cobra.Command {
	var keytab string
	cmd := &cobra.Command{
		Use:   "token [flags] [TOKEN|-]",
		Short: "Say in words what is in a Negotiate, NTLM or Kerberos token",
		Long: `Say in words what is in a login token: the value of an Authorization or
WWW-Authenticate header, from a browser's developer tools, curl -v, Wireshark or
a log. It is given as an argument, or on standard input, which keeps it out of
the shell's history and of the list of processes.

Header names and schemes may be there or not, and text with several headers
gives several tokens. A token may be base64 (also broken into lines, for URLs, or
without padding), hexadecimal, or binary. Of a token that is damaged everything
before the damage is shown, then the offset and the reason.

With the service's keytab the ticket of a Kerberos login is opened: flags, times,
and the PAC with the SIDs of user and groups. If no key opens it, the text says
why. Nothing else is verified, and that a token can be read does not mean that
it would be accepted.

A token is a credential until it has expired: paste neither it nor a link to it
where others can read. The text printed is meant to be pasted into tickets: it
has names, SIDs and times, but of keys, challenges, responses and proofs only the
length, so nobody can try passwords on it, and of Basic only the user.

The exit code is 0 for a well-formed token, 1 for a damaged one or none, 2 for a
wrong command line.`,
		Example: `  soapward token 'Authorization: Negotiate YIIG...'
  curl -sv --negotiate -u : https://host.corp.test/ 2>&1 | soapward token
  soapward token --keytab app.keytab < header.txt
  soapward token --json - < header.txt | jq '.. | select(.name? == "sname").value'`,
		RunE: func(cmd *cobra.Command, args []string) error { return runToken(cmd, args, keytab) },
	}
	cmd.Flags().StringVar(&keytab, "keytab", "", "open tickets with the service's keys in `FILE`")
	return cmd
}

func runToken(cmd *cobra.Command, args []string, keytab string) error {
	var o tokentext.Options
	if keytab != "" {
		var err error
		if o.Keytab, err = kerberos.LoadKeytab(keytab); err != nil {
			return err
		}
	}
	input, err := tokenInput(cmd, args)
	if err != nil {
		return err
	}
	report, err := tokentext.Inspect(input, o)
	switch {
	case errors.Is(err, tokentext.ErrNoToken):
		return withRemedy(errors.New("no token in the input"), "soapward token 'Authorization: Negotiate YII...'")
	case err != nil:
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "warning: a token is a credential until it has expired; do not paste it in public places")
	if wantJSON(cmd) {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.WriteText(cmd.OutOrStdout())
	}
	if err == nil && report.Damaged {
		err = errors.New("the token is damaged, or is none: see the output")
		if _, e := os.Stat(strings.Join(args, " ")); e == nil {
			return withRemedy(err, "to read the token from a file: soapward token < FILE")
		}
		err = withRemedy(err, "compare the number of bytes with the source: logs, terminals and chats cut long lines off")
	}
	return err
}

// tokenInput returns the argument or, without one or if it is "-", standard
// input.
func tokenInput(cmd *cobra.Command, args []string) ([]byte, error) {
	if len(args) > 0 && !(len(args) == 1 && args[0] == "-") {
		return []byte(strings.Join(args, " ")), nil // a header without quotes
	}
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); ok && len(args) == 0 && term.IsTerminal(int(f.Fd())) {
		return nil, usagef(cmd, "no token given")
	}
	b, err := io.ReadAll(io.LimitReader(in, tokentext.MaxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return b, nil
}
