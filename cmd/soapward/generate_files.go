package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/wsdl/gen"
)

// write brings a directory up to date and returns what was not: files that
// differ, and files of the previous run that are no longer made. It touches
// nothing that a previous run did not write. With check it changes nothing.
func write(dir string, files []gen.File, check bool) ([]string, error) {
	ours, err := previous(dir)
	if err != nil {
		return nil, err
	}
	changed := []string{}
	var todo []gen.File
	for _, f := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		switch {
		case err == nil && bytes.Equal(old, f.Data):
		case err == nil && !ours[f.Name] && f.Optional(): // theirs is better
		case err == nil && !ours[f.Name]:
			return nil, withRemedy(fmt.Errorf("%s is in the way: it was not generated", filepath.Join(dir, filepath.FromSlash(f.Name))),
				"move it, or choose another directory with -o DIR")
		case err == nil || errors.Is(err, fs.ErrNotExist):
			changed = append(changed, f.Name)
			todo = append(todo, f)
		default:
			return nil, err
		}
		delete(ours, f.Name)
	}
	for name := range ours {
		changed = append(changed, name)
	}
	slices.Sort(changed)
	if check {
		return changed, nil
	}
	for _, f := range todo {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, f.Data, 0o666); err != nil {
			return nil, err
		}
	}
	for name := range ours {
		old := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.Remove(old); err != nil {
			return nil, err
		}
		if path.Dir(name) != "." {
			_ = os.Remove(filepath.Dir(old)) // unless something is left in it
		}
	}
	return changed, nil
}

// previous returns the files that a previous run left in a directory: those
// with its mark, and the documents that they embed.
func previous(dir string) (map[string]bool, error) {
	ours := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := previousPart(dir, e.Name(), ours); err != nil {
				return nil, err
			}
			continue
		}
		ext := filepath.Ext(e.Name())
		if !e.Type().IsRegular() || ext != ".go" && ext != ".md" && ext != ".json" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if !gen.Written(e.Name(), b) {
			continue
		}
		ours[e.Name()] = true
		for line := range strings.Lines(string(b)) {
			doc, ok := strings.CutPrefix(strings.TrimSpace(line), "//go:embed ")
			if !ok || path.Dir(doc) != "schema" { // anything else is not from us
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(doc))); err == nil {
				ours[doc] = true
			}
		}
	}
	return ours, nil
}

// previousPart adds the files of a directory below that hold part of the
// package (--per-namespace).
func previousPart(dir, sub string, ours map[string]bool) error {
	names, err := filepath.Glob(filepath.Join(dir, sub, "*.gen.go"))
	if err != nil {
		return err
	}
	part := false
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		part = part || gen.IsPart(b)
	}
	for _, name := range names {
		if part {
			ours[sub+"/"+filepath.Base(name)] = true
		}
	}
	return nil
}

const clientFile = "client.gen.go"

// sameService refuses to replace a package in dir that was made of another
// service: its types would be gone without a word. One port type in common is
// enough to be the same.
func sameService(dir string, files []gen.File) error {
	old, err := os.ReadFile(filepath.Join(dir, clientFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !gen.Written(clientFile, old):
		return nil // write says that it is in the way
	}
	i := slices.IndexFunc(files, func(f gen.File) bool { return f.Name == clientFile })
	if i < 0 {
		return nil
	}
	before, now := portTypes(old), portTypes(files[i].Data)
	if len(before) == 0 || slices.ContainsFunc(now, func(p string) bool { return slices.Contains(before, p) }) {
		return nil
	}
	return withRemedy(fmt.Errorf("%s holds the package for %s, and this is %s", dir, strings.Join(before, " and "), strings.Join(now, " and ")),
		"choose another directory with -o DIR, or remove "+filepath.Join(dir, clientFile)+" if the package is to be replaced")
}

var operationOf = regexp.MustCompile(`(?m)^\t\tService: +("[^"\n]*"),$`)

// portTypes returns those that a client.gen.go calls, in its order.
func portTypes(client []byte) []string {
	var all []string
	for _, m := range operationOf.FindAllSubmatch(client, -1) {
		if p, err := strconv.Unquote(string(m[1])); err == nil && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
