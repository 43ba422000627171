package observe

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/gateway/trail"
)

// stuck is a stream that nobody reads, until it is released, and that can fail.
type stuck struct {
	release chan struct{}
	err     error
	buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	if s.err != nil {
		return 0, s.err
	}
	return s.buffer.Write(p)
}

// A stream that takes nothing holds no request up; what does not fit is counted.
func TestLinesStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dropped atomic.Uint64
		out := &stuck{release: make(chan struct{})}
		l, err := newLines("", out, slog.New(slog.DiscardHandler), &dropped)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		line := []byte(strings.Repeat("x", 1023) + "\n")
		const n = 10_000
		for range n {
			l.write(line)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("waited %v", d)
		}
		if dropped.Load() < n/4 {
			t.Errorf("%d dropped of %d lines: there is more than %d bytes in memory", dropped.Load(), n, maxPending)
		}
		close(out.release)
		l.close()
		if got := uint64(strings.Count(out.String(), "\n")); got+dropped.Load() != n {
			t.Errorf("%d written and %d dropped of %d", got, dropped.Load(), n)
		}
		if l.write(line) {
			t.Error("a line was taken after the end")
		}
	})
}

// Lines are there a moment later, and a full disk is told once a minute.
func TestLinesFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dropped atomic.Uint64
		log := new(buffer)
		out := &stuck{release: make(chan struct{})}
		close(out.release)
		l, err := newLines("", out, slog.New(slog.NewTextHandler(log, nil)), &dropped)
		if err != nil {
			t.Fatal(err)
		}
		l.write([]byte("one\n"))
		time.Sleep(flushAfter)
		synctest.Wait()
		if got := out.String(); got != "one\n" {
			t.Errorf("%q was written", got)
		}
		l.mu.Lock()
		out.err = errors.New("no space left")
		l.mu.Unlock()
		for range 10 {
			l.write([]byte("two\nthree\n"))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "no space left"); n != 1 || dropped.Load() != 20 {
			t.Errorf("%d lines in the log, %d dropped, want 1 and 20", n, dropped.Load())
		}
		l.close()
	})
}

// TestRotation is what logrotate does, with requests that go on: no line is lost,
// none is torn.
func TestRotation(t *testing.T) {
	t.Parallel()
	ob, _, dir := observer(t, `access_log: {file: a.log}`, Options{})
	h := ob.Wrap(trail.Inbound, ":443", http.NotFoundHandler())
	name := filepath.Join(dir, "a.log")
	const workers, each = 4, 500
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for j := range each {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, fmt.Sprintf("/%d/%d", i, j), nil))
			}
		})
	}
	const rotations = 5
	for i := range rotations {
		if err := os.Rename(name, fmt.Sprintf("%s.%d", name, i)); err != nil {
			t.Fatal(err)
		}
		if err := ob.Reconfigure(parse(t, dir, `access_log: {file: a.log}`)); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	_ = ob.Close(t.Context())
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("the log is open to everybody: %v, %v", info.Mode(), err)
	}
	text := read(t, name)
	for i := range rotations {
		text += read(t, fmt.Sprintf("%s.%d", name, i))
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, `"path":"`)
		path, _, _ := strings.Cut(rest, `"`)
		if !ok || !strings.HasSuffix(line, "}\n") || seen[path] {
			t.Fatalf("line %q", line)
		}
		seen[path] = true
	}
	if len(seen) != workers*each || ob.metrics.dropped.Load() != 0 {
		t.Errorf("%d lines, %d dropped, want %d", len(seen), ob.metrics.dropped.Load(), workers*each)
	}
}
