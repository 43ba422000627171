package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestParseModule(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		path       string
		tools      []string
	}{
		{"empty", "", "", nil},
		{"no tool", "module example.com/app\n\ngo 1.26.0\n\nrequire " + modulePath + " v1.0.0\n", "example.com/app", nil},
		{"one tool", "module example.com/app\ntool " + commandPath + " // indirect\n", "example.com/app", []string{commandPath}},
		{"block", "module example.com/app // main\r\ntool (\r\n\texample.com/x\r\n\t" + commandPath + "\r\n)\r\n", "example.com/app", []string{"example.com/x", commandPath}},
		{"comment", "module \"example.com/app\"\n// tool " + commandPath + "\n", "example.com/app", nil},
		{"other block", "module (\n\texample.com/app\n)\nignore (\n\t" + commandPath + "\n)\n", "example.com/app", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := parseModule(tt.text)
			if m.path != tt.path || !slices.Equal(m.tools, tt.tools) {
				t.Errorf("got %+v, want %q and %q", m, tt.path, tt.tools)
			}
			if got, want := m.hasTool(), slices.Contains(tt.tools, commandPath); got != want {
				t.Errorf("hasTool: got %v, want %v", got, want)
			}
		})
	}
}

func TestModuleOf(t *testing.T) {
	t.Parallel()
	own, err := moduleOf("does/not/exist")
	if err != nil || own == nil || own.path != modulePath {
		t.Errorf("here: got %+v, %v, want %s", own, err, modulePath)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "go.mod"), 0o700); err != nil { // a directory is no module file
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := moduleOf(filepath.Join(dir, "a", "b"))
	if err != nil || m == nil || m.path != "example.com/app" {
		t.Errorf("got %+v, %v, want example.com/app", m, err)
	}
}
