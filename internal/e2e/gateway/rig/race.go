//go:build race

package rig

// raceFlags builds the program as the test was.
var raceFlags = []string{"-race"}
