package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A description cannot lead the login to another server: neither by the
// address in it, nor by a redirect of the service.
func TestAttackWSDLNamesServer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	dir := filepath.Join("..", "..", "examples", "wsdl")
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.Base(r.URL.Path)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(bytes.ReplaceAll(b, []byte("http://127.0.0.1:8080"), []byte(other.URL)))
	}))
	t.Cleanup(home.Close)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "expenses.wsdl")
	for _, name := range []string{"expenses.wsdl", "expenses.xsd", "common.xsd"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("http://127.0.0.1:8080"), []byte(other.URL))
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		more []string
		want string
	}{
		{"file, login", nil, "the WSDL is a file"},
		{"file, HTTP header", []string{"-H", "X-Key=secret"}, "the WSDL is a file"},
		{"address", nil, "the WSDL names another server"},
		{"redirect", []string{"--url", home.URL + "/expenses"}, "the service redirects to " + other.URL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := newRootCommand()
			var stderr bytes.Buffer
			root.SetErr(&stderr)
			source := home.URL + "/expenses.wsdl"
			if strings.HasPrefix(tt.name, "file") {
				source = file
			}
			args := append([]string{"call", source, "ListExpenses"}, tt.more...)
			if tt.name != "file, HTTP header" {
				args = append(args, "-u", `CORP\alice`, "--password-file", password)
			}
			if code := execute(t.Context(), root, args); code != exitFailed || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("exit code %d: %s", code, &stderr)
			}
			if asked.Load() > 0 {
				t.Error("the other server was asked")
			}
		})
	}
}
