package peers

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// A Child is a server that runs, and what it wrote to both outputs.
type Child struct {
	*testenv.Process
	*Log
}

// StartChild starts a server and returns when it listens at addr. Each env entry is
// added to the test's own environment.
func StartChild(t *testing.T, env []string, addr string, argv ...string) *Child {
	t.Helper()
	c := &Child{Log: new(Log)}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = slices.Concat(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	var err error
	if c.Process, err = testenv.StartProcess(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", argv[0], c.Log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitListening(ctx, addr); err != nil {
		t.Fatal(err)
	}
	return c
}

// FreePort returns a port of 127.0.0.1 that nothing uses.
func FreePort(t *testing.T) int {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
