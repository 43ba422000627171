package admin

import "context"

// ListUsers implements Users.
func (s *Service) ListUsers(ctx context.Context, q UserQuery) (*UserPage, error) {
	panic("not built yet")
}

// User implements Users.
func (s *Service) User(ctx context.Context, name string) (*User, error) {
	panic("not built yet")
}

// AddUser implements Users.
func (s *Service) AddUser(ctx context.Context, n NewUser) (*User, error) {
	panic("not built yet")
}

// ChangeUser implements Users.
func (s *Service) ChangeUser(ctx context.Context, name string, c UserChange) (*User, error) {
	panic("not built yet")
}

// DeleteUser implements Users.
func (s *Service) DeleteUser(ctx context.Context, name string) error {
	panic("not built yet")
}

// SetPassword implements Users.
func (s *Service) SetPassword(ctx context.Context, name string, p NewPassword) (ended int, err error) {
	panic("not built yet")
}

// ClearPasswords implements Users.
func (s *Service) ClearPasswords(ctx context.Context) (cleared int, err error) {
	panic("not built yet")
}

// ClearSecondFactor implements Users.
func (s *Service) ClearSecondFactor(ctx context.Context, name string) error {
	panic("not built yet")
}
