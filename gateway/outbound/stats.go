package outbound

// Idle returns how many connections are kept to each upstream, by its name, for
// metrics.
func (s *Set) Idle() map[string]int {
	idle := make(map[string]int, len(s.upstreams))
	for _, u := range s.upstreams {
		idle[u.name] = u.transport.Idle()
	}
	return idle
}
