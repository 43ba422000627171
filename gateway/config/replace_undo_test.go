package config

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// setWider includes files of one more directory.
var setWider = map[string]string{
	"gw.yaml":         "include: [services/*.yaml, more/*.yaml]\nlisten: [{addr: \":82\"}]\n" + service("wide"),
	"services/a.yaml": service("a1"),
	"services/b.yaml": service("b1"),
	"more/d.yaml":     service("d1"),
}

// stopped is the panic of a replacement that stopped, as if it had been killed.
type stopped struct{}

// replaceUntilStopped makes one set of another, and stops after a step. It reports
// whether there were so many.
func replaceUntilStopped(t *testing.T, dir string, from, to map[string]string, step int) (was bool) {
	t.Helper()
	defer func() {
		switch e := recover(); e.(type) {
		case nil:
		case stopped:
			was = true
		default:
			panic(e)
		}
	}()
	at := 0
	r := replacement{main: filepath.Join(dir, "gw.yaml"), testOnlyStep: func() {
		if at++; at == step {
			panic(stopped{})
		}
	}}
	changes := slices.DeleteFunc(between(dir, from, to), func(c Change) bool { return string(c.Old) == string(c.New) })
	if err := r.do(changes); err != nil {
		t.Fatal(err)
	}
	return false
}

// A configuration that was refused is taken back, and that was interrupted: files
// which only its own main file included are not there for the one of before. The gateway
// did not start any more.
func TestRecoverNarrower(t *testing.T) {
	t.Parallel()
	step := 1
	for ; ; step++ {
		dir := writeFiles(t, setWider)
		if !replaceUntilStopped(t, dir, setWider, setBefore, step) {
			break
		}
		want, set := ":82 a1 b1 d1 wide", setWider
		if step >= 3 { // the main file is staged, one is to be removed, and the journal is there
			want, set = servesBefore, setBefore
		}
		if got := servicesOf(t, dir); got != want {
			t.Errorf("step %d: read as %q, want %q", step, got, want)
		}
		if _, err := Recover(filepath.Join(dir, "gw.yaml")); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		now := filesBelow(t, dir)
		maps.DeleteFunc(now, func(name, _ string) bool { return passing(name) })
		if !maps.Equal(now, set) {
			t.Errorf("step %d: the files are %q", step, now)
		}
	}
	if step != 7 {
		t.Errorf("%d steps", step)
	}
}

// Another gateway has the same files, or one is started by mistake, and ends what it
// takes for interrupted while it goes on: it is done, and no error of either.
func TestReplaceBesideAnother(t *testing.T) {
	t.Parallel()
	for step := journalWritten; step <= journalWritten+4; step++ {
		dir := writeFiles(t, setBefore)
		at := 0
		r := replacement{main: filepath.Join(dir, "gw.yaml"), testOnlyStep: func() {
			if at++; at != step {
				return
			}
			if done, err := Recover(filepath.Join(dir, "gw.yaml")); err != nil || done == nil || !done.Finished {
				t.Errorf("step %d: the other: %+v, %v", step, done, err)
			}
		}}
		if err := r.do(between(dir, setBefore, setAfter)); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		if got := filesBelow(t, dir); !maps.Equal(got, setAfter) {
			t.Errorf("step %d: %q", step, got)
		}
	}
}
