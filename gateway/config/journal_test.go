package config

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// interrupted is setBefore with a change to setAfter that was killed when its
// journal was written.
func interrupted(t *testing.T) (dir string, journal journalText) {
	t.Helper()
	dir = writeFiles(t, setBefore)
	atCrash := replaceUntil(t, dir, journalWritten, false)
	if err := json.Unmarshal([]byte(atCrash[".gw.yaml.apply"]), &journal); err != nil || len(journal.Files) != 4 {
		t.Fatal(err, atCrash)
	}
	return dir, journal
}

func writeJournal(t *testing.T, dir string, journal journalText) {
	t.Helper()
	b, err := json.Marshal(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gw.yaml.apply"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The journal is for those who may read the main file, and has no text of it.
func TestJournal(t *testing.T) {
	t.Parallel()
	dir, journal := interrupted(t)
	info, err := os.Stat(filepath.Join(dir, ".gw.yaml.apply"))
	if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for i, want := range []string{"services/a.yaml", "services/b.yaml", "services/c.yaml", "gw.yaml"} {
		if got := filepath.ToSlash(journal.Files[i].Path); got != want {
			t.Errorf("path %q, want %q", got, want)
		}
	}
	c, err := Load(filepath.Join(dir, "gw.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	warned := func() bool {
		return slices.ContainsFunc(c.Warnings(), func(w Warning) bool {
			return strings.Contains(w.Key, ".gw.yaml.apply") && strings.Contains(w.Text, "or that was interrupted")
		})
	}
	if !warned() {
		t.Errorf("no warning: %v", c.Warnings())
	}
	if _, err := Recover(filepath.Join(dir, "gw.yaml")); err != nil || warned() {
		t.Errorf("%v; warnings after all: %v", err, c.Warnings())
	}

	// What is wrong with files that are not in their places yet is said to be there.
	dir, journal = interrupted(t)
	const wrong = "nonsense: 1\n"
	temp := filepath.Join(dir, "services", journal.Files[2].Temp)
	if err := os.WriteFile(temp, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	journal.Files[2].New = hashOf([]byte(wrong))
	writeJournal(t, dir, journal)
	if _, err := Load(filepath.Join(dir, "gw.yaml")); err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), ".gw.yaml.apply: a configuration is being applied") {
		t.Errorf("got %v", err)
	}
}

// The next start may name the configuration in another way.
func TestRecoverFromAnotherDirectory(t *testing.T) {
	dir := writeFiles(t, setBefore)
	t.Chdir(dir)
	if replaceUntil(t, ".", journalWritten+1, false) == nil {
		t.Fatal("it was not killed")
	}
	if got := servicesOf(t, dir); got != servesAfter {
		t.Errorf("read as %q", got)
	}
	if _, err := Recover(filepath.Join(dir, "gw.yaml")); err != nil {
		t.Error(err)
	}
	if got := filesBelow(t, dir); !maps.Equal(got, setAfter) {
		t.Errorf("%q", got)
	}
}

// If nothing was replaced and the new contents are gone, it is taken back.
func TestRecoverTakesBack(t *testing.T) {
	t.Parallel()
	dir, _ := interrupted(t)
	loseStaged(filepath.Join(dir, "services", "c.yaml"))
	if got := servicesOf(t, dir); got != servesBefore {
		t.Errorf("read as %q", got)
	}
	r, err := Recover(filepath.Join(dir, "gw.yaml"))
	if err != nil || r == nil || r.Finished {
		t.Errorf("%+v, %v", r, err)
	}
	if got := filesBelow(t, dir); !maps.Equal(got, setBefore) {
		t.Errorf("%q", got)
	}
}

// What somebody edited after the crash stays, and he is told what to do.
func TestRecoverEdited(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gw.yaml", "services/a.yaml", "services/b.yaml", "services/c.yaml"} {
		dir, _ := interrupted(t)
		main := filepath.Join(dir, "gw.yaml")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(setBefore[name]+"# by hand\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := filesBelow(t, dir)
		_, err := Load(main)
		_, recovering := Recover(main)
		for _, err := range []error{err, recovering} {
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)+" has changed since") || !strings.Contains(err.Error(), "remove "+Journal(main)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if now := filesBelow(t, dir); !maps.Equal(now, before) {
			t.Errorf("%s: %q", name, now)
		}
		if err := os.Remove(Journal(main)); err != nil {
			t.Fatal(err)
		}
		if name != "services/c.yaml" { // which has no text
			if got := servicesOf(t, dir); got != servesBefore {
				t.Errorf("%s: after the remedy: %q", name, got)
			}
		}
	}
}

// A journal of somebody else's changes no file that is not of the configuration, and
// gives nobody more than who made it has.
func TestAttackJournal(t *testing.T) {
	t.Parallel()
	other := func(dir string) string { return filepath.Join(filepath.Dir(dir), "other") }
	for _, tt := range []struct {
		name   string
		forge  func(dir string, journal *journalText) error
		loaded string // empty: an error
		want   string
	}{
		{"another file, up", func(dir string, j *journalText) error {
			j.Files[1] = pendingFile{Path: "../other/keep", Old: hashOf([]byte("keep me"))}
			return nil
		}, "", "no file of the configuration"},
		{"another file, absolute", func(dir string, j *journalText) error {
			j.Files[1] = pendingFile{Path: filepath.Join(other(dir), "keep"), Old: hashOf([]byte("keep me"))}
			return nil
		}, "", "no file of the configuration"},
		{"another file that is included", func(dir string, j *journalText) error {
			text := "include: [services/*.yaml, ../other/*]\nlisten: [{addr: \":81\"}]\n"
			j.Files[3].New = hashOf([]byte(text))
			j.Files[1] = pendingFile{Path: "../other/keep", Old: hashOf([]byte("keep me"))}
			return os.WriteFile(filepath.Join(dir, j.Files[3].Temp), []byte(text), 0o600)
		}, "", "no file of the configuration"},
		{"other keys", func(dir string, j *journalText) error {
			text := "include: [services/*.yaml, ../other/*]\nlisten: [{addr: \":81\"}]\n"
			j.Files[3].New = hashOf([]byte(text))
			j.Files[1] = pendingFile{Path: "../other/keep", Old: hashOf([]byte("network: {}\n"))}
			if err := os.WriteFile(filepath.Join(other(dir), "keep"), []byte("network: {}\n"), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, j.Files[3].Temp), []byte(text), 0o600)
		}, "", "no file of the configuration"},
		{"a file that is not included", func(dir string, j *journalText) error {
			j.Files[2].Path, j.Files[2].Temp = "services/c.conf", ".c.conf.tmp-1"
			return os.WriteFile(filepath.Join(dir, "services", ".c.conf.tmp-1"), []byte(setAfter["services/c.yaml"]), 0o600)
		}, "", "no file of the configuration"},
		{"content from elsewhere", func(dir string, j *journalText) error {
			j.Files[2].Temp = "../../other/keep"
			return nil
		}, "", "cannot be understood"},
		{"content of another file", func(dir string, j *journalText) error {
			j.Files[2].Temp = j.Files[0].Temp
			return nil
		}, "", "cannot be understood"},
		{"a link for content", func(dir string, j *journalText) error {
			temp := filepath.Join(dir, "services", j.Files[2].Temp)
			if err := os.Remove(temp); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(other(dir), "keep"), temp)
		}, "", "is not a regular file"},
		{"a link for a file", func(dir string, j *journalText) error {
			return os.Symlink(filepath.Join(other(dir), "keep"), filepath.Join(dir, "services", "c.yaml"))
		}, "", "is not a regular file"},
		{"twice", func(dir string, j *journalText) error {
			j.Files = append(j.Files, j.Files[3])
			return nil
		}, "", "cannot be understood"},
		{"many", func(dir string, j *journalText) error {
			for range maxJournalFiles {
				j.Files = append(j.Files, pendingFile{Path: strings.Repeat("x", len(j.Files)), Old: j.Files[3].Old})
			}
			return nil
		}, "", "cannot be understood"},
		{"none", func(dir string, j *journalText) error { j.Files = nil; return nil }, "", "cannot be understood"},
		{"no hash", func(dir string, j *journalText) error { j.Files[3].New = "x"; return nil }, "", "cannot be understood"},
		{"nothing to do", func(dir string, j *journalText) error {
			j.Files[3] = pendingFile{Path: "gw.yaml"}
			return nil
		}, "", "cannot be understood"},
		{"a long name", func(_ string, j *journalText) error {
			j.Files[1].Path = strings.Repeat("x", maxJournalPath+1)
			return nil
		}, "", "cannot be understood"},
		{"no main file", func(dir string, j *journalText) error {
			j.Files[3].New, j.Files[3].Temp = "", ""
			return nil
		}, "", "empty"},
		{"everybody can make files", func(dir string, j *journalText) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, servesBefore, ""},
		{"others can make files, and not replace them", func(dir string, j *journalText) error { return os.Chmod(dir, 0o770|os.ModeSticky) }, servesBefore, ""},
		{"everybody can make files beside one", func(dir string, j *journalText) error {
			return os.Chmod(filepath.Join(dir, "services"), 0o777|os.ModeSticky)
		}, "", "no file of the configuration"},
		{"content that everybody can change", func(dir string, j *journalText) error {
			return os.Chmod(filepath.Join(dir, j.Files[3].Temp), 0o666)
		}, "", "others could read or change it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" {
				t.Skip("modes are not what protects files there, and links take a right")
			}
			dir, journal := interrupted(t)
			if err := os.Mkdir(other(dir), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(other(dir), "keep"), []byte("keep me"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.forge(dir, &journal); err != nil {
				t.Fatal(err)
			}
			writeJournal(t, dir, journal)
			before := filesBelow(t, filepath.Dir(dir))
			main := filepath.Join(dir, "gw.yaml")
			if tt.loaded != "" {
				if got := servicesOf(t, dir); got != tt.loaded {
					t.Errorf("read as %q, want %q", got, tt.loaded)
				}
			} else if _, err := Load(main); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "keep me") {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if r, err := Recover(main); r != nil || (err == nil) != (tt.loaded != "") {
				t.Errorf("recovered %+v, %v", r, err)
			}
			if now := filesBelow(t, filepath.Dir(dir)); !maps.Equal(now, before) {
				t.Errorf("something was changed:\n%q\nbefore\n%q", now, before)
			}
			if changes := between(dir, setBefore, setAfter); tt.loaded != "" && Replace(main, changes) == nil {
				t.Error("a journal was written there")
			}
		})
	}
	for _, text := range []string{"", "{", "nonsense", `{"files": []} {}`, `{"files": [], "more": 1}`, "null", strings.Repeat(" ", maxJournal) + "{}"} {
		dir := writeFiles(t, setBefore)
		if err := os.WriteFile(filepath.Join(dir, ".gw.yaml.apply"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(filepath.Join(dir, "gw.yaml")); err == nil {
			t.Errorf("a journal of %d bytes was taken: %.40q", len(text), text)
		}
	}
	dir := writeFiles(t, setBefore)
	if err := os.Symlink("/dev/null", filepath.Join(dir, ".gw.yaml.apply")); err == nil {
		if _, err := Load(filepath.Join(dir, "gw.yaml")); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("a link for a journal: %v", err)
		}
	}
}

// What a crash left before there was a journal is no part of the configuration,
// whatever a pattern fits.
func TestIncludeFind(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"d/a.yaml": "", "d/.a.yaml.tmp-123": "", "d/.gw.yaml.apply": "", "d/.own.yaml": "", "d/.tmp-1": "", "d/.a.tmp-x": "", "d/b.tmp-1": "", "d/x.apply": "",
	})
	files, err := Include(filepath.Join(dir, "d", "*")).Find()
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if want := []string{".a.tmp-x", ".own.yaml", ".tmp-1", "a.yaml", "b.tmp-1", "x.apply"}; !slices.Equal(files, want) {
		t.Errorf("got %q, want %q", files, want)
	}
}
