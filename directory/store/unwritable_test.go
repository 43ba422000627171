package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong beside a directory that cannot be written is told, and not hidden by
// it: tables of a newer program.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "s.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s := &Store{path: path, d: sqliteDialect}
	err = s.fail("migrate", db.PingContext(t.Context()))
	if why := s.unwritable(err); why == nil || !strings.Contains(why.Error(), filepath.Dir(path)) {
		t.Errorf("%v, because of %v", err, why)
	}
	for _, err := range []error{refusal("the tables are of version 99"), context.Canceled} {
		if why := s.unwritable(s.fail("migrate", err)); why != nil {
			t.Errorf("%v became %v", err, why)
		}
	}
	if why := (&Store{}).unwritable(err); why != nil {
		t.Errorf("of PostgreSQL: %v", why)
	}
}
