package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// progress is a line that says what is being done, on a terminal only.
type progress struct {
	w     io.Writer // nil: nowhere
	width int
	docs  int
	shown bool
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return &progress{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 1 {
		width = 80
	}
	return &progress{w: w, width: width}
}

// document says that one more document was read.
func (p *progress) document(uri string) {
	p.docs++
	p.show(fmt.Sprintf("read document %d: %s", p.docs, uri))
}

// show replaces the line.
func (p *progress) show(text string) {
	if p.w == nil {
		return
	}
	if r, most := []rune(text), max(p.width-5, 0); len(r) > most {
		text = string(r[:most])
	}
	p.shown = true
	fmt.Fprintf(p.w, "\r\x1b[K%s ...", oneLine(text)) // ECMA-48 8.3.41: erase in line
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// portion is how much of a width is done, from none of it to all: a server may make
// up the numbers.
func portion(done, total, width int) int {
	w := float64(width)
	return int(max(0, min(float64(done)*w/float64(max(total, 1)), w)))
}
