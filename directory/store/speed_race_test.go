//go:build race

package store_test

// slow says that the race detector makes SQLite, which is Go here, ten times as
// slow.
const slow = true
