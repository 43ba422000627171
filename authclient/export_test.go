package authclient

// NotifyExpired has f called when t closes a connection for its idle time.
func NotifyExpired(t *Transport, f func()) { t.pool.testOnlyExpired = f }
