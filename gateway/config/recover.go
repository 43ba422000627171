package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// A Recovered is a change of several files that was interrupted, and is not any
// more.
type Recovered struct {
	Files    []string // that it was of
	Finished bool     // they are all as the change wanted them; if not, all as before
}

// Recover ends what Replace began, where that was interrupted: it finishes it if
// all new contents are there, and takes it back if no file was replaced. Otherwise
// somebody else changed something, and it is an error that says what to do; nothing
// is changed then. It returns nil if there is nothing to end. The gateway calls it
// before it reads its configuration; Load goes by the same rules and writes nothing.
func Recover(main string) (*Recovered, error) {
	p, err := readPending(main)
	if p == nil || err != nil {
		return nil, err
	}
	s, err := p.look()
	if err != nil {
		return nil, err
	}
	out := &Recovered{Finished: s.finish}
	for _, f := range p.files {
		out.Files = append(out.Files, f.path)
	}
	if s.finish {
		if failed := p.finish(); failed != nil {
			return nil, failed
		}
	}
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("config: removing %s: %w", Journal(main), err)
	}
	if !s.finish {
		p.clean()
	}
	return out, nil
}

// standing is how far pending changes are.
type standing struct {
	finish bool              // all new contents are there; if not, all old ones
	text   map[string][]byte // to finish: the contents by their files, nil for those that are removed
}

// look finds out what is to be done about pending changes.
func (p *pending) look() (*standing, error) {
	s := &standing{finish: true, text: make(map[string][]byte)}
	old, size := true, 0
	var wrong string // a file that has neither content, or none to come
	for i := range p.files {
		f := &p.files[i]
		// In this order: what is renamed meanwhile is found in one of the places.
		staged, err := p.contentAt(f.temp)
		if err != nil {
			return nil, err
		}
		now, err := p.contentAt(f.path)
		if err != nil {
			return nil, err
		}
		if !privateDir(filepath.Dir(f.path)) || f.New == "" && now != nil && !isPart(now) {
			return nil, p.notOurs(f)
		}
		f.staged = f.New != "" && hashOf(staged) == f.New
		isOld, isNew := hashOf(now) == f.Old, hashOf(now) == f.New
		f.done = isNew && !f.staged
		old = old && isOld
		switch {
		case isNew:
			s.text[f.path] = now
		case isOld && (f.staged || f.New == ""):
			s.text[f.path] = staged
		default:
			s.finish = false
			if wrong == "" || !isOld {
				wrong = f.path
			}
		}
		if size += len(s.text[f.path]); size > 2*maxSize {
			return nil, p.failf("its files are larger than %d KiB", maxSize>>10)
		}
	}
	if !s.finish && !old {
		return nil, p.failf("%s has changed since, or what was to be in it is gone", wrong)
	}
	return s, p.belong(s)
}

// contentAt reads a file that may not be there, or be called nothing. It is never
// nil for one that is there.
func (p *pending) contentAt(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case !info.Mode().IsRegular():
		return nil, p.failf("%s is not a regular file any more", path)
	}
	b, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if b == nil && err == nil {
		b = []byte{}
	}
	return b, err
}

// isPart reports whether a text could be of a configuration. No other file is ever
// removed, whatever a journal says and a main file includes.
func isPart(text []byte) bool {
	d := &decoder{files: []string{""}}
	root := d.document(text)
	if root == nil || root.Kind != yaml.MappingNode {
		return false
	}
	keys := make(map[string]reflect.Value)
	collect(reflect.ValueOf(new(Config)).Elem(), keys)
	for i := 0; i < len(root.Content); i += 2 {
		if !keys[root.Content[i].Value].IsValid() {
			return false
		}
	}
	return len(d.errs) == 0
}

// belong refuses a journal that would change other files than those of the
// configuration, as it is or as it shall be: whoever could write it shall not so
// change any of this machine.
func (p *pending) belong(s *standing) error {
	now, err := readConfig(p.main)
	main, ok := s.text[filepath.Clean(p.main)]
	switch {
	case s.finish && ok:
	case err != nil:
		return err
	default:
		main = now
	}
	patterns, err := includesOf(p.main, main)
	if err != nil {
		return err
	}
	if more, err := includesOf(p.main, now); err == nil { // else it includes nothing
		patterns = append(patterns, more...)
	}
	for i := range p.files {
		f := &p.files[i]
		fits := f.path == filepath.Clean(p.main)
		for _, pattern := range patterns {
			match, _ := filepath.Match(pattern, f.path)
			fits = fits || match || f.path == pattern
		}
		switch {
		case fits, f.done:
		case s.finish:
			return p.notOurs(f)
		default:
			f.staged = false // what is not ours to write is not ours to remove
		}
	}
	return nil
}

func (p *pending) notOurs(f *pendingFile) error {
	return p.failf("its journal is about %s, which is no file of the configuration", f.path)
}

// includesOf lists what a main file includes.
func includesOf(main string, text []byte) (patterns []string, err error) {
	d := &decoder{files: []string{main}}
	root := d.document(text)
	if root == nil {
		return nil, d.err()
	}
	if list := valueOf(root, "include"); list != nil && list.Kind == yaml.SequenceNode {
		for i, n := range list.Content {
			if n.Kind == yaml.ScalarNode && n.Value != "" {
				patterns = append(patterns, filepath.Clean(string(d.path(n, n.Value, index("include", i)))))
			}
		}
	}
	return patterns, d.err()
}

// A Reader reads the files of a configuration as they are, or, while a change of
// several of them is not finished, as they are before it or after it: all so or all
// so. It is for those who read texts, and is safe for concurrent use.
type Reader struct {
	pending *pending // nil: there is none
	standing
}

// NewReader makes a Reader for the configuration whose main file is given.
func NewReader(main string) (*Reader, error) {
	p, err := readPending(main)
	if p == nil || err != nil {
		return &Reader{}, err
	}
	s, err := p.look()
	if err != nil {
		return nil, err
	}
	return &Reader{p, *s}, nil
}

// ReadFile reads a file as Load does: not one that others than its owner and group
// can change, or that is too large.
func (r *Reader) ReadFile(path string) ([]byte, error) {
	if r.finish {
		text, ok := r.text[filepath.Clean(path)]
		switch {
		case ok && text == nil:
			return nil, fmt.Errorf("config: %w: %s", fs.ErrNotExist, path)
		case ok:
			return text, nil
		}
	}
	return readConfig(path)
}

// glob lists the files that a pattern fits.
func (r *Reader) glob(pattern string) ([]string, error) {
	found, err := Include(pattern).Find()
	if err != nil || !r.finish {
		return found, err
	}
	for path, text := range r.text {
		at := func(name string) bool { return filepath.Clean(name) == path }
		switch fits, err := filepath.Match(filepath.Clean(pattern), path); {
		case err != nil:
			return nil, err
		case !fits:
		case text == nil:
			found = slices.DeleteFunc(found, at)
		case !slices.ContainsFunc(found, at):
			found = append(found, path)
		}
	}
	slices.Sort(found) // as filepath.Glob does
	return found, nil
}

// A sight is what a Reader showed.
type sight struct {
	main  string
	r     *Reader
	files map[string][]byte // nil: it could not be read
	globs map[string][]string
}

func (s *sight) readFile(path string) ([]byte, error) {
	b, err := s.r.ReadFile(path)
	s.files[path] = b
	return b, err
}

func (s *sight) glob(pattern string) ([]string, error) {
	found, err := s.r.glob(pattern)
	s.globs[pattern] = found
	return found, err
}

// still reports whether it is what a new Reader shows: no change of several files
// came between.
func (s *sight) still() bool {
	r, err := NewReader(s.main)
	if err != nil || s.r == nil {
		return err != nil && s.r == nil
	}
	for path, was := range s.files {
		if now, err := r.ReadFile(path); err == nil != (was != nil) || !bytes.Equal(now, was) {
			return false
		}
	}
	for pattern, was := range s.globs {
		if now, err := r.glob(pattern); err == nil && !slices.Equal(now, was) {
			return false
		}
	}
	return true
}
