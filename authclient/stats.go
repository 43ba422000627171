package authclient

// Idle returns how many connections no request is using, for metrics. It is safe
// for concurrent use.
func (t *Transport) Idle() int {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	n := 0
	for _, cs := range t.pool.idle {
		n += len(cs)
	}
	return n
}
