package soap

import (
	"bytes"
	"fmt"
	"io"
	"net/textproto"

	"github.com/soapward/soapward/soap/wire"
)

// multipartBuffer is what mime/multipart reads ahead.
const multipartBuffer = 8 << 10

// gate bounds what is read of a body, and how much of it may be the header of
// one part: mime/multipart itself allows some megabytes.
type gate struct {
	r         io.Reader
	left      int64
	over      error
	header    int // left for the header being read; negative outside of one
	headerMax int
	err       error // the limit that was met

	// mime/multipart takes a body that is cut inside a header for complete, so
	// the end is looked for here.
	last []byte // what the last boundary looks like
	tail []byte // of what was read
	end  bool   // last was there
}

func newGate(r io.Reader, boundary string, most int64, l AttachmentLimits) *gate {
	return &gate{
		r: r, left: most, over: overLimit(limitAttachments, l.Total),
		header: -1, headerMax: l.Header, last: []byte("--" + boundary + "--"),
	}
}

func (g *gate) Read(b []byte) (int, error) {
	switch {
	case g.err != nil:
		return 0, g.err
	case g.header == 0:
		g.err = overLimit(limitHeader, int64(g.headerMax))
		return 0, g.err
	}
	b = b[:min(int64(len(b)), g.left+1)]
	if g.header > 0 {
		b = b[:min(len(b), g.header)]
	}
	n, err := g.r.Read(b)
	g.left -= int64(n)
	if g.header > 0 {
		g.header -= n
	}
	if g.left < 0 {
		g.err = g.over
		return 0, g.err
	}
	g.look(b[:n])
	return n, err
}

// look looks for the last boundary.
func (g *gate) look(b []byte) {
	if g.end {
		return
	}
	keep := len(g.last) - 1
	g.tail = append(g.tail, b[:min(len(b), keep)]...)
	g.end = bytes.Contains(g.tail, g.last) || bytes.Contains(b, g.last)
	from := g.tail
	if len(b) > keep {
		from = b
	}
	g.tail = append(g.tail[:0], from[max(0, len(from)-keep):]...)
}

// bounded bounds a part.
type bounded struct {
	r         io.Reader
	left, max int64
	ended     bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, overLimit(limitPart, b.max)
	}
	b.ended = b.ended || err == io.EOF
	return n, err
}

// part is one part of a received message. It exists as soon as something
// refers to it. Its fields are guarded by the mutex of its Attachments.
type part struct {
	id     string
	name   string               // in the WSDL, if it is looked for by that
	header textproto.MIMEHeader // nil until it arrives
	stream *bounded             // on the connection
	kept   *kept                // all of it, or what was left when another part was wanted
	refs   int                  // who refers to it
	opened bool                 // the stream was: kept is not all
	gone   bool                 // nobody wants what is left of it
	read   bool                 // by one of the references
}

func (p *part) missing() error {
	if p.name != "" {
		return &ContentError{Msg: fmt.Sprintf("there is no attachment %q", p.name)}
	}
	return &ContentError{Msg: "a reference names no part"}
}

// partRef is one reference to a part: the source of a Binary.
type partRef struct {
	a    *Attachments
	p    *part
	done bool // read to its end, or closed
	open bool // was opened
}

var (
	_ wire.Source     = (*partRef)(nil)
	_ wire.Replayer   = (*partRef)(nil)
	_ wire.MediaTyper = (*partRef)(nil)
	_ io.Closer       = (*partRef)(nil)
)

// Size implements wire.Source.
func (f *partRef) Size() (int64, error) {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if p := f.p; p.kept != nil && !p.opened {
		return p.kept.n, nil
	}
	return -1, nil
}

// Replayable implements wire.Replayer.
func (f *partRef) Replayable() bool {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	return f.p.kept != nil && !f.p.opened
}

// MediaType implements wire.MediaTyper.
func (f *partRef) MediaType() (string, error) {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if err := f.a.find(f.p); err != nil {
		return "", err
	}
	return f.p.header.Get("Content-Type"), nil
}

// knownType returns the media type of a part that has arrived.
func (f *partRef) knownType() string {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	ct := f.p.header.Get("Content-Type")
	if checkMediaType(ct) != nil {
		return ""
	}
	return ct
}

// usable tells why the part cannot be read from its start.
func (f *partRef) usable() error {
	switch {
	case f.p.opened, f.p.gone:
		return wire.ErrBinaryRead
	case f.a.closed:
		return ErrAttachmentsClosed
	}
	return f.a.find(f.p)
}

// keep reads up to the part and stores it.
func (f *partRef) keep() error {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if err := f.usable(); err != nil {
		return err
	}
	return f.a.keep(f.p)
}

// Close implements io.Closer.
func (f *partRef) Close() error {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if !f.done && f.p.refs == 1 {
		f.p.gone = true
	}
	f.finish()
	return nil
}

// finish says that this reference wants nothing more, unless it is kept.
func (f *partRef) finish() {
	if f.done {
		return
	}
	f.done = true
	f.a.wanted--
	if f.p.refs--; f.p.refs == 0 && f.p.kept == nil {
		f.p.gone = true
	}
	f.a.settled()
}

// Open implements wire.Source.
func (f *partRef) Open() (io.ReadCloser, error) {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if err := f.usable(); err != nil {
		return nil, err
	}
	if f.p.refs > 1 { // each of them may be read
		if err := f.a.keep(f.p); err != nil {
			return nil, err
		}
	}
	if err := f.count(); err != nil {
		return nil, err
	}
	r := &partReader{partRef: f}
	if f.p.kept != nil {
		r.kept = f.p.kept.reader()
	} else {
		f.p.opened = true
	}
	return r, nil
}

// count counts what f is going to read, if another reference has read it: ten
// lines that refer to one part must not become a thousand files.
func (f *partRef) count() error {
	if f.open {
		return nil
	}
	f.open = true
	if !f.p.read || f.p.kept == nil {
		f.p.read = true
		return nil
	}
	if f.a.again += f.p.kept.n; f.a.again > f.a.lim.Total {
		return f.a.fail(overLimit(limitRepeated, f.a.lim.Total))
	}
	return nil
}

// partReader reads a part from where it is: the connection, or what was kept.
type partReader struct {
	*partRef
	kept   io.Reader
	closed bool
	ended  bool
}

// Read implements io.Reader.
func (r *partReader) Read(b []byte) (int, error) {
	a, p := r.a, r.p
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.ended:
		return 0, io.EOF
	case r.closed, p.gone && r.kept == nil && p.kept == nil:
		return 0, wire.ErrBinaryRead
	case a.closed:
		return 0, ErrAttachmentsClosed
	case r.kept == nil && p.kept != nil: // another part was asked for meanwhile
		r.kept = p.kept.reader()
	}
	var n int
	var err error
	if r.kept != nil {
		n, err = r.kept.Read(b)
	} else if err = a.err; err == nil {
		if n, err = p.stream.Read(b); err != nil && err != io.EOF {
			err = a.fail(partError(err))
		}
	}
	if err == io.EOF {
		r.ended = true
		r.finish()
	}
	return n, err
}

// Close implements io.Closer.
func (r *partReader) Close() error {
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	r.closed = true
	r.finish()
	return nil
}
