package backend

// Connections returns how many requests the servers have, or are waiting for
// one, and how many connections are kept for others, for metrics.
func (p *Proxy) Connections() (active, idle int) {
	for _, s := range p.servers {
		active += int(s.pool.busy.Load())
		s.pool.mu.Lock()
		idle += len(s.pool.idle)
		s.pool.mu.Unlock()
	}
	return active, idle
}
