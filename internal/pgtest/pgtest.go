// Package pgtest runs a real PostgreSQL for tests: in a temporary directory, on
// a free port of 127.0.0.1, as an account without rights. Nothing of the
// machine's own servers is read or changed.
//
// A package whose tests use it hands its TestMain over:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
// and its tests then share one server, with a database for each:
//
//	dsn := pgtest.Database(t)
//
// A test that stops or kills a server starts one of its own with Start.
//
// Only tests import this package.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// A Server is a PostgreSQL. Its methods are safe for concurrent use.
type Server struct {
	bin  string // of its programs
	dir  string
	port int
	as   *account // nil: as who runs the tests

	settings []string // of postgresql.conf, besides those that each has

	made atomic.Int64 // databases

	mu   sync.Mutex
	proc *testenv.Process // nil: it does not run
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Main runs the tests and stops the server if one of them started it. It
// returns the exit code for os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Stop stops the server that the tests of this process share, if one of them
// started it. It is for a TestMain that has other servers to stop as well.
func Stop() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return nil
	}
	err := shared.server.remove()
	shared.server = nil
	return err
}

// Dump returns the database of a DSN as pg_dump writes it: all that somebody has
// who reads a backup.
func Dump(tb testing.TB, dsn string) string {
	tb.Helper()
	return testenv.Run(tb, []string{"LC_ALL=C.UTF-8"}, "", filepath.Join(need(tb), "pg_dump"), "--dbname", dsn)
}

// Database makes an empty database at the server that the tests of this process
// share, and returns its DSN.
func Database(tb testing.TB) string {
	tb.Helper()
	bin := need(tb)
	shared.Lock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(bin)
	}
	s, err := shared.server, shared.err
	shared.Unlock()
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// Start starts a server that ends with the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := start(need(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// StartIn starts a server with its data in a directory, and stops it at the end of
// the test: what an earlier one left there is there again. settings are of
// postgresql.conf, such as "shared_buffers=1GB".
func StartIn(tb testing.TB, dir string, settings ...string) *Server {
	tb.Helper()
	s := &Server{bin: need(tb), dir: dir, settings: settings}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { // the server's user goes through it
		tb.Fatal(err)
	}
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Stop(tb) })
	return s
}

// need returns where the server's programs are. Debian keeps them out of PATH,
// by version.
func need(tb testing.TB) string {
	tb.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	if len(found) > 0 {
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(found[len(found)-1])
	}
	return filepath.Dir(testenv.Need(tb, "initdb"))
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // zero for what is no number
	return n
}

func start(bin string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, fmt.Errorf("pgtest: start: %w", err)
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// start starts a server, and makes its data unless they are there.
func (s *Server) start() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("pgtest: start: %w", err)
		}
	}()
	if s.as, err = unprivileged(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.as != nil {
		if err := os.Chown(s.dir, s.as.uid, s.as.gid); err != nil {
			return err
		}
	}
	if err := os.Remove(s.log()); err != nil && !errors.Is(err, fs.ErrNotExist) { // of the last time
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err != nil {
		initdb := s.command(ctx, "initdb", "-D", s.data(), "-U", "soapward", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "--no-sync")
		if out, err := initdb.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w\n%s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	return s.run(ctx)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command makes a command of a server's program, as the account that it needs.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	args = append([]string{filepath.Join(s.bin, program)}, args...)
	if s.as != nil {
		// setpriv and not SysProcAttr, which belongs to testenv.Process.
		args = append([]string{
			"setpriv", "--reuid", strconv.Itoa(s.as.uid), "--regid", strconv.Itoa(s.as.gid), "--clear-groups",
			"--pdeathsig", "KILL",
		}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=America/New_York"} // not ours
	return cmd
}

// run starts the server and returns when it takes connections.
func (s *Server) run(ctx context.Context) error {
	for {
		err := s.try(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// After Kill the processes of the last one need a moment to notice, and
		// until then its memory is in use.
		tail, _ := os.ReadFile(s.log()) // better than nothing
		if !strings.Contains(string(tail), "pre-existing shared memory block") && !strings.Contains(string(tail), `"postmaster.pid" already exists`) {
			return fmt.Errorf("%w\n%s", err, tail)
		}
		if err := os.Remove(s.log()); err != nil {
			return err
		}
	}
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

func (s *Server) try(ctx context.Context) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	// It outlives ctx.
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "fsync=off", "shared_buffers=64MB", "max_wal_size=2GB",
	}, s.settings...) {
		args = append(args, "-c", setting)
	}
	cmd := s.command(context.Background(), "postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	if err := p.WaitListening(ctx, "127.0.0.1:"+strconv.Itoa(s.port)); err != nil {
		return err
	}
	return testenv.Poll(ctx, func() error {
		// It listens before it serves, as after a crash.
		out, err := s.psql(ctx, "postgres", "SELECT 1")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

func (s *Server) psql(ctx context.Context, database, text string) ([]byte, error) {
	return s.command(ctx, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port),
		"-U", "soapward", "-d", database, "-c", text).CombinedOutput()
}

// Database makes an empty database and returns its DSN.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "test" + strconv.FormatInt(s.made.Add(1), 10)
	s.Exec(tb, "postgres", "CREATE DATABASE "+name)
	return s.DSN(name)
}

// Keep returns the DSN of a database with a name, which is empty if it was not
// there.
func (s *Server) Keep(tb testing.TB, name string) string {
	tb.Helper()
	if out, err := s.psql(tb.Context(), "postgres", "CREATE DATABASE "+name); err != nil && !strings.Contains(string(out), "already exists") {
		tb.Fatalf("pgtest: %s: %v\n%s", name, err, out)
	}
	return s.DSN(name)
}

// Exec runs SQL in a database.
func (s *Server) Exec(tb testing.TB, database, text string) {
	tb.Helper()
	if out, err := s.psql(tb.Context(), database, text); err != nil {
		tb.Fatalf("pgtest: %s: %v\n%s", text, err, out)
	}
}

// DSN is that of a database of the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://soapward@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Stop ends the server as its administrator would: connections are cut, what
// was committed is written.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	// SIGTERM waits for clients, SIGINT does not (postgres(1)).
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := interrupt(s.proc.PID()); err != nil {
		tb.Fatal(err)
	}
	if err := s.proc.Stop(); err != nil {
		tb.Fatal(err)
	}
	s.proc = nil
}

// Kill ends the server as a crash would.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
	s.proc = nil
}

// Start starts the server again after Stop or Kill, and returns when it serves.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	if err := s.run(ctx); err != nil {
		tb.Fatal(err)
	}
}

// remove ends the server and removes its directory.
func (s *Server) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.proc != nil {
		err = s.proc.Kill() // nothing of it is kept
		s.proc = nil
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
