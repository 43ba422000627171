//go:build !unix

package gateway

import "os"

func inode(os.FileInfo) string { return "" }
