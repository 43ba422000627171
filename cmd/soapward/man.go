package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newManCommand makes the command that packages are built with. Nobody else
// needs it, so that it is not listed.
func newManCommand() *cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use:    "man DIR",
		Short:  "Write manual pages of all commands",
		Hidden: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "name one directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				return usagef(cmd, "--date takes a date such as 2026-11-26")
			}
			return writeManPages(cmd.Root(), args[0], date)
		},
	}
	cmd.Flags().StringVar(&date, "date", time.Now().UTC().Format(time.DateOnly), "`DATE` in the pages")
	return cmd
}

// writeManPages writes a page for each command that is listed.
func writeManPages(root *cobra.Command, dir, date string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return eachCommand(root, func(c *cobra.Command) error {
		return os.WriteFile(filepath.Join(dir, manName(c)+".1"), []byte(manPage(c, date)), 0o644)
	})
}

func eachCommand(c *cobra.Command, do func(*cobra.Command) error) error {
	if err := do(c); err != nil {
		return err
	}
	for _, sub := range listed(c) {
		if err := eachCommand(sub, do); err != nil {
			return err
		}
	}
	return nil
}

// listed are the commands below c that help lists.
func listed(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(s *cobra.Command) bool {
		return !s.IsAvailableCommand() || s.Name() == "completion"
	})
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes the page of one command in the macros of man(7).
func manPage(c *cobra.Command, date string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH %s 1 %s "soapward" "User Commands"`, strings.ToUpper(roff(manName(c))), date)
	line(".SH NAME")
	line(`%s \- %s`, roff(manName(c)), roff(lowerFirst(c.Short)))
	line(".SH SYNOPSIS")
	line(".B %s", roff(c.UseLine()))
	line(".SH DESCRIPTION")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	manText(&b, long)
	if subs := listed(c); len(subs) > 0 {
		line(".SH COMMANDS")
		for _, s := range subs {
			line(".TP\n.BR %s (1)\n%s", roff(manName(s)), roff(s.Short))
		}
	}
	line(".SH OPTIONS")
	manFlags(&b, c.LocalFlags().FlagUsages())
	manFlags(&b, c.InheritedFlags().FlagUsages())
	if c.Example != "" {
		line(".SH EXAMPLES\n.nf")
		for l := range strings.SplitSeq(c.Example, "\n") {
			line("%s", roffLine(strings.TrimPrefix(l, "  ")))
		}
		line(".fi")
	}
	line(".SH EXIT STATUS\n0 if it is done, 1 if it was refused or failed, 2 for a wrong command line.")
	line(".SH SEE ALSO")
	see := []string{"soapward.yaml (5)"}
	if c.HasParent() {
		see = append([]string{roff(manName(c.Parent())) + " (1)"}, see...)
	}
	for i, s := range see {
		end := " ,"
		if i == len(see)-1 {
			end = ""
		}
		line(".BR %s%s", s, end)
	}
	return b.String()
}

// manText writes paragraphs. Those that are indented stay as they are.
func manText(b *strings.Builder, text string) {
	first := true
	for par := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if !first {
			b.WriteString(".PP\n")
		}
		first = false
		plain := strings.HasPrefix(par, "  ")
		if plain {
			b.WriteString(".nf\n")
		}
		for l := range strings.SplitSeq(par, "\n") {
			b.WriteString(roffLine(l) + "\n")
		}
		if plain {
			b.WriteString(".fi\n")
		}
	}
}

// flagLine is one flag as its usage is printed: names, and after a gap the text.
var flagLine = regexp.MustCompile(`^\s+(-\S.*?)\s{3,}(.*)$`)

func manFlags(b *strings.Builder, usages string) {
	for l := range strings.SplitSeq(usages, "\n") {
		if m := flagLine.FindStringSubmatch(l); m != nil {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(m[1]), roffLine(m[2]))
		}
	}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`)

// roff writes text for the middle of a line.
func roff(s string) string { return roffEscapes.Replace(s) }

// roffLine writes a line that no macro may begin.
func roffLine(s string) string {
	s = roff(strings.TrimRight(s, " \t"))
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
