package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/testenv"
)

func TestMain(m *testing.M) {
	code := adtest.Main(m)
	if err := peers.RemoveSoapward(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// server is a gateway that runs.
type server struct {
	*gateway.Gateway
	t    *testing.T
	dir  string
	file string
	log  *testenv.Log
}

// startGateway runs a gateway. In text, DIR is the directory of its files.
func startGateway(t *testing.T, text string, files map[string]string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), log: new(testenv.Log)}
	s.file = filepath.Join(s.dir, "gw.yaml")
	for name, content := range files {
		s.write(name, content)
	}
	s.write("gw.yaml", text)
	c, err := config.Load(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.Gateway, err = gateway.New(c, s.file, gateway.Options{Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the gateway does not stop")
		}
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", s.log)
		}
	})
	return s
}

// write puts a file into the place of another one.
func (s *server) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	content = strings.ReplaceAll(content, "DIR", s.dir)
	if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
}

// freePort returns one of 127.0.0.1 that nothing uses.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// told is what the backend was told of a request.
type told struct {
	User, Groups, Path, Authorization string
	Bytes                             int
}

// startBackend is a server without a login, which believes what it is told.
func startBackend(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(told{
			User: r.Header.Get("X-Remote-User"), Groups: r.Header.Get("X-Remote-Groups"), Path: r.URL.Path,
			Authorization: r.Header.Get("Authorization"), Bytes: int(n),
		})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// curl runs curl and returns the status and what the backend was told.
func curl(t *testing.T, env []string, user string, args ...string) (string, told) {
	t.Helper()
	args = append([]string{"-q", "-sS", "--max-time", "60", "--noproxy", "*", "-K", "-", "-w", "\n%{http_code}"}, args...)
	conf := ""
	if user != "" {
		conf = fmt.Sprintf("user = \"%s\"\n", strings.ReplaceAll(user, `\`, `\\`))
	}
	out := testenv.Run(t, env, conf, testenv.Need(t, "curl"), args...)
	i := strings.LastIndex(out, "\n")
	var seen told
	if status := out[i+1:]; status != "200" {
		return status, seen
	}
	if err := json.Unmarshal([]byte(out[:i]), &seen); err != nil {
		t.Errorf("answer %q: %v", out[:i], err)
	}
	return out[i+1:], seen
}

// get returns the status and the body of a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(b)
}

// eventually waits until cond returns nil.
func eventually(t *testing.T, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, cond); err != nil {
		t.Fatal(err)
	}
}
