package wsdl

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// corpus returns id -> main file of the descriptions kept beside the
// repository, or skips.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	dir := filepath.Join("..", "..", "shared", "wsdl")
	f, err := os.Open(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		t.Skip("no corpus of descriptions beside the repository")
	}
	defer func() { _ = f.Close() }()
	m := map[string]string{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		c := strings.Split(sc.Text(), "\t")
		if len(c) > 3 && c[0] != "id" {
			m[c[0]] = filepath.Join(dir, "wsdl", c[0], filepath.FromSlash(c[3]))
		}
	}
	return m
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	ok, whole := 0, 0 // subtests run one after the other
	all := corpus(t)
	for id, file := range all {
		t.Run(id, func(t *testing.T) {
			start := time.Now()
			d, err := new(Resolver).Open(t.Context(), file)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if err != nil {
				if !strings.Contains(err.Error(), ":") {
					t.Errorf("error without position: %v", err)
				}
				t.Logf("does not load: %v", err)
				return
			}
			ok++
			if len(d.Dropped) == 0 {
				whole++
			}
			n := 0
			for _, b := range d.Bindings {
				n += len(b.Operations)
			}
			if n == 0 {
				t.Errorf("loaded, but no SOAP operations")
			}
		})
	}
	t.Logf("%d of %d load, %d with every operation", ok, len(all), whole)
	if ok < 75 || whole < 74 { // what is lost below this has been won before
		t.Errorf("%d of %d load, %d with every operation, expected more", ok, len(all), whole)
	}
}
