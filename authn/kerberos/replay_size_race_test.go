//go:build race

package kerberos

// pauseEntries is less with the race detector, which makes each call ten times
// as long.
const pauseEntries = 100_000
