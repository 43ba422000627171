package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Binary is content that need not fit into memory: what generated code uses
// for large xs:base64Binary elements and for attachments. The zero value is
// empty content.
//
// To send, make one of what there is:
//
//	wire.BytesBinary(b)            // in memory
//	wire.FileBinary("scan.pdf")    // opened when it is sent
//	wire.OpenerBinary(open, size)  // anything that can be opened again
//	wire.ReaderBinary(r, -1)       // a stream, which can be sent once
//
// A received one is read with WriteTo, SaveFile, Bytes or Open, once, and best
// in the order in which the message holds them: then nothing is stored on the
// way. At a server it can be read until the handler returns, or may be put into
// the answer. At a client it keeps the connection until it was read to its end
// or closed, or until the call's context ends: close what is not read.
//
// Copies share the content. Different Binaries of one message may be read by
// different goroutines, each by one at a time.
type Binary struct {
	// ContentType is the media type to send, such as image/png. Empty means
	// application/octet-stream. In a received Binary it is set if it is known
	// already; MediaType knows it in any case.
	ContentType string

	src Source
}

// A Source is what a Binary reads. Package soap has one for received parts;
// programs use OpenerBinary instead of implementing it.
//
// A Source that may be opened more than once is a Replayer as well, one that
// knows the media type a MediaTyper, and one that holds something until it is
// opened an io.Closer.
type Source interface {
	Open() (io.ReadCloser, error)

	// Size returns the number of bytes, -1 if it is not known yet.
	Size() (int64, error)
}

// A Replayer is a Source that says whether it may be opened more than once.
type Replayer interface{ Replayable() bool }

// A MediaTyper is a Source that knows the media type of its content.
type MediaTyper interface{ MediaType() (string, error) }

// Errors of reading a Binary.
var (
	// ErrBinaryRead means that the content is gone: it was read or closed, and
	// its source can be read once only.
	ErrBinaryRead = errors.New("wire: binary content was read already and cannot be read again; open it from bytes, a file or an opener to send it more than once")

	// ErrBinaryTooLong means that content is longer than the caller allows.
	ErrBinaryTooLong = errors.New("wire: binary content is too long")
)

// BytesBinary returns b as a Binary. b must not change while it is in use.
func BytesBinary(b []byte) Binary {
	if len(b) == 0 {
		return Binary{}
	}
	return Binary{src: bytesSource(b)}
}

// ReaderBinary returns what r will read as a Binary that can be sent once. size
// is its length, negative if it is not known. If r is an io.Closer it is closed
// when it has been read, or when the message is not sent.
//
// A login of several legs, such as NTLM, may need to send a request again. Use
// OpenerBinary or FileBinary where that can be.
func ReaderBinary(r io.Reader, size int64) Binary {
	return Binary{src: &readerSource{r: r, size: max(size, -1)}}
}

// OpenerBinary returns what open gives as a Binary. open is called for each
// time it is sent and must begin at the start. size is the length, negative if
// it is not known.
func OpenerBinary(open func() (io.ReadCloser, error), size int64) Binary {
	return Binary{src: &openerSource{open, max(size, -1)}}
}

// FileBinary returns the content of a file as a Binary. The file is opened
// when it is sent.
func FileBinary(path string) Binary { return Binary{src: fileSource(path)} }

// LinkBinary returns content that is somewhere else: what an element of type
// ref:swaRef holds if it names no attachment. It cannot be opened, and nothing
// fetches it.
func LinkBinary(uri string) Binary { return Binary{src: linkSource(uri)} }

// Link returns the URI of a LinkBinary, or false for content that is here.
func (b Binary) Link() (uri string, ok bool) {
	l, ok := b.src.(linkSource)
	return string(l), ok
}

// SourceBinary returns a Binary that reads src. Most programs use one of the
// functions above.
func SourceBinary(src Source) Binary { return Binary{src: src} }

// Open begins to read the content. The caller closes the result.
func (b Binary) Open() (io.ReadCloser, error) {
	if b.src == nil {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return b.src.Open()
}

// Size returns the number of bytes, -1 if it is not known.
func (b Binary) Size() (int64, error) {
	if b.src == nil {
		return 0, nil
	}
	return b.src.Size()
}

// MediaType returns ContentType, or what the part says that the content came in:
// empty if that says nothing. Like Open it may have to read up to the part.
func (b Binary) MediaType() (string, error) {
	if m, ok := b.src.(MediaTyper); ok && b.ContentType == "" {
		return m.MediaType()
	}
	return b.ContentType, nil
}

// IsZero reports whether b is the zero value but for its ContentType.
func (b Binary) IsZero() bool { return b.src == nil }

// Replayable reports whether the content can be read more than once.
func (b Binary) Replayable() bool {
	if b.src == nil {
		return true
	}
	r, ok := b.src.(Replayer)
	return ok && r.Replayable()
}

// Source returns what b reads, nil for the zero value. Programs need not call it.
func (b Binary) Source() Source { return b.src }

// Close gives up content that is not going to be read. It is harmless after
// reading, and for content that holds nothing.
func (b Binary) Close() error {
	if c, ok := b.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// WriteTo writes the content to w.
func (b Binary) WriteTo(w io.Writer) (n int64, err error) {
	r, err := b.Open()
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(w, r)
	return n, errors.Join(err, r.Close())
}

// Bytes returns the content, or ErrBinaryTooLong if it is longer than limit.
func (b Binary) Bytes(limit int64) ([]byte, error) {
	if s, ok := b.src.(bytesSource); ok && int64(len(s)) <= limit {
		return s, nil
	}
	n, err := b.Size()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBinaryTooLong, limit)
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var buf bytes.Buffer
	if n > 0 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(r, min(limit, math.MaxInt64-1)+1)); err != nil {
		return nil, err
	}
	if int64(buf.Len()) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBinaryTooLong, limit)
	}
	return buf.Bytes(), nil
}

// SaveFile writes the content to a file, which appears under its name once it
// is complete. A file of that name is replaced. Only the user may read it.
func (b Binary) SaveFile(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".soapward-*")
	if err != nil {
		return fmt.Errorf("wire: save binary: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("wire: save binary: %w", err)
			_ = os.Remove(f.Name())
		}
	}()
	_, err = b.WriteTo(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// UnmarshalWire implements Unmarshaler. The content may be base64 or stand in a
// part of its own.
func (b *Binary) UnmarshalWire(r *Reader) { *b = r.Binary() }

// MarshalWire implements Marshaler.
func (b *Binary) MarshalWire(w *Writer, name xml.Name) {
	w.Start(name)
	w.BinaryText(*b)
	w.End()
}

var (
	_ Marshaler   = (*Binary)(nil)
	_ Unmarshaler = (*Binary)(nil)
)

type bytesSource []byte

func (s bytesSource) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s)), nil }
func (s bytesSource) Size() (int64, error)         { return int64(len(s)), nil }
func (s bytesSource) Replayable() bool             { return true }

type openerSource struct {
	open func() (io.ReadCloser, error)
	size int64
}

func (s *openerSource) Open() (io.ReadCloser, error) { return s.open() }
func (s *openerSource) Size() (int64, error)         { return s.size, nil }
func (s *openerSource) Replayable() bool             { return true }

type fileSource string

func (s fileSource) Open() (io.ReadCloser, error) { return os.Open(string(s)) }
func (s fileSource) Replayable() bool             { return true }

func (s fileSource) Size() (int64, error) {
	i, err := os.Stat(string(s))
	switch {
	case err != nil:
		return 0, err
	case i.IsDir():
		return 0, &os.PathError{Op: "read", Path: string(s), Err: errors.New("is a directory")}
	case !i.Mode().IsRegular(): // a pipe has no size
		return -1, nil
	}
	return i.Size(), nil
}

type readerSource struct {
	r    io.Reader // nil once opened or closed
	size int64
}

func (s *readerSource) Size() (int64, error) { return s.size, nil }

func (s *readerSource) Open() (io.ReadCloser, error) {
	r := s.r
	if r == nil {
		return nil, ErrBinaryRead
	}
	s.r = nil
	if rc, ok := r.(io.ReadCloser); ok {
		return rc, nil
	}
	return io.NopCloser(r), nil
}

func (s *readerSource) Close() error {
	c, ok := s.r.(io.Closer)
	s.r = nil
	if ok {
		return c.Close()
	}
	return nil
}

// parseBase64 parses base64 with white space anywhere in it. XML Schema 2
// 3.2.16.
func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(stripBlanks(s))
	if err != nil {
		return nil, errors.New("not an xs:base64Binary")
	}
	return b, nil
}

// stripBlanks drops the white space that a base64 decoder does not skip by
// itself.
func stripBlanks(s string) string {
	at := 0
	for at < len(s) && s[at] != ' ' && s[at] != '\t' {
		at++
	}
	if at == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:at]...)
	for ; at < len(s); at++ {
		if c := s[at]; c != ' ' && c != '\t' {
			b = append(b, c)
		}
	}
	return string(b)
}

// linkSource is the URI of content that is not here.
type linkSource string

func (l linkSource) Open() (io.ReadCloser, error) {
	return nil, fmt.Errorf("wire: the content is not in the message, but at %q", string(l))
}

func (linkSource) Size() (int64, error) { return -1, nil }

func (linkSource) Replayable() bool { return true }
