package soap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool keeps parts that are not read in the order in which they come: small
// ones in memory, the others in one temporary file for each message.
type spool struct {
	dir    string
	memory int64 // left
	max    int64 // of the file
	file   *os.File
	size   int64
	named  bool // the file could not be removed while it is open (Windows)
}

// kept is a part in a spool.
type kept struct {
	memory []byte
	file   *os.File
	off, n int64
}

func (k *kept) reader() io.Reader {
	if k.file == nil {
		return bytes.NewReader(k.memory)
	}
	return io.NewSectionReader(k.file, k.off, k.n)
}

// keep reads r to its end.
func (s *spool) keep(r io.Reader) (*kept, error) {
	var head bytes.Buffer
	if _, err := head.ReadFrom(io.LimitReader(r, s.memory+1)); err != nil {
		return nil, err
	}
	if n := int64(head.Len()); n <= s.memory {
		s.memory -= n
		return &kept{memory: bytes.Clone(head.Bytes()), n: n}, nil
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	left := s.max - s.size
	src := io.LimitReader(io.MultiReader(&head, r), left+1)
	n, err := io.Copy(&spoolWriter{s}, src)
	if err != nil {
		return nil, err
	}
	if n > left {
		return nil, overLimit(limitSpool, s.max)
	}
	return &kept{file: s.file, off: s.size - n, n: n}, nil
}

type spoolWriter struct{ *spool }

func (w *spoolWriter) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt(b, w.size)
	w.size += int64(n)
	if err != nil {
		return n, &spoolError{err}
	}
	return n, nil
}

// spoolError is trouble of our own: a full disk, a directory that is not there.
type spoolError struct{ err error }

func (e *spoolError) Error() string {
	return fmt.Sprintf("soap: keep an attachment in a temporary file (AttachmentLimits.Dir, Memory): %v", e.err)
}

func (e *spoolError) Unwrap() error { return e.err }

func (s *spool) open() error {
	if s.file != nil {
		return nil
	}
	f, err := os.CreateTemp(s.dir, "soapward-attachment-*")
	if err != nil {
		return &spoolError{err}
	}
	s.file = f
	s.named = os.Remove(f.Name()) != nil
	return nil
}

func (s *spool) close() error {
	s.memory = 0
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	s.file = nil
	return err
}
