package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeFiles writes files below a new directory and returns it.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func service(name string) string {
	return "services:\n  " + name + ": {match: {path: /" + name + "}, login: [none], upstream: {url: \"http://x\"}}\n"
}

func TestInclude(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"gw.yaml":         "include: [services/*.yaml, more.yaml, services/a.yaml, none/*.yaml]\nlisten: [{addr: \":80\"}]\n" + service("own"),
		"services/a.yaml": service("a"),
		"services/b.yaml": service("b") + "listen: [{addr: \":443\", tls: {cert: b.pem, key: b.key}}]\n",
		"services/c.yml":  "nonsense",
		"more.yaml":       "realms: {staff: {internal: {}}}\nstore: {driver: sqlite, dsn: a.db}\n",
	})
	c, err := Load(filepath.Join(dir, "gw.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"services", slices.Sorted(maps.Keys(c.Services)), []string{"a", "b", "own"}},
		{"listeners", len(c.Listen), 2},
		{"relative to the included file", c.Listen[1].TLS.Cert, filepath.Join(dir, "services", "b.pem")},
		{"realms", len(c.Realms), 1},
		{"store", c.Store.DSN, filepath.Join(dir, "a.db")},
		{"files", c.Files, []string{
			filepath.Join(dir, "gw.yaml"), filepath.Join(dir, "services/a.yaml"), filepath.Join(dir, "services/b.yaml"), filepath.Join(dir, "more.yaml"),
		}},
		{"patterns", string(c.Include[0]), filepath.Join(dir, "services/*.yaml")},
	} {
		if fmt.Sprint(tt.got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestIncludeErrors(t *testing.T) {
	t.Parallel()
	many := map[string]string{"gw.yaml": "include: ['s/*.yaml']"}
	for i := range maxFiles {
		many[fmt.Sprintf("s/%d.yaml", i)] = service(fmt.Sprint("s", i))
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // DIR is the directory
	}{
		{"name twice", map[string]string{"gw.yaml": "include: [a.yaml]\n" + service("x"), "a.yaml": "\n" + service("x")},
			`DIR/a.yaml:3:3: key "x" in services is there twice, first in DIR/gw.yaml:3`},
		{"name twice in included ones", map[string]string{"gw.yaml": "include: [a.yaml, b.yaml]", "a.yaml": service("x"), "b.yaml": service("x")},
			`DIR/b.yaml:2:3: key "x" in services is there twice, first in DIR/a.yaml:2`},
		{"key twice", map[string]string{"gw.yaml": "include: [a.yaml]\nlog: {level: info}", "a.yaml": "log: {level: debug}"},
			`DIR/a.yaml:1:1: key "log" is there twice, first in DIR/gw.yaml:2`},
		{"unknown key", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": "\n\nlstien: []"},
			`DIR/a.yaml:3:1: unknown key "lstien": did you mean "listen"?`},
		{"check in an included file", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": "\n" + strings.Replace(service("x"), "none", "corp/ntlm", 1)},
			`DIR/a.yaml:3:34: services.x.login[0]: there is no realm "corp"`},
		{"syntax", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": "store:\n\tdriver: x"}, `DIR/a.yaml:2:1: yaml: `},
		{"second document", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": "{}\n---\n{}"}, `DIR/a.yaml:2:1: a second document`},
		{"no file", map[string]string{"gw.yaml": "include: [a.yaml]"}, `DIR/gw.yaml:1:11: include[0]: open DIR/a.yaml: no such file`},
		{"empty", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": ""}, `DIR/a.yaml: the file is empty`},
		{"of an included one", map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": "include: [b.yaml]"}, `DIR/a.yaml:1:1: include: an included file includes no others`},
		{"pattern of directories", map[string]string{"gw.yaml": "include: ['*/a.yaml']"}, `a pattern stands in the last part alone`},
		{"bad pattern", map[string]string{"gw.yaml": "include: ['a[.yaml']"}, `want a file, or a pattern`},
		{"a directory", map[string]string{"gw.yaml": "include: [d]", "d/x": ""}, `DIR/d is not a regular file`},
		{"itself", map[string]string{"gw.yaml": "include: ['*.yaml']\nlog: {level: x}"}, `DIR/gw.yaml:2:14: log.level`},
		{"list and table", map[string]string{"gw.yaml": "include: [a.yaml]\nlisten: []", "a.yaml": "listen: {}"}, `DIR/a.yaml:1:1: key "listen" is there twice`},
		{"too many", many, fmt.Sprintf("include: want at most %d files", maxFiles)},
		{"too large", map[string]string{
			"gw.yaml": "include: [a.yaml, b.yaml]", "a.yaml": "# " + strings.Repeat("x", maxSize/2) + "\n{}", "b.yaml": "# " + strings.Repeat("x", maxSize/2) + "\n{}",
		}, "the files together are larger than 1024 KiB"},
		{"a secret's position", map[string]string{
			"gw.yaml": "include: [a.yaml]", "a.yaml": "realms: {a: {ntlm: {verifier: netlogon, computer: GW$, secret: {file: s}}}}",
		}, "DIR/a.yaml:1:64: open DIR/s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := writeFiles(t, tt.files)
			_, err := Load(filepath.Join(dir, "gw.yaml"))
			want := strings.ReplaceAll(tt.want, "DIR", dir)
			var all *Errors
			if !errors.As(err, &all) || !strings.Contains(err.Error(), want) {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
		})
	}
}

// An included file that others can change is refused as the first one is.
func TestAttackIncludedFileMode(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"gw.yaml": "include: [a.yaml]", "a.yaml": service("x")})
	file := filepath.Join(dir, "a.yaml")
	if err := os.Chmod(file, 0o602); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "gw.yaml")); err == nil || !strings.Contains(err.Error(), "run chmod 0644 "+file) {
		t.Errorf("error %v", err)
	}
}
