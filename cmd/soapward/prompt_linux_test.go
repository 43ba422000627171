package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/term"
)

// openTerminal returns both ends of a pseudo terminal (pty(7)).
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	// Not blocking, so that closing the file ends a read of it.
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo terminals: %v", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { _ = master.Close() })
	var unlock, number int32
	for _, c := range []struct {
		request uintptr
		arg     *int32
	}{{syscall.TIOCSPTLCK, &unlock}, {syscall.TIOCGPTN, &number}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), c.request, uintptr(unsafe.Pointer(c.arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

// unechoed reports whether the terminal does not show what is typed, which it
// stops to do a moment after a prompt for a password.
func unechoed(t *testing.T, slave *os.File) bool {
	t.Helper()
	var state syscall.Termios
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, slave.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state))); errno != 0 {
		t.Fatal(errno)
	}
	return state.Lflag&syscall.ECHO == 0
}

// onTerminal starts the program with the slave as its terminal. What it prints
// arrives in the buffer.
func onTerminal(t *testing.T, master, slave *os.File, env []string, args ...string) (cmd *exec.Cmd, out *buffer) {
	t.Helper()
	cmd = exec.Command("soapward", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, passwordVariable+"=") })
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it has not ended
	out = &buffer{}
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := master.Read(b)
			_, _ = out.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	return cmd, out
}

// eventually waits until a condition of another process holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// exitCode waits for the end of a command.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
		return -1
	}
}

// Ctrl-C did nothing at the password prompt: the program waited for a line.
func TestPasswordPrompt(t *testing.T) {
	t.Parallel()
	url := protected(t) + "?wsdl"
	for _, tt := range []struct {
		name, typed string
		code        int
		want        string
	}{
		{"interrupt", "\x03", exitInterrupted, "Password of CORP\\alice: \r\n"},
		{"password", "correct horse\n", exitDone, "Password of CORP\\alice: \r\n"},
		{"wrong password", "wrong horse\n", exitFailed, "refused the NTLM login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, slave := openTerminal(t)
			before, err := term.GetState(int(slave.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			state := func() *term.State {
				s, err := term.GetState(int(slave.Fd()))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			cmd, out := onTerminal(t, master, slave, nil, "generate", "-u", `CORP\alice`, "-o", t.TempDir(), url)
			eventually(t, "a prompt that does not show what is typed", func() bool {
				return strings.Contains(out.String(), "Password of") && !reflect.DeepEqual(state(), before)
			})
			if _, err := master.WriteString(tt.typed); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd); code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
			}
			if !reflect.DeepEqual(state(), before) {
				t.Error("the terminal is not as it was")
			}
			eventually(t, tt.want, func() bool { return strings.Contains(out.String(), tt.want) })
			if strings.Contains(out.String(), "horse") {
				t.Errorf("the password is shown: %s", out)
			}
		})
	}
}

// The files of a demo that is kept running stayed behind when its terminal was
// closed.
func TestDemoHangup(t *testing.T) {
	t.Parallel()
	// Where these tests ignore the signal, as under nohup, the program would too.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	tmp := t.TempDir()
	master, slave := openTerminal(t)
	cmd, out := onTerminal(t, master, slave, []string{"TMPDIR=" + tmp}, "demo", "--keep")
	eventually(t, "the demo runs", func() bool { return strings.Contains(out.String(), "Ctrl-C ends") })
	if left, err := filepath.Glob(filepath.Join(tmp, "*", "krb5.conf")); err != nil || len(left) != 1 {
		t.Fatalf("files: %v, %v, want a krb5.conf", left, err)
	}
	_ = slave.Close()
	if err := master.Close(); err != nil { // the kernel sends SIGHUP
		t.Fatal(err)
	}
	if code := exitCode(t, cmd); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
	if left, err := os.ReadDir(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
