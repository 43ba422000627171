package terminal

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		width    int
		want     []string
	}{
		{"empty", "", 5, []string{""}},
		{"fits", "ab cd", 5, []string{"ab cd"}},
		{"breaks at a space", "ab cde", 5, []string{"ab", "cde"}},
		{"long word", "abcdefgh ij", 3, []string{"abc", "def", "gh", "ij"}},
		{"long word after a short one", "a bcdefg", 3, []string{"a", "bcd", "efg"}},
		{"not ASCII", "äöü ß", 3, []string{"äöü", "ß"}},
		{"control characters", "a\x1b[31mb\nc\td\u009b", 20, []string{"a [31mb c d"}},
	}
	for _, tt := range tests {
		if got := Wrap(tt.in, tt.width); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	head := []string{"TIME", "OUTCOME", "FROM", "REASON"}
	rows := []Row{
		{Cells: []string{"2026-11-26 07:07:41", "refused", "192.0.2.7", strings.Repeat("word ", 30) + "\x1b[2J"}},
		{Cells: []string{"2026-11-26 07:07:42", "accepted", strings.Repeat("2001:db8:", 2), ""}},
	}
	for width, want := range map[int]string{
		120: "  TIME                 OUTCOME   FROM                REASON\n  2026-11-26 07:07:41  refused   192.0.2.7           word word",
		60:  "  2026-11-26 07:07:41 refused\n    FROM    192.0.2.7\n    REASON  word word",
	} {
		var b bytes.Buffer
		p := &Printer{W: &b, Style: Style{Width: width}}
		p.Records(2, head, rows)
		out := b.String()
		if !strings.HasPrefix(out, want) || strings.Count(out, "word") != 30 || strings.Contains(out, "\x1b") || strings.HasSuffix(out, "REASON\n") {
			t.Errorf("width %d:\n%s", width, out)
		}
		for l := range strings.Lines(out) {
			if n := utf8.RuneCountInString(l) - 1; n > width {
				t.Errorf("width %d: line of %d: %s", width, n, l)
			}
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	head := []string{"NAME", "KVNO", "TEXT"}
	rows := []Row{
		{Sign: "✓ ", Cells: []string{strings.Repeat("n", 90), "12", strings.Repeat("word ", 30)}},
		{Cells: []string{"short", "3", "x"}},
	}
	for _, width := range []int{0, 60, 80, 140} {
		for _, color := range []bool{false, true} {
			var b bytes.Buffer
			p := &Printer{W: &b, Style: Style{Width: width, Color: color}}
			p.Table(head, rows)
			p.Fact(12, "name", strings.Repeat("word ", 30))
			out := b.String()
			if p.Err != nil || strings.Contains(out, "\x1b[2mNAME\x1b[0m") != color || strings.Count(out, "word") != 60 || !strings.Contains(out, "✓ n") {
				t.Errorf("width %d, colour %v: %v\n%s", width, color, p.Err, out)
			}
			for l := range strings.Lines(out) {
				l = strings.NewReplacer("\x1b[2m", "", "\x1b[0m", "", "\n", "").Replace(l)
				if n := utf8.RuneCountInString(l); n > p.Columns() {
					t.Errorf("width %d: line of %d: %s", width, n, l)
				}
			}
		}
	}
}
