package admin

import (
	"slices"
	"strings"
)

// How much of a difference is looked for, and shown.
const (
	maxEdits   = 1000 // beyond it all lines between the first and the last that differ are shown as changed
	diffAround = 3    // lines that are the same, around those that differ
)

// linesOf splits a text. That the last line has no end makes it another line.
func linesOf(text string) []string {
	lines := slices.Collect(strings.Lines(text))
	for i, l := range lines {
		if cut, ok := strings.CutSuffix(l, "\n"); ok {
			lines[i] = strings.TrimSuffix(cut, "\r")
			continue
		}
		lines[i] = l + " (without an end of line)"
	}
	return lines
}

// diff returns the lines in which two texts differ, with some around them, and
// none if they are the same.
func diff(before, after string) []DiffLine {
	if before == after {
		return nil
	}
	a, b := linesOf(before), linesOf(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	lines := make([]DiffLine, 0, len(b)+16)
	same := func(i, j int) { lines = append(lines, DiffLine{Op: " ", Old: i + 1, New: j + 1, Text: a[i]}) }
	for i := range head {
		same(i, i)
	}
	for _, l := range edits(a[head:len(a)-tail], b[head:len(b)-tail]) {
		if l.Old > 0 {
			l.Old += head
		}
		if l.New > 0 {
			l.New += head
		}
		lines = append(lines, l)
	}
	for k := range tail {
		same(len(a)-tail+k, len(b)-tail+k)
	}
	return around(lines)
}

// edits is the shortest way from a to b (E. Myers, An O(ND) Difference Algorithm
// and Its Variations, 1986, figure 2), or the one of leaving nothing.
func edits(a, b []string) []DiffLine {
	n, m := len(a), len(b)
	var trace [][]int32 // of each number of edits, how far each diagonal came; k stands at k+d
	v := []int32{0}     // of d = 0
	at := func(v []int32, d, k int) int {
		if k < -d || k > d {
			return -1
		}
		return int(v[k+d])
	}
	slide := func(x, k int) int {
		for x < n && x-k < m && a[x] == b[x-k] {
			x++
		}
		return x
	}
	v[0] = int32(slide(0, 0))
	trace = append(trace, v)
	for d := 0; at(v, d, n-m) < n; d++ {
		if d == maxEdits {
			return replaced(a, b)
		}
		next := make([]int32, 2*(d+1)+1)
		for k := -(d + 1); k <= d+1; k += 2 {
			down, right := at(v, d, k+1), at(v, d, k-1)+1
			if at(v, d, k-1) < 0 {
				right = -1
			}
			x := max(down, right)
			if x < 0 || x > n || x-k > m {
				next[k+d+1] = -1
				continue
			}
			next[k+d+1] = int32(slide(x, k))
		}
		for k := -d; k <= d; k += 2 { // diagonals of the other parity are not reached
			next[k+d+1] = -1
		}
		v = next
		trace = append(trace, v)
	}
	return walkBack(a, b, trace)
}

// walkBack goes along the way from its end.
func walkBack(a, b []string, trace [][]int32) []DiffLine {
	var out []DiffLine
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		k := x - y
		fromX, added := 0, false
		if d > 0 {
			before := trace[d-1]
			reach := func(k int) int {
				if i := k + d - 1; i >= 0 && i < len(before) {
					return int(before[i])
				}
				return -1
			}
			down, right := reach(k+1), reach(k-1)
			if right >= 0 {
				right++
			}
			added = down >= right
			fromX = max(down, right)
		}
		for x > fromX { // the same in both
			x, y = x-1, y-1
			out = append(out, DiffLine{Op: " ", Old: x + 1, New: y + 1, Text: a[x]})
		}
		switch {
		case d == 0:
		case added:
			y--
			out = append(out, DiffLine{Op: "+", New: y + 1, Text: b[y]})
		default:
			x--
			out = append(out, DiffLine{Op: "-", Old: x + 1, Text: a[x]})
		}
	}
	slices.Reverse(out)
	return out
}

func replaced(a, b []string) (out []DiffLine) {
	for i, l := range a {
		out = append(out, DiffLine{Op: "-", Old: i + 1, Text: l})
	}
	for i, l := range b {
		out = append(out, DiffLine{Op: "+", New: i + 1, Text: l})
	}
	return out
}

// around leaves out what is far from every change.
func around(lines []DiffLine) (out []DiffLine) {
	last := -diffAround - 1 // the change before
	next := 0               // at or after i
	for i := range lines {
		for next < len(lines) && (next < i || lines[next].Op == " ") {
			next++
		}
		if lines[i].Op != " " {
			last = i
		}
		if i-last <= diffAround || next < len(lines) && next-i <= diffAround {
			out = append(out, lines[i])
		}
	}
	return out
}
