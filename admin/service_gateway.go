package admin

import (
	"context"
	"time"

	"github.com/soapward/soapward/authz"
)

// Overview implements Gateway.
func (s *Service) Overview(ctx context.Context, since time.Duration) (*Overview, error) {
	panic("not built yet")
}

// Services implements Gateway.
func (s *Service) Services(ctx context.Context) (*Services, error) {
	panic("not built yet")
}

// Explain implements Gateway.
func (s *Service) Explain(ctx context.Context, q ExplainQuery) (*authz.Explanation, error) {
	panic("not built yet")
}

// Roles implements Gateway.
func (s *Service) Roles(ctx context.Context) ([]RoleInfo, error) {
	panic("not built yet")
}

// Realms implements Gateway.
func (s *Service) Realms(ctx context.Context) ([]Realm, error) {
	panic("not built yet")
}

// Test implements Gateway.
func (s *Service) Test(ctx context.Context, t Test) (*TestResult, error) {
	panic("not built yet")
}
