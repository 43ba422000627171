package testenv

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Corpus returns the ids and main files of the descriptions that others wrote,
// kept in dir beside the repository, in the order of its manifest. Without them
// the test is skipped.
func Corpus(tb testing.TB, dir string) (ids, files []string) {
	tb.Helper()
	f, err := os.Open(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		tb.Skip("no corpus of descriptions beside the repository")
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		c := strings.Split(sc.Text(), "\t")
		if len(c) > 3 && c[0] != "id" {
			ids = append(ids, c[0])
			files = append(files, filepath.Join(dir, "wsdl", c[0], filepath.FromSlash(c[3])))
		}
	}
	return ids, files
}
