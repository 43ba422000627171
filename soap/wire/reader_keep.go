package wire

import (
	"strings"
)

// Copies of short strings are cut from a common block.
const (
	copyBlock = 1024 // at most; less for a short message
	copyShort = 128
)

// Keep returns a copy of s that does not hold on to the message.
func (r *Reader) Keep(s string) string {
	if len(s) > copyShort {
		return strings.Clone(s)
	}
	from := r.room(len(s))
	r.copies.WriteString(s)
	return r.copies.String()[from:]
}

// keepScratch returns a copy of b, which was made in scratch.
func (r *Reader) keepScratch(b []byte) string {
	const most = 64 << 10
	if cap(b) <= most {
		r.scratch = b
	}
	if len(b) > copyShort {
		return string(b)
	}
	from := r.room(len(b))
	r.copies.Write(b)
	return r.copies.String()[from:]
}

// room makes room for n bytes in the block and returns where they will be. A
// Builder never moves what it has handed out as long as it need not grow.
func (r *Reader) room(n int) int {
	if r.copies.Cap()-r.copies.Len() < n {
		r.copies.Reset()
		r.copies.Grow(min(copyBlock, max(len(r.doc)/4, 64, n)))
	}
	return r.copies.Len()
}
