package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrInUse means that a SQLite database which a process wants for itself, or one
// that another process has for itself, is in use.
var ErrInUse = errors.New("store: another process uses the database")

// errLocked is that of tryLock.
var errLocked = errors.New("store: locked")

// lockSuffix follows the name of the database. SQLite's own locks do not serve:
// they are of a transaction, and closing any descriptor of the file ends them.
const lockSuffix = ".lock"

// lock takes the lock beside the database. It is by the file's own name, so that
// two links to one database have one.
func (s *Store) lock(alone bool) (*os.File, error) {
	path, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		return nil, err
	}
	f, err := tryLock(path+lockSuffix, alone)
	switch {
	case errors.Is(err, errLocked) && alone:
		return nil, fmt.Errorf("%w: %s is locked, perhaps by another gateway: SQLite is for one, and driver postgres for several; stop the other one, or give each a file of its own (commands such as \"soapward user\" may run beside it)", ErrInUse, path+lockSuffix)
	case errors.Is(err, errLocked):
		return nil, fmt.Errorf("%w: %s is locked by a gateway that alone remembers which Kerberos authenticators were used", ErrInUse, path+lockSuffix)
	}
	if err != nil {
		return nil, notWritable(path, err)
	}
	return f, nil
}
