//go:build !unix

package adtest

import (
	"errors"
	"os"
)

func tryLock(*os.File) error { return errors.ErrUnsupported } // no Samba there either
