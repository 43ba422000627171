package demo

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/soapward/soapward/internal/terminal"
)

//go:embed messages
var messages embed.FS

// Command is something to paste into a shell.
type Command struct {
	Title  string `json:"title"`
	Script string `json:"script"` // lines of a POSIX shell
}

// Commands returns lines that call the services with curl. The files they use
// are in a folder of their own, readable by its owner only, which Close
// removes.
func (d *Demo) Commands() ([]Command, error) {
	dir, err := os.MkdirTemp("", "soapward-demo-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	d.closers = append(d.closers, func() error { return os.RemoveAll(dir) })
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"caller.xml", "expense.xml"} {
		b, err := messages.ReadFile("messages/" + name)
		if err == nil {
			err = os.WriteFile(in(name), b, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	if err := d.kdc.WriteKrb5Conf(in("krb5.conf")); err != nil {
		return nil, err
	}
	curl := func(login, message, url string) string {
		return `curl -sS --noproxy '*' -w '\n' ` + login + " -H 'Content-Type: text/xml' \\\n" +
			"  --data-binary @" + quote(in(message)) + " " + url + "\n"
	}
	const (
		ntlm     = `--ntlm -u '` + netbios + `\` + user + `:` + userPassword + `'`
		basic    = `--basic -u '` + user + `:` + userPassword + `'`
		kerberos = "--negotiate -u :"
	)
	return []Command{
		{"NTLM: whom does ledger see?", curl(ntlm, "caller.xml", d.ledgerURL)},
		{"Basic: whom does ledger see?", curl(basic, "caller.xml", d.ledgerURL)},
		{"NTLM, passed on by expenses: the double hop", curl(ntlm, "expense.xml", d.expensesURL)},
		{"NTLM, protocol transition: ledger sees the caller of expenses", curl(ntlm, "expense.xml", d.transitionURL)},
		{
			"Kerberos: a ticket for " + user + ", with kinit of MIT Kerberos (Debian: krb5-user)",
			"export KRB5_CONFIG=" + quote(in("krb5.conf")) + "\n" +
				"export KRB5CCNAME=FILE:" + quote(in("ccache")) + "\n" +
				"echo " + userPassword + " | kinit " + user + "\n",
		},
		{"Kerberos, in the same shell: whom does ledger see?", curl(kerberos, "caller.xml", d.ledgerURL)},
		{"Kerberos, in the same shell: ledger sees the caller of expenses", curl(kerberos, "expense.xml", d.expensesURL)},
	}, nil
}

// quote makes a path one word of a POSIX shell, and leaves one alone that is.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > '~' || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// comment makes a line that does nothing in any shell. Zsh takes "#" on the
// command line for a command unless it is told otherwise.
func comment(s string) string {
	return ": '" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// WriteCommands prints commands for people, as they are to be pasted.
func WriteCommands(w io.Writer, st Style, cs []Command) error {
	p := newPrinter(w, st)
	p.Line("KDC and services keep running. Lines for another terminal:")
	for _, c := range cs {
		p.Line("")
		p.Line(p.Paint(terminal.Dim, comment(c.Title)))
		for l := range strings.Lines(c.Script) {
			p.Line(strings.TrimSuffix(l, "\n"))
		}
	}
	p.Line("")
	p.Line("Ctrl-C ends the demo and removes its files.")
	return p.Err
}
