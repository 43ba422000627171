package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A set of files before and after a change: one of each kind.
var (
	setBefore = map[string]string{
		"gw.yaml":         "include: [services/*.yaml]\nlisten: [{addr: \":80\"}]\n" + service("old"),
		"services/a.yaml": service("a1"),
		"services/b.yaml": service("b1"),
	}
	setAfter = map[string]string{
		"gw.yaml":         "include: [services/*.yaml]\nlisten: [{addr: \":81\"}]\n" + service("new"),
		"services/a.yaml": service("a2"),
		"services/c.yaml": service("c2"),
	}
)

// between lists what makes one set of another, by the names of the files.
func between(dir string, before, after map[string]string) (changes []Change) {
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := Change{Path: filepath.Join(dir, name)}
		if text, ok := before[name]; ok {
			c.Old = []byte(text)
		}
		if text, ok := after[name]; ok {
			c.New = []byte(text)
		}
		changes = append(changes, c)
	}
	return changes
}

// filesBelow reads all files of a directory by their names in it.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		out[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// servicesOf are those of the configuration in dir.
func servicesOf(t *testing.T, dir string) string {
	t.Helper()
	c, err := Load(filepath.Join(dir, "gw.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Listen[0].Addr) + " " + strings.Join(slices.Sorted(maps.Keys(c.Services)), " ")
}

const (
	servesBefore = ":80 a1 b1 old"
	servesAfter  = ":81 a2 c2 new"
)

// killedAt tells a process that is this test's child what to do: in which directory
// to work, after which step to die, and whether a file cannot come into its place.
const killedAt = "CONFIG_REPLACE_KILLED_AT"

// replaceUntil makes setAfter of setBefore in a process that is killed after a step.
// It returns the files that are there then, or nil if there are fewer steps.
func replaceUntil(t *testing.T, dir string, step int, fails bool) map[string]string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), exe, "-test.run=^TestAttackReplaceKilled$")
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d %v %s", killedAt, step, fails, dir))
	out, err := child.CombinedOutput()
	var died *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &died) || len(out) > 0:
		t.Fatalf("step %d: %v\n%s", step, err, out)
	}
	return filesBelow(t, dir)
}

func replaceAndDie(what string) {
	var step int
	var fails bool
	var dir string
	if _, err := fmt.Sscan(what, &step, &fails, &dir); err != nil {
		panic(err)
	}
	at := 0
	r := replacement{main: filepath.Join(dir, "gw.yaml")}
	r.testOnlyStep = func() {
		at++
		if fails && at == journalWritten+1 {
			loseStaged(filepath.Join(dir, "services", "c.yaml"))
		}
		if at != step {
			return
		}
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(err)
		}
		select {} // until it is dead
	}
	if err := r.do(between(dir, setBefore, setAfter)); (err != nil) != fails {
		panic(fmt.Sprint(err))
	}
}

// journalWritten is the step at which the journal is there: three files are staged,
// one is to be removed.
const journalWritten = 5

// loseStaged makes the coming into its place of a file fail.
func loseStaged(path string) {
	staged, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*"))
	if err != nil || len(staged) != 1 {
		panic(fmt.Sprint(staged, err))
	}
	if err := os.Remove(staged[0]); err != nil {
		panic(err)
	}
}

// Wherever it is killed, a configuration of several files is the old one or the new
// one: for those who only read it, and in its files when it was recovered.
func TestAttackReplaceKilled(t *testing.T) {
	t.Parallel()
	if what, child := os.LookupEnv(killedAt); child {
		replaceAndDie(what)
		return
	}
	step, finished := 1, 0
	for ; ; step++ {
		dir := writeFiles(t, setBefore)
		atCrash := replaceUntil(t, dir, step, false)
		if atCrash == nil {
			if got := filesBelow(t, dir); !maps.Equal(got, setAfter) {
				t.Errorf("after all: %q", got)
			}
			break
		}
		_, begun := atCrash[".gw.yaml.apply"]
		if begun != (step >= journalWritten && step <= journalWritten+4) {
			t.Fatalf("step %d: a journal: %v", step, begun)
		}
		got := servicesOf(t, dir)
		want, set := servesBefore, setBefore
		if step >= journalWritten {
			want, set = servesAfter, setAfter
			finished++
		}
		if got != want {
			t.Errorf("step %d: read as %q, want %q", step, got, want)
		}
		reader, err := NewReader(filepath.Join(dir, "gw.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := reader.ReadFile(filepath.Join(dir, "services", "b.yaml")); (want == servesAfter) != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("step %d: the file that is removed is %q, %v", step, b, err)
		}
		if now := filesBelow(t, dir); !maps.Equal(now, atCrash) {
			t.Errorf("step %d: reading changed files: %q", step, now)
		}

		r, err := Recover(filepath.Join(dir, "gw.yaml"))
		if err != nil || begun != (r != nil) || r != nil && (!r.Finished || len(r.Files) != 4) {
			t.Fatalf("step %d: recovered %+v, %v", step, r, err)
		}
		now := filesBelow(t, dir)
		maps.DeleteFunc(now, func(name, _ string) bool { return !begun && passing(name) }) // nobody knows of them
		if !maps.Equal(now, set) {
			t.Errorf("step %d: the files are %q", step, now)
		}
		if got := servicesOf(t, dir); got != want {
			t.Errorf("step %d: read as %q after all, want %q", step, got, want)
		}
		if r, err := Recover(filepath.Join(dir, "gw.yaml")); r != nil || err != nil {
			t.Errorf("step %d: recovered again: %+v, %v", step, r, err)
		}
	}
	if step != journalWritten+6 || finished != 6 {
		t.Errorf("%d steps, %d of them finished", step, finished)
	}
}

// The same, while files of before are put back because one could not be replaced.
// What made that fail is gone in between, so that it cannot be finished: then it is
// an error that changes nothing.
func TestReplaceKilledAtUndo(t *testing.T) {
	t.Parallel()
	undone := 0
	for step := journalWritten + 1; ; step++ {
		dir := writeFiles(t, setBefore)
		atCrash := replaceUntil(t, dir, step, true)
		if atCrash == nil {
			if got := filesBelow(t, dir); !maps.Equal(got, setBefore) {
				t.Errorf("after all: %q", got)
			}
			break
		}
		main := filepath.Join(dir, "gw.yaml")
		if _, err := Load(main); err != nil {
			_, recovering := Recover(main)
			if undone > 0 || recovering == nil || recovering.Error() != err.Error() || !strings.Contains(err.Error(), "and remove "+Journal(main)) || !maps.Equal(filesBelow(t, dir), atCrash) {
				t.Errorf("step %d: %v, and %v", step, err, recovering)
			}
			continue
		}
		undone++
		if got := servicesOf(t, dir); got != servesBefore {
			t.Errorf("step %d: read as %q", step, got)
		}
		if _, err := Recover(main); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		now := filesBelow(t, dir)
		maps.DeleteFunc(now, func(name, _ string) bool { return passing(name) })
		if !maps.Equal(now, setBefore) {
			t.Errorf("step %d: the files are %q", step, now)
		}
	}
	if undone < 5 {
		t.Errorf("put back after %d steps", undone)
	}
}

// Whatever step fails, all is as before, and nothing is left.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string // which cannot come into its place
		step int
	}{
		{"services/a.yaml", journalWritten},
		{"services/c.yaml", journalWritten}, {"services/c.yaml", journalWritten + 1}, {"services/c.yaml", journalWritten + 2},
		{"gw.yaml", journalWritten}, {"gw.yaml", journalWritten + 2}, {"gw.yaml", journalWritten + 3},
	} {
		dir := writeFiles(t, setBefore)
		at := 0
		r := replacement{main: filepath.Join(dir, "gw.yaml"), testOnlyStep: func() {
			if at++; at == tt.step {
				loseStaged(filepath.Join(dir, tt.name))
			}
		}}
		err := r.do(between(dir, setBefore, setAfter))
		e := new(ReplaceError)
		if !errors.As(err, &e) || e.File != filepath.Join(dir, tt.name) || e.Stuck != nil || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s at step %d: %v", tt.name, tt.step, err)
		}
		if got := filesBelow(t, dir); !maps.Equal(got, setBefore) {
			t.Errorf("%s at step %d: %q", tt.name, tt.step, got)
		}
	}
	dir := writeFiles(t, setBefore)
	main := filepath.Join(dir, "gw.yaml")
	for name, changes := range map[string][]Change{
		"nothing to remove": {{Path: main, New: []byte("x")}, {Path: filepath.Join(dir, "none")}},
		"no directory":      {{Path: main, New: []byte("x")}, {Path: filepath.Join(dir, "none", "a"), New: []byte("x")}},
	} {
		if err := Replace(main, changes); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Replace(main, nil); err != nil {
		t.Error(err)
	}
	if got := filesBelow(t, dir); !maps.Equal(got, setBefore) {
		t.Errorf("%q", got)
	}
}

// One file needs no journal, and is replaced whatever else is going on.
func TestReplaceOne(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"gw.yaml": "a", ".gw.yaml.apply": "nonsense"})
	main := filepath.Join(dir, "gw.yaml")
	for _, c := range []Change{
		{Path: main, Old: []byte("a"), New: []byte("b")},
		{Path: filepath.Join(dir, "c"), New: []byte("c")},
		{Path: filepath.Join(dir, "c"), Old: []byte("c")},
	} {
		if err := Replace(main, []Change{c}); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(c.Path); string(got) != string(c.New) || (err != nil) != (c.New == nil) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got := filesBelow(t, dir); len(got) != 2 || got["gw.yaml"] != "b" {
		t.Errorf("%q", got)
	}
	err := Replace(main, []Change{{Path: main, Old: []byte("b"), New: []byte("c")}, {Path: filepath.Join(dir, "c"), New: []byte("c")}})
	if err == nil || !strings.Contains(err.Error(), "its journal cannot be understood") {
		t.Errorf("with another journal: %v", err)
	}
}

// TestLoadBesideReplace: who reads while files are replaced, from the first to the
// last of them, sees one set or the other.
func TestLoadBesideReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "gw.yaml")
	if err := os.Mkdir(filepath.Join(dir, "services"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range setBefore {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var loads atomic.Int64
	written := make(chan error, 1)
	go func() {
		there, other := between(dir, setBefore, setAfter), between(dir, setAfter, setBefore)
		var err error
		for i := 0; i < 50 && err == nil; i++ {
			err = Replace(main, there)
			there, other = other, there
			for until := loads.Load() + 2; loads.Load() < until; { // the second begins after it
				time.Sleep(time.Millisecond)
			}
		}
		written <- err
	}()
	for {
		if got := servicesOf(t, dir); got != servesBefore && got != servesAfter {
			t.Errorf("a mixture: %s", got)
		}
		loads.Add(1)
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
