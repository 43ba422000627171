package access

import (
	"context"

	"github.com/soapward/soapward/directory"
)

// audited writes a user, and who changed what of him.
func (c *core) audited(ctx context.Context, change *directory.Change, u *directory.User) error {
	return c.Store.Audited(ctx, change, func(ctx context.Context) error { return c.Store.UpdateUser(ctx, u) })
}
