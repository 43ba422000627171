package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// An importFile is a file of users, none of whose lines is wrong by itself.
type importFile struct {
	*os.File
	name  string
	realm string // of users whose line names none
	total int    // users
	bar   *progress
}

// users reads the file anew.
func (f *importFile) users() (iter.Seq2[store.CSVUser, error], error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s cannot be read twice, as a pipe cannot: %w", f.name, err)
	}
	return func(yield func(store.CSVUser, error) bool) {
		for u, err := range store.ReadCSV(f, f.name) {
			if err == nil && u.Realm == "" {
				u.Realm = f.realm
			}
			if !yield(u, err) {
				return
			}
		}
	}, nil
}

// Bounds of a part of an import. JSON makes of a text up to six times as much, and
// a gateway takes wire.MaxImport.
const (
	partUsers = admin.MaxImport / 2 // as many as the store writes in one transaction
	partBytes = 1 << 20
)

// An importPart is users who are sent together.
type importPart struct {
	users []admin.ImportUser
	lines []int
	bytes int // about
}

func (p *importPart) add(u store.CSVUser, bytes int) {
	p.users = append(p.users, admin.ImportUser{
		Name: u.Name, Realm: u.Realm, DisplayName: u.DisplayName, Email: u.Email, Phone: u.Phone, Roles: u.Roles, PasswordHash: u.Password.Secret,
	})
	p.lines = append(p.lines, u.Line)
	p.bytes += bytes
}

// sizeOf is how much text a user is.
func sizeOf(u *directory.User) int {
	n := len(u.Name) + len(u.Realm) + len(u.DisplayName) + len(u.Email) + len(u.Phone) + len(u.Password.Reveal())
	for _, r := range u.Roles {
		n += len(r) + 1
	}
	return n
}

// parts calls do with the users of the file, a part at a time.
func (f *importFile) parts(do func(*importPart) error) error {
	users, err := f.users()
	if err != nil {
		return err
	}
	part := &importPart{}
	for u, err := range users {
		if err != nil {
			return err
		}
		n := sizeOf(u.User)
		if len(part.users) == partUsers || len(part.users) > 0 && part.bytes+n > partBytes {
			if err := do(part); err != nil {
				return err
			}
			part = &importPart{}
		}
		part.add(u, n)
	}
	if len(part.users) == 0 {
		return nil
	}
	return do(part)
}

// check has all users of the file checked by the rules of where they are to be,
// before any is written.
func (f *importFile) check(ctx context.Context, a areas) error {
	checked := 0
	return f.parts(func(p *importPart) error {
		if _, err := a.ImportUsers(ctx, admin.UserImport{Source: f.name, Users: p.users, DryRun: true}); err != nil {
			return f.atLine(p, err)
		}
		checked += len(p.users)
		f.bar.show(fmt.Sprintf("checked %d of %d users", checked, f.total))
		return nil
	})
}

// atLine says at which line of the file it is what an area says of a user.
func (f *importFile) atLine(p *importPart, err error) error {
	var e *admin.Error
	var i int
	if !errors.As(err, &e) {
		return err
	}
	if n, _ := fmt.Sscanf(e.Field, "users[%d]", &i); n != 1 || i < 0 || i >= len(p.lines) {
		return err
	}
	remedy := "mend the file; nothing was written"
	if e.Remedy != "" {
		remedy = e.Remedy + "; nothing was written"
	}
	return withRemedy(fmt.Errorf("%s:%d: %w", f.name, p.lines[i], err), remedy)
}

// send adds the users at a gateway.
func (f *importFile) send(ctx context.Context, a areas) (done admin.Imported, err error) {
	err = f.parts(func(p *importPart) error {
		part, err := a.ImportUsers(ctx, admin.UserImport{Source: f.name, Users: p.users})
		if err != nil {
			return interruptedImport(done, err)
		}
		done.Created, done.Existed = done.Created+part.Created, done.Existed+part.Existed
		f.bar.show(share(done.Created+done.Existed, f.total))
		return nil
	})
	return done, err
}

// write adds the users to a store, as many as there are.
func (f *importFile) write(ctx context.Context, s *store.Store) (admin.Imported, error) {
	users, err := f.users()
	if err != nil {
		return admin.Imported{}, err
	}
	written, err := s.Import(ctx, func(yield func(*directory.User, error) bool) {
		for u, err := range users {
			if !yield(u.User, err) {
				return
			}
		}
	}, func(d store.Imported) { f.bar.show(share(d.Created+d.Existed, f.total)) })
	done := admin.Imported{Created: written.Created, Existed: written.Existed}
	if done.Created > 0 { // also what was interrupted
		err = errors.Join(err, recordImport(context.WithoutCancel(ctx), s, f.name, done))
	}
	if err != nil {
		return done, interruptedImport(done, err)
	}
	return done, nil
}

// interruptedImport is the error of an import that did not come to its end.
func interruptedImport(done admin.Imported, err error) error {
	err = fmt.Errorf("after %s: %w", count(done.Created+done.Existed, "user", "users"), forReader(err))
	var told *remedyError
	if errors.As(err, &told) {
		return err
	}
	return withRemedy(err, "run it again: it goes on where it was")
}

// recordImport puts an import into the audit record. It is one change, whatever the
// number of its users, each of whom the file has.
func recordImport(ctx context.Context, s *store.Store, file string, done admin.Imported) error {
	after, err := json.Marshal(done)
	if err != nil {
		return err
	}
	return s.Audited(ctx, &directory.Change{
		Ref: authn.Ref(ctx), Actor: admin.FromContext(ctx).Name, Action: "user.import", Target: file, After: string(after),
	}, func(context.Context) error { return nil })
}

// share is how far an import has come, with a bar of 20 characters.
func share(done, total int) string {
	full, percent := portion(done, total, 20), 100*float64(done)/float64(max(total, 1))
	return fmt.Sprintf("[%s%s] %d of %d users, %.0f %%", strings.Repeat("#", full), strings.Repeat("-", 20-full), done, total, percent)
}
