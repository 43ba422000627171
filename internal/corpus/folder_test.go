package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// Who gives the wrong folder or pattern is told so.
func TestNothingToJudge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"there are no descriptions in " + dir + ": give make DIR=..., see docs/corpus.md": {dir},
		"no description matches ^goo$: -only is a regular expression":                     {"-only", "^goo$", folder(t)},
	} {
		code, err := run(t.Context(), append([]string{"-json", filepath.Join(dir, "r.json")}, args...), io.Discard, io.Discard)
		if code != 2 || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %d and %v, want %s", code, err, want)
		}
	}
}
