package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
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
interrupted is finished by running it again.`,
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
	if f.store != "" { // a mistake in it is told before the file is read
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
	total, err := checkCSV(cmd.Context(), file, filepath.Base(name), bar)
	if err != nil {
		return withRemedy(err, "mend the file; nothing was written")
	}
	var done store.Imported
	if !f.dryRun {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("%s cannot be read twice, as a pipe cannot: %w", name, err)
		}
		err = f.withStore(cmd, func(ctx context.Context, s *store.Store) (err error) {
			done, err = s.Import(ctx, f.users(store.ReadCSV(file, filepath.Base(name))), func(d store.Imported) {
				bar.show(share(d.Created+d.Existed, total))
			})
			if done.Created > 0 { // also what was interrupted
				err = errors.Join(err, recordImport(context.WithoutCancel(ctx), s, filepath.Base(name), done))
			}
			if err != nil {
				return withRemedy(fmt.Errorf("after %s: %w", count(done.Created+done.Existed, "user", "users"), err), "run it again: it goes on where it was")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	bar.clear()
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Users   int  `json:"users"`
			Created int  `json:"created"`
			Existed int  `json:"existed"`
			DryRun  bool `json:"dry_run"`
		}{total, done.Created, done.Existed, f.dryRun})
	}
	p := printer(cmd)
	if f.dryRun {
		p.Line(count(total, "user", "users") + " in the file, nothing wrong with it; nothing was written")
	} else {
		p.Line(count(done.Created, "user was added", "users were added") + ", " + count(done.Existed, "existed", "existed"))
	}
	return p.Err
}

// recordImport puts an import into the audit record. It is one change, whatever the
// number of its users, each of whom the file has.
func recordImport(ctx context.Context, s *store.Store, file string, done store.Imported) error {
	after, err := json.Marshal(struct {
		Created int `json:"created"`
		Existed int `json:"existed"`
	}{done.Created, done.Existed})
	if err != nil {
		return err
	}
	return s.Audited(ctx, &directory.Change{
		Ref: authn.Ref(ctx), Actor: admin.FromContext(ctx).Name, Action: "user.import", Target: file, After: string(after),
	}, func(context.Context) error { return nil })
}

// share is how far an import has come, with a bar of 20 characters.
func share(done, total int) string {
	part := float64(done) / float64(max(total, 1))
	full := min(int(part*20), 20)
	return fmt.Sprintf("[%s%s] %d of %d users, %.0f %%", strings.Repeat("#", full), strings.Repeat("-", 20-full), done, total, part*100)
}

// users are those of the file, in the realm.
func (f *importFlags) users(from iter.Seq2[store.CSVUser, error]) iter.Seq2[*directory.User, error] {
	return func(yield func(*directory.User, error) bool) {
		for u, err := range from {
			if err == nil && u.Realm == "" {
				u.Realm = f.newRealm
			}
			if !yield(u.User, err) {
				return
			}
		}
	}
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
