package provision_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
)

// corp is a directory of one account.
type corp struct{}

func (corp) Account(_ context.Context, ref directory.AccountRef) (*directory.Account, error) {
	return &directory.Account{Name: `CORP\alice`, SID: ref.SID, DisplayName: "Alice Ash", Email: "alice@example.com"}, nil
}

// The first login of somebody makes a user.
func ExampleProvisioner() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "users")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	quiet := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "users.db"), Logger: quiet})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()

	p := &provision.Provisioner{Realm: "corp", Store: db, Source: corp{}, Logger: quiet}
	// p.Wrap(authenticator) does this for each login of a service.
	id, err := p.Provision(ctx, &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-1104", Mechanism: authn.MechanismNTLM})
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := db.User(ctx, id.String())
	fmt.Println(u.Name, u.DisplayName, u.Email, u.State, err)
	// Output: CORP\alice Alice Ash alice@example.com active <nil>
}
