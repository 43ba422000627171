package slapdtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// Pause has the server stand still, with its connections open, until Continue.
func (s *Server) Pause(tb testing.TB) {
	tb.Helper()
	if err := syscall.Kill(s.proc.PID(), syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// The signal was sent, which is not to say that each thread has got it.
	err := testenv.Poll(ctx, func() error {
		stats, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(s.proc.PID()), "task", "*", "stat"))
		if err != nil {
			return err
		}
		for _, file := range stats {
			stat, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if _, state, _ := bytes.Cut(stat, []byte(") ")); !bytes.HasPrefix(state, []byte("T")) {
				return fmt.Errorf("a thread of slapd still runs: %.30s", state)
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// Continue undoes Pause.
func (s *Server) Continue(tb testing.TB) {
	tb.Helper()
	if err := syscall.Kill(s.proc.PID(), syscall.SIGCONT); err != nil {
		tb.Fatal(err)
	}
}
