//go:build !linux

package gateway

func monotonic() (string, bool) { return "", false }
