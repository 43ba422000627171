package store

import (
	"context"

	"github.com/soapward/soapward/directory"
)

// AddConfig keeps a configuration, and sets its ID.
func (s *Store) AddConfig(ctx context.Context, v *directory.ConfigVersion) error {
	panic("not built yet")
}

// Configs returns those before an ID, or the newest, without their files.
func (s *Store) Configs(ctx context.Context, before int64, limit int) ([]directory.ConfigVersion, error) {
	panic("not built yet")
}

// Config returns one with its files, or directory.ErrNotFound.
func (s *Store) Config(ctx context.Context, id int64) (*directory.ConfigVersion, error) {
	panic("not built yet")
}
