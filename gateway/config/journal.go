package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/soapward/soapward/internal/atomicfile"
)

// Bounds of a journal and of what it names.
const (
	maxJournal      = 1 << 20
	maxJournalFiles = 2 * maxFiles // a whole configuration in place of another one
	maxJournalPath  = 4096         // bytes, as PATH_MAX
)

// Journal is the file that says which changes of a configuration have begun, by the
// name of its main file. It is there for a moment only, unless they are interrupted.
func Journal(main string) string {
	return filepath.Join(filepath.Dir(main), "."+filepath.Base(main)+journalSuffix)
}

const journalSuffix = ".apply"

// pending are changes whose journal is, or will be, on the disk.
type pending struct {
	main         string
	files        []pendingFile
	testOnlyStep func() // called after each step
}

// A pendingFile is a change in a journal. Hashes are SHA-256, in hexadecimal.
type pendingFile struct {
	Path string `json:"path"`           // from the directory of the main file
	Temp string `json:"temp,omitempty"` // beside it, with the new content
	Old  string `json:"old,omitempty"`  // empty: there was none
	New  string `json:"new,omitempty"`  // empty: it is removed

	path, temp string
	staged     bool // temp has the new content
	done       bool // nothing is to be changed
}

type journalText struct {
	Files []pendingFile `json:"files"`
}

func hashOf(content []byte) string {
	if content == nil {
		return ""
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (p *pending) stepped() {
	if p.testOnlyStep != nil {
		p.testOnlyStep()
	}
}

// write brings the journal to the disk. Who may read the main file may read it: it
// has no more than names. After an error it may be in place all the same.
func (p *pending) write() (inPlace bool, err error) {
	text := journalText{Files: slices.Clone(p.files)}
	for i := range text.Files {
		f := &text.Files[i]
		f.Path = f.path
		if rel, err := filepath.Rel(filepath.Dir(p.main), f.path); err == nil {
			f.Path = rel // the next start may name the main file in another way
		}
		if f.temp != "" {
			f.Temp = filepath.Base(f.temp)
		}
	}
	b, err := json.Marshal(text)
	if err != nil {
		return false, err
	}
	journal, like := Journal(p.main), p.main
	if info, err := os.Lstat(like); err != nil || !info.Mode().IsRegular() {
		like = journal // a link has no mode of its own
	}
	if err := atomicfile.WriteLike(journal, like, b); err != nil {
		now, _ := os.ReadFile(journal)
		return bytes.Equal(now, b), err
	}
	return true, nil
}

// privateDir reports whether those who can make files in a directory could replace
// its files as well, so that no journal gives them more than they have.
func privateDir(dir string) bool {
	if atomicfile.CheckDir(dir) != nil {
		return false
	}
	info, err := os.Stat(dir)
	return err == nil && (info.Mode()&fs.ModeSticky == 0 || info.Mode().Perm()&0o020 == 0)
}

// readPending reads a journal. It is nil if there is none.
func readPending(main string) (*pending, error) {
	journal := Journal(main)
	info, err := os.Lstat(journal)
	if errors.Is(err, fs.ErrNotExist) || !privateDir(filepath.Dir(journal)) {
		return nil, nil // what is there is not ours
	}
	p := &pending{main: main}
	switch {
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case !info.Mode().IsRegular():
		return nil, p.failf("its journal is not a regular file")
	}
	b, err := readPrivate(journal, maxJournal, 0o002, 0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // it was finished just now
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: a configuration is being applied, or that was interrupted, and who cannot read this file cannot tell which one is in force: try it as the user of the gateway", err)
	case err != nil:
		return nil, err
	}
	var text journalText
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if dec.Decode(&text) != nil || !errors.Is(dec.Decode(&struct{}{}), io.EOF) || !p.take(text.Files) {
		return nil, p.failf("its journal cannot be understood")
	}
	return p, nil
}

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// take reports whether a journal is one of ours, by its form.
func (p *pending) take(files []pendingFile) bool {
	seen := make(map[string]bool)
	for _, f := range files {
		f.path = f.Path
		if !filepath.IsAbs(f.path) {
			f.path = filepath.Join(filepath.Dir(p.main), f.path)
		}
		f.path = filepath.Clean(f.path)
		var staged string
		if f.Temp != "" {
			f.temp = filepath.Join(filepath.Dir(f.path), f.Temp)
			staged, _ = atomicfile.StagedFor(f.temp)
		}
		switch {
		case len(f.Path) > maxJournalPath || strings.ContainsRune(f.Path, 0):
			return false
		case f.Path == "" || seen[f.path] || f.Old == "" && f.New == "" || (f.New == "") != (f.Temp == ""):
			return false
		case f.Old != "" && !hexHash.MatchString(f.Old), f.New != "" && !hexHash.MatchString(f.New):
			return false
		case f.Temp != "" && (f.Temp != filepath.Base(f.Temp) || staged != f.path):
			return false
		}
		seen[f.path] = true
		p.files = append(p.files, f)
	}
	return len(p.files) > 0 && len(p.files) <= maxJournalFiles
}

func (p *pending) failf(format string, args ...any) error {
	return fmt.Errorf("config: applying a configuration was interrupted, and %s, so that it is neither finished nor taken back: see that the files are as they should be, and remove %s",
		fmt.Sprintf(format, args...), Journal(p.main))
}

// finish puts files into their places.
func (p *pending) finish() *ReplaceError {
	for _, f := range p.files {
		var err error
		switch {
		case f.New == "":
			err = removeIfThere(f.path)
		case f.staged:
			if err = atomicfile.Rename(f.temp, f.path); errors.Is(err, fs.ErrNotExist) && p.inPlace(&f) {
				err = nil // another gateway with these files took it for interrupted, and ended it
			}
		}
		if err != nil {
			return &ReplaceError{File: f.path, Err: err}
		}
		p.stepped()
	}
	return nil
}

// inPlace reports whether a file has its new content.
func (p *pending) inPlace(f *pendingFile) bool {
	now, err := p.contentAt(f.path)
	return err == nil && hashOf(now) == f.New
}

// end removes the journal.
func (p *pending) end() error {
	err := removeIfThere(Journal(p.main))
	p.stepped()
	return err
}

// clean removes what was staged.
func (p *pending) clean() {
	for _, f := range p.files {
		if f.staged {
			_ = os.Remove(f.temp)
		}
	}
}
