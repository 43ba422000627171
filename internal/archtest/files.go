package archtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxLines is how long a file that somebody wrote may get. Half of it is worth
// a thought.
const maxLines = 1000

// conflict is what git leaves of a merge that somebody has to finish.
var conflict = regexp.MustCompile(`(?m)^(<{7} |>{7} )`)

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// loadFiles lists the files of the module in root: those that git tracks, or
// all of them where there is no repository.
func loadFiles(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
	}
	var names []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, p)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

// checkFile returns what is wrong with one file. workplace are directories of
// this machine that no file may mention.
func checkFile(name string, content []byte, workplace []string) []string {
	var bad []string
	if n := bytes.Count(content, []byte("\n")); n > maxLines && isWritten(name) && !generated.Match(content) {
		bad = append(bad, fmt.Sprintf("%s has %d lines, at most %d are allowed", name, n, maxLines))
	}
	if conflict.Match(content) {
		bad = append(bad, name+" has a merge conflict in it")
	}
	for _, dir := range workplace {
		if bytes.Contains(content, []byte(dir)) {
			bad = append(bad, fmt.Sprintf("%s names %s, a directory of this machine", name, dir))
		}
	}
	return bad
}

// isWritten reports whether people write files like this one, as opposed to
// test data and lists that programs keep.
func isWritten(name string) bool {
	if strings.Contains(name, "testdata/") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".py", ".sh", ".md", "":
		return true
	}
	return false
}

// ordinary directories hold checkouts and stand in documents as well.
var ordinary = []string{"/", "/tmp", "/root", "/home", "/src", "/usr/src", "/opt", "/srv", "/app", "/go/src"}

// workplace returns the directories that tell where the checkout in root is.
func workplace(root string) []string {
	dirs := []string{root + string(filepath.Separator)}
	if parent := filepath.Dir(root); !slices.Contains(ordinary, parent) && parent != filepath.Clean(os.TempDir()) {
		dirs = append(dirs, parent+string(filepath.Separator))
	}
	return dirs
}
