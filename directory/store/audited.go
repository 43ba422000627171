package store

import (
	"context"

	"github.com/soapward/soapward/directory"
)

// Audited calls do, and writes c in the transaction of what do writes by calls
// with the context that it gets: either all of it is kept, or nothing. What c says
// may be completed by do.
func (s *Store) Audited(ctx context.Context, c *directory.Change, do func(ctx context.Context) error) error {
	panic("not built yet")
}

// Changes returns what administrators did, the newest first.
func (s *Store) Changes(ctx context.Context, q directory.ChangeQuery) ([]directory.Change, error) {
	panic("not built yet")
}
