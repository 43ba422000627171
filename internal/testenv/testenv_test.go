package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fakeTB records how a test ended, and ends it as testing does, by a panic.
type fakeTB struct {
	testing.TB
	t       *testing.T
	skipped string
	failed  string
}

type ended struct{}

func (f *fakeTB) Helper()                  {}
func (f *fakeTB) Context() context.Context { return f.t.Context() }
func (f *fakeTB) Skip(args ...any)         { f.skipped = fmt.Sprint(args...); panic(ended{}) }
func (f *fakeTB) Fatalf(format string, args ...any) {
	f.failed = fmt.Sprintf(format, args...)
	panic(ended{})
}

func (f *fakeTB) run(fn func(testing.TB)) {
	defer func() {
		if r := recover(); r != nil && r != any(ended{}) {
			panic(r)
		}
	}()
	fn(f)
}

func TestNeed(t *testing.T) {
	tests := []struct {
		name string
		need func(testing.TB)
		want string // empty: it is there
	}{
		{"present", func(tb testing.TB) { Need(tb, "go") }, ""},
		{"known program", func(tb testing.TB) {
			Skip(tb, missing("kinit"))
		}, "kinit is not on this machine: apt-get install krb5-user, or make setup"},
		{"unknown program", func(tb testing.TB) { Need(tb, "no-such-program") }, "no-such-program is not on this machine"},
		{"file", func(tb testing.TB) { NeedFile(tb, "/no/such/file") }, "/no/such/file is not on this machine"},
	}
	for _, all := range []string{"", "1"} {
		t.Setenv("SOAPWARD_TEST_ALL", all) // hence no t.Parallel
		for _, tt := range tests {
			t.Run(tt.name+" all="+all, func(t *testing.T) {
				f := &fakeTB{t: t}
				f.run(tt.need)
				switch {
				case tt.want == "":
					if f.skipped+f.failed != "" {
						t.Errorf("skipped %q, failed %q, want neither", f.skipped, f.failed)
					}
				case all == "":
					if f.skipped != tt.want || f.failed != "" {
						t.Errorf("skipped %q, failed %q, want skip %q", f.skipped, f.failed, tt.want)
					}
				default:
					if f.skipped != "" || !strings.HasPrefix(f.failed, tt.want) {
						t.Errorf("skipped %q, failed %q, want failure %q", f.skipped, f.failed, tt.want)
					}
				}
			})
		}
	}
}

// The set-up script installs everything that a test asks for.
func TestPackagesAreInstalled(t *testing.T) {
	t.Parallel()
	for program, file := range programsAskedFor(t) {
		if _, ok := packages[program]; !ok && program != "sh" && program != "go" { // each Debian has a shell, and who runs tests has Go
			t.Errorf("%s needs %s, of which nothing says which package has it", file, program)
		}
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "scripts", "test-packages.txt"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		listed[strings.TrimSpace(line)] = true
	}
	for what, pkg := range packages {
		if !listed[pkg] {
			t.Errorf("%s is in package %s, which scripts/test-packages.txt does not list", what, pkg)
		}
	}
}

// programsAskedFor finds the calls of Need in the module's tests.
func programsAskedFor(t *testing.T) map[string]string {
	t.Helper()
	call := regexp.MustCompile(`testenv\.Need\(tb?, "([^"]+)"\)`)
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range call.FindAllSubmatch(b, -1) {
			found[string(m[1])] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("found no call of Need")
	}
	return found
}

func TestProcessStop(t *testing.T) {
	t.Parallel()
	sh := Need(t, "sh")
	tests := []struct{ name, script string }{
		{"ends at end of input", "echo up; cat >/dev/null"},
		{"ends when asked", "echo up; exec sleep 600"},
		{"leaves children", "sleep 600 & echo up; exec sleep 600"},
		{"deaf to SIGTERM", "trap '' TERM; echo up; while :; do sleep 1; done"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(sh, "-c", tt.script)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = w
			p, err := StartProcess(cmd)
			if err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			if line, err := bufio.NewReader(r).ReadString('\n'); line != "up\n" {
				t.Fatalf("child wrote %q, %v", line, err)
			}
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			if p.groupAlive() {
				t.Error("its group is still alive")
			}
		})
	}
}

func TestWaitListening(t *testing.T) {
	t.Parallel()
	p, err := StartProcess(exec.Command(Need(t, "true")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = p.WaitListening(ctx, "127.0.0.1:1")
	if err == nil || !strings.Contains(err.Error(), "ended early") {
		t.Errorf("WaitListening on a process that ended = %v, want it said", err)
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	n := 0
	if err := Poll(t.Context(), func() error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("Poll = %v after %d tries, want nil after 3", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cause := errors.New("never")
	if err := Poll(ctx, func() error { return cause }); !errors.Is(err, cause) || !errors.Is(err, context.Canceled) {
		t.Errorf("Poll = %v, want both reasons", err)
	}
}

func TestClaimLoopback(t *testing.T) {
	t.Parallel()
	NeedRoot(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux owns all of 127.0.0.0/8 without set-up")
	}
	seen := map[string]bool{}
	for range 10 {
		l, err := ClaimLoopback(53, 88)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Release() }()
		if seen[l.IP] {
			t.Errorf("%s claimed twice", l.IP)
		}
		seen[l.IP] = true
	}
}
