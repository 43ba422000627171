//go:build !race

package password

const underRace = false
