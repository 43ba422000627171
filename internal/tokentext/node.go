package tokentext

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Node is a named value of a token, with those it consists of. All text in it
// can be printed: it has no control characters and a bounded length.
type Node struct {
	Name     string  `json:"name"`              // as the specification calls it
	Value    string  `json:"value,omitempty"`   // in words or digits
	Note     string  `json:"note,omitempty"`    // what the value means
	Problem  string  `json:"problem,omitempty"` // what is wrong here, and at which offset
	Children []*Node `json:"children,omitempty"`
}

const (
	maxText = 1024 // runes of a value
	maxList = 128  // elements of a list
)

// add appends a value, whose text may come from the peer, and returns it.
func (n *Node) add(name, value string, note ...string) *Node {
	c := &Node{Name: name, Value: clean(value), Note: clean(strings.Join(note, "; "))}
	n.Children = append(n.Children, c)
	return c
}

// addf is add with a format.
func (n *Node) addf(name, format string, args ...any) *Node {
	return n.add(name, fmt.Sprintf(format, args...))
}

// group appends a node that has only children.
func (n *Node) group(name string, note ...string) *Node { return n.add(name, "", note...) }

// text appends a value if it is not empty.
func (n *Node) text(name, value string) {
	if value != "" {
		n.add(name, value)
	}
}

// bytes appends a value of which only the length is shown.
func (n *Node) bytes(name string, b []byte, note ...string) *Node {
	return n.add(name, byteCount(len(b)), note...)
}

// problem appends what is wrong.
func (n *Node) problem(format string, args ...any) {
	n.Children = append(n.Children, &Node{Name: "problem", Problem: clean(fmt.Sprintf(format, args...))})
}

// list appends a node for each element, up to maxList.
func list[T any](n *Node, elements []T, add func(*Node, T)) {
	for i, e := range elements {
		if i == maxList {
			n.addf("more", "%d", len(elements)-i)
			return
		}
		add(n, e)
	}
}

// intersect takes out of n what is not in other too.
func (n *Node) intersect(other *Node) {
	var kept []*Node
	rest := other.Children
	for _, c := range n.Children {
		i := slices.IndexFunc(rest, func(o *Node) bool {
			return o.Name == c.Name && o.Value == c.Value && o.Problem == c.Problem
		})
		if i < 0 {
			continue
		}
		if c.Note != rest[i].Note {
			c.Note = ""
		}
		c.intersect(rest[i])
		kept, rest = append(kept, c), rest[i+1:]
	}
	n.Children = kept
}

// damaged reports whether there is a problem in n or below.
func (n *Node) damaged() bool {
	if n.Problem != "" {
		return true
	}
	for _, c := range n.Children {
		if c.damaged() {
			return true
		}
	}
	return false
}

func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// clean is text that may come from a peer, fit for a terminal: what is not
// printable, such as control characters and those that turn the direction of
// writing round, is escaped as in Go, and what is too long is cut off.
func clean(s string) string {
	plain := len(s) <= maxText
	for _, r := range s {
		plain = plain && r != utf8.RuneError && unicode.IsPrint(r)
		if !plain {
			break
		}
	}
	if plain {
		return s
	}
	var out strings.Builder
	count := 0
	for i, r := range s {
		if count == maxText {
			fmt.Fprintf(&out, "… (%d bytes more)", len(s)-i)
			break
		}
		count++
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
