package store

import (
	"context"

	"github.com/soapward/soapward/directory"
)

// AddCounts adds to what was counted by all nodes.
func (s *Store) AddCounts(ctx context.Context, counts []directory.Count) error {
	panic("not built yet")
}

// Counts returns sums by step, kind, mechanism and outcome.
func (s *Store) Counts(ctx context.Context, q directory.CountQuery) ([]directory.Count, error) {
	panic("not built yet")
}

// CountUsers returns about how many users there are.
func (s *Store) CountUsers(ctx context.Context) (int64, error) { panic("not built yet") }

// CountGranted returns how many users each role was granted by an operator.
func (s *Store) CountGranted(ctx context.Context) (map[string]int64, error) {
	panic("not built yet")
}
