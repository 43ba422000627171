//go:build !unix

package kerberos

import "os"

func openFile(path string) (*os.File, error) { return os.Open(path) }

// checkOwner leaves it to access lists who can write where.
func checkOwner(string, os.FileInfo) error { return nil }
