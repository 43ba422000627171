package admin

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("x\n", 20)
	for _, tt := range []struct{ name, before, after, want string }{
		{"same", "a\nb\n", "a\nb\n", ""},
		{"one line", "a\nb\nc\n", "a\nB\nc\n", " 1/1 a|-2 b|+2 B| 3/3 c"},
		{"added", "a\n", "a\nb\n", " 1/1 a|+2 b"},
		{"removed", "a\nb\n", "b\n", "-1 a| 2/1 b"},
		{"all new", "", "a\n", "+1 a"},
		{"all gone", "a\n", "", "-1 a"},
		{"far from changes", many + "a\n" + many, many + "b\n" + many, " 18/18 x| 19/19 x| 20/20 x|-21 a|+21 b| 22/22 x| 23/23 x| 24/24 x"},
		{"no end", "a", "a\n", "-1 a (without an end of line)|+1 a"},
		{"moved", "a\nb\nc\nd\n", "b\nc\na\nd\n", "-1 a| 2/1 b| 3/2 c|+3 a| 4/4 d"},
	} {
		var got []string
		for _, l := range diff(tt.before, tt.after) {
			switch l.Op {
			case " ":
				got = append(got, fmt.Sprintf(" %d/%d %s", l.Old, l.New, l.Text))
			case "-":
				got = append(got, fmt.Sprintf("-%d %s", l.Old, l.Text))
			default:
				got = append(got, fmt.Sprintf("+%d %s", l.New, l.Text))
			}
		}
		if g := strings.Join(got, "|"); g != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, g, tt.want)
		}
	}
}

// What a difference says makes one text out of the other, and is as short as can
// be.
func TestEditsApply(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	random := func() []string {
		lines := make([]string, r.IntN(12))
		for i := range lines {
			lines[i] = string(rune('a' + r.IntN(4)))
		}
		return lines
	}
	for range 5000 {
		a, b := random(), random()
		var before, after []string
		changes := 0
		for _, l := range edits(a, b) {
			if l.Op != "+" {
				before = append(before, l.Text)
				if l.Old != len(before) {
					t.Fatalf("%v to %v: old line %d at %d", a, b, l.Old, len(before))
				}
			}
			if l.Op != "-" {
				after = append(after, l.Text)
				if l.New != len(after) {
					t.Fatalf("%v to %v: new line %d at %d", a, b, l.New, len(after))
				}
			}
			if l.Op != " " {
				changes++
			}
		}
		if strings.Join(before, "") != strings.Join(a, "") || strings.Join(after, "") != strings.Join(b, "") {
			t.Fatalf("%v to %v: got %v to %v", a, b, before, after)
		}
		if want := len(a) + len(b) - 2*common(a, b); changes != want {
			t.Fatalf("%v to %v: %d changes, want %d", a, b, changes, want)
		}
	}
	// Two that have nothing in common cost no more than their lines.
	long := func(s string) []string { return strings.Fields(strings.Repeat(s+" ", 50_000)) }
	if got := edits(long("a"), long("b")); len(got) != 100_000 {
		t.Errorf("%d lines", len(got))
	}
}

// common is the length of the longest common subsequence.
func common(a, b []string) int {
	t := make([][]int, len(a)+1)
	t[0] = make([]int, len(b)+1)
	for i := range a {
		t[i+1] = make([]int, len(b)+1)
		for j := range b {
			if a[i] == b[j] {
				t[i+1][j+1] = t[i][j] + 1
			} else {
				t[i+1][j+1] = max(t[i][j+1], t[i+1][j])
			}
		}
	}
	return t[len(a)][len(b)]
}
