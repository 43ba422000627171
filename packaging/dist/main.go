// Command dist makes what is released: archives for each system with the program,
// its manual pages and completions, Debian packages, and SHA256SUMS.
//
//	go run ./packaging/dist            # or make dist
//
// The same source, Go and version give the same bytes, wherever and whenever it
// runs: times in archives are that of the commit, or of SOURCE_DATE_EPOCH.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "dist", "put the files into `DIR`, which is emptied before")
	version := flag.String("version", "", "`VERSION` (default: as git describe says)")
	targets := flag.String("targets", "linux/amd64,linux/arm64,windows/amd64,darwin/arm64", "`LIST` of systems")
	flag.Parse()
	if err := run(*out, *version, strings.Split(*targets, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// release is what all files of a release have in common.
type release struct {
	root    string // of the module
	work    string // for what is thrown away
	version string // v1.2.3, or what git says
	time    time.Time
	docs    []file // manual pages and completions
}

// target is a system to build for.
type target struct{ os, arch string }

func run(out, version string, names []string) error {
	r := &release{version: version}
	var targets []target
	for _, n := range names {
		o, a, ok := strings.Cut(n, "/")
		if !ok {
			return fmt.Errorf("%q is no system such as linux/amd64", n)
		}
		targets = append(targets, target{o, a})
	}
	var err error
	if r.root, err = output("", "go", "list", "-m", "-f", "{{.Dir}}"); err != nil {
		return err
	}
	if err := r.stamp(); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "soapward-dist-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.work) }()
	if err := r.makeDocs(); err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, t := range targets {
		if err := r.add(files, t); err != nil {
			return fmt.Errorf("%s/%s: %w", t.os, t.arch, err)
		}
	}
	return write(out, files)
}

// stamp finds out version and time.
func (r *release) stamp() error {
	if r.version == "" {
		v, err := output(r.root, "git", "describe", "--tags", "--always", "--dirty", "--match", "v[0-9]*")
		if err != nil {
			return fmt.Errorf("%w; name one: -version", err)
		}
		r.version = v
		if !strings.HasPrefix(v, "v") {
			r.version = "v0.0.0-" + v // before the first release
		}
	}
	if !regexp.MustCompile(`^v[0-9][0-9A-Za-z.+-]*$`).MatchString(r.version) {
		return fmt.Errorf("%q is no version such as v1.2.3", r.version)
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		var err error
		if epoch, err = output(r.root, "git", "log", "-1", "--format=%ct"); err != nil {
			return fmt.Errorf("%w; set SOURCE_DATE_EPOCH", err)
		}
	}
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return errors.New("SOURCE_DATE_EPOCH is no number")
	}
	r.time = time.Unix(n, 0).UTC()
	return nil
}

// build makes the program for a system.
func (r *release) build(t target) ([]byte, error) {
	path := filepath.Join(r.work, t.os+"-"+t.arch)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+r.version, "-o", path, "./cmd/soapward")
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0")
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	return os.ReadFile(path)
}

// makeDocs asks the program for its manual pages and completions.
func (r *release) makeDocs() error {
	if _, err := r.build(target{runtime.GOOS, runtime.GOARCH}); err != nil {
		return err
	}
	program := filepath.Join(r.work, runtime.GOOS+"-"+runtime.GOARCH)
	dir := filepath.Join(r.work, "man")
	date := r.time.Format(time.DateOnly)
	if _, err := output(r.root, program, "man", "--date", date, dir); err != nil {
		return err
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, p := range pages {
		b, err := os.ReadFile(filepath.Join(dir, p.Name()))
		if err != nil {
			return err
		}
		r.docs = append(r.docs, file{name: "man/" + p.Name(), data: b, mode: 0o644})
	}
	reference, err := os.ReadFile(filepath.Join(r.root, "docs", "reference-config.md"))
	if err != nil {
		return err
	}
	r.docs = append(r.docs, file{name: "man/soapward.yaml.5", data: []byte(configPage(string(reference), date)), mode: 0o644})
	for shell, name := range map[string]string{"bash": "soapward.bash", "zsh": "_soapward", "fish": "soapward.fish"} {
		text, err := output(r.root, program, "completion", shell)
		if err != nil {
			return err
		}
		r.docs = append(r.docs, file{name: "completions/" + name, data: []byte(text + "\n"), mode: 0o644})
	}
	slices.SortFunc(r.docs, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return nil
}

// add makes the archive of a system, and its package where it has one.
func (r *release) add(files map[string][]byte, t target) error {
	program, err := r.build(t)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("soapward_%s_%s_%s", strings.TrimPrefix(r.version, "v"), t.os, t.arch)
	content := slices.Clone(r.docs)
	exe := "soapward"
	if t.os == "windows" {
		exe += ".exe"
	}
	content = append(content, file{name: exe, data: program, mode: 0o755})
	sources := []string{"LICENSE", "README.md", "packaging/soapward.yaml"}
	if t.os == "linux" {
		sources = append(sources, "packaging/systemd/soapward.service", "packaging/systemd/soapward.socket")
	}
	for _, s := range sources {
		b, err := os.ReadFile(filepath.Join(r.root, s))
		if err != nil {
			return err
		}
		content = append(content, file{name: strings.TrimPrefix(s, "packaging/"), data: b, mode: 0o644})
	}
	for i := range content {
		content[i].name = name + "/" + content[i].name
	}
	slices.SortFunc(content, func(a, b file) int { return strings.Compare(a.name, b.name) })
	if t.os == "windows" {
		files[name+".zip"], err = zipArchive(content, r.time)
		return err
	}
	if files[name+".tar.gz"], err = tarArchive(content, r.time); err != nil || t.os != "linux" {
		return err
	}
	files["container/"+t.arch+"/soapward"] = program
	deb, err := r.debianPackage(t.arch, program)
	files[fmt.Sprintf("soapward_%s_%s.deb", debianVersion(r.version), t.arch)] = deb
	return err
}

// write empties the directory of what was there before and writes all files.
func write(out string, files map[string][]byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(out, "soapward_*"))
	if err != nil {
		return err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	var sums bytes.Buffer
	for _, n := range slices.Sorted(maps.Keys(files)) {
		path, mode := filepath.Join(out, filepath.FromSlash(n)), os.FileMode(0o644)
		if strings.HasPrefix(n, "container/") { // for packaging/Containerfile, not for release
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			mode = 0o755
		}
		if err := os.WriteFile(path, files[n], mode); err != nil {
			return err
		}
		if mode != 0o644 {
			continue
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(files[n]), n)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), sums.Bytes(), 0o644)
}

// output runs a program and returns what it prints, without the last line end.
func output(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return strings.TrimRight(string(b), "\n"), nil
}
