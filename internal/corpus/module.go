package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/corpus/trip"
)

const (
	modulePath = "github.com/soapward/soapward"

	// generatedModule is where the generated packages are. Its path lets them
	// be linked with package trip.
	generatedModule = modulePath + "/generated"
)

// module is a temporary module with the generated packages.
type module struct {
	dir  string
	repo string // directory of this module
}

func newModule(ctx context.Context, dir string) (*module, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}\n{{.GoVersion}}", modulePath).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w; run this inside the repository", err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 2 {
		return nil, fmt.Errorf("go list says %q", out)
	}
	m := &module{dir: dir, repo: lines[0]}
	mod := fmt.Sprintf("module %s\n\ngo %s\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", generatedModule, lines[1], modulePath, modulePath, m.repo)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600); err != nil {
		return nil, err
	}
	for _, name := range []string{"go.sum", "staticcheck.conf"} {
		b, err := os.ReadFile(filepath.Join(m.repo, name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// complaintForm finds the package in a line of output of the go command, or of
// staticcheck.
var complaintForm = regexp.MustCompile(`\b(p\d{3})(?:roots)?/[^ :]+\.go:\d+`)

// check runs a tool over packages and returns its complaints by package. An
// error of the tool that is about none of them is returned as such.
func (m *module) check(ctx context.Context, tool []string, packages []string) (map[string]string, error) {
	complaints := map[string]string{}
	if len(packages) == 0 {
		return complaints, nil
	}
	args := append([]string{}, tool[1:]...)
	for _, p := range packages {
		args = append(args, "./"+p)
	}
	cmd := exec.CommandContext(ctx, tool[0], args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if s := complaintForm.FindStringSubmatch(line); s != nil && complaints[s[1]] == "" {
			complaints[s[1]] = strings.TrimSpace(line)
		}
	}
	if err != nil && len(complaints) == 0 {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(tool[0]), err, shorten(string(out), 1000))
	}
	return complaints, ctx.Err()
}

// staticcheck finds the program of the version this repository uses.
func (m *module) staticcheck(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "staticcheck")
	cmd.Dir = m.repo
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool -n staticcheck: %w", err)
	}
	return []string{strings.TrimSpace(string(out))}, nil
}

// build links the packages into a program that serves trip.Jobs.
func (m *module) build(ctx context.Context, packages []string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "package main\n\nimport (\n\t%q\n", modulePath+"/internal/corpus/trip")
	for _, p := range packages {
		fmt.Fprintf(&b, "\t%q\n", generatedModule+"/"+p+"roots")
	}
	b.WriteString(")\n\nfunc main() {\n\ttrip.Main(map[string]func(space, local string) trip.Message{\n")
	for _, p := range packages {
		fmt.Fprintf(&b, "\t\t%q: %sroots.Root,\n", p, p)
	}
	b.WriteString("\t})\n}\n")
	if err := os.MkdirAll(filepath.Join(m.dir, "cmd"), 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(m.dir, "cmd", "main.go"), []byte(b.String()), 0o600); err != nil {
		return "", err
	}
	bin := filepath.Join(m.dir, "cmd", "trip.exe")
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-o", bin, "./cmd")
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// exchange sends jobs to the program, and starts it again for the rest when a
// message ended it. done is called after each.
func exchange(ctx context.Context, bin string, jobs []trip.Job, done func()) ([]trip.Result, error) {
	var results []trip.Result
	for len(results) < len(jobs) {
		n := len(results)
		err := exchangeOnce(ctx, bin, jobs[n:], func(r trip.Result) {
			results = append(results, r)
			done()
		})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err != nil && len(results) < len(jobs) && (len(results) == n || results[len(results)-1].Stage != "hang") {
			// It died without an answer: that of the message at hand.
			results = append(results, trip.Result{Stage: "crash", Error: err.Error()})
			done()
		}
	}
	return results, nil
}

func exchangeOnce(ctx context.Context, bin string, jobs []trip.Job, got func(trip.Result)) error {
	cmd := exec.CommandContext(ctx, bin)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		enc := json.NewEncoder(stdin)
		for _, j := range jobs {
			if enc.Encode(j) != nil {
				break // the program has ended, and the reader sees that
			}
		}
		_ = stdin.Close()
	})
	dec := json.NewDecoder(stdout)
	for {
		var r trip.Result
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			_ = cmd.Process.Kill() // what it says makes no sense
			break
		}
		got(r)
	}
	err = cmd.Wait()
	wg.Wait()
	if err != nil {
		return fmt.Errorf("%w: %s", err, shorten(strings.TrimSpace(stderr.String()), 300))
	}
	return nil
}
