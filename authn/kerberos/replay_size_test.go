//go:build !race

package kerberos

// pauseEntries is how many entries the replay cache has when its pauses are
// measured.
const pauseEntries = 1_000_000
