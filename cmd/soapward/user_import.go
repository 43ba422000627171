package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

type importFlags struct {
	*userFlags
	newRealm string
	dryRun   bool
}

func newUserImportCommand(uf *userFlags) *cobra.Command {
	f := importFlags{userFlags: uf}
	cmd := &cobra.Command{
		Use:   "import FILE [flags]",
		Short: "Add users from a CSV file",
		Long: `Add users from a file of comma-separated values. The first line names the
columns, in any order: name, and any of display, email, phone, realm, roles
(separated by spaces) and password-hash (argon2id, as $argon2id$...).

The whole file is read before anything is written: if a line is wrong, nothing
is. Users who exist are left as they are and counted, so an import that was
interrupted is finished by running it again. At a gateway, users are sent 5,000
at a time; each such part is one change in the record.`,
		Example: `  soapward user import users.csv
  soapward user import --realm staff --dry-run users.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "want one FILE, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&f.newRealm, "realm", "", "`REALM` of users whose line names none")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "read the file and check it, and write nothing")
	return cmd
}

// mostProblems is how many lines that are wrong are told.
const mostProblems = 10

func (f *importFlags) run(cmd *cobra.Command, name string) error {
	remote, err := f.remote(cmd)
	if err != nil {
		return err
	}
	switch { // a mistake in where it is to be done is told before the file is read
	case remote:
		if _, err := f.client(cmd); err != nil {
			return err
		}
	case f.store != "":
		if _, err := f.given(cmd); err != nil {
			return err
		}
	}
	f.makes, f.realm = true, f.newRealm
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.clear()
	in := &importFile{File: file, name: filepath.Base(name), realm: f.newRealm, bar: bar}
	if in.total, err = checkCSV(cmd.Context(), file, in.name, bar); err != nil {
		return withRemedy(err, "mend the file; nothing was written")
	}
	var done admin.Imported
	switch {
	case remote:
		err = f.with(cmd, func(ctx context.Context, a areas) (err error) {
			if err = in.check(ctx, a); err == nil && !f.dryRun {
				done, err = in.send(ctx, a)
			}
			return err
		})
	case f.dryRun:
		if f.store == "" {
			err = f.checkHere(cmd, in)
		}
	default:
		err = f.withStore(cmd, func(ctx context.Context, s *store.Store) (err error) {
			if f.config != nil { // has rules
				if err := in.check(ctx, f.areasOf(s)); err != nil {
					return err
				}
			}
			done, err = in.write(ctx, s)
			return err
		})
	}
	if err != nil {
		return err
	}
	bar.clear()
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Users   int  `json:"users"`
			Created int  `json:"created"`
			Existed int  `json:"existed"`
			DryRun  bool `json:"dry_run"`
		}{in.total, done.Created, done.Existed, f.dryRun})
	}
	p := printer(cmd)
	if f.dryRun {
		p.Line(count(in.total, "user", "users") + " in the file, nothing wrong with it; nothing was written")
	} else {
		p.Line(count(done.Created, "user was added", "users were added") + ", " + count(done.Existed, "existed", "existed"))
	}
	return p.Err
}

// checkHere has a file checked by the rules of the configuration, as writing it would,
// and makes no store. Where nobody has named a configuration and there is none, the file
// is only read.
func (f *importFlags) checkHere(cmd *cobra.Command, in *importFile) error {
	if _, err := os.Stat(f.configFile); errors.Is(err, os.ErrNotExist) && !cmd.Flags().Changed("config") {
		return nil
	}
	if err := f.load(); err != nil {
		return err
	}
	return forReader(in.check(asOperator(cmd.Context()), f.areasOf(nil)))
}

// checkCSV reads a file to its end and returns how many users are in it. A name
// that is there twice is wrong as well.
func checkCSV(ctx context.Context, r io.Reader, file string, bar *progress) (n int, err error) {
	seen := map[string]int{} // the line
	var problems []error
	for u, err := range store.ReadCSV(r, file) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil && !u.Password.IsEmpty() {
			if bad := password.CheckHash(u.Password); bad != nil {
				err = fmt.Errorf("%s:%d: %s; leave it empty and set the password with soapward user passwd", file, u.Line, strings.TrimPrefix(bad.Error(), "password: "))
			}
		}
		if err == nil {
			if first, ok := seen[directory.FoldName(u.Name)]; ok {
				err = fmt.Errorf("%s:%d: %s is on line %d already", file, u.Line, u.Name, first)
			} else {
				seen[directory.FoldName(u.Name)] = u.Line
			}
		}
		if err != nil {
			if len(problems) == mostProblems {
				problems = append(problems, errors.New("and more"))
				break
			}
			problems = append(problems, err)
			continue
		}
		if n++; n%10_000 == 0 {
			bar.show(fmt.Sprintf("read %d users of %s", n, file))
		}
	}
	return n, errors.Join(problems...)
}
