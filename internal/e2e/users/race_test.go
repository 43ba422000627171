//go:build race

package users

// raceEnabled: the race detector makes some kinds of work slower than others.
const raceEnabled = true
