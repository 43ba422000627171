package admin

import "context"

// ListSessions implements Sessions.
func (s *Service) ListSessions(ctx context.Context, q SessionQuery) (*SessionPage, error) {
	panic("not built yet")
}

// EndSession implements Sessions.
func (s *Service) EndSession(ctx context.Context, id string) error {
	panic("not built yet")
}

// EndSessions implements Sessions.
func (s *Service) EndSessions(ctx context.Context, user string) (ended int, err error) {
	panic("not built yet")
}

// ListBlocks implements Blocks.
func (s *Service) ListBlocks(ctx context.Context) ([]Block, error) {
	panic("not built yet")
}

// Unblock implements Blocks.
func (s *Service) Unblock(ctx context.Context, who string) (lifted []string, err error) {
	panic("not built yet")
}

// Logins implements Audit.
func (s *Service) Logins(ctx context.Context, q LoginQuery) (*LoginPage, error) {
	panic("not built yet")
}

// Changes implements Audit.
func (s *Service) Changes(ctx context.Context, q ChangeQuery) (*ChangePage, error) {
	panic("not built yet")
}
