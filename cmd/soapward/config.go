package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/internal/terminal"
)

func newConfigCommand() *cobra.Command {
	f := &serverFlags{}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show, check and change the configuration of a gateway",
		Long: `Show, check and change the configuration of a gateway that runs. soapward check
is for files here, without a gateway.

FILE is a file here, or - for standard input, that is to take the place of one of
the gateway's: of the one at PATH there, or else of the one with the same name, or
else of the main one. What is not named stays as it is.`,
		Example: `  soapward config show > soapward.yaml
  soapward config diff soapward.yaml
  soapward config apply soapward.yaml --comment 'payroll moves'
  soapward config versions
  soapward config rollback 41`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	f.register(cmd)
	cmd.AddCommand(
		newConfigShowCommand(f), newConfigCheckCommand(f), newConfigDiffCommand(f), newConfigApplyCommand(f),
		newConfigVersionsCommand(f), newConfigRollBackCommand(f),
	)
	return cmd
}

// atServer makes what a command runs that works at a gateway.
func (f *serverFlags) atServer(do func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := f.client(cmd)
		if err != nil {
			return err
		}
		return forReader(do(cmd, c, args))
	}
}

func newConfigShowCommand(f *serverFlags) *cobra.Command {
	var id int64
	cmd := &cobra.Command{
		Use:   "show [PATH] [--version ID]",
		Short: "Print the configuration",
		Long: `Print the main file of the configuration, or the one at PATH. With --json all files
are printed, with the digest that config apply takes.`,
		Example: `  soapward config show
  soapward config show --version 41 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "one PATH at most")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, args []string) error {
			set := &admin.ConfigSet{}
			var err error
			if id != 0 {
				var v *admin.ConfigVersion
				if v, err = c.Version(cmd.Context(), id); err == nil {
					set.Files, set.Digest = v.Files, v.Digest
				}
				err = noVersion(err)
			} else {
				set, err = c.Files(cmd.Context())
			}
			if err != nil {
				return err
			}
			if wantJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), set)
			}
			if len(set.Files) == 0 {
				return errors.New("the gateway has no files")
			}
			file := &set.Files[0]
			if len(args) > 0 {
				if file, err = fileAt(set, args[0]); err != nil {
					return err
				}
			}
			if len(args) == 0 && len(set.Files) > 1 {
				fmt.Fprintf(cmd.ErrOrStderr(), "This is %s. There are also: %s\n", oneLine(file.Path), oneLine(strings.Join(paths(set)[1:], ", ")))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), visible(cmd, file.Text))
			return err
		}),
	}
	cmd.Flags().Int64Var(&id, "version", 0, "the version `ID` of config versions, in place of the one in force")
	return cmd
}

// visible is a text as it is, or, on a terminal, without what would steer it.
func visible(cmd *cobra.Command, text string) string {
	if !onScreen(cmd.OutOrStdout()) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	return strings.Join(lines, "\n")
}

func paths(set *admin.ConfigSet) (list []string) {
	for _, f := range set.Files {
		list = append(list, f.Path)
	}
	return list
}

// fileAt returns the file that a path, or the end of one, means.
func fileAt(set *admin.ConfigSet, path string) (*admin.ConfigFile, error) {
	var found *admin.ConfigFile
	for i := range set.Files {
		f := &set.Files[i]
		if f.Path == path {
			return f, nil
		}
		if base(f.Path) == path {
			if found != nil {
				return nil, withRemedy(fmt.Errorf("several files of the gateway are called %s", path), "name one with its path: "+strings.Join(paths(set), ", "))
			}
			found = f
		}
	}
	if found == nil {
		return nil, withRemedy(fmt.Errorf("the gateway has no file %s", path), "it has "+strings.Join(paths(set), ", "))
	}
	return found, nil
}

// base is the last part of a path of the gateway, whose system may be another.
func base(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

// maxConfigFile bounds a file that is sent to a gateway, in bytes.
const maxConfigFile = 1 << 20

// changed is the configuration of the gateway with files from here in their
// places.
func changed(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) (*admin.ConfigSet, error) {
	set, err := c.Files(ctx)
	if err != nil {
		return nil, err
	}
	if len(set.Files) == 0 {
		return nil, errors.New("the gateway has no files")
	}
	for _, arg := range args {
		path, name, placed := strings.Cut(arg, "=")
		if !placed {
			path, name = "", arg
		}
		text, err := readConfigFile(cmd, name)
		if err != nil {
			return nil, err
		}
		var file *admin.ConfigFile
		switch {
		case placed:
			if file, err = fileAt(set, path); err != nil {
				set.Files = append(set.Files, admin.ConfigFile{Path: path}) // a new one, if the gateway includes it
				file = &set.Files[len(set.Files)-1]
			}
		case name != "-":
			if file, err = fileAt(set, filepath.Base(name)); err == nil {
				break
			}
			fallthrough
		default:
			if len(args) > 1 {
				return nil, usagef(cmd, "which file of the gateway is %s for? Write PATH=%s, with one of %s", name, name, strings.Join(paths(set), ", "))
			}
			file = &set.Files[0]
		}
		file.Text = text
	}
	return set, nil
}

func readConfigFile(cmd *cobra.Command, name string) (string, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxConfigFile+1))
	if err == nil && len(b) > maxConfigFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxConfigFile)
	}
	return string(b), err
}

func newConfigCheckCommand(f *serverFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check [PATH=]FILE...",
		Short: "Say what would be wrong with a configuration",
		Long: `Have the gateway check a configuration, with all that it names there, and change
nothing. The exit code is 1 if something is wrong.`,
		Example: `  soapward config check soapward.yaml`,
		Args:    atLeastOne("FILE"),
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, args []string) error {
			_, check, err := checked(cmd, c, args)
			if err != nil {
				return err
			}
			if wantJSON(cmd) {
				err = printJSON(cmd.OutOrStdout(), check)
			} else {
				err = printConfigCheck(printer(cmd), check)
			}
			return errors.Join(err, wrongConfig(check))
		}),
	}
}

func checked(cmd *cobra.Command, c *client.Client, args []string) (*admin.ConfigSet, *admin.ConfigCheck, error) {
	set, err := changed(cmd.Context(), cmd, c, args)
	if err != nil {
		return nil, nil, err
	}
	check, err := c.CheckFiles(cmd.Context(), *set)
	return set, check, err
}

func wrongConfig(check *admin.ConfigCheck) error {
	if check.OK {
		return nil
	}
	return fmt.Errorf("the configuration is wrong: %s", count(len(check.Problems), "mistake", "mistakes"))
}

func printConfigCheck(p *terminal.Printer, check *admin.ConfigCheck) error {
	for _, m := range check.Problems {
		place := m.File
		if m.Line > 0 {
			place += ":" + strconv.Itoa(m.Line)
		}
		if m.Column > 0 {
			place += ":" + strconv.Itoa(m.Column)
		}
		p.Line(p.Paint(terminal.Red, "! ") + oneLine(strings.TrimPrefix(place+": "+m.Text, ": ")))
	}
	for _, w := range check.Warnings {
		p.Line(p.Paint(terminal.Yellow, "? ") + oneLine(w))
	}
	if check.OK {
		p.Line(count(len(check.Diff), "file differs", "files differ") + " from what is in place, and nothing is wrong")
	}
	return p.Err
}

func newConfigDiffCommand(f *serverFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "diff [PATH=]FILE...",
		Short:   "Show how files differ from the configuration of a gateway",
		Example: `  soapward config diff soapward.yaml`,
		Args:    atLeastOne("FILE"),
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, args []string) error {
			_, check, err := checked(cmd, c, args)
			if err != nil {
				return err
			}
			if wantJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), struct {
					Diff []admin.FileDiff `json:"diff"`
				}{append([]admin.FileDiff{}, check.Diff...)})
			}
			return printDiff(printer(cmd), check.Diff)
		}),
	}
}

func printDiff(p *terminal.Printer, diff []admin.FileDiff) error {
	if len(diff) == 0 {
		p.Line("no difference")
	}
	for _, f := range diff {
		p.Line(p.Paint(terminal.Bold, oneLine(f.Path)))
		last := 0
		for _, l := range f.Lines {
			if at := max(l.Old, l.New); last != 0 && at > last+1 {
				p.Line(p.Paint(terminal.Dim, "..."))
			}
			last = max(l.Old, l.New, last)
			color := map[string]string{"+": terminal.Green, "-": terminal.Red}[l.Op]
			p.Line(p.Paint(color, oneLine(l.Op+" "+l.Text)))
		}
	}
	return p.Err
}

func newConfigApplyCommand(f *serverFlags) *cobra.Command {
	var comment, digest string
	var force bool
	cmd := &cobra.Command{
		Use:   "apply [PATH=]FILE... [--comment TEXT] [--digest DIGEST] [--force]",
		Short: "Put files into force at a gateway",
		Long: `Write files at the gateway and put them into force, if nothing is wrong with them.
Otherwise all stays as it was. It is refused if the gateway may not write them.

DIGEST is that of the configuration that you changed, as config show --json has
it: with it, the change is refused if somebody else was faster.

A configuration that would keep you out, as an administrator, is refused without
--force.`,
		Example: `  soapward config apply soapward.yaml --comment 'payroll moves'
  soapward config apply /etc/soapward/conf.d/hr.yaml=hr.yaml`,
		Args: atLeastOne("FILE"),
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, args []string) error {
			set, check, err := checked(cmd, c, args)
			if err != nil {
				return err
			}
			if !check.OK {
				p := printer(cmd)
				p.W = cmd.ErrOrStderr()
				return errors.Join(printConfigCheck(p, check), wrongConfig(check))
			}
			if digest != "" {
				set.Digest = digest
			}
			set.Force = force
			v, err := c.ApplyFiles(cmd.Context(), *set, comment)
			return printVersion(cmd, v, "is in force", err)
		}),
	}
	cmd.Flags().StringVar(&comment, "comment", "", "what the change is for, for the record")
	cmd.Flags().BoolVar(&force, "force", false, "apply it although it keeps you out")
	cmd.Flags().StringVar(&digest, "digest", "", "refuse the change unless `DIGEST` is what is in place")
	return cmd
}

func printVersion(cmd *cobra.Command, v *admin.ConfigVersion, text string, err error) error {
	if err != nil {
		return err
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), v)
	}
	p := printer(cmd)
	p.Line(fmt.Sprintf("version %d %s", v.ID, text))
	return p.Err
}

// noVersion adds to an error of an area that there is no such version what the reader
// can do.
func noVersion(err error) error {
	if isKind(err, admin.NotFound) {
		return withRemedy(err, "soapward config versions")
	}
	return err
}

func newConfigVersionsCommand(f *serverFlags) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "versions",
		Short:   "List configurations that were in force, the newest first",
		Example: `  soapward config versions --limit 10`,
		Args:    noArgs,
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if limit < 1 || limit > mostOfPage {
				return usagef(cmd, "--limit takes a number from 1 to %d", mostOfPage)
			}
			list, err := c.Versions(cmd.Context(), 0, limit)
			if err != nil {
				return err
			}
			if wantJSON(cmd) {
				return printJSON(cmd.OutOrStdout(), struct {
					Versions []admin.ConfigVersion `json:"versions"`
				}{append([]admin.ConfigVersion{}, list...)})
			}
			p := printer(cmd)
			if len(list) == 0 {
				p.Line("no versions")
				return p.Err
			}
			p.Records(3, []string{"ID", "TIME", "BY", "NODE", "COMMENT"}, rowsOf(list, func(v *admin.ConfigVersion) []string {
				by := v.Actor
				if by == "" {
					by = "(by hand)"
				}
				return []string{strconv.FormatInt(v.ID, 10), localTime(v.Time), by, v.Node, v.Comment}
			}))
			return p.Err
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `N` versions")
	return cmd
}

func newConfigRollBackCommand(f *serverFlags) *cobra.Command {
	var comment string
	var force bool
	cmd := &cobra.Command{
		Use:   "rollback ID [--comment TEXT] [--force]",
		Short: "Put a configuration that was in force into force again",
		Long: `Write the files of a version that config versions lists, and put them into force.

A configuration that would keep you out, as an administrator, is refused without
--force.`,
		Example: `  soapward config rollback 41`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "want one ID of config versions, not %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: f.atServer(func(cmd *cobra.Command, c *client.Client, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef(cmd, "%q is no ID of a version", args[0])
			}
			v, err := c.RollBack(cmd.Context(), id, comment, force)
			return printVersion(cmd, v, "is in force, with the files of version "+args[0], noVersion(err))
		}),
	}
	cmd.Flags().StringVar(&comment, "comment", "", "what the change is for, for the record")
	cmd.Flags().BoolVar(&force, "force", false, "roll back although it keeps you out")
	return cmd
}
