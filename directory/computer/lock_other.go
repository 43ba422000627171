//go:build !unix

package computer

import "os"

// tryLock does nothing: there is no such lock in the standard library. Two
// rotations at the same time are the operator's to avoid.
func tryLock(*os.File) error { return nil }

func releaseLock(*os.File) {}
