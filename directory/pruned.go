package directory

// Pruned is how many rows a store has removed because they were over.
type Pruned struct {
	Sessions int
	Failures int
	Blocks   int
	Replays  int // used authenticators
	Logins   int
	Counts   int
	Changes  int
	Configs  int
}
