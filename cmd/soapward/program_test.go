package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newModule makes a module that uses this one, and needs no network for it.
func newModule(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(ours), "\n") // without the module line
	dir := t.TempDir()
	mod := fmt.Sprintf("module example.com/app\n%s\nrequire %s v0.0.0\nreplace %s => %s\n", rest, modulePath, modulePath, root)
	for name, data := range map[string][]byte{"go.mod": []byte(mod), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// descriptions returns those of the examples, and some that others wrote if
// they are beside the repository.
func descriptions(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("..", "..", "examples", "wsdl", "*.wsdl"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no descriptions: %v", err)
	}
	corpus := filepath.Join("..", "..", "..", "shared", "wsdl")
	f, err := os.Open(filepath.Join(corpus, "manifest.tsv"))
	if err != nil {
		return all
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for n := 0; sc.Scan(); n++ {
		c := strings.Split(sc.Text(), "\t")
		if n%4 != 1 || len(c) < 4 {
			continue
		}
		name := filepath.Join(corpus, "wsdl", c[0], filepath.FromSlash(c[3]))
		if fi, err := os.Stat(name); err == nil && fi.Size() < 20_000 && len(all) < 7 { // soon compiled
			all = append(all, name)
		}
	}
	return all
}

// The first program that generate prints compiles as it is, whatever the login.
func TestFirstProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles a lot of code: skipped with -short")
	}
	app := newModule(t)
	logins := [][]string{
		nil, {"-u", `CORP\alice`}, {"--negotiate"}, {"--negotiate", "-u", "alice", "--keytab", "k"},
		{"--negotiate", "-u", "alice@CORP.TEST", "--proxy-negotiate"}, {"--proxy", "http://127.0.0.1:3128", "--proxy-user", "bob"},
		{"-u", "alice`s", "--proxy-user", `CORP\gate`, "--proxy", "http://127.0.0.1:3128"},
	}
	made := 0
	for i, wsdl := range descriptions(t) {
		wsdl, err := filepath.Abs(wsdl)
		if err != nil {
			t.Fatal(err)
		}
		dir := fmt.Sprintf("internal/p%d/", i)
		if i == 1 {
			dir = "http" // a name that the program has a use for itself
		}
		args := append([]string{"generate", "--json", "--allow-broken", "-o", dir, wsdl}, logins[i%len(logins)]...)
		cmd := exec.CommandContext(t.Context(), "soapward", args...)
		cmd.Dir = app
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Logf("%s: %v\n%s", wsdl, err, &stderr)
			continue
		}
		var results []generated
		if err := json.Unmarshal(stdout.Bytes(), &results); err != nil {
			t.Fatal(err)
		}
		p := results[0].Program
		if p == nil {
			t.Errorf("%s: no program", wsdl)
			continue
		}
		file := filepath.Join(app, filepath.FromSlash(p.File))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(p.Source), 0o600); err != nil {
			t.Fatal(err)
		}
		made++
	}
	if made < 2 {
		t.Fatalf("%d programs", made)
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "./cmd/...")
	cmd.Dir = app
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%d programs compile", made)
}
