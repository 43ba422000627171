package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// begun are the files that are left by who was killed while he replaced old by text:
// a journal, and the new content beside the file of that name.
func begun(t *testing.T, name, old, text string) map[string]string {
	t.Helper()
	hash := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	temp := "." + name + ".tmp-1"
	journal, err := json.Marshal(map[string]any{"files": []any{map[string]string{"path": name, "temp": temp, "old": hash(old), "new": hash(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{".gw.yaml.apply": string(journal), temp: text}
}

// What was interrupted is ended when the gateway starts and when it reloads.
func TestRecoverFiles(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	text := func(name string) string {
		return fmt.Sprintf("listen: [{addr: %q}]\nservices:\n  %s: {match: {path: /}, login: [none], upstream: {url: \"http://127.0.0.1:1\"}}\n", addr, name)
	}
	r := whole(t, text("one"), begun(t, "gw.yaml", text("one"), text("two")))
	is := func(when, want string) {
		t.Helper()
		b, err := os.ReadFile(r.file)
		if err != nil || r.Config().Services[want] == nil || string(b) != text(want) {
			t.Errorf("%s: %v, and in the file %q, %v", when, r.Config().Services, b, err)
		}
		left, err := filepath.Glob(filepath.Join(r.dir, ".*"))
		if err != nil || len(left) != 0 {
			t.Errorf("%s: %q is left, %v", when, left, err)
		}
		for _, w := range r.Warnings() {
			if strings.Contains(w, ".apply") {
				t.Errorf("%s: warning %q", when, w)
			}
		}
	}
	is("at the start", "two")
	const finished = "applying a configuration was interrupted, and is finished now"
	if n := strings.Count(r.log.String(), finished); n != 1 {
		t.Errorf("the log has it %d times:\n%s", n, r.log)
	}

	again := func(files map[string]string) error {
		for name, text := range files {
			r.write(filepath.Join(r.dir, name), text)
		}
		return r.Reload()
	}
	if err := again(begun(t, "gw.yaml", text("two"), text("three"))); err != nil {
		t.Error(err)
	}
	is("at a reload", "three")

	files := begun(t, "gw.yaml", text("three"), text("four"))
	delete(files, ".gw.yaml.tmp-1")
	if err := again(files); err != nil {
		t.Error(err)
	}
	is("without the new content", "three")
	if !strings.Contains(r.log.String(), "applying a configuration was interrupted, and is taken back now") {
		t.Errorf("the log has\n%s", r.log)
	}

	err := again(begun(t, "gw.yaml", text("another"), text("five")))
	if err == nil || !strings.Contains(err.Error(), "and remove "+filepath.Join(r.dir, ".gw.yaml.apply")) || r.Config().Services["three"] == nil {
		t.Errorf("what was edited: %v", err)
	}
	if err := errors.Join(os.Remove(filepath.Join(r.dir, ".gw.yaml.apply")), os.Remove(filepath.Join(r.dir, ".gw.yaml.tmp-1"))); err != nil {
		t.Fatal(err)
	}
	if r.changed() != configChanged {
		t.Error("nobody looks at the files again after the remedy")
	}
	if err := r.Reload(); err != nil {
		t.Error(err)
	}
	is("after the remedy", "three")
}
