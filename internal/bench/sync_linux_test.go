package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/slapdtest"
	"github.com/soapward/soapward/internal/testenv"
)

// What the daily job has for 100,000 users.
const (
	syncUsers  = 100_000
	syncTime   = 60 * time.Second
	syncMemory = 150 << 20
)

// syncSummary is what soapward sync --json tells.
type syncSummary struct {
	Realms []struct {
		Seen, Refreshed, Unchanged, Deactivated, Reactivated, Gone, Conflicts, Failed int

		Complete bool
		Seconds  float64
	}
}

// BenchmarkSync runs soapward sync on as many users as a large company has, with
// OpenLDAP in the shape of a domain and SQLite: one user is gone, one disabled.
// A run that changes everybody, one that is killed in the middle and run again,
// and one that finds nothing new.
func BenchmarkSync(b *testing.B) {
	shape := slapdtest.Domain{
		Users: syncUsers, Groups: 20,
		Missing: func(i int) bool { return i == 777 }, Disabled: func(i int) bool { return i == 778 },
	}
	began := time.Now()
	server := slapdtest.Start(b, shape.Config())
	b.Logf("slapd filled in %.1f s", time.Since(began).Seconds())
	dir := b.TempDir()
	program := filepath.Join(dir, "soapward")
	testenv.Run(b, nil, "", testenv.Need(b, "go"), "build", "-o", program, "github.com/soapward/soapward/cmd/soapward")

	for range b.N {
		db := filepath.Join(b.TempDir(), "soapward.db")
		conf := filepath.Join(filepath.Dir(db), "soapward.yaml")
		fillStore(b, db, shape)
		text := fmt.Sprintf(`store: {driver: sqlite, dsn: %q}
realms:
  corp:
    ad: {url: %q, default_domain: CORP, bind_user: %q, bind_password: {env: SYNC_PASSWORD}, ca_file: %q}
`, db, server.URL, slapdtest.AdminDN, server.CAFile())
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		command := func() *exec.Cmd {
			cmd := exec.Command(program, "sync", "-c", conf, "--json")
			cmd.Env = append(os.Environ(), "SYNC_PASSWORD="+slapdtest.AdminPassword)
			cmd.Stderr = os.Stderr
			return cmd
		}

		cmd := command()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		killInTheMiddle(b, cmd, db)

		// After the kill. What was done before it is unchanged now.
		s := runSync(b, command(), "after a kill")
		if s.Seen != syncUsers || s.Deactivated+s.Gone > 2 || s.Conflicts+s.Failed+s.Reactivated != 0 || s.Unchanged < 500 ||
			s.Refreshed+s.Unchanged+s.Deactivated+s.Gone != syncUsers || !s.Complete {
			b.Errorf("after a kill: %+v", s)
		}
		s = runSync(b, command(), "nothing new")
		if s.Unchanged != syncUsers || s.Seen != syncUsers || !s.Complete {
			b.Errorf("nothing new: %+v", s)
		}

		// Everybody at once, on a store that is as it was at first.
		for _, f := range []string{db, db + "-wal", db + "-shm"} {
			_ = os.Remove(f) // they need not be there
		}
		fillStore(b, db, shape)
		s = runSync(b, command(), "everybody is new")
		if s.Seen != syncUsers || s.Refreshed != syncUsers-2 || s.Deactivated != 1 || s.Gone != 1 || s.Unchanged+s.Reactivated+s.Conflicts+s.Failed != 0 || !s.Complete {
			b.Errorf("everybody is new: %+v", s)
		}
		b.ReportMetric(s.Seconds, "s/sync")
	}
}

// fillStore makes the users of a domain as their first logins would have.
func fillStore(b *testing.B, db string, shape slapdtest.Domain) {
	b.Helper()
	st, err := store.Open(b.Context(), store.Config{Driver: "sqlite", DSN: db})
	if err != nil {
		b.Fatal(err)
	}
	var users iter.Seq2[*directory.User, error] = func(yield func(*directory.User, error) bool) {
		for i := range shape.Users {
			u := &directory.User{Realm: "corp", Name: `CORP\` + shape.UserName(i), SID: authn.SID(fmt.Sprintf("%s-%d", slapdtest.DomainSID, slapdtest.FirstRID+i))}
			if !yield(u, nil) {
				return
			}
		}
	}
	if done, err := st.Import(b.Context(), users, nil); err != nil || done.Created != shape.Users {
		b.Fatalf("import: %+v, %v", done, err)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

// killInTheMiddle kills a run that has come some way.
func killInTheMiddle(b *testing.B, cmd *exec.Cmd, db string) {
	b.Helper()
	st, err := store.Open(b.Context(), store.Config{Driver: "sqlite", DSN: db})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	const middle = `CORP\user04`
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) { // another process
		cursor, err := st.Note(b.Context(), "sync/corp/cursor")
		if err != nil {
			b.Fatal(err)
		}
		if cursor >= middle {
			break
		}
		if time.Now().After(deadline) {
			b.Fatalf("after a minute the run is at %q", cursor)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		b.Fatalf("the run ended before it was killed: %v", err)
	}
}

// runSync runs the command within its bounds.
func runSync(b *testing.B, cmd *exec.Cmd, what string) (s struct {
	Seen, Refreshed, Unchanged, Deactivated, Reactivated, Gone, Conflicts, Failed int

	Complete bool
	Seconds  float64
}) {
	b.Helper()
	began := time.Now()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	took := time.Since(began)
	if err != nil {
		b.Fatalf("%s: %v\n%s", what, err, &out)
	}
	var sum syncSummary
	if err := json.Unmarshal(out.Bytes(), &sum); err != nil || len(sum.Realms) != 1 {
		b.Fatalf("%s: %v in %s", what, err, &out)
	}
	b.Logf("%s: %.1f s, processor %.1f s, at most %d MB resident", what, took.Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak()/1e6)
	if took > syncTime || peak() > syncMemory {
		b.Errorf("%s: %v and %d bytes, want at most %v and %d", what, took, peak(), syncTime, syncMemory)
	}
	return sum.Realms[0]
}

// watchPeak returns a function that says how much memory a process had at most
// until it ended. The rusage of a child is of no use for it: it begins with what
// its parent had.
func watchPeak(pid int) func() int {
	done := make(chan int)
	go func() {
		most := 0
		for {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, value, found := strings.Cut(string(text), "VmHWM:")
			if err != nil || !found { // it ended
				break
			}
			kib, _ := strconv.Atoi(strings.Fields(value)[0])
			most = max(most, kib<<10)
			time.Sleep(20 * time.Millisecond)
		}
		done <- most
	}()
	return sync.OnceValue(func() int { return <-done })
}
