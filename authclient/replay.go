package authclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

// Replay says how bodies without GetBody are kept, since a login may have a
// request sent twice. It is for programs that pass on requests of others, whose
// bodies may be large.
//
// A body is sent as it comes where no login is in the way: on a connection that
// is logged in, and by a credential that shows all it has at once, such as a
// ticket, to a server that is known to take it. The first Memory bytes of it are
// kept meanwhile; if it is longer, and the server asks for a login all the same,
// the error is ErrBodyNotReplayable. Any other body is read to its end first,
// and one of more than Memory and Disk together is a *BodyTooLargeError.
type Replay struct {
	Memory int64  // bytes of a body in memory
	Disk   int64  // bytes of it, besides, in a temporary file that has no name
	Dir    string // of the file; empty means os.TempDir
}

// A BodyTooLargeError means that a login was needed for a request whose body is
// longer than may be kept.
type BodyTooLargeError struct {
	Limit int64 // bytes
}

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("authclient: request body is longer than the %d bytes that are kept for a login", e.Limit)
}

var errBodyReopened = errors.New("authclient: the body is being sent again")

// spool is a request's body as Replay keeps it. It is safe for concurrent use: a
// server may ask for a login while the connection is still reading the body.
type spool struct {
	replay *Replay
	source io.ReadCloser
	stop   func() bool // closing source when the request's context ends

	read  sync.Mutex // held while source is read
	ended error      // of source
	head  []byte     // what was read, up to Memory
	lost  atomic.Bool

	mu     sync.Mutex
	turn   int  // how many times it was opened
	closed int  // the last turn whose reader was closed
	over   bool // nobody opens it again

	file  *os.File // what follows head; nil: nothing
	size  int64    // of all; -1: not known
	users int      // of file
}

// newSpool prepares req's body. Unless it streams, it is read to its end now.
func newSpool(req *http.Request, replay *Replay, streams bool) (*spool, error) {
	s := &spool{replay: replay, source: req.Body, size: -1}
	// It ends a Read that waits.
	s.stop = context.AfterFunc(req.Context(), func() { _ = req.Body.Close() })
	if streams {
		return s, nil
	}
	err := s.fill()
	if !s.stop() {
		err = context.Cause(req.Context())
	}
	_ = req.Body.Close()
	if err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

// fill reads all of the body.
func (s *spool) fill() error {
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(s.source, s.replay.Memory))
	s.head, s.size = head.Bytes(), n
	if err != nil {
		return fmt.Errorf("authclient: read request body: %w", err)
	}
	if n < s.replay.Memory {
		return nil
	}
	var one [1]byte // so that a body which just fits makes no file
	switch _, err = io.ReadFull(s.source, one[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("authclient: read request body: %w", err)
	case s.replay.Disk <= 0:
		return &BodyTooLargeError{s.replay.Memory}
	}
	if s.file, err = unnamedFile(s.replay.Dir); err != nil {
		return fmt.Errorf("authclient: keep request body: %w", err)
	}
	s.users = 1
	rest := io.LimitReader(s.source, s.replay.Disk) // one byte more than may be
	w := &failing{w: s.file}
	n, err = io.Copy(w, io.MultiReader(bytes.NewReader(one[:]), rest))
	s.size += n
	switch {
	case w.err != nil:
		return fmt.Errorf("authclient: keep request body: %w", w.err)
	case err != nil:
		return fmt.Errorf("authclient: read request body: %w", err)
	case n > s.replay.Disk:
		return &BodyTooLargeError{s.replay.Memory + s.replay.Disk}
	}
	return nil
}

// failing remembers that the disk, and not the client, is to blame.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.err = err
	return n, err
}

// unnamedFile makes a file that nobody else can open and that is gone with the
// process.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "soapward-body-") // mode 0600
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // Windows does not, before it is closed
	return f, nil
}

// open returns the body from its beginning. A reader that was opened before
// ends.
func (s *spool) open() (io.ReadCloser, error) {
	if s.lost.Load() {
		return nil, ErrBodyNotReplayable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	if s.size < 0 {
		return &streamed{spool: s, turn: s.turn}, nil
	}
	r := io.Reader(bytes.NewReader(s.head))
	if s.file == nil {
		return io.NopCloser(r), nil
	}
	s.users++
	rest := io.NewSectionReader(s.file, 0, s.size-int64(len(s.head)))
	return &kept{Reader: io.MultiReader(r, rest), spool: s}, nil
}

// canOpen reports whether open would succeed.
func (s *spool) canOpen() bool { return !s.lost.Load() }

// close is called when nobody opens the body again. One that is being sent goes
// on.
func (s *spool) close() {
	if s.size >= 0 {
		s.drop()
		return
	}
	s.mu.Lock()
	s.over = true
	sent := s.closed == s.turn
	s.mu.Unlock()
	if sent {
		_ = s.end()
	}
}

// drop closes the file once nobody reads it.
func (s *spool) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // where it could not be done before
	}
}

// kept reads a body that was read to its end.
type kept struct {
	io.Reader
	spool *spool
	once  sync.Once
}

func (k *kept) Close() error {
	k.once.Do(k.spool.drop)
	return nil
}

// streamed reads a body as it comes.
type streamed struct {
	spool *spool
	turn  int
	at    int // in head
}

// Read implements io.Reader. What a reader gets that has ended meanwhile is kept
// for the next, which waits for it.
func (r *streamed) Read(p []byte) (int, error) {
	s := r.spool
	s.read.Lock()
	defer s.read.Unlock()
	s.mu.Lock()
	current := r.turn == s.turn
	s.mu.Unlock()
	if !current {
		return 0, errBodyReopened
	}
	if r.at < len(s.head) {
		n := copy(p, s.head[r.at:])
		r.at += n
		return n, nil
	}
	if s.ended != nil {
		return 0, s.ended
	}
	n, err := s.source.Read(p)
	s.ended = err
	switch {
	case s.lost.Load():
	case int64(len(s.head)+n) > s.replay.Memory:
		s.lost.Store(true)
		s.head = nil
	default:
		s.head = append(s.head, p[:n]...)
		r.at += n
	}
	return n, err
}

// Close implements io.Closer.
func (r *streamed) Close() error {
	s := r.spool
	s.mu.Lock()
	if r.turn > s.closed {
		s.closed = r.turn
	}
	last := s.closed == s.turn && (s.over || s.lost.Load())
	s.mu.Unlock()
	if last {
		return s.end()
	}
	return nil
}

// end closes the source.
func (s *spool) end() error {
	s.stop()
	return s.source.Close()
}
