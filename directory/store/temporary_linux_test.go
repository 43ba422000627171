package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// TestReadOnlyMachine: in a container where nothing but the store can be written,
// sorting more than the cache holds failed, as an I/O error of the disk.
func TestReadOnlyMachine(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("SOAPWARD_TEST_READ_ONLY"); dir != "" {
		sortMuch(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := testenv.ReadOnly(t, dir, os.Args[0], "-test.run=^TestReadOnlyMachine$", "-test.v")
	cmd.Env = append(os.Environ(), "SOAPWARD_TEST_READ_ONLY="+dir, "TMPDIR=")
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReadOnlyMachine") {
		t.Errorf("%v\n%s", err, out)
	}
}

func sortMuch(t *testing.T, dir string) {
	if err := os.WriteFile("/tmp/soapward-test", nil, 0o600); err == nil {
		t.Fatal("this machine is not read-only")
	}
	s, err := Open(t.Context(), Config{Driver: "sqlite", DSN: filepath.Join(dir, "s.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const rows = 10_000 // large ones, of nothing, so that it is quick
	const sort = `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $1)
		SELECT count(length(b)) FROM (SELECT zeroblob(4000) AS b FROM c ORDER BY -n LIMIT -1 OFFSET 1)`
	n := 0
	if err := s.read.QueryRowContext(t.Context(), sort, rows).Scan(&n); err != nil || n != rows-1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
