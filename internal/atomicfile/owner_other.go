//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

func keepOwner(*os.File, fs.FileInfo) error { return nil } // access lists, from the directory

func syncDir(string) error { return nil } // a directory cannot be opened
