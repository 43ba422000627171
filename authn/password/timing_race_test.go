//go:build race

package password

// underRace is whether the race detector slows down our own code, but not the
// assembler of argon2.
const underRace = true
