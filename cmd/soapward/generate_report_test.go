package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/terminal"
)

// A name of an operation was broken by a letter or two where the table only
// just fitted, so that it could not be copied.
func TestTableKeepsNames(t *testing.T) {
	t.Parallel()
	word := func(n int) string { return strings.Repeat("n", n-1) + "N" }
	for width := 60; width <= 140; width++ {
		for name := 8; name < 40; name++ {
			for _, last := range []string{"", strings.Repeat("about it ", 12), word(30)} {
				var b bytes.Buffer
				p := &terminal.Printer{W: &b, Style: terminal.Style{Width: width}}
				printRows(p, "about", []methodRow{{word(name), "in" + word(name), "out" + word(name+8), last, last}})
				found := false
				for l := range strings.Lines(b.String()) {
					for _, w := range strings.Fields(l) {
						found = found || w == word(name)
					}
					if n := utf8.RuneCountInString(l) - 1; n > width {
						t.Errorf("width %d: a line of %d", width, n)
					}
				}
				if !found || !strings.Contains(b.String(), "in"+word(name)) || !strings.Contains(b.String(), "out"+word(name+8)) {
					t.Fatalf("width %d: a name is broken:\n%s", width, &b)
				}
			}
		}
	}
}
