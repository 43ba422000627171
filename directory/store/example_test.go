package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// One file is all that a machine needs. Two who change the same user do not
// overwrite each other.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "soapward.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	if err := s.CreateUser(ctx, &directory.User{Name: `CORP\alice`, DisplayName: "Alice"}); err != nil {
		log.Fatal(err)
	}
	mine, err := s.User(ctx, `corp\ALICE`)
	if err != nil {
		log.Fatal(err)
	}
	theirs := *mine
	mine.Email = "alice@corp.test"
	fmt.Println(mine.Name, s.UpdateUser(ctx, mine))
	fmt.Println(errors.Is(s.UpdateUser(ctx, &theirs), directory.ErrConflict))
	// Output:
	// CORP\alice <nil>
	// true
}
