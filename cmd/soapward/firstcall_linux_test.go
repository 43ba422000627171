package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// moduleProxy makes a module proxy of files (https://go.dev/ref/mod#goproxy-protocol)
// that has this module as its latest version, and returns its URL.
func moduleProxy(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := filepath.Join(dir, filepath.FromSlash(modulePath), "@v")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	const version = "v0.9.0"
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && name != root:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.Name() == "testdata" || strings.HasSuffix(d.Name(), "_test.go"): // tidy wants what tests import
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		w, err := z.Create(modulePath + "@" + version + "/" + filepath.ToSlash(rel))
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": []byte(`{"Version":"` + version + `"}`),
		version + ".mod": mod, version + ".zip": b.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}

// block is a fenced block of a page.
type block struct{ kind, text string }

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// TestFirstCall does what docs/wsdl-to-first-call.md says, to the letter, but
// for a port that is free, and compares what is printed.
func TestFirstCall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds this program as others do: skipped with -short")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "wsdl-to-first-call.md"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "127.0.0.1:8080", addr)
	var blocks []block
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	if len(blocks) < 10 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}

	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := append(os.Environ(),
		"GOPROXY="+moduleProxy(t)+",file://"+filepath.Join(strings.TrimSpace(string(cache)), "cache", "download")+",off",
		"GOMODCACHE="+filepath.Join(t.TempDir(), "mod"), "GOFLAGS=-modcacherw -trimpath -ldflags=-w", "GONOSUMDB=*", "GOSUMDB=off", "GOWORK=off", "NO_COLOR=1")
	shell := func(dir, script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "set -e\n"+script)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	app := filepath.Join(dir, "first-call")
	var script strings.Builder
	said := 0
	run := func(dir string) {
		t.Helper()
		if out, err := shell(dir, script.String()).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		script.Reset()
	}
	for i, b := range blocks {
		switch {
		case b.kind != "sh":
		case strings.HasPrefix(b.text, "# second terminal\n"):
			run(dir) // what is above, in the first terminal
			startServer(t, shell(dir, b.text), addr)
		case i+1 < len(blocks) && blocks[i+1].kind == "text":
			fmt.Fprintf(&script, "exec 4>&1 >%s/out.%d\n%sexec >&4\n", dir, i, b.text)
			said++
		default:
			script.WriteString(b.text)
		}
	}
	run(app)
	if said < 6 {
		t.Errorf("%d blocks say what is printed", said)
	}
	for i, b := range blocks {
		if b.kind != "sh" || i+1 == len(blocks) || blocks[i+1].kind != "text" {
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("out.%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		if !matches(string(got), blocks[i+1].text) {
			t.Errorf("%s\nprints\n%s\nnot\n%s", b.text, got, blocks[i+1].text)
		}
	}
}

// startServer runs what the page has in the second terminal.
func startServer(t *testing.T, cmd *exec.Cmd, addr string) {
	t.Helper()
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute) // it is compiled first
	defer cancel()
	if err := p.WaitListening(ctx, addr); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
}

// matches compares line by line; "..." stands for any lines at the end.
func matches(got, want string) bool {
	if head, ok := strings.CutSuffix(want, "...\n"); ok {
		return strings.HasPrefix(got, head)
	}
	return got == want
}
