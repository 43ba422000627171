package winbind

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	maxLine   = 4096            // of what a helper writes
	waitDelay = 1 * time.Second // for what a helper left behind to let go of its pipes
	maxNotes  = 1024            // of what a program writes to standard error
)

var (
	errTimeout = errors.New("no answer in time")

	// errUnsent marks an error after which the helper has not got the request.
	errUnsent = errors.New("request not delivered")
)

// A process is a helper, for one goroutine at a time.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	pipe  io.ReadCloser
	out   *bufio.Reader
	notes *bounded // standard error
}

// start starts ntlm_auth as a helper.
func (v *Verifier) start(protocol string) (*process, error) {
	c := command(v.Command, "ntlm_auth")
	cmd := exec.Command(c[0], append(c[1:len(c):len(c)], "--helper-protocol="+protocol)...)
	cmd.Env = v.Env
	cmd.WaitDelay = waitDelay
	p := &process{cmd: cmd, notes: &bounded{limit: maxNotes}}
	cmd.Stderr = p.notes
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.pipe, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(p.pipe, maxLine)
	if err := cmd.Start(); err != nil {
		return nil, startError(err)
	}
	return p, nil
}

// startError is why a program could not be started, with the remedy.
func startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; install Samba's winbind, or say where it is", err)
	}
	return err
}

// use runs f, which talks to the process, for no longer than d, nor after closed
// was closed. Unless the error is nil, nothing is left to do but to stop the
// process.
func (p *process) use(d time.Duration, closed <-chan struct{}, f func() error) error {
	var interrupted error
	finished, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-finished:
			return
		case <-timer.C:
			interrupted = errTimeout
		case <-closed:
			interrupted = errClosed
		}
		// That ends f, even if something inherited the other ends.
		_ = p.in.Close()
		_ = p.pipe.Close()
	}()
	err := f()
	close(finished)
	<-watched
	if interrupted != nil {
		return interrupted
	}
	return err
}

// stop ends the process and waits for that.
func (p *process) stop() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed
}

func (p *process) send(text string) error {
	if _, err := io.WriteString(p.in, text); err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	return nil
}

// line reads a line.
func (p *process) line() (string, error) {
	b, err := p.out.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("ntlm_auth wrote a line of more than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return "", errors.New("ntlm_auth ended")
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// explain adds to err what the process wrote to standard error. It ends the
// process, for only then is that complete.
func (p *process) explain(err error) error {
	p.stop()
	if notes := p.notes.String(); notes != "" {
		return fmt.Errorf("%w: it says %q", err, notes)
	}
	return err
}

// bounded keeps the beginning of what is written to it. It is safe for
// concurrent use.
type bounded struct {
	limit int
	// strict makes too much an error, which ends the program that writes.
	strict bool

	mu sync.Mutex
	b  []byte
}

var errTooMuch = errors.New("too much output")

func (w *bounded) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.limit - len(w.b)
	if len(b) > room && w.strict {
		return 0, errTooMuch
	}
	w.b = append(w.b, b[:min(room, len(b))]...)
	return len(b), nil
}

func (w *bounded) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(string(w.b))
}
