package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/soapward/soapward/internal/atomicfile"
)

// A Change is what becomes of a file of a configuration.
type Change struct {
	Path string
	Old  []byte // what is in it; nil: there is none
	New  []byte // what shall be in it; nil: it is removed
}

// A ReplaceError is why files were not replaced.
type ReplaceError struct {
	File string // at which it failed
	Err  error

	// Stuck is why the files of before could not be put back. Nil means that all is
	// as it was.
	Stuck error
}

func (e *ReplaceError) Error() string {
	text := fmt.Sprintf("config: replacing %s: %v", e.File, e.Err)
	if e.Stuck != nil {
		text += fmt.Sprintf(", and the files of before were not put back: %v", e.Stuck)
	}
	return text
}

// Unwrap returns both causes.
func (e *ReplaceError) Unwrap() []error { return []error{e.Err, e.Stuck} }

// Replace makes changes to the files of the configuration whose main file is given:
// all, or none. That holds for several files after a crash as well: Load finds the
// old ones or the new ones, and Recover ends what was interrupted. An error is a
// *ReplaceError. It is for the gateway, which applies one configuration at a time;
// most programs write no configuration.
func Replace(main string, changes []Change) error { return replacement{main: main}.do(changes) }

// A replacement of one file is a rename. One of several has a journal with the
// hashes of old and new contents: the new contents are staged beside the files, the
// journal is written, files come into their places, the journal is removed. Each
// step is on the disk before the next, so that a journal means that all new
// contents are there, and no journal that nothing is left to do. The main file is
// the last: until then what it includes and what it shall include are both known,
// and that tells which files a journal may be about.
type replacement struct {
	main         string
	testOnlyStep func() // called after each step
}

func (r replacement) do(changes []Change) error {
	for _, c := range changes {
		if c.Old == nil && c.New == nil {
			return &ReplaceError{File: c.Path, Err: fs.ErrNotExist}
		}
	}
	switch len(changes) {
	case 0:
		return nil
	case 1:
		return single(changes[0])
	}
	for _, c := range append([]Change{{Path: r.main}}, changes...) {
		if dir := filepath.Dir(c.Path); !privateDir(dir) {
			return &ReplaceError{File: c.Path, Err: fmt.Errorf("others can make files in %s, and not replace those that are there: take that right away (chmod g-w,o-w), or the sticky bit (chmod -t)", dir)}
		}
	}
	switch p, err := readPending(r.main); {
	case err != nil:
		return &ReplaceError{File: Journal(r.main), Err: err}
	case p != nil:
		return &ReplaceError{File: Journal(r.main), Err: errors.New("a change that was interrupted is not finished yet")}
	}
	p, failed := r.run(changes, false)
	switch {
	case failed == nil:
		return nil
	case p == nil:
		return failed // before anything was replaced
	}
	back := make([]Change, len(changes))
	for i, c := range changes {
		back[i] = Change{Path: c.Path, Old: c.New, New: c.Old}
	}
	undo, again := r.run(back, true)
	if undo != nil {
		p.clean() // its journal is gone: another one took its place
	}
	if again != nil {
		failed.Stuck = again
	}
	return failed
}

// single makes one change.
func single(c Change) error {
	failed := func(err error) *ReplaceError { return &ReplaceError{File: c.Path, Err: err} }
	put := func() error { return removeIfThere(c.Path) }
	if c.New != nil {
		staged, err := atomicfile.Stage(c.Path, c.New)
		if err != nil {
			return failed(err)
		}
		put = staged.Commit
	}
	err := put()
	if err == nil {
		return nil
	}
	e := failed(err)
	// An error may be said of what has happened: the rename, but not that the disk has it.
	if c.Old != nil {
		e.Stuck = atomicfile.Write(c.Path, c.Old)
	} else {
		e.Stuck = removeIfThere(c.Path)
	}
	return e
}

func removeIfThere(path string) error {
	err := atomicfile.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// run makes several changes. p is nil if it did not begin: no file was replaced,
// and a journal that was there still is. undo says that there is one.
func (r replacement) run(changes []Change, undo bool) (p *pending, failed *ReplaceError) {
	p = &pending{main: r.main, testOnlyStep: r.testOnlyStep}
	isMain := func(c Change) bool { return filepath.Clean(c.Path) == filepath.Clean(r.main) }
	changes = slices.SortedStableFunc(slices.Values(changes), func(a, b Change) int {
		switch {
		case isMain(a) == isMain(b):
			return 0
		case isMain(a):
			return 1
		}
		return -1
	})
	fail := func(file string, err error) (*pending, *ReplaceError) {
		p.clean()
		return nil, &ReplaceError{File: file, Err: err}
	}
	for _, c := range changes {
		f := pendingFile{path: c.Path, Old: hashOf(c.Old), New: hashOf(c.New)}
		if c.New != nil {
			staged, err := atomicfile.Stage(c.Path, c.New)
			if err != nil {
				return fail(c.Path, err)
			}
			f.temp, f.staged = staged.Name(), true
		}
		p.files = append(p.files, f)
		p.stepped()
	}
	for _, f := range p.files { // or else the journal could outlive what it names
		if err := atomicfile.SyncDir(filepath.Dir(f.path)); err != nil {
			return fail(f.path, err)
		}
	}
	inPlace, err := p.write()
	if err != nil && inPlace && !undo {
		_ = atomicfile.Remove(Journal(r.main)) // if it stays, nothing of what it names is there
		inPlace = false
	}
	if err != nil && !inPlace {
		return fail(Journal(r.main), err)
	}
	p.stepped()
	if failed = p.finish(); failed == nil {
		_ = p.end() // if it stays, it says what is so, until Recover removes it
	}
	return p, failed
}
