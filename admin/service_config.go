package admin

import (
	"context"

	"github.com/soapward/soapward/directory/provision"
)

// Files implements Configuration.
func (s *Service) Files(ctx context.Context) (*ConfigSet, error) {
	panic("not built yet")
}

// CheckFiles implements Configuration.
func (s *Service) CheckFiles(ctx context.Context, set ConfigSet) (*ConfigCheck, error) {
	panic("not built yet")
}

// ApplyFiles implements Configuration.
func (s *Service) ApplyFiles(ctx context.Context, set ConfigSet, comment string) (*ConfigVersion, error) {
	panic("not built yet")
}

// Versions implements Configuration.
func (s *Service) Versions(ctx context.Context, after int64, limit int) ([]ConfigVersion, error) {
	panic("not built yet")
}

// Version implements Configuration.
func (s *Service) Version(ctx context.Context, id int64) (*ConfigVersion, error) {
	panic("not built yet")
}

// RollBack implements Configuration.
func (s *Service) RollBack(ctx context.Context, id int64, comment string) (*ConfigVersion, error) {
	panic("not built yet")
}

// Synchronise implements Sync.
func (s *Service) Synchronise(ctx context.Context, realm string, progress func(SyncProgress)) (*provision.Summary, error) {
	panic("not built yet")
}
