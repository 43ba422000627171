package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"
)

// A Process is a running child, in a process group of its own where the system
// has them. It ends with the test process at the latest, even when that is
// killed: on Linux the kernel sends it SIGKILL then, and its standard input, if
// it reads that, reaches its end. It is safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed after the child was waited for
	err   error         // of Wait; valid after done
}

// StartProcess starts cmd, whose Stdin and SysProcAttr must not be set.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("testenv: start %s: %w", cmd.Path, err)
	}
	bindToParent(cmd)
	p := &Process{cmd: cmd, stdin: stdin, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal of prctl(2) is bound to the thread that forked, so
		// that thread stays here until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("testenv: start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID returns the process id, which is that of the group as well.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the child and all of its group and returns when they are gone. It
// asks them first, and kills what is left after some seconds.
func (p *Process) Stop() error {
	_ = p.stdin.Close() // a child that is gone already closed it
	p.signal(false)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if p.waitGone(ctx) == nil {
		return nil
	}
	p.signal(true)
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.waitGone(ctx); err != nil {
		return fmt.Errorf("testenv: stop process group %d: %w", p.PID(), err)
	}
	return nil
}

// Kill ends the child and all of its group at once, as a crash or the loss of
// power would, and returns when they are gone.
func (p *Process) Kill() error {
	p.signal(true)
	_ = p.stdin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.waitGone(ctx); err != nil {
		return fmt.Errorf("testenv: kill process group %d: %w", p.PID(), err)
	}
	return nil
}

func (p *Process) waitGone(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return Poll(ctx, func() error {
		if p.groupAlive() {
			return fmt.Errorf("process group %d is still alive", p.PID())
		}
		return nil
	})
}

// Poll asks cond until it returns nil or ctx is done; the error is cond's last
// one then. It is for conditions of other processes, which nothing announces.
func Poll(ctx context.Context, cond func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// WaitListening returns when all addresses accept TCP connections, or with an
// error when the process ended or ctx is done.
func (p *Process) WaitListening(ctx context.Context, addrs ...string) error {
	for _, addr := range addrs {
		err := Poll(ctx, func() error {
			select {
			case <-p.done:
				return nil // reported below
			default:
				return dial(ctx, addr)
			}
		})
		if err != nil {
			return fmt.Errorf("testenv: wait for %s: %w", addr, err)
		}
	}
	select {
	case <-p.done:
		return fmt.Errorf("testenv: %s ended early: %w", p.cmd.Path, exitError(p.err))
	default:
		return nil
	}
}

// exitError is never nil, as a process that ended well ended too.
func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
