package admin

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/atomicfile"
)

// Bounds of a set, which are those of package config.
const (
	maxFiles     = 100
	maxSetSize   = 1 << 20
	maxSetLines  = 100_000 // each is many bytes of a difference
	maxPathBytes = 1024
)

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}

// inPlace reads the files that are read at the next reload. Where they are wrong,
// it is those that were read before.
func inPlace(r Running) (*ConfigSet, error) {
	c := r.Config()
	names := slices.Clone(c.Files)
	var many *config.Errors
	switch now, err := config.Load(r.File()); {
	case err == nil:
		names = now.Files
	case errors.As(err, &many):
		names = append(names, many.Files...)
	}
	unreadable := func(name string, err error) error {
		return &Error{Kind: Unavailable, Text: "a file cannot be read: " + strings.TrimPrefix(err.Error(), "config: "), Field: name, Err: err}
	}
	reader, err := config.NewReader(r.File())
	if err != nil {
		return nil, unreadable(config.Journal(r.File()), err)
	}
	set := new(ConfigSet)
	seen := map[string]bool{}
	for _, name := range append([]string{r.File()}, names...) {
		if seen[name] {
			continue
		}
		seen[name] = true
		text, err := reader.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && name != r.File() {
			continue
		}
		if err != nil {
			return nil, unreadable(name, err)
		}
		set.Files = append(set.Files, ConfigFile{Path: name, Text: string(text), Writable: notWritable(name) == nil})
	}
	set.Digest = digestOf(set.Files)
	return set, nil
}

// digestOf changes with names and texts of files.
func digestOf(files []ConfigFile) string {
	h := sha256.New()
	add := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	for _, f := range files {
		add(f.Path)
		add(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A plan is what is to be done to files.
type plan struct {
	main   string
	files  []ConfigFile      // as they shall be, the main one first
	before map[string]string // those in place
	remove []string          // files in place that an include would still find
}

// plan looks at the form of a set.
func (s *Service) plan(r Running, old *ConfigSet, set ConfigSet) (*plan, error) {
	p := &plan{main: r.File(), before: map[string]string{}}
	for _, f := range old.Files {
		p.before[f.Path] = f.Text
	}
	if len(set.Files) > maxFiles {
		return nil, invalid("files", "these are too many files", fmt.Sprintf("at most %d", maxFiles))
	}
	size, lines := 0, 0
	seen := map[string]bool{}
	for _, f := range set.Files {
		size, lines = size+len(f.Text), lines+strings.Count(f.Text, "\n")
		switch {
		case lines > maxSetLines:
			return nil, invalid("files", "the files together have too many lines", fmt.Sprintf("at most %d", maxSetLines))
		case size > maxSetSize:
			return nil, invalid("files", "the files together are too large", fmt.Sprintf("at most %d KiB", maxSetSize>>10))
		case seen[f.Path]:
			return nil, invalid(f.Path, clip(f.Path, maxPathBytes)+" is there twice", "")
		case !utf8.ValidString(f.Text) || strings.ContainsRune(f.Text, 0):
			return nil, invalid(f.Path, fmt.Sprintf("%q is no text", clip(f.Path, maxPathBytes)), "want UTF-8")
		}
		if _, known := p.before[f.Path]; !known && !goodName(f.Path) {
			return nil, invalid("files", fmt.Sprintf("%q is no name for a file of the configuration", clip(f.Path, 100)), "want the whole path, ending in .yaml or .yml")
		}
		seen[f.Path] = true
		p.files = append(p.files, ConfigFile{Path: f.Path, Text: f.Text})
	}
	if !seen[p.main] {
		return nil, invalid("files", "the main file is missing: "+p.main, "")
	}
	return p, nil
}

// goodName reports whether a new file may have a name.
func goodName(path string) bool {
	base := filepath.Base(path)
	return len(path) <= maxPathBytes && utf8.ValidString(path) && !strings.ContainsFunc(path, unicode.IsControl) &&
		filepath.Clean(path) == path && !strings.HasPrefix(base, ".") && !strings.ContainsAny(base, "*?[") &&
		(strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml"))
}

// parse reads the files as a reload would. Without whole it looks at nothing else.
func (p *plan) parse(whole bool) (*config.Config, error) {
	text := make(map[string][]byte, len(p.files))
	for _, f := range p.files {
		text[f.Path] = []byte(f.Text)
	}
	if whole {
		return config.ParseFiles(p.main, text)
	}
	return config.ParseTexts(p.main, text)
}

// allow refuses files that are not part of the configuration, and new ones
// elsewhere than where files of it are: who may change the configuration shall not
// so write other files of this machine.
func (p *plan) allow(r Running, old *ConfigSet, c *config.Config) error {
	for _, f := range p.files {
		if !slices.Contains(c.Files, f.Path) {
			return invalid(f.Path, "the file is not included by "+p.main, "")
		}
	}
	homes := map[string]bool{}
	home := func(dir string) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			homes[real] = true
		}
	}
	for _, f := range old.Files {
		home(filepath.Dir(f.Path))
	}
	for _, pattern := range r.Config().Include {
		home(filepath.Dir(string(pattern)))
	}
	for _, f := range p.files {
		if _, known := p.before[f.Path]; known {
			continue
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(f.Path))
		if err != nil || !homes[dir] {
			return invalid(f.Path, "a new file is made only where files of the configuration are, or where an include that is in force looks for them", "")
		}
		there, err := os.ReadFile(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && string(there) == f.Text:
			p.before[f.Path] = f.Text // it was part of the configuration once
		default:
			return invalid(f.Path, "there is a file of that name, which is not part of the configuration", "")
		}
	}
	return nil
}

// leaveOut finds the files in place that are not in the set and that c would read
// nevertheless, since a pattern fits them: they are to be removed.
func (p *plan) leaveOut(c *config.Config) error {
	for _, pattern := range c.Include {
		found, err := pattern.Find()
		if err != nil {
			return invalid(string(pattern), err.Error(), "")
		}
		for _, path := range found {
			if slices.ContainsFunc(p.files, func(f ConfigFile) bool { return f.Path == path }) || slices.Contains(p.remove, path) {
				continue
			}
			if _, known := p.before[path]; !known {
				return invalid(path, "the configuration would read this file, which is there and not part of it now: move it away first", "")
			}
			p.remove = append(p.remove, path)
		}
	}
	return nil
}

// changed are the files that are to be written.
func (p *plan) changed() (out []ConfigFile) {
	for _, f := range p.files {
		if before, known := p.before[f.Path]; !known || before != f.Text {
			out = append(out, f)
		}
	}
	return out
}

// diffs says how the files differ from those in place.
func (p *plan) diffs(old *ConfigSet) (out []FileDiff) {
	for _, f := range p.files {
		if lines := diff(p.before[f.Path], f.Text); len(lines) > 0 {
			out = append(out, FileDiff{f.Path, lines})
		}
	}
	for _, f := range old.Files {
		if !slices.ContainsFunc(p.files, func(n ConfigFile) bool { return n.Path == f.Path }) {
			out = append(out, FileDiff{f.Path, diff(f.Text, "")})
		}
	}
	return out
}

// writable refuses what this process cannot write, before it begins.
func (p *plan) writable() error {
	paths := slices.Clone(p.remove)
	for _, f := range p.changed() {
		paths = append(paths, f.Path)
	}
	if len(paths) > 1 {
		paths = append(paths, config.Journal(p.main))
	}
	for _, path := range paths {
		if err := notWritable(path); err != nil {
			dir := filepath.Dir(path)
			return &Error{
				Kind: Refused, Field: path, Text: "the gateway cannot write " + path + ": " + err.Error(), Err: err,
				Remedy: "give it the directory: ReadWritePaths=" + dir + " in the unit of systemd (systemctl edit soapward), and chgrp soapward and chmod g+w; or edit the file at the machine",
			}
		}
	}
	return nil
}

// notWritable says why a file cannot be replaced.
func notWritable(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is a link, and where that leads to somebody else writes")
	}
	dir := filepath.Dir(path)
	if err := atomicfile.CheckDir(dir); err != nil {
		return err
	}
	return canWrite(dir)
}

// write puts all files into their places, or none. undo puts those of before back.
func (p *plan) write() (undo func() error, err error) {
	var forth, back []config.Change
	add := func(path string, text []byte) {
		c := config.Change{Path: path, New: text}
		if before, was := p.before[path]; was {
			c.Old = []byte(before)
		}
		forth = append(forth, c)
		back = append(back, config.Change{Path: path, Old: c.New, New: c.Old})
	}
	for _, f := range p.changed() {
		add(f.Path, []byte(f.Text))
	}
	for _, path := range p.remove {
		add(path, nil)
	}
	if err := config.Replace(p.main, forth); err != nil {
		return nil, notWritten(err)
	}
	return func() error { return config.Replace(p.main, back) }, nil
}

func notWritten(err error) error {
	out := &Error{Kind: Unavailable, Text: "the files could not be written, and all is as it was", Err: err, Remedy: "look at the space that is left on the disk, and at the rights of the directory"}
	if e := new(config.ReplaceError); errors.As(err, &e) {
		out.Field, out.Text = e.File, "the file "+e.File+" could not be written, and all is as it was"
		if e.Stuck != nil {
			out.Text = "the file " + e.File + " could not be written, and the files of before could not be put back"
		}
		out.Text += ": " + clip(e.Err.Error(), maxText)
	}
	return out
}
